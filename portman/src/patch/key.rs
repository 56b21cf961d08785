//! Key paths: `server.port`, `scripts."build:prod"`, `servers[0].port`.
//!
//! A path names one value in a config file. It says nothing about the file's format.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One step into a config value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// The member of this name.
    Name(String),
    /// The element at this place, counted from 0.
    Index(usize),
}

/// The way from a file's root to one value; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyPath(Vec<Step>);

/// A key path that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a key path: {expected} expected at column {column}")]
pub struct KeyPathError {
    /// What was given.
    pub path: String,
    /// Where it stops making sense, counted from 1 in characters.
    pub column: usize,
    /// What should have stood there.
    pub expected: &'static str,
}

impl KeyPath {
    /// The steps from the root, at least one.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// This path and then `further`, which starts where this one ends.
    #[must_use]
    pub fn join(&self, further: &Self) -> Self {
        Self(self.0.iter().chain(&further.0).cloned().collect())
    }

    /// A path of names only.
    ///
    /// # Panics
    /// When `names` is empty.
    pub fn of<const N: usize>(names: [&str; N]) -> Self {
        assert!(N > 0, "a key path has at least one step");
        Self(names.into_iter().map(|name| Step::Name(name.to_owned())).collect())
    }
}

impl FromStr for KeyPath {
    type Err = KeyPathError;

    fn from_str(path: &str) -> Result<Self, KeyPathError> {
        let mut reader = Reader { path, rest: path };
        let mut steps = vec![reader.name()?];
        while !reader.rest.is_empty() {
            if reader.eat('[') {
                steps.push(reader.index()?);
            } else if reader.eat('.') {
                steps.push(reader.name()?);
            } else {
                return Err(reader.error("`.` or `[`"));
            }
        }
        Ok(Self(steps))
    }
}

struct Reader<'a> {
    path: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn eat(&mut self, wanted: char) -> bool {
        let after = self.rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn name(&mut self) -> Result<Step, KeyPathError> {
        if self.eat('"') {
            let Some((name, rest)) = self.rest.split_once('"') else {
                return Err(self.error("a closing `\"`"));
            };
            let step = Step::Name(name.to_owned());
            self.rest = rest;
            return Ok(step);
        }
        let end = self.rest.find(['.', '[']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return Err(self.error("a name"));
        }
        self.rest = rest;
        Ok(Step::Name(name.to_owned()))
    }

    fn index(&mut self) -> Result<Step, KeyPathError> {
        let parsed =
            self.rest.split_once(']').and_then(|(digits, rest)| Some((digits.parse().ok()?, rest)));
        let Some((index, rest)) = parsed else {
            return Err(self.error("an index and `]`"));
        };
        self.rest = rest;
        Ok(Step::Index(index))
    }

    fn error(&self, expected: &'static str) -> KeyPathError {
        let read = &self.path[..self.path.len() - self.rest.len()];
        KeyPathError { path: self.path.to_owned(), column: read.chars().count() + 1, expected }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) => {
                    let dot = if place == 0 { "" } else { "." };
                    let plain = !name.is_empty()
                        && name.chars().all(|c| c.is_alphanumeric() || "_-$".contains(c));
                    if plain { write!(f, "{dot}{name}")? } else { write!(f, "{dot}\"{name}\"")? }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::KeyPath;

    #[test]
    fn reads_and_prints_paths() {
        for path in [
            "port",
            "server.port",
            "servers[0].port",
            "scripts.\"build.prod\"",
            "proxy.\"/api\"",
            "a[1][2]",
        ] {
            assert_eq!(path.parse::<KeyPath>().unwrap().to_string(), path);
        }
    }

    #[test]
    fn says_where_a_path_stops_making_sense() {
        for (path, column, expected) in [
            ("", 1, "a name"),
            ("server.", 8, "a name"),
            ("server..port", 8, "a name"),
            ("a[x]", 3, "an index and `]`"),
            ("a[0]b", 5, "`.` or `[`"),
            ("\"open", 2, "a closing `\"`"),
        ] {
            let error = path.parse::<KeyPath>().unwrap_err();
            assert_eq!((error.column, error.expected), (column, expected), "{path}");
        }
    }
}
