//! Services that do not listen where they should, and those that cannot listen over a hold.

use crate::stage;
use tests::{Signal, own_network};

#[test]
fn a_service_that_ignores_its_port_is_named_with_the_one_it_has_and_is_never_ready() {
    if !own_network(
        "a_service_that_ignores_its_port_is_named_with_the_one_it_has_and_is_never_ready",
    ) {
        return;
    }
    let stage = stage();
    stage.file(
        "dev.toml",
        "[services.web]\ncommand = [\"FAKE\", \"--listen\", \"127.0.0.1:9123\"]\nport = 8000\n",
    );
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("web listens on port 9123, and was given 8000");
    dev.wait_for("hint: it is told the port in PORT");
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(!ended.output.contains("ready"), "{}", ended.output);
}

#[test]
fn a_service_that_takes_anothers_port_is_named_and_the_other_is_not_called_ready() {
    if !own_network("a_service_that_takes_anothers_port_is_named_and_the_other_is_not_called_ready")
    {
        return;
    }
    let stage = stage();
    let thief = "[\"FAKE\", \"--listen\", \"127.0.0.1:8000\"]";
    stage.file(
        "dev.toml",
        &format!(
            "[services.thief]\ncommand = {thief}\n\n\
             [services.api]\ncommand = [\"FAKE\", \"--print\", \"up\"]\nport = 8000\nready.timeout = \"2s\"\n"
        ),
    );
    let ended = stage.run(&["dev"]);
    assert_eq!(ended.code, 1, "{}", ended.output);
    let told = "thief listens on port 8000, which was given to another service";
    assert!(ended.output.contains(told), "{}", ended.output);
    let failed = "api failed: it was not ready within 2s: port 8000 is listened on by a process that is not its own: \
                  fake-service (pid ";
    assert!(ended.output.contains(failed), "{}", ended.output);
    assert!(!ended.output.contains("api is ready"), "{}", ended.output);
}

#[test]
fn a_server_that_cannot_listen_over_a_hold_gets_its_port_as_it_starts_and_that_is_remembered() {
    if !own_network(
        "a_server_that_cannot_listen_over_a_hold_gets_its_port_as_it_starts_and_that_is_remembered",
    ) {
        return;
    }
    let stage = stage();
    let command = "[\"FAKE\", \"--listen-strictly\", \"127.0.0.1\", \"PORT\"]";
    stage.file("dev.toml", &format!("[services.web]\ncommand = {command}\nport = 8000\n"));
    let restarts = "web restarts: it cannot listen on a port that is held";

    let mut first = stage.xtask(&["dev"]);
    first.wait_for("Ctrl-C stops the stack");
    assert!(first.seen().contains("cannot listen on 127.0.0.1:8000"), "{}", first.seen());
    assert!(first.seen().contains(restarts), "{}", first.seen());
    first.signal(Signal::INT);
    assert_eq!(first.wait().code, 0);

    let mut second = stage.xtask(&["dev"]);
    second.wait_for("Ctrl-C stops the stack");
    assert!(!second.seen().contains("cannot listen"), "{}", second.seen());
    second.signal(Signal::INT);
    assert_eq!(second.wait().code, 0);

    // Another command may start a server that can.
    let other = command.replace("strictly", "env");
    stage.file("dev.toml", &format!("[services.web]\ncommand = {other}\nport = 8000\n"));
    let mut third = stage.xtask(&["dev"]);
    third.wait_for("Ctrl-C stops the stack");
    let held = stage.run(&["ports", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&held.output).unwrap();
    let activities: Vec<&str> = report["ports"][0]["owners"]
        .as_array()
        .unwrap()
        .iter()
        .map(|owner| owner["activity"].as_str().unwrap())
        .collect();
    assert!(activities.contains(&"bound"), "the hold stays: {}", held.output);
    third.signal(Signal::INT);
    assert_eq!(third.wait().code, 0);
}

#[test]
fn a_port_that_a_stranger_has_is_not_taken_for_a_refused_hold() {
    if !own_network("a_port_that_a_stranger_has_is_not_taken_for_a_refused_hold") {
        return;
    }
    let stage = stage();
    // It says what a server says that cannot have its port, and the port has a listener: its own first process.
    let command = "[\"FAKE\", \"--listen-env\", \"127.0.0.1\", \"PORT\", \"--child\", \"--listen-env\", \"127.0.0.1\", \"PORT\", \"--\"]";
    stage.file("dev.toml", &format!("[services.web]\ncommand = {command}\nport = 8000\n"));
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("cannot listen on 127.0.0.1:8000");
    dev.wait_for("Ctrl-C stops the stack");
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert!(!ended.output.contains("restarts"), "{}", ended.output);
}
