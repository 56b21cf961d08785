//! The port on the command line of a `package.json` script.
//!
//! The line is split as a shell splits it, and changed only in a command that is known to start a dev server, at an
//! option that is known to be its port. Numbers elsewhere (`docker run -p`, `wait-on tcp:3000`, `DB_PORT=…`) mean
//! something else, and a word that the shell expands means nobody knows what. Nothing is ever added.
//!
//! A line may start several servers, of which one is the service. The port that the service had tells which; without
//! it a number is the service's only if nothing else on the line may be the service.

mod servers;
mod words;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::port::Port;
use servers::{Command, Part};
use words::{End, Number, Simple, Word, commands};

/// A port on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its bytes in the decoded command line.
    pub(super) range: Range<usize>,
    /// What stands there afterwards.
    pub(super) text: String,
    /// The port before, for people.
    pub(super) old: String,
    /// The port after, for people.
    pub(super) new: String,
}

/// Why it cannot be told which port of a command line is the service's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ambiguous {
    /// The first of the ports, as a byte of the decoded command line.
    pub(super) offset: usize,
    /// What was found, without a trailing period.
    pub(super) message: String,
    /// What the user can do.
    pub(super) hint: String,
}

/// The port in `command_line` that has to change for the service, which listened on `old`, to listen on `new`.
pub(super) fn locate(command_line: &str, old: Port, new: Port) -> Result<Vec<Found>, Ambiguous> {
    let started = started(command_line, 0);
    let numbered = started.iter().filter_map(Started::numbered).collect::<Vec<_>>();
    let says = |port| numbered.iter().filter(move |numbered| numbered.number.port() == Some(port));
    let ours = says(old).collect::<Vec<_>>();
    match ours.as_slice() {
        [_, ..] if old == new => Ok(Vec::new()),
        [only] => Ok(vec![only.found(new)]),
        [first, _, ..] => Err(first.is_one_of(&ours, old)),
        // The service has moved already.
        [] if says(new).next().is_some() => Ok(Vec::new()),
        [] => match numbered.as_slice() {
            [only] if started.len() == 1 => Ok(vec![only.found(new)]),
            [] | [_] => Ok(Vec::new()),
            [first, ..] => Err(first.is_not(&numbered, old)),
        },
    }
}

/// The port that the one server of a command line is told; none when it is told none, or may be another server.
pub(super) fn port(command_line: &str) -> Option<Port> {
    match started(command_line, 0).as_slice() {
        [only] => only.number.as_ref()?.port(),
        _ => None,
    }
}

/// Whether `after` is `before` with the ports `found` in it: the same commands of the same words, but for those digits.
///
/// This splits both lines anew and knows nothing of servers.
pub(super) fn differs_only(before: &str, after: &str, found: &[Found]) -> bool {
    let mut found = found.iter().collect::<Vec<_>>();
    found.sort_by_key(|found| found.range.start);
    if spliced(before, &found).as_deref() != Some(after) {
        return false;
    }
    let (Some(was), Some(is)) = (commands(before), commands(after)) else {
        return before == after;
    };
    let in_words = was.iter().flat_map(|simple| &simple.words);
    let places =
        found.iter().map(|found| in_words.clone().filter(|word| word.holds(found)).count());
    places.into_iter().all(|words| words == 1)
        && was.len() == is.len()
        && was.iter().zip(&is).all(|(was, is)| was.is_but_for(is, &found))
}

/// `line` with its ports replaced; none when they do not stand where they should.
fn spliced(line: &str, found: &[&Found]) -> Option<String> {
    let mut after = String::new();
    let mut copied = 0;
    for found in found {
        let is_there = line.get(found.range.clone()) == Some(found.old.as_str());
        let is_port = found.text == found.new && found.new.parse::<Port>().is_ok();
        if !is_there || !is_port {
            return None;
        }
        after.push_str(line.get(copied..found.range.start)?);
        after.push_str(&found.text);
        copied = found.range.end;
    }
    after.push_str(line.get(copied..)?);
    Some(after)
}

/// Something that a line starts and that may be the service.
#[derive(Debug)]
struct Started {
    /// The program, for people.
    program: String,
    /// Its port, if the line says one.
    number: Option<Number>,
}

/// A server of a line whose port the line says.
struct Numbered<'s> {
    program: &'s str,
    number: &'s Number,
}

impl Started {
    fn numbered(&self) -> Option<Numbered<'_>> {
        let number = self.number.as_ref()?;
        Some(Numbered { program: &self.program, number })
    }

    /// The same of a line inside `word`. It stays a server when its port does not stand together there.
    fn seen_through(self, word: &Word) -> Self {
        let number = self.number.and_then(|number| word.number(number.range));
        Self { program: self.program, number }
    }
}

impl Numbered<'_> {
    fn found(&self, new: Port) -> Found {
        let Number { range, says } = self.number.clone();
        let new = new.to_string();
        Found { range, text: new.clone(), old: says, new }
    }

    fn is_one_of(&self, ours: &[&Numbered<'_>], old: Port) -> Ambiguous {
        let programs = ours.iter().map(|numbered| format!("`{}`", numbered.program));
        Ambiguous {
            offset: self.number.range.start,
            message: format!(
                "several servers of the script have port {old}: {}",
                programs.collect::<Vec<_>>().join(", ")
            ),
            hint: "give the service a script of its own, which starts nothing else".to_owned(),
        }
    }

    fn is_not(&self, numbered: &[Numbered<'_>], old: Port) -> Ambiguous {
        let shown =
            numbered.iter().map(|other| format!("`{}` {}", other.program, other.number.says));
        Ambiguous {
            offset: self.number.range.start,
            message: format!(
                "the script starts several servers, none of them on port {old}: {}",
                shown.collect::<Vec<_>>().join(", ")
            ),
            hint: "set `port` in dev.toml to the one that the script says, or give the service a script of its own"
                .to_owned(),
        }
    }
}

/// Lines inside words of lines (`concurrently "vite" "node api.js"`), at most this deep.
const MAX_DEPTH: usize = 3;

/// What the line starts that may be the service, in the order of the line.
fn started(line: &str, depth: usize) -> Vec<Started> {
    let mut all: Vec<Started> = Vec::new();
    let mut is_waited_for = false;
    for simple in commands(line).unwrap_or_default().iter().rev() {
        is_waited_for &= simple.end != Some(End::Beside);
        let mut started = started_by(simple, depth);
        // `node generate.js && vite`: what a server waits for is over when it starts.
        let is_over = is_waited_for && Command::of(&simple.words).may_end();
        if started.is_empty() || is_over && is_without_number(&started) {
            continue;
        }
        is_waited_for = true;
        started.append(&mut all);
        all = started;
    }
    all
}

fn is_without_number(started: &[Started]) -> bool {
    started.iter().all(|started| started.number.is_none())
}

fn started_by(simple: &Simple, depth: usize) -> Vec<Started> {
    let command = Command::of(&simple.words);
    match command.part() {
        Part::Lines(words) if depth < MAX_DEPTH => {
            let inside = |word: &&Word| {
                let started = started(&word.says, depth + 1);
                started.into_iter().map(|started| started.seen_through(word)).collect::<Vec<_>>()
            };
            words.iter().flat_map(inside).collect()
        }
        Part::Server | Part::Lines(_) | Part::Unknown => {
            vec![Started { program: command.name().to_owned(), number: command.port() }]
        }
        Part::Nothing => Vec::new(),
    }
}
