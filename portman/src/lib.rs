//! Which ports are free, who has the others, and config files that say the new port without another byte changed.
//!
//! A port is never "checked, then used": what is free is a [`check::Hold`], and the port stays held while a server
//! starts, listens over it, restarts and ends. Config files are patched by exact replacement of a value's bytes, and
//! put back from a journal.
//!
//! ```
//! use portman::allocate::{Pool, Request, reserve};
//! use portman::lease::Memory;
//! use portman::port::Port;
//!
//! # fn main() -> portman::error::Result<()> {
//! let wanted = Request { service: "api".into(), preferred: Port::new(8000) };
//! let allocations = reserve(&[wanted], &Pool::default(), &Memory::default())?;
//! let api = &allocations[0];
//! // Nobody else gets this port from now on, and an ordinary server can listen on it.
//! std::net::TcpListener::bind(("127.0.0.1", api.port().get())).expect("it is ours");
//! # Ok(())
//! # }
//! ```
//!
//! A test that wants any free ports, and a CI job that runs many at once, need no more than [`reserve`]:
//!
//! ```
//! # fn main() -> portman::error::Result<()> {
//! let ports = portman::reserve(["api", "web"])?;
//! std::net::TcpListener::bind(("127.0.0.1", ports["api"].get())).expect("it is ours");
//! # Ok(())
//! # }
//! ```
//!
//! This library never prints, never exits, reads neither the environment nor the current directory, and starts no
//! process: whoever uses it hands it the paths and decides what to tell.

pub mod port;
pub mod process;

mod sys;

pub mod error;
pub mod fs;

pub mod check;
pub mod lease;
pub mod owner;
#[cfg(feature = "patch")]
pub mod patch;

pub mod safety;

pub mod allocate;
pub mod firewall;
pub mod localhost;
#[cfg(feature = "patch")]
mod merge;
#[cfg(feature = "patch")]
pub mod restore;
pub mod stop;

pub mod conflict;

pub mod report;

pub use allocate::any::{Reservation, reserve};
