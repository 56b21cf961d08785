//! The axum-vite template, ready to start, and the browser that looks at it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::Running;
use crate::stage::Stage;
use crate::{eventually, not_run};

/// Copies the template into the stage's checkout, with what its setup would have to download. Has to be called before
/// the test moves into a network of its own.
pub fn template(stage: &Stage, target: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/axum-vite");
    let prepared = Path::new(target).join("template");
    std::fs::create_dir_all(&prepared).expect("the target folder can be written");
    // Tests run side by side: the first prepares, the others wait for it.
    let lock = File::create(prepared.join("lock")).expect("the target folder can be written");
    lock.lock().expect("a new lock");
    prepare(stage, &source, &prepared);
    copy_tracked(stage, &source, &stage.checkout());
    // Its own copy, since cargo may write into what it has built.
    run(stage
        .command("cp")
        .arg("-aT")
        .args([prepared.join("target"), stage.checkout().join("target")]));
    let modules = prepared.join("frontend/node_modules");
    copy_folder(stage, &modules, &stage.checkout().join("frontend/node_modules"));
}

/// Copies a folder; by hard links where that is possible.
pub fn copy_folder(stage: &Stage, from: &Path, to: &Path) {
    let copy = |how| Running::start(stage.command("cp").arg(how).args([from, to])).wait();
    if copy("-al").code != 0 {
        // The folders are on two file systems.
        let ended = copy("-aT");
        assert_eq!(ended.code, 0, "{}", ended.output);
    }
}

/// Downloads and builds once for all tests, from the lock files.
fn prepare(stage: &Stage, source: &Path, prepared: &Path) {
    copy_tracked(stage, source, prepared);
    let wanted = portman::fs::read(&source.join("frontend/package-lock.json"))
        .expect("the template has a lock file");
    let mark = prepared.join("frontend/installed");
    if portman::fs::read_if_there(&mark).expect("a mark of ours").as_ref() != Some(&wanted) {
        run(stage.command_in(&prepared.join("frontend"), "npm").args([
            "ci",
            "--no-audit",
            "--no-fund",
        ]));
        portman::fs::save(&mark, &wanted).expect("the target folder can be written");
    }
    run(stage.command_in(prepared, "cargo").args(["build", "--locked"]));
}

/// The files that git has of the template, as they stand.
#[track_caller]
fn copy_tracked(stage: &Stage, source: &Path, to: &Path) {
    // The repository may belong to another user than the one who tests.
    let listed = Running::start(stage.command_in(source, "git").args([
        "-c",
        "safe.directory=*",
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]));
    let listed = listed.wait();
    assert_eq!(listed.code, 0, "{}", listed.output);
    for file in listed.output.lines() {
        let to = to.join(file);
        std::fs::create_dir_all(to.parent().expect("a file is in a folder"))
            .expect("a folder of the test");
        let from = source.join(file);
        std::fs::copy(&from, &to).expect("a file of the template");
        // With its time, or cargo would take it for newer than what it has built.
        let time =
            std::fs::metadata(&from).and_then(|from| from.modified()).expect("it was copied");
        File::options()
            .write(true)
            .open(&to)
            .and_then(|to| to.set_modified(time))
            .expect("it is ours");
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let ended = Running::start(command).wait();
    assert_eq!(ended.code, 0, "{command:?}:\n{}", ended.output);
}

/// A browser that shows pages; none, reported, where there is none.
pub fn chromium(test: &str) -> Option<Browser> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file());
    if found.is_none() {
        not_run(test, "Chromium is not installed");
    }
    found.map(Browser)
}

/// Headless Chromium.
#[derive(Debug)]
pub struct Browser(PathBuf);

impl Browser {
    /// The page as it stands once its scripts have run and it holds `text`.
    #[track_caller]
    pub fn page_with(&self, stage: &Stage, url: &str, text: &str) -> String {
        let mut last = String::new();
        eventually(&format!("{url} shows {text:?}"), || {
            last = self.page(stage, url);
            last.contains(text).then(|| last.clone())
        })
    }

    fn page(&self, stage: &Stage, url: &str) -> String {
        let profile = stage.path("chromium");
        let ended = Running::start(
            stage
                .command(&self.0.to_string_lossy())
                .arg(format!("--user-data-dir={}", profile.display()))
                .args([
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    "--no-first-run",
                ])
                .args([
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                ])
                .args([
                    "--disable-dev-shm-usage",
                    "--virtual-time-budget=10000",
                    "--dump-dom",
                    url,
                ]),
        );
        ended.wait().output
    }
}
