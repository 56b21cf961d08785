//! The rules of this code base that a compiler does not hold: the layers, and what may be used where.

use std::path::{Path, PathBuf};

use portman::fs;

/// The modules of portman in layers: each may import from those before it. Names in one layer do not know each other,
/// apart from a folder's own parts.
const PORTMAN: [&[&str]; 10] = [
    &["port"],
    &["sys", "patch"],
    &["process"],
    &["error"],
    &["fs", "merge"],
    &["check", "owner", "lease"],
    &["safety"],
    &["allocate", "localhost", "stop", "firewall", "restore"],
    &["conflict"],
    &["report", "lib"],
];

/// The modules of xtask in layers.
const XTASK: [&[&str]; 16] = [
    &["failure", "template", "environment", "marks"],
    &["flags", "detect"],
    &["config", "notice"],
    &["sys", "ui", "session", "plan"],
    &["stack", "memory", "holds"],
    &["settle"],
    &["supervise::state", "supervise::identity", "supervise::refusal"],
    &["supervise::child", "supervise::ready", "supervise::watch", "supervise::listeners"],
    &["supervise::inbox"],
    &["supervise::run"],
    &["supervise::setup"],
    &["supervise", "recover"],
    &["patch"],
    &["dev", "ports", "init", "bench"],
    &["lib"],
    &["main"],
];

struct Source {
    /// Below the repository, with `/`.
    name: String,
    text: String,
}

impl Source {
    /// The text without the tests at its end.
    fn code(&self) -> &str {
        self.text.split("#[cfg(test)]").next().unwrap_or_default()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(folder: &str) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for path in fs::entries(&folder).unwrap() {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
                found.push(Source { name, text: fs::read(&path).unwrap() });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

/// What users run: everything but the tests.
fn shipped() -> Vec<Source> {
    let all = ["portman/src", "xtask/src"].into_iter().flat_map(sources);
    let is_test =
        |source: &Source| ["/tests.rs", "/model.rs"].iter().any(|end| source.name.ends_with(end));
    all.filter(|source| !is_test(source)).collect()
}

/// `xtask/src/supervise/state.rs` is `supervise::state`; a `mod.rs` is its folder.
fn module(name: &str) -> String {
    let (_, below) = name.split_once("/src/").unwrap();
    let path = below.trim_end_matches(".rs").trim_end_matches("/mod");
    path.replace('/', "::")
}

/// The layer of the longest entry that `module` is or is part of.
fn layer(layers: &[&[&str]], module: &str) -> Option<(usize, String)> {
    let is_part = |entry: &str| module == entry || module.starts_with(&format!("{entry}::"));
    let entries = layers
        .iter()
        .enumerate()
        .flat_map(|(layer, entries)| entries.iter().map(move |entry| (layer, *entry)));
    let fitting = entries.filter(|(_, entry)| is_part(entry));
    fitting.max_by_key(|(_, entry)| entry.len()).map(|(layer, entry)| (layer, entry.to_owned()))
}

/// What `code` of this module names of its own crate: `crate::a::b`, and `super::b` from its folder.
fn imports(module: &str, code: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let path = |rest: &str| {
        rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())].trim_end_matches(':').to_owned()
    };
    let after = |start: &'static str| {
        code.match_indices(start).map(move |(at, _)| &code[at + start.len()..])
    };
    let folder = module.rsplit_once("::").map_or("", |(folder, _)| folder);
    let above = |rest: &str| format!("{folder}::{}", path(rest)).trim_start_matches(':').to_owned();
    let named = after("crate::").map(path).chain(after("use super::").map(above));
    named.filter(|path| !path.is_empty()).collect()
}

#[track_caller]
fn assert_layers(folder: &str, layers: &[&[&str]]) {
    let mut wrong = Vec::new();
    for source in sources(folder) {
        let module = module(&source.name);
        let Some((own_layer, own)) = layer(layers, &module) else {
            wrong.push(format!("{} is in no layer", source.name));
            continue;
        };
        for import in imports(&module, source.code()) {
            let Some((layer, entry)) = layer(layers, &import) else {
                wrong.push(format!("{} imports `{import}`, which is in no layer", source.name));
                continue;
            };
            if entry != own && layer >= own_layer {
                wrong.push(format!("{} imports `{import}`, which is not below it", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_module_imports_only_from_the_layers_below() {
    assert_layers("portman/src", &PORTMAN);
    assert_layers("xtask/src", &XTASK);
}

#[test]
fn the_layer_check_sees_an_import() {
    assert_eq!(
        imports("a", "use crate::patch::{Edit};\nlet x = crate::fs::read;"),
        ["patch", "fs::read"]
    );
    assert_eq!(imports("a::b", "use super::c::D;"), ["a::c::D"]);
    assert_eq!(layer(&XTASK, "supervise::state::tests").unwrap().1, "supervise::state");
    assert_eq!(layer(&XTASK, "supervise::setup").unwrap().1, "supervise::setup");
    assert!(layer(&PORTMAN, "nothing").is_none());
}

/// Formats are siblings: what two of them need is not in one of them.
#[test]
fn formats_do_not_know_each_other() {
    let formats = ["env_file", "json", "toml", "yaml", "vite", "npm_script"];
    for source in sources("portman/src/patch") {
        let module = module(&source.name);
        let own = formats.iter().find(|format| module.starts_with(&format!("patch::{format}")));
        for other in formats.iter().filter(|other| own.is_some_and(|own| own != *other)) {
            for path in [format!("patch::{other}::"), format!("super::{other}::")] {
                assert!(!source.code().contains(&path), "{} knows {other}", source.name);
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for source in ["portman/src", "xtask/src", "bench/src", "tests/src", "tests/it"]
        .into_iter()
        .flat_map(sources)
    {
        assert!(source.text.starts_with("//! "), "{} begins with no `//!`", source.name);
    }
}

/// A thing that only some files may use, and where.
const CONFINED: [(&str, &[&str]); 10] = [
    ("unsafe {", &["/sys/"]),
    ("cfg(target_os", &["/sys/"]),
    ("cfg(unix)", &["/sys/"]),
    ("cfg(windows)", &["/sys/"]),
    ("std::fs", &["portman/src/fs.rs", "/sys/"]),
    ("duct::", &["xtask/src/supervise/child.rs"]),
    ("io::stdout", &["xtask/src/ui.rs"]),
    ("io::stderr", &["xtask/src/ui.rs"]),
    ("Instant::now", &["xtask/src/supervise/mod.rs", "portman/src/stop.rs", "/sys/"]),
    (
        "std::env",
        &[
            "xtask/src/bench.rs",
            "xtask/src/dev.rs",
            "xtask/src/session.rs",
            "xtask/src/environment.rs",
            "xtask/src/failure.rs",
            "xtask/src/ui.rs",
            "xtask/src/ports/reserve.rs",
            "xtask/src/ports/holder.rs",
        ],
    ),
];

#[test]
fn what_is_confined_stays_where_it_belongs() {
    for source in shipped() {
        for (thing, places) in CONFINED {
            let is_allowed = places.iter().any(|place| source.name.contains(place));
            assert!(is_allowed || !source.code().contains(thing), "{} uses `{thing}`", source.name);
        }
    }
}

#[test]
fn the_library_is_quiet() {
    for source in sources("portman/src") {
        for thing in [
            "println!",
            "eprintln!",
            "print!",
            "process::exit",
            "env::",
            "Command::new",
            "current_dir",
        ] {
            assert!(!source.code().contains(thing), "{} uses `{thing}`", source.name);
        }
    }
}

#[test]
fn nothing_is_left_to_be_done_later() {
    for source in
        ["portman/src", "xtask/src", "bench/src", "tests/src"].into_iter().flat_map(sources)
    {
        for word in ["TODO", "FIXME", "XXX", "HACK", "unimplemented!", "#[ignore"] {
            assert!(!source.text.contains(word), "{} says {word}", source.name);
        }
    }
}

#[test]
fn the_documents_name_what_there_is() {
    let readme = fs::read(&root().join("README.md")).unwrap();
    let notices = fs::read(&root().join("xtask/src/notice.rs")).unwrap();
    let body = notices.split("pub enum Notice {").nth(1).unwrap().split("\n}\n").next().unwrap();
    let variants = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| !line.starts_with([' ', '/', '}']));
    for variant in variants {
        let name: String = variant.trim_end_matches(" {").chars().enumerate().fold(
            String::new(),
            |mut name, (at, c)| {
                if c.is_uppercase() && at > 0 {
                    name.push('-');
                }
                name.extend(c.to_lowercase());
                name
            },
        );
        assert!(readme.contains(&format!("`{name}`")), "README does not name the event `{name}`");
    }
    let architecture = fs::read(&root().join("ARCHITECTURE.md")).unwrap();
    for source in shipped().iter().filter(|source| source.name.matches('/').count() == 2) {
        let file = source.name.rsplit('/').next().unwrap();
        assert!(architecture.contains(file), "ARCHITECTURE.md does not name {}", source.name);
    }
}
