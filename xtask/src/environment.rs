//! What a service inherits of this program's environment: all of the user's, and nothing that cargo and rustup set for
//! this program itself. With those a backend's own `cargo run` would build everything anew.

use std::env::{join_paths, split_paths};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The variables that a service inherits.
///
/// `program` is this program's own file: cargo and rustup put library folders around it, and of their toolchain, into
/// `LD_LIBRARY_PATH`.
pub fn inherited(
    variables: impl Iterator<Item = (OsString, OsString)>,
    program: Option<&Path>,
) -> Vec<(OsString, OsString)> {
    let variables: Vec<_> = variables.collect();
    let toolchain = variables
        .iter()
        .find(|(name, _)| name == "RUSTUP_TOOLCHAIN")
        .map(|(_, value)| value.clone());
    let target = program.and_then(Path::parent);
    let is_added = |folder: &Path| {
        target.is_some_and(|target| folder.starts_with(target))
            || toolchain.as_deref().is_some_and(|toolchain| {
                folder.components().any(|part| part.as_os_str() == toolchain)
            })
    };
    let keep = |(name, value): (OsString, OsString)| {
        if name != "LD_LIBRARY_PATH" {
            return (!is_cargos(&name)).then_some((name, value));
        }
        let users = split_paths(&value)
            .filter(|folder| !folder.as_os_str().is_empty() && !is_added(folder));
        let users = join_paths(users).ok().filter(|users| !users.is_empty())?;
        Some((name, users))
    };
    variables.into_iter().filter_map(keep).collect()
}

fn is_cargos(name: &OsStr) -> bool {
    const NAMES: [&str; 5] = [
        "CARGO",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "RUST_RECURSION_COUNT",
    ];
    const PREFIXES: [&str; 3] = ["CARGO_MANIFEST_", "CARGO_PKG_", "RUSTUP_TOOLCHAIN"];
    let Some(name) = name.to_str() else { return false };
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::inherited;
    use std::ffi::OsString;
    use std::path::Path;

    fn names_and_values(variables: &[(&str, &str)]) -> Vec<String> {
        let variables =
            variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let kept = inherited(variables, Some(Path::new("/repo/target/debug/xtask")));
        kept.into_iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect()
    }

    #[test]
    fn what_cargo_sets_for_us_stays_with_us() {
        let kept = names_and_values(&[
            ("CARGO", "/c"),
            ("CARGO_HOME", "/h"),
            ("CARGO_TARGET_DIR", "/t"),
            ("CARGO_MANIFEST_DIR", "/m"),
            ("CARGO_PKG_NAME", "xtask"),
            ("RUSTUP_TOOLCHAIN", "1.95"),
            ("RUSTUP_HOME", "/r"),
            ("PATH", "/bin"),
        ]);
        assert_eq!(kept, ["CARGO_HOME=/h", "CARGO_TARGET_DIR=/t", "RUSTUP_HOME=/r", "PATH=/bin"]);
    }

    #[test]
    fn only_the_users_library_folders_stay() {
        let added = "/repo/target/debug/deps:/repo/target/debug:/r/toolchains/1.95/lib";
        let users = format!("{added}:/opt/lib");
        assert_eq!(
            names_and_values(&[("RUSTUP_TOOLCHAIN", "1.95"), ("LD_LIBRARY_PATH", &users)]),
            ["LD_LIBRARY_PATH=/opt/lib"]
        );
        assert_eq!(
            names_and_values(&[("RUSTUP_TOOLCHAIN", "1.95"), ("LD_LIBRARY_PATH", added)]),
            [""; 0]
        );
    }
}
