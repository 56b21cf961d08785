//! Golden files: in each folder of `fixtures/patch` stand `before.EXT`, `edits.txt` with one `key = value` a line, and
//! `after.EXT`. And the `patch` command over the same engine.

use std::path::{Path, PathBuf};

use crate::stage;
use portman::fs;
use portman::patch::{Edit, Format, patch};

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/patch");
    fs::entries(&folder).unwrap()
}

fn file_of(case: &Path, stem: &str) -> PathBuf {
    let is_it = |path: &PathBuf| path.file_stem().is_some_and(|name| name == stem);
    fs::entries(case)
        .unwrap()
        .into_iter()
        .find(is_it)
        .unwrap_or_else(|| panic!("{} has no {stem}", case.display()))
}

fn format_of(case: &Path, file: &Path) -> Format {
    let name = case.file_name().unwrap().to_string_lossy();
    let extension = file.extension().unwrap().to_string_lossy();
    let shown = match name.split('-').next().unwrap() {
        "vite" => format!("vite.config.{extension}"),
        "npm" => "package.json".to_owned(),
        _ => format!("config.{extension}"),
    };
    Format::of(&shown).unwrap()
}

/// `own 5173 5174`, `script dev 5173 5174`, `peer 8000 8001`, or `key = value`.
fn edit(line: &str) -> Edit {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["own", old, new] => Edit::Own { old: old.parse().unwrap(), new: new.parse().unwrap() },
        ["script", name, old, new] => Edit::Script {
            script: name.to_owned(),
            old: old.parse().unwrap(),
            new: new.parse().unwrap(),
        },
        ["peer", old, new] => Edit::Peer { old: old.parse().unwrap(), new: new.parse().unwrap() },
        _ => {
            let (key, value) = line.split_once(" = ").unwrap();
            Edit::Set { key: key.parse().unwrap(), value: value.to_owned() }
        }
    }
}

#[test]
fn golden_files_come_out_byte_for_byte_and_a_second_time_unchanged() {
    let cases = fixtures();
    assert!(cases.len() >= 22, "the fixtures are there: {}", cases.len());
    for case in cases {
        let (before, after) = (file_of(&case, "before"), file_of(&case, "after"));
        let format = format_of(&case, &before);
        let edits: Vec<Edit> =
            fs::read(&case.join("edits.txt")).unwrap().lines().map(edit).collect();
        let (before, after) = (fs::read(&before).unwrap(), fs::read(&after).unwrap());

        let patched = patch(&before, &format, &edits)
            .unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        assert_eq!(patched.text, after, "{}", case.display());
        assert!(!patched.changes.is_empty(), "{}", case.display());
        let again = patch(&after, &format, &edits).unwrap();
        assert_eq!((again.text, again.changes.len()), (after, 0), "{}", case.display());
    }
}

#[test]
fn the_patch_command_writes_only_the_value() {
    let stage = stage();
    stage.file("config.json", "{\r\n\t\"server\": { \"port\": 8000 }, // ours\r\n}").commit_all();
    let shown = stage.run(&["patch", "config.json", "server.port=8001", "--dry-run"]);
    assert_eq!(shown.code, 0, "{}", shown.output);
    assert!(
        shown.output.contains("+\t\"server\": { \"port\": 8001 }, // ours"),
        "{}",
        shown.output
    );
    assert_eq!(stage.git(&["status", "--porcelain"]), "");

    let written = stage.run(&["patch", "config.json", "server.port=8001"]);
    assert_eq!(
        (written.code, written.output.as_str()),
        (0, "config.json:2  server.port 8000 → 8001")
    );
    assert_eq!(stage.read("config.json"), "{\r\n\t\"server\": { \"port\": 8001 }, // ours\r\n}");
    let again = stage.run(&["patch", "config.json", "server.port=8001"]);
    assert_eq!(again.output, "config.json says so already");
}

#[test]
fn the_patch_command_knows_env_files() {
    let stage = stage();
    let text = |port: &str| {
        format!("# ours\nexport PORT=\"{port}\" # dev\nDB_PORT=8000\nAPI=${{BASE}}/api")
    };
    stage.file(".env.local", &text("8000"));
    let written = stage.run(&["patch", ".env.local", "PORT=8001"]);
    assert_eq!((written.code, written.output.as_str()), (0, ".env.local:2  PORT 8000 → 8001"));
    assert_eq!(stage.read(".env.local"), text("8001"));

    let refused = stage.run(&["patch", ".env.local", "API=http://localhost:8001"]);
    assert_eq!(refused.code, 4, "{}", refused.output);
    assert!(
        refused.output.contains("error: .env.local:4:5 `API` is computed"),
        "{}",
        refused.output
    );
    assert_eq!(stage.read(".env.local"), text("8001"));
}

#[test]
fn a_file_that_cannot_be_patched_is_left_and_the_place_told() {
    let stage = stage();
    let text = "{ \"server\": [8000] }\n";
    stage.file("config.json", text);
    let ended = stage.run(&["patch", "config.json", "server=8001"]);
    assert_eq!(ended.code, 4, "{}", ended.output);
    assert!(ended.output.contains("error: config.json:1:13 "), "{}", ended.output);
    assert!(ended.output.contains("hint: "), "{}", ended.output);
    assert_eq!(stage.read("config.json"), text);
}
