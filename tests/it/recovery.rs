//! A killed launcher, and what the next command makes of it.

use crate::stage;
use tests::{Running, Signal, Stage};

const CONFIG: &str = "{\n  \"port\": 1,\n  \"name\": \"web\"\n}\n";
const STACK: &str = "
[services.web]
command = [\"FAKE\", \"--listen-env\", \"127.0.0.1\", \"PORT\", \"--child\", \"--\", \"--print\", \"up\"]
port = 0
patch = [{ file = \"config.json\", set = { port = \"{port}\" } }]
";

fn running() -> (Stage, Running) {
    let stage = stage();
    stage.file("config.json", CONFIG).file("dev.toml", STACK);
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    dev.wait_for("│ up");
    assert_ne!(stage.read("config.json"), CONFIG);
    (stage, dev)
}

/// A stack whose launcher was killed with no chance to do anything.
fn killed() -> Stage {
    let (stage, dev) = running();
    dev.signal(Signal::KILL);
    drop(dev);
    assert_ne!(stage.left_processes(), [0; 0], "its services do not know");
    stage
}

#[test]
fn the_next_command_stops_what_is_left_and_puts_the_files_back() {
    for command in [&["ports"][..], &["restore"], &["dev"], &["patch", "other.json", "a=1"]] {
        let stage = killed();
        stage.file("other.json", "{}\n");
        let mut next = stage.xtask(command);
        next.wait_for("was killed; stopped 2 processes that it had left");
        next.wait_for("put back config.json");
        if command == ["dev"] {
            next.wait_for("Ctrl-C stops the stack");
            next.signal(Signal::INT);
        }
        let ended = next.wait();
        assert_eq!(ended.code, 0, "{command:?}\n{}", ended.output);
        assert_eq!(stage.read("config.json"), CONFIG, "{command:?}");
        assert_eq!(stage.left_processes(), [0; 0], "{command:?}");
    }
}

#[test]
fn what_ignores_the_request_to_end_is_killed() {
    let stage = stage();
    stage.file("config.json", CONFIG);
    stage.file("dev.toml", &STACK.replace("\"--child\",", "\"--child\", \"--ignore-term\","));
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    dev.wait_for("│ up");
    dev.signal(Signal::KILL);
    drop(dev);
    let ended = stage.run(&["restore"]);
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(ended.output.contains("stopped 2 processes"), "{}", ended.output);
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn help_and_a_dry_run_put_nothing_back() {
    let stage = killed();
    let patched = stage.read("config.json");
    let left = stage.left_processes();
    for command in [&["--help"][..], &["dev", "--dry-run"], &["ports", "--fix", "--dry-run"]] {
        assert_eq!(stage.run(command).code, 0);
    }
    assert_eq!((stage.read("config.json"), stage.left_processes()), (patched, left));
    assert_eq!(stage.run(&["restore"]).code, 0);
}

#[test]
fn a_stack_that_runs_is_not_touched() {
    let (stage, dev) = running();
    let patched = stage.read("config.json");
    for command in ["ports", "restore"] {
        let ended = stage.run(&[command]);
        assert_eq!(ended.code, 0, "{}", ended.output);
    }
    assert_eq!(stage.read("config.json"), patched);
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert_eq!(stage.read("config.json"), CONFIG);
}

#[test]
fn an_edit_elsewhere_in_a_patched_file_is_kept() {
    let (stage, dev) = running();
    let edited = stage.read("config.json").replace("\"web\"", "\"mine\"");
    stage.file("config.json", &edited);
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(
        ended.output.contains("put back our values in config.json; your edits in it are kept"),
        "{}",
        ended.output
    );
    assert_eq!(stage.read("config.json"), CONFIG.replace("\"web\"", "\"mine\""));
}

#[test]
fn an_edit_of_the_patched_value_is_left_and_the_user_decides() {
    let (stage, dev) = running();
    let mine = CONFIG.replace('1', "7777");
    stage.file("config.json", &mine);
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 4, "{}", ended.output);
    assert!(
        ended.output.contains("config.json was not put back: you edited the very value"),
        "{}",
        ended.output
    );
    assert_eq!(stage.read("config.json"), mine);

    for _time in 0..3 {
        let again = stage.run(&["dev"]);
        assert_eq!(again.code, 4, "the original would be lost:\n{}", again.output);
    }
    let kept = stage.run(&["restore", "--keep-edits"]);
    assert_eq!(kept.code, 0, "{}", kept.output);
    assert_eq!(stage.read("config.json"), mine);
    assert_eq!(stage.run(&["dev", "--dry-run"]).code, 0);
}

#[test]
fn a_report_for_a_program_is_one_object_also_after_a_kill() {
    let stage = killed();
    let mut command = stage.command(crate::PROGRAMS.xtask);
    let output = command.args(["ports", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["version"], 1);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("was killed; stopped 2 processes"), "{told}");
}

#[test]
fn keeping_edits_puts_back_everything_else() {
    let stage = stage();
    let other = "port = 1\n";
    stage.file("config.json", CONFIG).file("other.toml", other).file(
        "dev.toml",
        &STACK.replace(
            "patch = [",
            "patch = [{ file = \"other.toml\", set = { port = \"{port}\" } }, ",
        ),
    );
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    dev.signal(Signal::KILL);
    drop(dev);
    let mine = CONFIG.replace('1', "7777");
    stage.file("config.json", &mine);

    let kept = stage.run(&["restore", "--keep-edits"]);
    assert_eq!(kept.code, 0, "{}", kept.output);
    assert_eq!((stage.read("config.json"), stage.read("other.toml")), (mine, other.to_owned()));
    assert_eq!(stage.left_processes(), [0; 0]);
    assert_eq!(stage.run(&["restore"]).output, "");
}

#[test]
fn without_a_dev_toml_a_killed_run_is_put_in_order_all_the_same() {
    let stage = killed();
    std::fs::remove_file(stage.checkout().join("dev.toml")).unwrap();
    let ended = stage.run(&["ports"]);
    assert_eq!(ended.code, 2, "{}", ended.output);
    assert_eq!(stage.read("config.json"), CONFIG);
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn a_run_that_cannot_be_put_in_order_is_in_no_other_checkouts_way() {
    let stage = killed();
    let mine = CONFIG.replace('1', "7777");
    stage.file("config.json", &mine);
    let elsewhere = stage.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let dev_toml = elsewhere.join("dev.toml");
    portman::fs::save(&dev_toml, "[services.web]\ncommand = \"true\"\n").unwrap();
    let ended = stage.run(&["dev", "-C", &elsewhere.to_string_lossy()]);
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(
        ended.output.contains("checkout/config.json could not be put back"),
        "{}",
        ended.output
    );
    assert_eq!(stage.run(&["dev"]).code, 4, "here it is");
}

#[test]
fn a_damaged_record_is_told_and_nothing_is_forgotten() {
    let stage = killed();
    let folder =
        std::fs::read_dir(stage.state().join("checkouts")).unwrap().next().unwrap().unwrap().path();
    let record = folder.join("run.json");
    let whole = portman::fs::read(&record).unwrap();
    portman::fs::save(&record, "{ damaged").unwrap();
    for command in [&["restore"][..], &["restore", "--keep-edits"]] {
        let ended = stage.run(command);
        assert_eq!(ended.code, 4, "{command:?}\n{}", ended.output);
        assert!(ended.output.contains("does not hold what was written there"), "{}", ended.output);
    }
    assert!(folder.join("journal.json").exists());

    // Without the record the journal is enough for the files.
    std::fs::remove_file(&record).unwrap();
    assert_eq!(stage.run(&["restore"]).code, 0);
    assert_eq!(stage.read("config.json"), CONFIG);
    portman::fs::save(&record, &whole).unwrap();
    assert_eq!(stage.run(&["restore"]).code, 0);
    assert_eq!(stage.left_processes(), [0; 0]);
}

#[test]
fn a_removed_checkout_is_in_nobodys_way() {
    let stage = killed();
    std::fs::remove_dir_all(stage.checkout()).unwrap();
    std::fs::create_dir(stage.path("elsewhere")).unwrap();
    let in_another = || {
        let mut command = stage.command_in(&stage.path("elsewhere"), crate::PROGRAMS.xtask);
        Running::start(command.arg("restore")).wait()
    };
    let first = in_another();
    assert_eq!(first.code, 0, "{}", first.output);
    assert!(first.output.contains("stopped 2 processes"), "{}", first.output);
    assert_eq!(in_another().output, "");
    assert_eq!(stage.left_processes(), [0; 0]);
}
