//! What is done when a port is taken: for one run, and for good.

use crate::stage;
use tests::{Running, Signal, Stage, own_network};

const CONFIG: &str = "{\n  // the port of the api\n  \"port\": 8000,\n  \"debug\": true\n}\n";
const VITE: &str = "export default {\n  server: {\n    port: 5173,\n    proxy: { \"/api\": \"http://localhost:8000\" },\n  },\n};\n";
const DEV: &str = "# the stack\n[services.api]\ncommand = [\"FAKE\", \"--listen-env\", \"127.0.0.1\", \"PORT\"]\nport = 8000 # usual\n\
    patch = [{ file = \"config.json\", set = { port = \"{port}\" } }]\n\n\
    [services.web]\ncommand = [\"FAKE\", \"--env\", \"API_URL\", \"--listen-env\", \"127.0.0.1\", \"PORT\"]\nport = 5173\n\
    patch = [{ file = \"vite.config.ts\" }]\n";

/// A stack of two whose files say their ports; every byte of it is known.
fn stack() -> Stage {
    let stage = stage();
    stage.file("config.json", CONFIG).file("vite.config.ts", VITE).file("dev.toml", DEV);
    stage
}

/// Somebody with port 8000 who runs in `folder`.
#[track_caller]
fn somebody_in(stage: &Stage, folder: &str) -> Running {
    let folder = stage.checkout().join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = stage.command_in(&folder, crate::PROGRAMS.fake_service);
    let mut server = Running::start(command.args(["--listen", "127.0.0.1:8000"]));
    server.wait_for("listening");
    server
}

fn texts(stage: &Stage) -> [String; 3] {
    ["config.json", "vite.config.ts", "dev.toml"].map(|file| stage.read(file))
}

#[test]
fn fix_writes_the_ports_for_good_and_undo_puts_back_every_byte() {
    if !own_network("fix_writes_the_ports_for_good_and_undo_puts_back_every_byte") {
        return;
    }
    let stage = stack();
    let before = texts(&stage);
    let stranger = somebody_in(&stage, "..");

    let dry = stage.run(&["ports", "--fix", "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.output);
    for line in ["-port = 8000 # usual", "+port = 8001 # usual", "+  \"port\": 8001,"] {
        assert!(dry.output.lines().any(|told| told == line), "no {line}\n{}", dry.output);
    }
    assert_eq!(texts(&stage), before, "nothing is written");

    let fixed = stage.run(&["ports", "--fix"]);
    assert_eq!(fixed.code, 0, "{}", fixed.output);
    for told in [
        "api gets port 8001, since 8000 is taken: fake-service (pid ",
        "config.json:3  port 8000 → 8001",
        "dev.toml:4  services.api.port 8000 → 8001",
        "3 files written for good; cargo xtask ports --undo takes that back",
    ] {
        assert!(fixed.output.contains(told), "no {told}\n{}", fixed.output);
    }
    let after = texts(&stage);
    assert_eq!(after[0], CONFIG.replace("8000", "8001"));
    assert_eq!(after[1], VITE.replace("8000", "8001"));
    assert_eq!(after[2], before[2].replace("port = 8000", "port = 8001"));

    // The stack comes up with it, and no file changes.
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    assert!(dev.seen().contains("http://localhost:8001"), "{}", dev.seen());
    assert!(!dev.seen().contains("patched"), "{}", dev.seen());
    for refused in [&["ports", "--fix"][..], &["ports", "--undo"]] {
        let refused = stage.run(refused);
        assert_eq!(refused.code, 3, "{}", refused.output);
        assert!(refused.output.contains("already runs: process "), "{}", refused.output);
    }
    dev.signal(Signal::INT);
    assert_eq!(dev.wait().code, 0);
    assert_eq!(texts(&stage), after);

    // Once more: the next one moves too, and each is taken back by itself.
    let next = stage.stranger(&["--listen", "127.0.0.1:8001"]);
    let mut next = next;
    next.wait_for("listening");
    assert_eq!(stage.run(&["ports", "--fix"]).code, 0);
    assert!(stage.read("dev.toml").contains("port = 8002"));
    assert_eq!(stage.run(&["ports", "--undo"]).code, 0);
    assert_eq!(texts(&stage), after);
    assert_eq!(stage.run(&["ports", "--undo"]).code, 0);
    assert_eq!(texts(&stage), before);
    let nothing = stage.run(&["ports", "--undo"]);
    assert_eq!(nothing.code, 2, "{}", nothing.output);
    assert!(nothing.output.contains("is left to undo in"), "{}", nothing.output);
    drop(stranger);
}

#[test]
fn undo_keeps_what_was_edited_since() {
    if !own_network("undo_keeps_what_was_edited_since") {
        return;
    }
    let stage = stack();
    let _stranger = somebody_in(&stage, "..");
    assert_eq!(stage.run(&["ports", "--fix"]).code, 0);
    let edited = stage.read("config.json").replace("true", "false");
    stage.file("config.json", &edited);
    stage.file("vite.config.ts", &stage.read("vite.config.ts").replace("8001", "9999"));
    let undone = stage.run(&["ports", "--undo"]);
    assert_eq!(undone.code, 4, "{}", undone.output);
    assert!(undone.output.contains("vite.config.ts was not put back"), "{}", undone.output);
    assert_eq!(stage.read("config.json"), CONFIG.replace("true", "false"));
    assert!(stage.read("vite.config.ts").contains("9999"));
    assert!(stage.read("dev.toml").contains("port = 8000"));

    stage.file("vite.config.ts", &stage.read("vite.config.ts").replace("9999", "8001"));
    assert_eq!(stage.run(&["ports", "--undo"]).code, 0);
    assert_eq!(stage.read("vite.config.ts"), VITE);
}

#[test]
fn a_server_of_this_checkout_is_stopped_unasked_and_a_strangers_is_not() {
    if !own_network("a_server_of_this_checkout_is_stopped_unasked_and_a_strangers_is_not") {
        return;
    }
    let stage = stack();
    let before = texts(&stage);
    let ours = somebody_in(&stage, "src");
    let dry = stage.run(&["ports", "--fix", "--dry-run", "--on-conflict", "kill"]);
    assert!(dry.output.contains("it would be stopped"), "{}", dry.output);
    assert!(!dry.output.contains("8001"), "{}", dry.output);
    let fixed = stage.run(&["ports", "--fix", "--on-conflict", "kill_process"]);
    assert_eq!(fixed.code, 0, "{}", fixed.output);
    let told = format!("stopped fake-service (pid {}), which had port 8000", ours.pid());
    assert!(fixed.output.contains(&told), "{}", fixed.output);
    assert!(fixed.output.contains("nothing to write"), "{}", fixed.output);
    assert_eq!(ours.wait().code, 128 + 15);
    assert_eq!(texts(&stage), before);

    let stranger = somebody_in(&stage, "../elsewhere");
    let fixed = stage.run(&["ports", "--fix", "--on-conflict", "kill"]);
    assert_eq!(fixed.code, 0, "{}", fixed.output);
    assert!(fixed.output.contains("was not stopped: it runs in "), "{}", fixed.output);
    assert!(stage.read("dev.toml").contains("port = 8001"));
    assert!(portman::process::Process::find(stranger.pid()).unwrap().is_some());

    // Who says yes in advance has been asked.
    assert_eq!(stage.run(&["ports", "--undo"]).code, 0);
    let fixed = stage.run(&["ports", "--fix", "--on-conflict", "kill", "--yes"]);
    assert_eq!(fixed.code, 0, "{}", fixed.output);
    assert_eq!(stranger.wait().code, 128 + 15);
    assert_eq!(texts(&stage), before);
}

#[test]
fn dev_can_stop_who_has_a_port() {
    if !own_network("dev_can_stop_who_has_a_port") {
        return;
    }
    let stage = stack();
    let ours = somebody_in(&stage, "src");
    let mut dev = stage.xtask(&["dev", "--on-conflict", "kill"]);
    dev.wait_for("http://localhost:8000");
    dev.wait_for("Ctrl-C stops the stack");
    assert_eq!(ours.wait().code, 128 + 15);
    dev.signal(Signal::INT);
    assert_eq!(dev.wait().code, 0);
}

#[test]
fn a_service_whose_port_is_taken_can_be_left_out_with_what_depends_on_it() {
    if !own_network("a_service_whose_port_is_taken_can_be_left_out_with_what_depends_on_it") {
        return;
    }
    let stage = stack();
    let _stranger = somebody_in(&stage, "..");
    let depends = "\n[services.docs]\ncommand = \"FAKE\"\ndepends-on = [\"api\"]\n";
    stage.file("dev.toml", &format!("[ports]\non-conflict = \"skip\"\n{DEV}{depends}"));
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    for told in [
        "api is left out: 8000 is taken: fake-service (pid ",
        "docs is left out: it depends on one that is left out",
        "web │ API_URL=http://localhost:8000",
    ] {
        assert!(dev.seen().contains(told), "no {told}\n{}", dev.seen());
    }
    assert!(!dev.seen().contains("http://localhost:8001"), "{}", dev.seen());
    dev.signal(Signal::INT);
    assert_eq!(dev.wait().code, 0);

    stage.file("dev.toml", DEV.split("\n[services.web]").next().unwrap());
    let ended = stage.run(&["dev", "--on-conflict", "skip"]);
    assert_eq!(ended.code, 3, "{}", ended.output);
    assert!(ended.output.contains("no service is left to be started"), "{}", ended.output);
}

#[test]
fn on_a_terminal_one_is_asked() {
    let test = "on_a_terminal_one_is_asked";
    if !own_network(test) {
        return;
    }
    let stage = stack();
    for (answer, told) in [("s\n", "api is left out"), ("\n", "http://localhost:8001")] {
        let _stranger = somebody_in(&stage, "..");
        let Some(mut dev) = stage.terminal(test, &["dev", "--on-conflict", "ask"]) else { return };
        dev.wait_for("api: port 8000 is taken: fake-service (pid ");
        dev.type_in(answer);
        dev.wait_for("Ctrl-C stops the stack");
        assert!(dev.seen().contains(told), "{}", dev.seen());
        dev.type_in("\u{3}");
        assert_eq!(dev.wait().code, 0);
    }
    let stranger = somebody_in(&stage, "..");
    let Some(mut dev) = stage.terminal(test, &["dev", "--on-conflict", "ask"]) else { return };
    dev.wait_for("api: port 8000 is taken: fake-service (pid ");
    dev.type_in("k\n");
    dev.wait_for("http://localhost:8000");
    assert_eq!(stranger.wait().code, 128 + 15);
    dev.type_in("\u{3}");
    assert_eq!(dev.wait().code, 0);
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    if !own_network("without_a_terminal_nobody_is_asked") {
        return;
    }
    let stage = stack();
    let _stranger = somebody_in(&stage, "..");
    let mut dev = stage.xtask(&["dev", "--on-conflict", "ask"]);
    dev.wait_for("Ctrl-C stops the stack");
    assert!(dev.seen().contains("http://localhost:8001"), "{}", dev.seen());
    dev.signal(Signal::INT);
    assert_eq!(dev.wait().code, 0);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_undo_has_none() {
    if !own_network("a_dry_run_says_what_would_be_done_and_undo_has_none") {
        return;
    }
    let stage = stack();
    let _stranger = somebody_in(&stage, "..");
    for (arguments, told, untold) in [
        (&["dev", "--dry-run"][..], "api gets port 8001, since 8000 is taken", "left out"),
        (&["dev", "--dry-run", "--on-conflict", "skip"], "api is left out: 8000 is taken", "8001"),
        (&["ports", "--fix", "--dry-run"], "api gets port 8001, since 8000 is taken", "left out"),
        (
            &["ports", "--fix", "--dry-run", "--on-conflict", "skip"],
            "nothing to write: the files say these ports already",
            "8001",
        ),
    ] {
        let ended = stage.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}\n{}", ended.output);
        assert!(ended.output.contains(told), "{arguments:?} does not say {told}\n{}", ended.output);
        assert!(!ended.output.contains(untold), "{arguments:?} says {untold}\n{}", ended.output);
    }
    assert_eq!(stage.run(&["ports", "--fix"]).code, 0);
    let fixed = texts(&stage);
    for more in ["--dry-run", "--yes", "--fix"] {
        let refused = stage.run(&["ports", "--undo", more]);
        assert_eq!(refused.code, 2, "{}", refused.output);
        assert_eq!(texts(&stage), fixed);
    }
}

#[test]
fn a_file_that_a_running_stack_has_patched_is_not_patched_by_hand() {
    if !own_network("a_file_that_a_running_stack_has_patched_is_not_patched_by_hand") {
        return;
    }
    let stage = stack();
    let _stranger = somebody_in(&stage, "..");
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    let refused = stage.run(&["patch", "config.json", "port=9"]);
    assert_eq!(refused.code, 3, "{}", refused.output);
    let told = format!("`config.json` is patched by the stack that process {} runs", dev.pid());
    assert!(refused.output.contains(&told), "{}", refused.output);
    stage.file("other.json", "{ \"port\": 1 }");
    assert_eq!(stage.run(&["patch", "other.json", "port=9"]).code, 0);
    dev.signal(Signal::INT);
    assert_eq!(dev.wait().code, 0);
    assert_eq!(stage.read("config.json"), CONFIG);
}

#[test]
fn a_port_that_no_file_of_a_found_stack_says_is_not_fixed() {
    if !own_network("a_port_that_no_file_of_a_found_stack_says_is_not_fixed") {
        return;
    }
    let stage = stage();
    let vite = "export default { server: { proxy: { \"/api\": \"http://localhost:8000\" } } };\n";
    stage.file("backend/Cargo.toml", "").file("frontend/vite.config.js", vite);
    stage.file("frontend/package.json", "{ \"scripts\": { \"dev\": \"vite --port 5173\" } }");
    let _stranger = somebody_in(&stage, "..");
    let refused = stage.run(&["ports", "--fix"]);
    assert_eq!(refused.code, 4, "{}", refused.output);
    assert!(refused.output.contains("no file says the port of `backend`"), "{}", refused.output);
    assert!(refused.output.contains("hint: write down what was found first: cargo xtask init"));
    assert_eq!(stage.read("frontend/vite.config.js"), vite);
}
