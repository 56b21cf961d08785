//! A command line as a shell splits it, with the place of every byte.

use std::ops::Range;

use super::Found;
use crate::port::Port;

/// A number on the command line.
#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) range: Range<usize>,
    pub(super) says: String,
}

impl Number {
    pub(super) fn port(&self) -> Option<Port> {
        self.says.parse().ok()
    }
}

/// A command without others in it.
#[derive(Debug, Default)]
pub(super) struct Simple {
    pub(super) words: Vec<Word>,
    /// None when the line ends with it.
    pub(super) end: Option<End>,
}

/// What comes after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Another command, when this one is over: `&&`, `||`, `;`.
    Waits,
    /// Another command that runs beside it: `&`, `|`.
    Beside,
}

impl Simple {
    /// Whether `after` is this command but for the ports `found`, all of one line.
    pub(super) fn is_but_for(&self, after: &Self, found: &[&Found]) -> bool {
        self.end == after.end
            && self.words.len() == after.words.len()
            && self.words.iter().zip(&after.words).all(|(was, is)| {
                was.is_expanded == is.is_expanded && was.with(found).as_deref() == Some(&is.says)
            })
    }
}

/// A word as the program gets it.
#[derive(Debug, Default)]
pub(super) struct Word {
    pub(super) says: String,
    /// For each byte of `says`, where it stands on the line.
    origins: Vec<usize>,
    /// The shell puts something else in its place.
    is_expanded: bool,
}

impl Word {
    fn push(&mut self, letter: char, origin: usize) {
        self.says.push(letter);
        self.origins.extend(origin..origin + letter.len_utf8());
    }

    /// The program that it names: `./node_modules/.bin/vite`, `vite@latest`, `vite.js` are all `vite`.
    pub(super) fn name(&self) -> &str {
        let file = self.says.rsplit(['/', '\\']).next().unwrap_or_default();
        let unversioned = file
            .split_once('@')
            .map_or(file, |(name, _)| if name.is_empty() { file } else { name });
        [".cmd", ".exe", ".mjs", ".js"]
            .iter()
            .find_map(|end| unversioned.strip_suffix(end))
            .unwrap_or(unversioned)
    }

    /// The name in `NAME=value`.
    pub(super) fn setting(&self) -> Option<&str> {
        let (name, _) = self.says.split_once('=')?;
        let starts_well =
            name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (starts_well && is_name).then_some(name)
    }

    pub(super) fn setting_of(&self, name: &str) -> Option<Number> {
        if self.setting()? == name { self.port_from(name.len() + 1) } else { None }
    }

    /// The port that the word says from the byte `start` to its end.
    pub(super) fn port_from(&self, start: usize) -> Option<Number> {
        let says = &self.says[start..];
        let is_port =
            says.bytes().all(|byte| byte.is_ascii_digit()) && says.parse::<Port>().is_ok();
        if self.is_expanded || !is_port { None } else { self.number(start..self.says.len()) }
    }

    /// The bytes `range` of the word, unless they do not stand together on the line.
    pub(super) fn number(&self, range: Range<usize>) -> Option<Number> {
        let says = self.says[range.clone()].to_owned();
        let (first, last) =
            (*self.origins.get(range.start)?, *self.origins.get(range.end.checked_sub(1)?)?);
        let range = first..last + 1;
        (range.len() == says.len()).then_some(Number { range, says })
    }

    /// Whether the digits of a port stand in this word, as a number of their own.
    pub(super) fn holds(&self, found: &Found) -> bool {
        let is_digit =
            |place: usize| self.says.as_bytes().get(place).is_some_and(u8::is_ascii_digit);
        self.place(found).is_some_and(|place| {
            !place.start.checked_sub(1).is_some_and(is_digit) && !is_digit(place.end)
        })
    }

    /// Where in `says` the bytes of a port stand.
    fn place(&self, found: &Found) -> Option<Range<usize>> {
        let start = self.origins.iter().position(|&origin| origin == found.range.start)?;
        let place = start..start + found.range.len();
        let origins = self.origins.get(place.clone())?;
        let is_all = origins.iter().copied().eq(found.range.clone());
        (is_all && self.says.get(place.clone()) == Some(found.old.as_str())).then_some(place)
    }

    /// What the word says with the ports that stand in it replaced, which are given in the order of the line.
    fn with(&self, found: &[&Found]) -> Option<String> {
        let mut says = self.says.clone();
        for found in found.iter().rev() {
            if let Some(place) = self.place(found) {
                if !says.is_char_boundary(place.start) || !says.is_char_boundary(place.end) {
                    return None;
                }
                says.replace_range(place, &found.new);
            }
        }
        Some(says)
    }
}

/// The simple commands of a line, some of them without a word; none when a quote is not closed.
pub(super) fn commands(line: &str) -> Option<Vec<Simple>> {
    let mut commands = vec![Simple::default()];
    let mut word: Option<Word> = None;
    let mut letters = Letters { line, at: 0 };
    while let Some((at, letter)) = letters.next() {
        match letter {
            ' ' | '\t' => end_word(&mut commands, &mut word),
            '&' | '|' | ';' | '(' | ')' | '\n' | '\r' => {
                end_word(&mut commands, &mut word);
                end_command(&mut commands, end(letter, letters.rest()));
            }
            // `2>&1`: the `&` belongs to the arrow.
            '<' | '>' => {
                end_word(&mut commands, &mut word);
                letters.skip_while(|letter| matches!(letter, '<' | '>' | '&'));
            }
            '#' if word.is_none() => letters.skip_while(|letter| letter != '\n'),
            '\'' => single_quoted(&mut letters, word.get_or_insert_default())?,
            '"' => double_quoted(&mut letters, word.get_or_insert_default())?,
            '`' => backquoted(&mut letters, word.get_or_insert_default())?,
            '\\' => {
                let word = word.get_or_insert_default();
                if let Some((at, letter)) = letters.next() {
                    word.push(letter, at);
                }
            }
            _ => {
                let word = word.get_or_insert_default();
                word.is_expanded |= is_expansion(letter, letters.rest());
                word.push(letter, at);
            }
        }
    }
    end_word(&mut commands, &mut word);
    Some(commands)
}

fn end_word(commands: &mut [Simple], word: &mut Option<Word>) {
    if let (Some(command), Some(word)) = (commands.last_mut(), word.take()) {
        command.words.push(word);
    }
}

/// Begins a command. Of several operators in a row the first says how the command before them ends.
fn end_command(commands: &mut Vec<Simple>, end: Option<End>) {
    if let Some(last) = commands.iter_mut().rev().find(|command| !command.words.is_empty()) {
        last.end = last.end.or(end);
    }
    commands.push(Simple::default());
}

/// How the operator that begins with `letter` ends the command before it; a bracket does not.
fn end(letter: char, rest: &str) -> Option<End> {
    match letter {
        '(' | ')' => None,
        '&' | '|' if !rest.starts_with(letter) => Some(End::Beside),
        _ => Some(End::Waits),
    }
}

fn single_quoted(letters: &mut Letters<'_>, word: &mut Word) -> Option<()> {
    loop {
        match letters.next()? {
            (_, '\'') => return Some(()),
            (at, letter) => word.push(letter, at),
        }
    }
}

fn double_quoted(letters: &mut Letters<'_>, word: &mut Word) -> Option<()> {
    loop {
        match letters.next()? {
            (_, '"') => return Some(()),
            (_, '`') => backquoted(letters, word)?,
            (_, '\\') if letters.rest().starts_with(['"', '\\', '$', '`']) => {
                let (at, letter) = letters.next()?;
                word.push(letter, at);
            }
            (at, letter) => {
                word.is_expanded |= is_expansion(letter, letters.rest());
                word.push(letter, at);
            }
        }
    }
}

fn backquoted(letters: &mut Letters<'_>, word: &mut Word) -> Option<()> {
    word.is_expanded = true;
    loop {
        match letters.next()? {
            (_, '`') => return Some(()),
            (at, letter) => word.push(letter, at),
        }
    }
}

/// `$NAME`, `${…}`, `$(…)`, and `%NAME%` for Windows.
fn is_expansion(letter: char, rest: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match letter {
        '$' => rest
            .starts_with(|next: char| next.is_ascii_alphanumeric() || "_{(@*#?!-".contains(next)),
        '%' => rest.split_once('%').is_some_and(|(name, _)| is_name(name)),
        _ => false,
    }
}

/// The letters of a line with their places.
struct Letters<'l> {
    line: &'l str,
    at: usize,
}

impl<'l> Letters<'l> {
    fn next(&mut self) -> Option<(usize, char)> {
        let at = self.at;
        let letter = self.rest().chars().next()?;
        self.at += letter.len_utf8();
        Some((at, letter))
    }

    fn rest(&self) -> &'l str {
        &self.line[self.at..]
    }

    fn skip_while(&mut self, skipped: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|letter| !skipped(letter)).unwrap_or(rest.len());
    }
}
