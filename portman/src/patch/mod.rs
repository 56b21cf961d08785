//! Changes values in config files without touching another byte: locate, splice, read back.
//!
//! Each format has a file of its own here that only *locates* a value and *encodes* a new one in the style of what
//! stood there. This file picks the format, splices, and reads the result back: before and after are equal but for
//! what was asked, or there is an error and no text. Nothing is ever printed anew from a tree.

pub mod key;

mod json;
mod npm_script;
mod toml;
mod value;

mod vite;

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::port::Port;
use key::KeyPath;

/// The formats this engine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// JSON, JSON with comments, JSON5.
    Json,
    /// TOML 1.
    Toml,
    /// `vite.config.{ts,mts,js,mjs,cts,cjs}`.
    Vite,
    /// A `package.json`: JSON whose `scripts` hold command lines; `script` is the one that starts the service.
    Package {
        /// The name under `scripts`.
        script: String,
    },
}

/// A change that is asked of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Give `key` this value; parents that are missing are made.
    Set {
        /// Which value.
        key: KeyPath,
        /// What it shall say. It becomes a number or a string as what stood there was; where nothing stood, digits
        /// become a number.
        value: String,
    },
    /// The service whose file this is listens on `new`: change what its kind of file needs for that.
    Own {
        /// The port its files say.
        old: Port,
        /// The port it gets.
        new: Port,
    },
    /// Another service that listened on `old` at this machine listens on `new`: follow it where the file points there.
    Peer {
        /// The port the files say.
        old: Port,
        /// The port it got.
        new: Port,
    },
}

/// One replacement: the bytes at `range` become `text`. An empty range inserts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Splice {
    /// Bytes of the text before any splice.
    pub(crate) range: Range<usize>,
    /// What stands there afterwards.
    pub(crate) text: String,
    /// What this value is called, for people: `server.port`.
    pub(crate) key: String,
    /// The value before, for people; none when it was not there.
    pub(crate) old: Option<String>,
    /// The value after, for people.
    pub(crate) new: String,
}

/// Why a text is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The byte it is about.
    pub(crate) offset: usize,
    /// What kind of refusal.
    pub(crate) code: Code,
    /// What was found, without a trailing period.
    pub(crate) message: String,
    /// What the user can do.
    pub(crate) hint: String,
}

/// The kinds of refusal. Their words are stable: scripts and documentation may rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The file cannot be read in its format.
    Syntax,
    /// The file is not UTF-8, or holds NUL bytes.
    Encoding,
    /// What stands at the key is not one plain value (an object, a list).
    NotAValue,
    /// A parent of the key is not something that has members.
    NoParent,
    /// The value is computed when the file runs, so no bytes of the file *are* the value.
    Computed,
    /// The config that the file exports could not be followed to one object.
    NotFollowed,
    /// The key is not one this format can set.
    UnknownKey,
    /// After the splice more differed than was asked for. A bug here; nothing was written.
    ReadBack,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A refusal with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column} {message} ({code})")]
pub struct PatchError {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What kind of refusal.
    pub code: Code,
    /// What was found, without a trailing period.
    pub message: String,
    /// What the user can do.
    pub hint: String,
}

/// One value that a patch changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Line of the value in the text before, counted from 1.
    pub line: usize,
    /// What the value is called: `server.port`.
    pub key: String,
    /// What stood there; none when nothing did.
    pub old: Option<String>,
    /// What stands there now.
    pub new: String,
}

/// A text with its asked changes made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patched {
    /// The whole new text; equal to the old one when `changes` is empty.
    pub text: String,
    /// What differs, in the order of the text.
    pub changes: Vec<Change>,
    /// How to get from the new text back to the old one, in the same order.
    pub undo: Vec<Undo>,
}

/// One value in a patched text, and what stood in its place before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Its bytes in the new text.
    pub range: Range<usize>,
    /// What stood there; nothing for an inserted value.
    pub old: String,
}

impl Format {
    /// The format of a file of this name; none when this engine has none for it.
    ///
    /// `script` is the `package.json` script that starts the service.
    pub fn of(file_name: &str, script: &str) -> Option<Self> {
        let (stem, extension) = file_name.rsplit_once('.')?;
        match extension {
            _ if file_name == "package.json" => Some(Self::Package { script: script.to_owned() }),
            "json" | "jsonc" | "json5" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            "ts" | "mts" | "js" | "mjs" | "cts" | "cjs" if stem == "vite.config" => {
                Some(Self::Vite)
            }
            _ => None,
        }
    }

    /// Can a file of this format be patched without being told which keys (see [`Edit::Own`])?
    pub fn knows_its_ports(&self) -> bool {
        matches!(self, Self::Vite | Self::Package { .. })
    }
}

/// Makes `edits` in `text`, which is a file of this `format`.
///
/// A byte order mark, line endings and everything else outside the changed values stay. Edits that the text already
/// satisfies change nothing.
///
/// # Errors
/// When a value cannot be located for certain; see [`Code`].
pub fn patch(text: &str, format: &Format, edits: &[Edit]) -> Result<Patched, PatchError> {
    let bom = if text.starts_with(BOM) { BOM.len() } else { 0 };
    let body = &text[bom..];
    let mut splices = locate(body, format, edits).map_err(|refusal| placed(body, refusal))?;
    splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let after = spliced(body, &splices);
    read_back(body, &after, format, edits, &splices).map_err(|refusal| placed(body, refusal))?;
    let undo = undo(text, bom, &splices);
    let changes = splices.into_iter().map(|splice| change(body, splice)).collect();
    Ok(Patched { text: format!("{}{after}", &text[..bom]), changes, undo })
}

/// Where the new values stand once all are made; `body` begins `bom` bytes into `text`.
fn undo(text: &str, bom: usize, splices: &[Splice]) -> Vec<Undo> {
    let (mut added, mut removed) = (0, 0);
    let undo = |splice: &Splice| {
        let start = bom + splice.range.start + added - removed;
        added += splice.text.len();
        removed += splice.range.len();
        let old = text[bom..][splice.range.clone()].to_owned();
        Undo { range: start..start + splice.text.len(), old }
    };
    splices.iter().map(undo).collect()
}

const BOM: &str = "\u{feff}";

fn locate(text: &str, format: &Format, edits: &[Edit]) -> Result<Vec<Splice>, Refusal> {
    match format {
        Format::Json => json::locate(text, &sets(edits)),
        Format::Toml => toml::locate(text, &sets(edits)),
        Format::Vite => vite::locate(text, edits),
        Format::Package { script } => package(text, script, edits),
    }
}

/// The `Set` edits; the others say nothing to a format without ports of its own.
fn sets<'a>(edits: &'a [Edit]) -> Vec<(&'a KeyPath, &'a str)> {
    let set = |edit: &'a Edit| match edit {
        Edit::Set { key, value } => Some((key, value.as_str())),
        Edit::Own { .. } | Edit::Peer { .. } => None,
    };
    edits.iter().filter_map(set).collect()
}

/// `package.json`: JSON, and inside one of its strings a command line.
fn package(text: &str, script: &str, edits: &[Edit]) -> Result<Vec<Splice>, Refusal> {
    let mut splices = json::locate(text, &sets(edits))?;
    let Some(command) = json::string_at(text, &KeyPath::of(["scripts", script]))? else {
        return Ok(splices);
    };
    for edit in edits {
        if let &Edit::Own { old: _, new } = edit {
            splices.extend(npm_script::locate(&command.value, new).into_iter().map(|found| {
                Splice {
                    range: command.raw(found.range),
                    text: found.text,
                    key: format!("scripts.{script}"),
                    old: Some(found.old),
                    new: found.new,
                }
            }));
        }
    }
    Ok(splices)
}

fn spliced(text: &str, splices: &[Splice]) -> String {
    let mut after = String::with_capacity(text.len() + 16);
    let mut copied = 0;
    for splice in splices {
        after.push_str(&text[copied..splice.range.start]);
        after.push_str(&splice.text);
        copied = splice.range.end;
    }
    after.push_str(&text[copied..]);
    after
}

/// The second opinion: `after` says what was asked, and `before` in everything else.
fn read_back(
    before: &str,
    after: &str,
    format: &Format,
    edits: &[Edit],
    splices: &[Splice],
) -> Result<(), Refusal> {
    if splices.is_empty() {
        return Ok(());
    }
    match format {
        Format::Json => json::read_back(before, after, &sets(edits)),
        Format::Toml => toml::read_back(before, after, &sets(edits)),
        Format::Vite => vite::read_back(before, after, edits, splices),
        Format::Package { script } => {
            let command = KeyPath::of(["scripts", script]);
            let mut asked = sets(edits);
            let patched = json::string_at(after, &command)?.map(|command| command.value);
            asked.extend(patched.as_deref().map(|value| (&command, value)));
            json::read_back(before, after, &asked)
        }
    }
}

fn change(text: &str, splice: Splice) -> Change {
    let (line, _) = line_column(text, splice.range.start);
    Change { line, key: splice.key, old: splice.old, new: splice.new }
}

fn placed(text: &str, refusal: Refusal) -> PatchError {
    let (line, column) = line_column(text, refusal.offset);
    PatchError { line, column, code: refusal.code, message: refusal.message, hint: refusal.hint }
}

/// Line and column of a byte, both counted from 1, the column in characters.
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
