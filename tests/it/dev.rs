//! `cargo xtask dev` with scripted services: errors, stopping, watching, events.

use crate::stage;
use tests::{Signal, Stage};

/// A service that listens on whatever port it is given.
const WEB: &str = "
[services.web]
command = [\"FAKE\", \"--listen-env\", \"127.0.0.1\", \"PORT\"]
port = 0
ready = { http = \"/\" }
";

#[track_caller]
fn assert_refused(stage: &Stage, code: i32, expected: &[&str]) {
    let ended = stage.run(&["dev"]);
    assert_eq!(ended.code, code, "{}", ended.output);
    for text in expected {
        assert!(ended.output.contains(text), "{text:?} is not in:\n{}", ended.output);
    }
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn without_a_dev_toml_an_example_is_shown() {
    assert_refused(&stage(), 2, &["error: no dev.toml in `", "hint: write one", "[services.web]"]);
}

#[test]
fn an_unknown_key_is_told_with_its_place_and_the_nearest_one() {
    let stage = stage();
    stage.file("dev.toml", "[services.web]\ncommand = \"x\"\nprot = 8000\n");
    let message = "error: dev.toml:3:1 unknown key `prot` in [services.web]";
    assert_refused(&stage, 2, &[message, "hint: did you mean `port`?"]);
}

#[test]
fn a_port_beyond_65535_is_told_with_its_place() {
    let stage = stage();
    stage.file("dev.toml", "[services.web]\ncommand = \"x\"\nport = 70000\n");
    assert_refused(&stage, 2, &["error: dev.toml:3:8 `port` is 70000, expected 0 to 65535"]);
}

#[test]
fn a_program_that_is_missing_is_named_with_what_to_install() {
    let stage = stage();
    stage.file(
        "dev.toml",
        "[services.web]\nsetup = { command = \"npm ci\" }\ncommand = \"npm run dev\"\n",
    );
    let mut command = stage.command(crate::PROGRAMS.xtask);
    let ended = tests::Running::start(command.arg("dev").env("PATH", "/nowhere")).wait();
    assert_eq!(ended.code, 1);
    assert!(
        ended.output.contains("the setup of `web` did not start: `npm` was not found"),
        "{}",
        ended.output
    );
    assert!(ended.output.contains("hint: install Node.js 20.19 or later"), "{}", ended.output);

    stage.file("dev.toml", "[services.web]\ncommand = \"no-such-program-here\"\n");
    assert_refused(
        &stage,
        1,
        &["web failed: `no-such-program-here` was not found", "hint: install"],
    );
}

#[test]
fn a_setup_that_fails_is_told_and_repeated_until_it_ends_well() {
    let stage = stage();
    let setup = |code: &str| {
        format!(
            "setup = {{ command = [\"FAKE\", \"--print\", \"setting up\", \"--exit\", \"{code}\"], unless = \"done\" }}\n{}",
            "command = [\"FAKE\", \"--exit\", \"0\"]\nready = \"none\"\n"
        )
    };
    stage.file("done", "from before").file("dev.toml", &format!("[services.web]\n{}", setup("0")));
    let unneeded = stage.run(&["dev"]);
    assert!(!unneeded.output.contains("setting up"), "{}", unneeded.output);

    std::fs::remove_file(stage.checkout().join("done")).unwrap();
    stage.file("dev.toml", &format!("[services.web]\n{}", setup("3")));
    let message = "error: the setup of `web` failed: `";
    assert_refused(&stage, 1, &["web │ setting up", message, "ended with exit code 3"]);

    // What it left looks done, but it did not end well.
    stage.file("done", "half").file("dev.toml", &format!("[services.web]\n{}", setup("0")));
    let repeated = stage.run(&["dev"]);
    assert!(repeated.output.contains("web │ setting up"), "{}", repeated.output);
    let done = stage.run(&["dev"]);
    assert!(!done.output.contains("web │ setting up"), "{}", done.output);
    assert!(!done.output.contains("was killed"), "no run was:\n{}", done.output);
    assert!(!repeated.output.contains("was killed"), "no run was:\n{}", repeated.output);
}

#[test]
fn a_service_that_ends_before_it_is_ready_stops_the_stack() {
    let stage = stage();
    let failing = "[services.api]\ncommand = [\"FAKE\", \"--print\", \"no database\", \"--exit\", \"7\"]\nport = 0\ndepends-on = [\"web\"]\n";
    stage.file("dev.toml", &format!("{WEB}\n{failing}"));
    let ended = stage.run(&["dev"]);
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(ended.output.contains("api │ no database"), "{}", ended.output);
    assert!(
        ended.output.contains("api failed: it ended with exit code 7 before it was ready"),
        "{}",
        ended.output
    );
    assert!(ended.output.contains("web stopped"), "{}", ended.output);
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn a_config_file_with_a_syntax_error_is_told_with_its_place_and_nothing_is_written() {
    let stage = stage();
    let broken = "{\n  \"port\": 8000,,\n}\n";
    stage.file("config.json", broken).file(
        "dev.toml",
        &format!(
            "{WEB}patch = [{{ file = \"config.json\", set = {{ \"port\" = \"{{port}}\" }} }}]\n"
        ),
    );
    let ended = stage.run(&["dev"]);
    assert_eq!(ended.code, 4, "{}", ended.output);
    assert!(ended.output.contains("error: config.json:2:16 "), "{}", ended.output);
    assert_eq!(stage.read("config.json"), broken);
}

#[test]
fn json_and_toml_files_are_patched_while_the_stack_runs_and_put_back_after() {
    let stage = stage();
    let (json, toml) = ("{ \"port\": 1 } // here\n", "# mine\r\n[server]\r\nport = 1 # here\r\n");
    stage.file("config.json", json).file("config.toml", toml).file(
        "dev.toml",
        &format!(
            "{WEB}patch = [\n  {{ file = \"config.json\", set = {{ port = \"{{port}}\" }} }},\n  {{ file = \"config.toml\", set = {{ \"server.port\" = \"{{port}}\" }} }},\n]\n"
        ),
    );
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    let port = stage.read("config.json").replace("{ \"port\": ", "").replace(" } // here\n", "");
    assert!(port.parse::<u16>().unwrap() > 1024, "{port}");
    assert_eq!(stage.read("config.toml"), toml.replace("= 1", &format!("= {port}")));
    dev.signal(Signal::INT);
    assert_eq!(dev.wait().code, 0);
    assert_eq!(
        (stage.read("config.json"), stage.read("config.toml")),
        (json.to_owned(), toml.to_owned())
    );
}

#[test]
fn a_dry_run_prints_the_plan_and_starts_and_writes_nothing() {
    let stage = stage();
    stage.file("config.json", "{ \"port\": 1 }\n").file(
        "dev.toml",
        &format!("{WEB}patch = [{{ file = \"config.json\", set = {{ port = \"{{port}}\" }} }}]\n"),
    );
    stage.commit_all();
    let ended = stage.run(&["dev", "--dry-run"]);
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(ended.output.contains("web: http://localhost:"), "{}", ended.output);
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
    assert!(!ended.output.contains("listening"), "{}", ended.output);
    assert_eq!(std::fs::read_dir(stage.state()).unwrap().count(), 0, "no record is written");

    let diff = &ended.output[ended.output.find("--- a/config.json").unwrap()..];
    stage.file("change.diff", &format!("{diff}\n"));
    stage.git(&["apply", "--check", "change.diff"]);
}

#[test]
fn a_service_that_ignores_the_request_is_killed_after_its_grace() {
    let stage = stage();
    stage.file(
        "dev.toml",
        "[services.deaf]\ncommand = [\"FAKE\", \"--ignore-term\", \"--child\", \"--ignore-term\", \"--\", \"--print\", \"up\"]\nstop = { grace = \"100ms\" }\n",
    );
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("deaf │ up");
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(ended.output.contains("deaf did not end in time; killing it"), "{}", ended.output);
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn a_second_ctrl_c_kills_at_once_and_is_told_by_the_exit_code() {
    let stage = stage();
    stage.file(
        "dev.toml",
        "[services.deaf]\ncommand = [\"FAKE\", \"--ignore-term\", \"--print\", \"up\"]\nstop = { grace = \"1h\" }\n",
    );
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("deaf │ up");
    dev.signal(Signal::INT);
    dev.wait_for("stopping: Ctrl-C");
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 130, "{}", ended.output);
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn sigterm_and_sighup_end_the_stack_in_order() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let stage = stage();
        stage.file("dev.toml", WEB);
        let mut dev = stage.xtask(&["dev"]);
        dev.wait_for("Ctrl-C stops the stack");
        dev.signal(signal);
        let ended = dev.wait();
        assert_eq!(ended.code, code, "{}", ended.output);
        assert!(ended.output.contains("web stopped"), "{}", ended.output);
        assert_eq!(stage.left_processes(), [0; 0]);
    }
}

#[test]
fn a_change_of_a_watched_file_restarts_only_its_service() {
    let stage = stage();
    stage.file("src/main.txt", "one").file("dev.toml", &format!("{WEB}watch = [\"src/**\"]\n[services.other]\ncommand = [\"FAKE\", \"--print\", \"other is up\"]\n"));
    let mut dev = stage.xtask(&["dev", "--json"]);
    dev.wait_for("\"stack-ready\"");
    stage.file("src/main.txt", "two");
    dev.wait_for("\"reason\":\"changed\"");
    dev.wait_for("\"restarts\":1");
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert_eq!(ended.output.matches("other is up").count(), 1, "{}", ended.output);
}

#[test]
fn a_service_gets_the_users_environment_and_the_ports_but_nothing_of_cargo() {
    let stage = stage();
    let printed = [
        "PORT",
        "HOST",
        "WEB_PORT",
        "WEB_URL",
        "USERS",
        "CARGO_MANIFEST_DIR",
        "CARGO_TARGET_DIR",
        "PYTHONUNBUFFERED",
    ];
    let words: Vec<String> = printed.iter().map(|name| format!("\"--env\", \"{name}\"")).collect();
    stage.file(
        "dev.toml",
        &format!(
            "{WEB}\n[services.shown]\ncommand = [\"FAKE\", {}]\ndepends-on = [\"web\"]\n",
            words.join(", ")
        ),
    );
    let mut command = stage.command(crate::PROGRAMS.xtask);
    command.arg("dev").envs([
        ("USERS", "own"),
        ("CARGO_MANIFEST_DIR", "/x"),
        ("CARGO_TARGET_DIR", "/t"),
    ]);
    let mut dev = tests::Running::start(&mut command);
    dev.wait_for("shown │ PYTHONUNBUFFERED=1");
    let seen = dev.seen();
    for line in [
        "shown │ PORT=",
        "shown │ USERS=own",
        "shown │ CARGO_MANIFEST_DIR=",
        "shown │ CARGO_TARGET_DIR=/t",
    ] {
        assert!(seen.lines().any(|seen| seen == line), "{line:?} is not a line of:\n{seen}");
    }
    let port = seen.lines().find_map(|line| line.strip_prefix("shown │ WEB_PORT=")).unwrap();
    assert!(seen.contains(&format!("shown │ WEB_URL=http://localhost:{port}")), "{seen}");
    dev.signal(Signal::INT);
    assert_eq!(dev.wait().code, 0);
}

#[test]
fn a_second_stack_in_the_same_checkout_is_refused_and_the_first_named() {
    let stage = stage();
    stage.file("dev.toml", WEB);
    let mut first = stage.xtask(&["dev"]);
    first.wait_for("Ctrl-C stops the stack");
    let second = stage.run(&["dev"]);
    assert_eq!(second.code, 3, "{}", second.output);
    let named = format!("already runs: process {} started it", first.pid());
    assert!(second.output.contains(&named), "{}", second.output);
    first.signal(Signal::INT);
    assert_eq!(first.wait().code, 0);
}

#[test]
fn wrong_flags_are_a_usage_error_and_help_is_none() {
    let stage = stage();
    assert_eq!(stage.run(&["dev", "--no-such-flag"]).code, 2);
    assert_eq!(stage.run(&["--help"]).code, 0);
    assert_eq!(stage.run(&["patch", "config.json", "port"]).code, 2);
}

#[test]
fn the_readmes_example_is_a_stack() {
    let stage = stage();
    let readme =
        portman::fs::read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"))
            .unwrap();
    let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    stage
        .file("dev.toml", example)
        .file("backend/config.json", "{ \"server\": { \"port\": 8000 } }\n")
        .file("backend/src/main.rs", "fn main() {}\n")
        .file("frontend/package.json", "{ \"scripts\": { \"dev\": \"vite\" } }\n")
        .file("frontend/vite.config.ts", "export default {}\n");
    let ended = stage.run(&["dev", "--dry-run"]);
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(ended.output.contains("in .: postgres -D data -p "), "{}", ended.output);
}

#[test]
fn two_services_that_patch_one_file_from_two_folders_both_find_their_port() {
    let stage = stage();
    let both = "{\n  \"api\": 1,\n  \"web\": 1\n}\n";
    let service = |name: &str| {
        format!(
            "[services.{name}]\ndir = \"{name}\"\ncommand = [\"FAKE\", \"--listen-env\", \"127.0.0.1\", \"PORT\"]\nport = 0\npatch = [{{ file = \"../ports.json\", set = {{ {name} = \"{{port}}\" }} }}]\n"
        )
    };
    stage.file("ports.json", both).file("api/x", "").file("web/x", "");
    stage.file("dev.toml", &format!("{}{}", service("api"), service("web")));
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    let ports: serde_json::Value = serde_json::from_str(&stage.read("ports.json")).unwrap();
    for name in ["api", "web"] {
        dev.wait_for(&format!("{name} │ listening on 127.0.0.1:{}", ports[name]));
    }
    dev.signal(Signal::INT);
    assert_eq!(dev.wait().code, 0);
    assert_eq!(stage.read("ports.json"), both);
}

#[test]
fn two_services_of_one_package_json_have_a_script_each() {
    let stage = stage();
    let scripts =
        "{ \"scripts\": { \"web\": \"vite --port 7101\", \"admin\": \"vite --port 7102\" } }\n";
    let service = |name: &str, port: u16| {
        format!(
            "[services.{name}]\ncommand = \"npm run {name}\"\nport = {port}\npatch = [{{ file = \"package.json\" }}]\n"
        )
    };
    stage.file("package.json", scripts);
    stage.file("dev.toml", &format!("{}{}", service("web", 7101), service("admin", 7103)));
    let ended = stage.run(&["dev", "--dry-run"]);
    assert_eq!(ended.code, 0, "{}", ended.output);
    let changed =
        "+{ \"scripts\": { \"web\": \"vite --port 7101\", \"admin\": \"vite --port 7103\" } }";
    assert!(ended.output.contains(changed), "{}", ended.output);
}

#[test]
fn a_program_is_a_path_from_the_services_folder() {
    let stage = stage();
    stage.file("backend/run.sh", "#!/bin/sh\necho \"runs in $(basename \"$PWD\")\"\n");
    let script = stage.checkout().join("backend/run.sh");
    std::fs::set_permissions(script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    stage.file("dev.toml", "[services.backend]\ndir = \"backend\"\ncommand = \"./run.sh\"\n");
    let ended = stage.run(&["dev"]);
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(ended.output.contains("backend │ runs in backend"), "{}", ended.output);
}

#[test]
fn ctrl_c_during_the_setup_ends_it_and_nothing_stays() {
    let stage = stage();
    let setup = "[\"FAKE\", \"--child\", \"--ignore-term\", \"--print\", \"child is up\", \"--\"]";
    stage.file(
        "dev.toml",
        &format!("[services.web]\nsetup = {{ command = {setup} }}\ncommand = \"x\"\n"),
    );
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("web │ child is up");
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn a_setup_that_leaves_a_process_behind_and_fails_leaves_none() {
    let stage = stage();
    stage.file(
        "dev.toml",
        "[services.web]\nsetup = { command = [\"sh\", \"-c\", \"setsid sleep 600 & exit 3\"] }\ncommand = \"x\"\n",
    );
    assert_refused(&stage, 1, &["ended with exit code 3"]);
}

#[test]
fn a_service_that_renames_itself_is_still_known() {
    if !tests::has("a_service_that_renames_itself_is_still_known", "perl") {
        return;
    }
    let stage = stage();
    // Renaming itself a program writes over the environment that it was started with.
    let server = "$0 = 'a name that is far longer than the one before, longer than the environment' x 99; use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{PORT}, Listen => 5, ReuseAddr => 1) or die; sleep 600;";
    stage
        .file("server.pl", server)
        .file("dev.toml", "[services.web]\ncommand = \"perl server.pl\"\nport = 0\n");
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    dev.signal(Signal::INT);
    assert_eq!(dev.wait().code, 0);
}

#[test]
fn ctrl_c_does_not_wait_behind_a_flood_of_output() {
    let stage = stage();
    stage.file("dev.toml", "[services.web]\ncommand = \"yes flood\"\n");
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("web │ flood");
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0);
    let after = ended.output.split("stopping: Ctrl-C").nth(1).unwrap();
    assert!(after.contains("web stopped"));
}

#[test]
fn a_real_terminal_and_its_ctrl_c() {
    let test = "a_real_terminal_and_its_ctrl_c";
    let stage = stage();
    stage.file("dev.toml", WEB);
    let Some(mut terminal) = stage.terminal(test, &["dev"]) else { return };
    terminal.wait_for("Ctrl-C stops the stack");
    terminal.type_in("\u{3}");
    let ended = terminal.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(ended.output.contains("\u{1b}[32m"), "it is coloured:\n{}", ended.output);
    assert!(ended.output.contains("web stopped"), "{}", ended.output);
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn a_child_that_writes_on_after_its_service_does_not_keep_the_stack_up() {
    let stage = stage();
    stage.file(
        "dev.toml",
        "[services.web]\ncommand = [\"sh\", \"-c\", \"setsid yes flood & exec sleep 600\"]\n",
    );
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("web │ flood");
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0);
    assert!(ended.output.contains("more that services had started and left behind"));
    assert_eq!(stage.left_processes(), [0; 0]);
}
