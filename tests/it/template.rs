//! The acceptance of the main job: a real backend, a real Vite, a real browser.

use crate::{PROGRAMS, stage};
use tests::{Browser, Running, Signal, Stage, chromium, copy_folder, own_network, template};

const BACKEND: &str = "Hello from the backend on port";

/// Everything that these tests need, or none.
fn ready(test: &str) -> Option<(Stage, Browser)> {
    let browser = chromium(test)?;
    let stage = stage();
    template(&stage, PROGRAMS.target);
    stage.commit_all();
    own_network(test).then_some((stage, browser))
}

/// The address of a service in the ready summary.
fn url(dev: &mut Running, service: &str) -> String {
    dev.wait_for("Ctrl-C stops the stack");
    let seen = dev.seen();
    let line = seen
        .lines()
        .find(|line| line.starts_with(&format!("    {service}")) && line.contains("http://"));
    let url =
        line.and_then(|line| line.split_whitespace().find(|word| word.starts_with("http://")));
    url.unwrap_or_else(|| panic!("no address of {service} in:\n{seen}")).to_owned()
}

#[track_caller]
fn assert_ends_well(dev: Running, stage: &Stage) {
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn with_free_ports_the_stack_is_up_and_no_file_changes() {
    let Some((stage, browser)) = ready("with_free_ports_the_stack_is_up_and_no_file_changes")
    else {
        return;
    };
    let mut dev = stage.xtask(&["dev"]);
    let url = url(&mut dev, "frontend");
    assert_eq!(url, "http://localhost:5173");
    browser.page_with(&stage, &url, &format!("{BACKEND} 8000"));
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
    assert_ends_well(dev, &stage);
}

#[test]
fn with_half_taken_ports_both_services_move_and_everything_is_put_back() {
    let test = "with_half_taken_ports_both_services_move_and_everything_is_put_back";
    let Some((stage, browser)) = ready(test) else { return };
    let mut on_v4 = stage.stranger(&["--listen", "127.0.0.1:8000"]);
    let mut on_v6 = stage.stranger(&["--listen", "[::1]:5173"]);
    on_v4.wait_for("listening");
    on_v6.wait_for("listening");

    let mut dev = stage.xtask(&["dev"]);
    let url = url(&mut dev, "frontend");
    assert_eq!(url, "http://localhost:5174");
    browser.page_with(&stage, &url, &format!("{BACKEND} 8001"));
    assert_eq!(
        stage.git(&["diff", "--numstat"]),
        "1\t1\tbackend/config.json\n2\t2\tfrontend/vite.config.ts",
        "one line for each value that had to move"
    );
    let moved = stage.git(&["diff", "--unified=0"]);
    for line in
        ["+    \"port\": 8001", "+    port: 5174,", "+      '/api': 'http://localhost:8001',"]
    {
        assert!(moved.contains(line), "{line} is not in:\n{moved}");
    }

    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
    assert!(
        !ended.output.contains("restarting server"),
        "Vite saw a file change:\n{}",
        ended.output
    );
    let mut left = stage.left_processes();
    left.sort_unstable();
    let mut strangers = vec![on_v4.pid(), on_v6.pid()];
    strangers.sort_unstable();
    assert_eq!(left, strangers, "only the two that were there before");
}

#[test]
fn a_port_in_the_npm_script_moves_too() {
    let Some((stage, browser)) = ready("a_port_in_the_npm_script_moves_too") else { return };
    let package = stage.read("frontend/package.json");
    stage.file(
        "frontend/package.json",
        &package.replace("\"vite\",", "\"vite --port 5173 --strictPort\","),
    );
    stage.git(&["commit", "--quiet", "--all", "--message", "a port in the script"]);
    let mut stranger = stage.stranger(&["--listen", "127.0.0.1:5173"]);
    stranger.wait_for("listening");

    let mut dev = stage.xtask(&["dev"]);
    let url = url(&mut dev, "frontend");
    assert_eq!(url, "http://localhost:5174");
    browser.page_with(&stage, &url, &format!("{BACKEND} 8000"));
    let changed = stage.git(&["diff", "--numstat"]);
    assert_eq!(changed, "1\t1\tfrontend/package.json\n1\t1\tfrontend/vite.config.ts");
    drop(stranger);
    assert_ends_well(dev, &stage);
}

#[test]
fn a_port_that_the_config_reads_from_the_environment_needs_no_patch() {
    let test = "a_port_that_the_config_reads_from_the_environment_needs_no_patch";
    let Some((stage, browser)) = ready(test) else { return };
    let config = stage.read("frontend/vite.config.ts");
    let reading = config.replace("port: 5173,", "port: Number(process.env.PORT) || 5173,");
    stage.file("frontend/vite.config.ts", &reading);
    stage.git(&["commit", "--quiet", "--all", "--message", "a port from the environment"]);
    let mut stranger = stage.stranger(&["--listen", "127.0.0.1:5173"]);
    stranger.wait_for("listening");

    let mut dev = stage.xtask(&["dev"]);
    let url = url(&mut dev, "frontend");
    assert_eq!(url, "http://localhost:5174");
    browser.page_with(&stage, &url, &format!("{BACKEND} 8000"));
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
    drop(stranger);
    assert_ends_well(dev, &stage);
}

#[test]
fn two_clones_at_once_have_four_ports_and_two_pages() {
    let Some((stage, browser)) = ready("two_clones_at_once_have_four_ports_and_two_pages") else {
        return;
    };
    let clone = stage.path("clone");
    stage.git(&["clone", "--quiet", ".", &clone.to_string_lossy()]);
    let modules = stage.checkout().join("frontend/node_modules");
    copy_folder(&stage, &modules, &clone.join("frontend/node_modules"));

    let mut one = stage.xtask(&["dev"]);
    let mut other = stage.xtask(&["dev", "-C", &clone.to_string_lossy()]);
    let mut urls = Vec::new();
    for dev in [&mut one, &mut other] {
        let (frontend, backend) = (url(dev, "frontend"), url(dev, "backend"));
        let port = backend.rsplit(':').next().unwrap();
        browser.page_with(&stage, &frontend, &format!("{BACKEND} {port}"));
        urls.extend([frontend, backend]);
    }
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), 4, "{urls:?}");
    other.signal(Signal::INT);
    assert_eq!(other.wait().code, 0);
    assert_ends_well(one, &stage);
}

#[test]
fn a_backend_that_does_not_compile_says_so_and_nothing_stays() {
    let test = "a_backend_that_does_not_compile_says_so_and_nothing_stays";
    let stage = stage();
    template(&stage, PROGRAMS.target);
    stage.file("backend/src/main.rs", "fn main() { let port: u16 = \"8000\"; }\n").commit_all();
    if !own_network(test) {
        return;
    }
    let ended = stage.run(&["dev"]);
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(
        ended.output.contains("error[E0308]: mismatched types"),
        "its own output:\n{}",
        ended.output
    );
    assert!(
        ended.output.contains(
            "error: the setup of `backend` failed: `cargo build` ended with exit code 101"
        )
    );
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn the_json_events_name_what_was_patched() {
    let Some((stage, _)) = ready("the_json_events_name_what_was_patched") else { return };
    let mut stranger = stage.stranger(&["--listen", "127.0.0.1:8000"]);
    stranger.wait_for("listening");
    let mut dev = stage.xtask(&["dev", "--json"]);
    dev.wait_for("\"stack-ready\"");
    let events: Vec<serde_json::Value> = dev
        .seen()
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is one object"))
        .collect();
    let shown: Vec<String> = events
        .iter()
        .filter(|event| event["event"] == "patched")
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap_or_default();
            format!(
                "{}:{} {} {} {}",
                text("file"),
                event["line"],
                text("key"),
                text("old"),
                text("new")
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "backend/config.json:4 server.port 8000 8001",
            "frontend/vite.config.ts:11 server.proxy.\"/api\" http://localhost:8000 http://localhost:8001",
        ]
    );
    drop(stranger);
    assert_ends_well(dev, &stage);
}
