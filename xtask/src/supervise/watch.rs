//! Watches the files of services and tells which service a change is of.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::overrides::{Override, OverrideBuilder};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::config::{Stack, is_wild};

/// The watchers of a run; dropping it ends them.
pub(super) struct Watch {
    _watchers: Vec<RecommendedWatcher>,
}

impl Watch {
    /// Watches what the services of `stack` want watched; `changed` is told the place of the service.
    pub(super) fn start(
        stack: &Stack,
        changed: impl Fn(usize) + Send + Clone + 'static,
    ) -> anyhow::Result<Self> {
        let mut watchers = Vec::new();
        for (place, service) in
            stack.services.iter().enumerate().filter(|(_, service)| !service.watch.is_empty())
        {
            let filter = Filter::new(&service.dir, &stack.root, &service.watch)
                .with_context(|| format!("`watch` of `{}`", service.name))?;
            let changed = changed.clone();
            let mut watcher =
                notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                    let Ok(event) = event else { return };
                    if is_change(event.kind) && event.paths.iter().any(|path| filter.matches(path))
                    {
                        changed(place);
                    }
                })?;
            for (folder, mode) in folders(&service.dir, &service.watch) {
                watcher
                    .watch(&folder, mode)
                    .with_context(|| format!("failed to watch `{}`", folder.display()))?;
            }
            watchers.push(watcher);
        }
        Ok(Self { _watchers: watchers })
    }
}

/// Reading a file is no change of it.
fn is_change(kind: EventKind) -> bool {
    matches!(kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_))
}

struct Filter {
    wanted: Override,
    ignored: Gitignore,
}

impl Filter {
    fn new(dir: &Path, root: &Path, globs: &[String]) -> anyhow::Result<Self> {
        let mut wanted = OverrideBuilder::new(dir);
        for glob in globs {
            // Without the slash a glob of one word would match at any depth.
            wanted.add(&format!("/{glob}"))?;
        }
        let mut ignored = GitignoreBuilder::new(root);
        let between =
            dir.strip_prefix(root).map(|below| below.ancestors().map(|part| root.join(part)));
        for folder in between.into_iter().flatten() {
            // A folder without a .gitignore ignores nothing; a broken line in one is git's to report.
            drop(ignored.add(folder.join(".gitignore")));
        }
        Ok(Self { wanted: wanted.build()?, ignored: ignored.build()? })
    }

    fn matches(&self, path: &Path) -> bool {
        let is_dir = path.is_dir();
        !is_dir
            && self.wanted.matched(path, is_dir).is_whitelist()
            && !self.ignored.matched_path_or_any_parents(path, is_dir).is_ignore()
    }
}

/// The folders to watch: what stands before a glob's first wildcard, and for a plain file its folder, since editors
/// replace files.
fn folders(dir: &Path, globs: &[String]) -> Vec<(PathBuf, RecursiveMode)> {
    let mut folders: Vec<(PathBuf, RecursiveMode)> = Vec::new();
    for glob in globs {
        let plain: PathBuf =
            Path::new(glob).components().take_while(|part| !is_wild(part.as_os_str())).collect();
        let entry = if plain.as_os_str() == glob.as_str() && !dir.join(&plain).is_dir() {
            (dir.join(plain.parent().unwrap_or(Path::new(""))), RecursiveMode::NonRecursive)
        } else {
            (dir.join(plain), RecursiveMode::Recursive)
        };
        match folders.iter_mut().find(|(folder, _)| *folder == entry.0) {
            Some((_, mode)) if entry.1 == RecursiveMode::Recursive => {
                *mode = RecursiveMode::Recursive;
            }
            Some(_) => {}
            None => folders.push(entry),
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::{Filter, folders};
    use notify::RecursiveMode::{NonRecursive, Recursive};
    use std::path::Path;

    fn strings(globs: &[&str]) -> Vec<String> {
        globs.iter().map(|&glob| glob.to_owned()).collect()
    }

    #[test]
    fn a_change_counts_when_a_glob_wants_it_and_git_does_not_ignore_it() {
        let root = tempfile::tempdir().unwrap();
        portman::fs::save(&root.path().join(".gitignore"), "*.log\n").unwrap();
        let dir = root.path().join("backend");
        let filter = Filter::new(&dir, root.path(), &strings(&["src/**", "Cargo.toml"])).unwrap();
        for (path, expected) in [
            ("src/main.rs", true),
            ("src/deep/er.rs", true),
            ("Cargo.toml", true),
            ("src/Cargo.toml", true),
            ("src/debug.log", false),
            ("other/Cargo.toml", false),
            ("config.json", false),
        ] {
            assert_eq!(filter.matches(&dir.join(path)), expected, "{path}");
        }
    }

    #[test]
    fn what_is_watched_is_as_small_as_the_globs_allow() {
        let dir = Path::new("/r");
        let found =
            folders(dir, &strings(&["src/**", "Cargo.toml", "src/*.rs", "a/b/c.txt", "**/*.py"]));
        assert_eq!(
            found,
            [
                (dir.join("src"), Recursive),
                (dir.to_path_buf(), Recursive),
                (dir.join("a/b"), NonRecursive),
            ]
        );
    }
}
