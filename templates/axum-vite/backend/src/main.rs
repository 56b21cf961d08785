//! The backend: a small JSON API under `/api`.
//!
//! It reads `config.json` in the current directory, listens on the host and
//! port given there, and runs until it gets Ctrl-C or SIGTERM. Anything that
//! keeps it from starting is reported as one line on stderr, with exit code 1.

mod config;

use std::path::Path;
use std::process::ExitCode;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal;
use tokio::signal::unix::{SignalKind, signal};

use config::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let server = Config::load(Path::new("config.json"))?.server;
    let (host, port) = (server.host.as_str(), server.port);

    let on_error = |e| format!("cannot listen on {host} port {port}: {e}");
    let listener = TcpListener::bind((host, port)).await.map_err(on_error)?;
    let address = listener.local_addr().map_err(on_error)?;

    // Taken before the first request, so that an early SIGTERM is not missed.
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|e| format!("cannot listen for SIGTERM: {e}"))?;
    let shutdown = async move {
        tokio::select! {
            _ = signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };

    println!("listening on http://{address}");
    axum::serve(listener, router(address.port()))
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(|e| format!("the server on {address} stopped: {e}"))
}

/// All routes; `port` is the port the server really listens on.
fn router(port: u16) -> Router {
    Router::new()
        // `dev.toml` names this one: the backend is ready when it answers.
        .route("/api/health", get(health))
        .route("/api/hello", get(hello))
        .with_state(port)
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn hello(State(port): State<u16>) -> Json<Value> {
    Json(json!({ "message": format!("Hello from the backend on port {port}") }))
}
