//! Every shape of config and every trap, as `check(before, edits, after)`.
//!
//! Each case also runs with CRLF, without its final newline and behind a comment that is not ASCII: the result must be
//! the same but for that.

mod port;
mod proxies;
mod read_back;
mod refusals;
mod set;

use super::super::key::KeyPath;
use super::super::{Code, Edit, Refusal, spliced};
use super::{locate, read_back};
use crate::port::Port;

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn own(old: u16, new: u16) -> Edit {
    Edit::Own { old: port(old), new: port(new) }
}

fn peer(old: u16, new: u16) -> Edit {
    Edit::Peer { old: port(old), new: port(new) }
}

fn set(key: &str, value: &str) -> Edit {
    Edit::Set { key: key.parse::<KeyPath>().unwrap(), value: value.to_owned() }
}

/// The text with the edits made, read back.
fn patched(before: &str, edits: &[Edit]) -> Result<String, Refusal> {
    let splices = locate(before, edits)?;
    let after = spliced(before, &splices);
    read_back(before, &after, edits, &splices)?;
    Ok(after)
}

#[track_caller]
fn check(before: &str, edits: &[Edit], after: &str) {
    let variants: [fn(&str) -> String; 5] = [
        str::to_owned,
        |text| text.replace('\n', "\r\n"),
        |text| text.replace("  ", "\t"),
        |text| text.trim_end_matches('\n').to_owned(),
        |text| format!("// Größe – 尺寸 🦀\n{text}"),
    ];
    // What is not indented says nothing about tabs.
    let indented = before.contains("\n  ");
    for variant in variants.into_iter().filter(|variant| indented || variant("  ") == "  ") {
        let before = variant(before);
        let result =
            patched(&before, edits).unwrap_or_else(|refusal| panic!("{refusal:?}\nin\n{before}"));
        assert_eq!(result, variant(after), "\n{result}\nfrom\n{before}");
        if !edits.iter().any(|edit| is_retaken(edit, edits)) {
            assert_eq!(locate(&result, edits), Ok(Vec::new()), "a second time");
        }
    }
}

/// `check` with the config in `defineConfig(…)`.
#[track_caller]
fn check_config(before: &str, edits: &[Edit], after: &str) {
    check(&defined(before), edits, &defined(after));
}

fn defined(config: &str) -> String {
    format!("import {{ defineConfig }} from 'vite'\nexport default defineConfig({config})\n")
}

/// Whether another service takes the port that this edit leaves: made twice, it would go on to the third.
fn is_retaken(edit: &Edit, edits: &[Edit]) -> bool {
    let Edit::Peer { new: taken, .. } = edit else {
        return false;
    };
    edits.iter().any(|other| matches!(other, Edit::Peer { old, .. } if old == taken))
}

/// The edits are refused at the first `at`, and the message or the hint says all `words`.
#[track_caller]
fn refused(before: &str, edits: &[Edit], code: Code, at: &str, words: &[&str]) {
    let refusal = patched(before, edits).expect_err(before);
    assert_eq!(refusal.code, code, "{refusal:?}");
    let rest = &before[refusal.offset..];
    assert!(rest.starts_with(at), "{refusal:?} is at {rest:?}");
    for word in words {
        let found = refusal.message.contains(word) || refusal.hint.contains(word);
        assert!(found, "`{word}` is not in {refusal:?}");
    }
    let first = refusal.message.chars().next().unwrap();
    assert!(
        !first.is_uppercase() && !refusal.message.ends_with('.'),
        "house style: {}",
        refusal.message
    );
    assert!(!refusal.hint.is_empty(), "{refusal:?}");
}
