//! Every shape of config and every trap, as `check(before, edits, after)`.
//!
//! Each case also runs with CRLF, without its final newline and behind a comment that is not ASCII: the result must be
//! the same but for that.

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
    let variants: [fn(&str) -> String; 4] = [
        str::to_owned,
        |text| text.replace('\n', "\r\n"),
        |text| text.trim_end_matches('\n').to_owned(),
        |text| format!("// Größe – 尺寸 🦀\n{text}"),
    ];
    for variant in variants {
        let before = variant(before);
        let result =
            patched(&before, edits).unwrap_or_else(|refusal| panic!("{refusal:?}\nin\n{before}"));
        assert_eq!(result, variant(after));
        if !edits.iter().any(|edit| is_retaken(edit, edits)) {
            assert_eq!(locate(&result, edits), Ok(Vec::new()), "a second time");
        }
    }
}

/// Whether another service takes the port that this edit leaves: made twice, it would go on to the third.
fn is_retaken(edit: &Edit, edits: &[Edit]) -> bool {
    let Edit::Peer { new: taken, .. } = edit else {
        return false;
    };
    edits.iter().any(|other| matches!(other, Edit::Peer { old, .. } if old == taken))
}

/// Runs each case with `\n` at the end of each line written as such.
#[track_caller]
fn refused(before: &str, edits: &[Edit], code: Code, at: &str, words: &[&str]) {
    let refusal = patched(before, edits).expect_err(before);
    assert_eq!(refusal.code, code, "{refusal:?}");
    assert!(
        before[refusal.offset..].starts_with(at),
        "{refusal:?} is at {:?}",
        &before[refusal.offset..]
    );
    for word in words {
        let found = refusal.message.contains(word) || refusal.hint.contains(word);
        assert!(found, "`{word}` is not in {refusal:?}");
    }
}

#[test]
fn smoke() {
    let import = "import { defineConfig } from 'vite'\n";
    check(
        &format!(
            "{import}export default defineConfig({{\n  server: {{\n    port: 5173,\n  }},\n}})\n"
        ),
        &[own(5173, 5174)],
        &format!(
            "{import}export default defineConfig({{\n  server: {{\n    port: 5174,\n  }},\n}})\n"
        ),
    );
    check(
        &format!("{import}export default defineConfig({{\n  plugins: [],\n}})\n"),
        &[own(5173, 5174)],
        &format!(
            "{import}export default defineConfig({{\n  plugins: [],\n  server: {{ port: 5174 }},\n}})\n"
        ),
    );
    check(
        &format!(
            "{import}export default defineConfig({{ server: {{ proxy: {{ '/api': 'http://localhost:8000' }} }} }})\n"
        ),
        &[own(5173, 5174), peer(8000, 8001)],
        &format!(
            "{import}export default defineConfig({{ server: {{ proxy: {{ '/api': 'http://localhost:8001' }}, port: 5174 }} }})\n"
        ),
    );
}
