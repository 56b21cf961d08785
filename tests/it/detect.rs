//! Stacks without a dev.toml: `dev`, `ports` and `init` where only the layout says what to start.

use std::ffi::OsStr;
use std::fs::{File, Permissions, set_permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::{PROGRAMS, stage};
use tests::{Ended, Running, Signal, Stage, has, own_network};

const STARTUP: &str =
    "{\n  \"backend\": { \"port\": 8000 },\n  \"frontend\": { \"port\": 3000 }\n}\n";
const CONFIG: &str = "{\n  \"server\": { \"host\": \"localhost\", \"port\": 8000 }\n}\n";
const VITE: &str = "export default {
  server: {
    port: 3000,
    proxy: { '/api': 'http://localhost:8000' },
  },
};
";
const PACKAGE: &str = "{ \"scripts\": { \"dev\": \"vite --port 3000\" } }\n";
const FILES: [(&str, &str); 4] = [
    ("startup_config.json", STARTUP),
    ("backend/config.json", CONFIG),
    ("frontend/vite.config.ts", VITE),
    ("frontend/package.json", PACKAGE),
];

/// The usual layout, with scripted services in the place of the servers.
fn layout() -> Stage {
    let stage = stage();
    for (file, text) in FILES {
        stage.file(file, text);
    }
    stage.file("backend/package.json", "{ \"scripts\": { \"dev\": \"server\" } }\n");
    for program in ["backend/node_modules/.bin/server", "frontend/node_modules/.bin/vite"] {
        stage.file(program, "#!/bin/sh\nexec FAKE --listen-env 127.0.0.1 PORT\n");
        set_permissions(stage.checkout().join(program), Permissions::from_mode(0o755)).unwrap();
    }
    stage
}

/// Somebody else's servers on both of the usual ports.
fn strangers(stage: &Stage) -> [Running; 2] {
    ["127.0.0.1:8000", "127.0.0.1:3000"].map(|address| {
        let mut stranger = stage.stranger(&["--listen", address]);
        stranger.wait_for("listening");
        stranger
    })
}

#[track_caller]
fn assert_original(stage: &Stage) {
    for (file, text) in FILES {
        assert_eq!(stage.read(file), text, "{file}");
    }
}

/// Starts the stack with both ports taken, looks at what it does, and ends it.
#[track_caller]
fn assert_runs_moved(stage: &Stage, strangers: &[Running]) {
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("backend   http://localhost:8001");
    dev.wait_for("frontend  http://localhost:3001");
    dev.wait_for("Ctrl-C stops the stack");
    assert_eq!(stage.read("startup_config.json"), STARTUP.replace("000", "001"));
    assert_eq!(stage.read("backend/config.json"), CONFIG.replace("8000", "8001"));
    assert_eq!(stage.read("frontend/vite.config.ts"), VITE.replace("000", "001"));
    assert_eq!(stage.read("frontend/package.json"), PACKAGE.replace("3000", "3001"));
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert_original(stage);
    let mut left = stage.left_processes();
    left.retain(|pid| strangers.iter().all(|stranger| stranger.pid() != *pid));
    assert_eq!(left, [0; 0]);
}

#[track_caller]
fn assert_told(ended: &Ended, code: i32, expected: &[&str]) {
    assert_eq!(ended.code, code, "{}", ended.output);
    for text in expected {
        assert!(ended.output.contains(text), "{text:?} is not in:\n{}", ended.output);
    }
}

#[test]
fn the_usual_layout_runs_with_and_without_a_dev_toml_in_the_same_way() {
    let test = "the_usual_layout_runs_with_and_without_a_dev_toml_in_the_same_way";
    if !has(test, "npm") || !own_network(test) {
        return;
    }
    let stage = layout();
    let strangers = strangers(&stage);
    assert_runs_moved(&stage, &strangers);

    let init = stage.run(&["init"]);
    assert_told(&init, 0, &["wrote ", "[services.backend]", "depends-on = [\"backend\"]"]);
    assert!(init.output.contains(stage.read("dev.toml").trim_end()), "{}", init.output);
    // It is a file like any other that the user writes.
    File::create(stage.checkout().join("another")).unwrap();
    let mode = |file| stage.checkout().join(file).metadata().unwrap().permissions().mode();
    assert_eq!(mode("dev.toml"), mode("another"));
    assert_runs_moved(&stage, &strangers);

    let written = stage.read("dev.toml");
    let again = stage.run(&["init"]);
    assert_told(&again, 2, &["dev.toml` says the stack already", "hint: change it there"]);
    assert_eq!(stage.read("dev.toml"), written);
}

#[test]
fn a_dry_run_shows_what_was_found_and_every_file_that_would_change() {
    if !own_network("a_dry_run_shows_what_was_found_and_every_file_that_would_change") {
        return;
    }
    let stage = layout();
    let _strangers = strangers(&stage);
    let expected = [
        "there is no dev.toml; this was found:",
        "    backend   in backend: npm run dev   port 8000, from startup_config.json",
        "    frontend  in frontend: npm run dev  port 3000, from startup_config.json",
        "write it down with: cargo xtask init",
        "-  \"backend\": { \"port\": 8000 },",
        "+  \"backend\": { \"port\": 8001 },",
        "+  \"frontend\": { \"port\": 3001 }",
        "+  \"server\": { \"host\": \"localhost\", \"port\": 8001 }",
        "+    port: 3001,",
        "+    proxy: { '/api': 'http://localhost:8001' },",
        "+{ \"scripts\": { \"dev\": \"vite --port 3001\" } }",
    ];
    assert_told(&stage.run(&["dev", "--dry-run"]), 0, &expected);
    assert_original(&stage);
    // From inside the repository, and named from outside.
    stage.git(&["init", "--quiet"]);
    assert_told(&stage.run(&["dev", "--dry-run", "-C", "frontend"]), 0, &expected);
}

#[test]
fn the_report_knows_a_detected_stack_and_the_events_name_it() {
    let test = "the_report_knows_a_detected_stack_and_the_events_name_it";
    if !has(test, "npm") || !own_network(test) {
        return;
    }
    let stage = layout();
    let _strangers = strangers(&stage);
    let json = |output: &str| {
        let line = output.lines().find(|line| line.starts_with('{')).unwrap();
        serde_json::from_str::<serde_json::Value>(line).unwrap()
    };
    let report = json(&stage.run(&["ports", "--json"]).output);
    assert_eq!(report["ports"][0]["preferred"], 8000, "{report}");
    assert_eq!(report["ports"][1]["port"], 3001, "{report}");

    let mut dev = stage.xtask(&["dev", "--json"]);
    let detected = json(&dev.wait_for("\"event\":\"detected\""));
    let backend = &detected["services"][0];
    assert_eq!(backend["service"], "backend");
    assert_eq!(backend["command"], "npm run dev");
    assert_eq!(backend["port_from"], "startup_config.json");
    dev.wait_for("\"event\":\"stack-ready\"");

    let running = json(&stage.run(&["ports", "--json"]).output);
    assert_eq!(running["ports"][0]["port"], 8001, "{running}");
    assert_eq!(running["ports"][0]["running"], true, "{running}");
    // The patched files say another one at the moment.
    assert_eq!(running["ports"][0]["preferred"], 8000, "{running}");
    assert_told(&stage.run(&["init"]), 3, &["runs, and its files say the ports of this run"]);

    // What a killed run leaves is put in order before anything is read.
    dev.signal(Signal::KILL);
    drop(dev);
    let init = stage.run(&["init"]);
    assert_told(&init, 0, &["put back startup_config.json", "port = 8000", "port = 3000"]);
    assert_original(&stage);
}

#[test]
fn what_is_wrong_with_the_files_is_told_and_nothing_is_written() {
    let stage = layout();
    stage.file("startup_config.json", "{ \"backend\": { \"port\": 3000 } }\n");
    let ended = stage.run(&["init"]);
    assert_told(&ended, 2, &["error: `backend` and `frontend` both prefer port 3000: ", "hint: "]);
    stage.file("startup_config.json", "{ \"backend\": \n");
    let ended = stage.run(&["dev"]);
    assert_told(&ended, 4, &["error: startup_config.json:2:1 ", "(syntax)", "hint: correct"]);
    assert!(!stage.checkout().join("dev.toml").exists());
}

#[test]
fn a_dev_toml_that_is_no_file_is_told_and_nothing_is_detected_in_its_place() {
    let stage = layout();
    symlink("nowhere", stage.checkout().join("dev.toml")).unwrap();
    for arguments in [&["dev", "--dry-run"][..], &["init"], &["dev", "--dry-run", "-C", "backend"]]
    {
        let told = ["dev.toml`: No such file", "\nhint: it is a link to a file that is not there"];
        assert_told(&stage.run(arguments), 2, &told);
    }
    std::fs::remove_file(stage.checkout().join("dev.toml")).unwrap();
    std::fs::create_dir(stage.checkout().join("dev.toml")).unwrap();
    let told = ["dev.toml`: Is a directory", "\nhint: "];
    assert_told(&stage.run(&["dev", "--dry-run"]), 2, &told);
    assert_told(&stage.run(&["dev", "--dry-run", "--config", "dev.toml"]), 2, &told);
    let told = ["`./nowhere` is not there\nhint: name a file that describes the stack"];
    assert_told(&stage.run(&["dev", "--config", "nowhere"]), 2, &told);
}

#[test]
fn a_checkout_that_our_records_cannot_name_is_told_so() {
    if !own_network("a_checkout_that_our_records_cannot_name_is_told_so") {
        return;
    }
    let stage = stage();
    let folder = stage.checkout().join(OsStr::from_bytes(b"caf\xe9"));
    for below in ["backend", "."] {
        std::fs::create_dir_all(folder.join(below)).unwrap();
    }
    let run = |arguments: &[&str]| {
        Running::start(stage.command_in(&folder, PROGRAMS.xtask).args(arguments)).wait()
    };
    let told = ["is not Unicode", "checkout/caf", "\nhint: rename the folder"];
    for arguments in [&["dev"][..], &["init"], &["ports"], &["ports", "reserve", "api"]] {
        assert_told(&run(arguments), 2, &told);
    }
    // What needs no record is as good there as anywhere, and so is a folder of a checkout that has a name.
    assert_told(&run(&["ports", "reserve", "api", "--", "true"]), 0, &[]);
    stage.file("dev.toml", "[services.api]\ncommand = \"x\"\n");
    assert_told(&run(&["dev", "--dry-run"]), 0, &[]);
}
