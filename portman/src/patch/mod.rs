//! Changes values in config files without touching another byte: locate, splice, read back.
//!
//! Each format has a file of its own here that only *locates* a value and *encodes* a new one in the style of what
//! stood there. This file picks the format, splices, and reads the result back: before and after are equal but for
//! what was asked, or there is an error and no text. Nothing is ever printed anew from a tree.

pub mod key;

mod env_file;
mod json;
mod npm_script;
mod says;
mod toml;
mod value;
mod yaml;

mod vite;

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::port::Port;
use key::KeyPath;

pub use says::port_at;

/// The formats this engine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// `.env` and its kin: lines of `KEY=value`.
    Env,
    /// JSON, JSON with comments, JSON5.
    Json,
    /// TOML 1.
    Toml,
    /// YAML, one document a file.
    Yaml,
    /// `vite.config.{ts,mts,js,mjs,cts,cjs}`.
    Vite,
    /// A `package.json`: JSON whose `scripts` hold command lines.
    Package,
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
    /// The same, for a service that this script of a `package.json` starts.
    Script {
        /// The name under `scripts`.
        script: String,
        /// The port its files say.
        old: Port,
        /// The port it gets.
        new: Port,
    },
    /// The service that reads the file gets this environment variable, and it says this port: where it decides, nothing
    /// needs to change for that port.
    Given {
        /// Its name.
        variable: String,
        /// The port in its value.
        port: Port,
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

impl Refusal {
    /// After a splice the text does not say what it should: a bug here.
    pub(crate) fn of_read_back(message: &str) -> Self {
        Self {
            offset: 0,
            code: Code::ReadBack,
            message: message.to_owned(),
            hint: "report this as a bug of portman, with the file; nothing was written".to_owned(),
        }
    }
}

/// The kinds of refusal. Their words are stable: scripts and documentation may rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The file cannot be read in its format.
    Syntax,
    /// What stands at the key is not one plain value (an object, a list).
    NotAValue,
    /// A parent of the key is not something that has members.
    NoParent,
    /// The value is computed when the file runs, so no bytes of the file *are* the value.
    Computed,
    /// The value stands at several places of the file at once, by an anchor and its aliases.
    Shared,
    /// The config that the file exports could not be followed to one object.
    NotFollowed,
    /// The key is not one this format can set.
    UnknownKey,
    /// Two of the asked changes want the same bytes.
    Overlap,
    /// Several commands of a script, or documents of a file, may be the one that is meant.
    Ambiguous,
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
    pub fn of(file_name: &str) -> Option<Self> {
        let (stem, extension) = file_name.rsplit_once('.')?;
        match extension {
            _ if file_name == "package.json" => Some(Self::Package),
            "json" | "jsonc" | "json5" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "ts" | "mts" | "js" | "mjs" | "cts" | "cjs" if stem == "vite.config" => {
                Some(Self::Vite)
            }
            "env" => Some(Self::Env),
            _ if file_name.starts_with(".env.") => Some(Self::Env),
            _ => None,
        }
    }

    /// Can a file of this format be patched without being told which keys (see [`Edit::Own`])?
    pub fn knows_its_ports(&self) -> bool {
        matches!(self, Self::Vite | Self::Package)
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
    disjoint(&splices).map_err(|refusal| placed(body, refusal))?;
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

/// `splices` are in order; inserts at one place are no overlap.
fn disjoint(splices: &[Splice]) -> Result<(), Refusal> {
    let overlap = splices.windows(2).find(|pair| pair[1].range.start < pair[0].range.end);
    let Some([first, second]) = overlap else { return Ok(()) };
    Err(Refusal {
        offset: second.range.start,
        code: Code::Overlap,
        message: format!("`{}` and `{}` would change the same bytes", first.key, second.key),
        hint: "ask for one of them only".to_owned(),
    })
}

/// Where no port moves, the file is believed to say what it should: that it cannot be seen is no reason to refuse it.
fn locate(text: &str, format: &Format, edits: &[Edit]) -> Result<Vec<Splice>, Refusal> {
    let located = locate_in(text, format, edits);
    let is_unseen = |refusal: &Refusal| {
        matches!(refusal.code, Code::Computed | Code::NotFollowed | Code::Ambiguous)
    };
    match located {
        Err(refusal) if is_unseen(&refusal) && !edits.iter().any(moves) => Ok(Vec::new()),
        located => located,
    }
}

fn moves(edit: &Edit) -> bool {
    match edit {
        Edit::Set { .. } => true,
        Edit::Given { .. } => false,
        Edit::Own { old, new } | Edit::Script { old, new, .. } | Edit::Peer { old, new } => {
            old != new
        }
    }
}

fn locate_in(text: &str, format: &Format, edits: &[Edit]) -> Result<Vec<Splice>, Refusal> {
    match format {
        Format::Env => env_file::locate(text, &sets(edits)),
        Format::Json => json::locate(text, &sets(edits)),
        Format::Toml => toml::locate(text, &sets(edits)),
        Format::Yaml => yaml::locate(text, &sets(edits)),
        Format::Vite => vite::locate(text, edits),
        Format::Package => package(text, edits),
    }
}

/// The `Set` edits; the others say nothing to a format without ports of its own.
fn sets<'a>(edits: &'a [Edit]) -> Vec<(&'a KeyPath, &'a str)> {
    let set = |edit: &'a Edit| match edit {
        Edit::Set { key, value } => Some((key, value.as_str())),
        _ => None,
    };
    edits.iter().filter_map(set).collect()
}

/// `package.json`: JSON, and inside some of its strings command lines.
fn package(text: &str, edits: &[Edit]) -> Result<Vec<Splice>, Refusal> {
    let mut splices = json::locate(text, &sets(edits))?;
    for (script, old, new) in scripts(edits) {
        let Some(command) = json::string_at(text, &script)? else { continue };
        let found = npm_script::locate(&command.value, old, new);
        let found = found.map_err(|ambiguous| Refusal {
            offset: command.raw(ambiguous.offset..ambiguous.offset).start,
            code: Code::Ambiguous,
            message: ambiguous.message,
            hint: ambiguous.hint,
        })?;
        splices.extend(found.into_iter().map(|found| Splice {
            range: command.raw(found.range),
            text: found.text,
            key: script.to_string(),
            old: Some(found.old),
            new: found.new,
        }));
    }
    Ok(splices)
}

/// The `Script` edits: the key of the script, the old and the new port.
fn scripts(edits: &[Edit]) -> impl Iterator<Item = (KeyPath, Port, Port)> {
    edits.iter().filter_map(|edit| match edit {
        Edit::Script { script, old, new } => Some((KeyPath::of(["scripts", script]), *old, *new)),
        _ => None,
    })
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
        Format::Env => env_file::read_back(before, after, &sets(edits)),
        Format::Json => json::read_back(before, after, &sets(edits)),
        Format::Toml => toml::read_back(before, after, &sets(edits)),
        Format::Yaml => yaml::read_back(before, after, &sets(edits)),
        Format::Vite => vite::read_back(before, after, edits, splices),
        Format::Package => {
            let lines = read_back_scripts(before, after, edits)?;
            let mut asked = sets(edits);
            asked.extend(lines.iter().map(|(script, line)| (script, line.as_str())));
            json::read_back(before, after, &asked)
        }
    }
}

/// The whole lines of the edited scripts as they may stand in `after`: their words are those of before, but for the
/// ports.
fn read_back_scripts(
    before: &str,
    after: &str,
    edits: &[Edit],
) -> Result<Vec<(KeyPath, String)>, Refusal> {
    let mut lines: Vec<(KeyPath, String)> = Vec::new();
    for (script, ..) in scripts(edits) {
        let (was, is) = (json::string_at(before, &script)?, json::string_at(after, &script)?);
        let (Some(was), Some(is)) = (was, is) else { continue };
        // Several services may be started by one script.
        let ports = scripts(edits).filter(|(other, ..)| *other == script);
        let found = ports.map(|(_, old, new)| npm_script::locate(&was.value, old, new));
        let found = found.collect::<Result<Vec<_>, _>>().unwrap_or_default().concat();
        if !npm_script::differs_only(&was.value, &is.value, &found) {
            return Err(Refusal {
                offset: 0,
                code: Code::ReadBack,
                message: format!("`{script}` would differ in more than its port"),
                hint: "nothing was written; please report this file".to_owned(),
            });
        }
        lines.push((script, is.value));
    }
    Ok(lines)
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

#[cfg(test)]
mod tests {
    use super::{Code, Edit, Format, patch};
    use crate::port::Port;

    #[test]
    fn a_name_tells_the_format() {
        for (name, format) in [
            (".env", Some(Format::Env)),
            (".env.local", Some(Format::Env)),
            (".env.development.local", Some(Format::Env)),
            ("backend.env", Some(Format::Env)),
            (".env.json", Some(Format::Json)),
            ("env", None),
            (".envrc", None),
            ("a.env.local", None),
            ("config.jsonc", Some(Format::Json)),
            ("package.json", Some(Format::Package)),
            ("vite.config.mts", Some(Format::Vite)),
            ("app.config.mts", None),
        ] {
            assert_eq!(Format::of(name), format, "{name}");
        }
    }

    fn script(script: &str, old: u16, new: u16) -> Edit {
        let port = |number| Port::new(number).unwrap();
        Edit::Script { script: script.to_owned(), old: port(old), new: port(new) }
    }

    fn set(key: &str, value: &str) -> Edit {
        Edit::Set { key: key.parse().unwrap(), value: value.to_owned() }
    }

    #[test]
    fn two_services_of_one_script_both_move() {
        let line = |web, api| {
            format!("{{ \"scripts\": {{ \"dev\": \"vite --port {web} & next dev -p {api}\" }} }}\n")
        };
        let edits = [script("dev", 5173, 5174), script("dev", 3000, 3001)];
        let patched = patch(&line(5173, 3000), &Format::Package, &edits).unwrap();
        assert_eq!(patched.text, line(5174, 3001));
        assert_eq!(patched.changes.len(), 2);
    }

    #[test]
    fn two_edits_of_the_same_bytes_are_refused() {
        let text = "{ \"scripts\": { \"dev\": \"vite --port 5173\" } }\n";
        let edits = [script("dev", 5173, 5174), set("scripts.dev", "vite --port 9000")];
        let refused = patch(text, &Format::Package, &edits).unwrap_err();
        assert_eq!((refused.code, refused.line), (Code::Overlap, 1));
    }

    #[test]
    fn a_file_that_cannot_be_followed_is_refused_only_when_a_port_moves() {
        let text = "export default { server: { port: Number(process.env.PORT) || 5173 } }\n";
        let own = |new| {
            let port = |number| Port::new(number).unwrap();
            [Edit::Own { old: port(5173), new: port(new) }]
        };
        assert_eq!(patch(text, &Format::Vite, &own(5173)).unwrap().changes, []);
        let refused = patch(text, &Format::Vite, &own(5174)).unwrap_err();
        assert_eq!((refused.code, refused.line, refused.column), (Code::Computed, 1, 34));
    }

    #[test]
    fn what_a_given_variable_decides_needs_no_change() {
        let text = "export default { server: { port: Number(process.env.PORT) || 5173, proxy: {\n\
                    '/api': process.env.API_URL || 'http://localhost:8000',\n\
                    '/ws': 'ws://localhost:8000' } } }\n";
        let port = |number| Port::new(number).unwrap();
        let given = |variable: &str, number| Edit::Given {
            variable: variable.to_owned(),
            port: port(number),
        };
        let mut edits = vec![
            Edit::Own { old: port(5173), new: port(5174) },
            Edit::Peer { old: port(8000), new: port(8001) },
            given("PORT", 5174),
        ];
        assert_eq!(patch(text, &Format::Vite, &edits).unwrap_err().line, 2);
        edits.push(given("API_URL", 8001));
        let own = text.replace("API_URL", "PORT");
        assert_eq!(patch(&own, &Format::Vite, &edits).unwrap_err().line, 2, "not its own port");
        let patched = patch(text, &Format::Vite, &edits).unwrap();
        assert_eq!(patched.text, text.replace("ws://localhost:8000", "ws://localhost:8001"));
    }

    #[test]
    fn a_patch_can_be_undone_from_what_it_says() {
        let text = "\u{feff}{\r\n  \"a\": 1,\r\n  \"ä\": { \"b\": \"x\" }\r\n}";
        let edits = [set("a", "22222"), set("ä.b", "y"), set("ä.c", "3"), set("d", "4")];
        let patched = patch(text, &Format::Json, &edits).unwrap();
        assert!(patched.text.starts_with("\u{feff}{\r\n  \"a\": 22222,"), "{}", patched.text);
        let mut undone = patched.text.clone();
        for undo in patched.undo.into_iter().rev() {
            undone.replace_range(undo.range, &undo.old);
        }
        assert_eq!(undone, text);
        assert_eq!(patch(&patched.text, &Format::Json, &edits).unwrap().changes, []);
    }
}
