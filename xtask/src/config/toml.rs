//! Reads TOML values one by one, so that every error names its line and column.
//!
//! A table remembers which keys were asked of it: whatever else stands in it is unknown, and the nearest asked key is
//! what was probably meant.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use portman::patch::line_column;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as WordError, StrDeserializer};
use toml_edit::{ArrayOfTables, Document, Item, TableLike, Value as TomlValue};

use crate::failure::{Failure, Kind};

/// A longer time is not meant, and one that is long enough would not fit into a deadline.
const LONGEST: Duration = Duration::from_hours(24);

/// The file that is read.
pub(super) struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    pub(super) fn parse(&self) -> Result<Document<&'a str>, Failure> {
        Document::parse(self.text).map_err(|error| {
            let message = error.message().lines().next().unwrap_or("not TOML").to_owned();
            self.error(error.span(), message, "fix the syntax there")
        })
    }

    pub(super) fn error(
        &self,
        at: Option<Range<usize>>,
        message: impl Display,
        hint: impl Into<String>,
    ) -> Failure {
        let (line, column) = line_column(self.text, at.map_or(0, |at| at.start));
        Failure::new(
            Kind::Usage,
            format!("{}:{line}:{column} {message}", self.path.display()),
            hint,
        )
    }
}

/// A table that is being read.
pub(super) struct Table<'a> {
    source: &'a Source<'a>,
    entries: &'a dyn TableLike,
    /// As it is told: `[services.backend]`.
    name: String,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        entries: &'a dyn TableLike,
        name: impl Into<String>,
    ) -> Self {
        Self { source, entries, name: name.into(), asked: RefCell::default() }
    }

    /// The value of `key`; none when it is not there.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().push(key);
        let node = Node::of(self.entries.get(key)?)?;
        Some(Value { source: self.source, node, name: format!("`{key}`") })
    }

    /// All entries, for a table whose keys the user chooses.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let source = self.source;
        let value = move |node, key| Value { source, node, name: format!("`{key}`") };
        self.entries.iter().filter_map(move |(key, item)| Some((key, value(Node::of(item)?, key))))
    }

    /// The place of `key` itself.
    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.entries.get_key_value(key).and_then(|(key, _)| key.span())
    }

    /// An error about `key` itself.
    pub(super) fn key_error(
        &self,
        key: &str,
        message: impl Display,
        hint: impl Into<String>,
    ) -> Failure {
        self.source.error(self.key_span(key), message, hint)
    }

    /// Nothing stands here that was not asked for.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let asked = self.asked.borrow();
        let Some((unknown, _)) = self.entries.iter().find(|(key, _)| !asked.contains(key)) else {
            return Ok(());
        };
        let message = format!("unknown key `{unknown}` in {}", self.name);
        Err(self.key_error(unknown, message, nearest(unknown, &asked)))
    }
}

/// `did you mean`, or everything that is known.
pub(super) fn nearest(word: &str, known: &[impl AsRef<str>]) -> String {
    const ALIKE: f64 = 0.6;
    let best = known
        .iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(word, known.as_ref()), known.as_ref()))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    if let Some((_, known)) = best {
        return format!("did you mean `{known}`?");
    }
    let known: Vec<String> = known.iter().map(|known| format!("`{}`", known.as_ref())).collect();
    format!("known are {}", known.join(", "))
}

/// A value that is being read.
pub(super) struct Value<'a> {
    source: &'a Source<'a>,
    node: Node<'a>,
    name: String,
}

/// TOML writes tables and lists of tables in two ways each; here they are one.
#[derive(Clone, Copy)]
enum Node<'a> {
    Plain(&'a TomlValue),
    Table(&'a toml_edit::Table),
    Tables(&'a ArrayOfTables),
}

impl<'a> Node<'a> {
    fn of(item: &'a Item) -> Option<Self> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(Self::Plain(value)),
            Item::Table(table) => Some(Self::Table(table)),
            Item::ArrayOfTables(tables) => Some(Self::Tables(tables)),
        }
    }

    fn span(self) -> Option<Range<usize>> {
        match self {
            Self::Plain(value) => value.span(),
            Self::Table(table) => table.span(),
            Self::Tables(tables) => tables.span(),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Plain(value) => value.type_name(),
            Self::Table(_) => "table",
            Self::Tables(_) => "array of tables",
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn error(&self, message: impl Display, hint: impl Into<String>) -> Failure {
        self.source.error(self.node.span(), message, hint)
    }

    fn expected(&self, what: &str, example: &str) -> Failure {
        let found = with_article(self.node.kind());
        self.error(format!("{} is {found}, expected {what}", self.name), format!("write {example}"))
    }

    fn plain(&self) -> Option<&'a TomlValue> {
        match self.node {
            Node::Plain(value) => Some(value),
            Node::Table(_) | Node::Tables(_) => None,
        }
    }

    pub(super) fn string(&self) -> Result<&'a str, Failure> {
        let text = self.plain().and_then(TomlValue::as_str);
        text.ok_or_else(|| self.expected("a string", "it in quotes"))
    }

    pub(super) fn is_string(&self) -> bool {
        self.plain().is_some_and(TomlValue::is_str)
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.node, Node::Table(_) | Node::Plain(TomlValue::InlineTable(_)))
    }

    pub(super) fn integer(&self, range: Range<i64>) -> Result<i64, Failure> {
        let example = format!("a number from {} to {}", range.start, range.end - 1);
        let number = self
            .plain()
            .and_then(TomlValue::as_integer)
            .ok_or_else(|| self.expected("a number", &example))?;
        if range.contains(&number) {
            return Ok(number);
        }
        let message =
            format!("{} is {number}, expected {} to {}", self.name, range.start, range.end - 1);
        Err(self.error(message, format!("write {example}")))
    }

    pub(super) fn strings(&self) -> Result<Vec<String>, Failure> {
        self.items()?.iter().map(|item| item.string().map(str::to_owned)).collect()
    }

    /// The elements of a list.
    pub(super) fn items(&self) -> Result<Vec<Value<'a>>, Failure> {
        let nodes: Vec<Node<'a>> = match self.node {
            Node::Plain(TomlValue::Array(list)) => list.iter().map(Node::Plain).collect(),
            Node::Tables(tables) => tables.iter().map(Node::Table).collect(),
            _ => return Err(self.expected("a list", "[\"…\"]")),
        };
        let value = |node| Value {
            source: self.source,
            node,
            name: format!("an element of {}", self.name),
        };
        Ok(nodes.into_iter().map(value).collect())
    }

    pub(super) fn table(&self, name: impl Into<String>) -> Result<Table<'a>, Failure> {
        match self.node {
            Node::Table(table) => Ok(Table::new(self.source, table, name)),
            Node::Plain(TomlValue::InlineTable(table)) => Ok(Table::new(self.source, table, name)),
            _ => Err(self.expected("a table", "{ … }")),
        }
    }

    pub(super) fn duration(&self) -> Result<Duration, Failure> {
        let text = self.string()?;
        let hint = "write it like \"500ms\", \"10s\" or \"1m 30s\"";
        let duration = humantime::parse_duration(text).map_err(|error| {
            self.error(format!("{} is not a duration: {error}", self.name), hint)
        })?;
        if duration > LONGEST {
            return Err(self.error(format!("{} is longer than a day", self.name), hint));
        }
        Ok(duration)
    }

    /// One of the words of `T`.
    pub(super) fn word<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let word = StrDeserializer::<WordError>::new(self.string()?);
        T::deserialize(word).map_err(|error| {
            self.error(format!("{}: {error}", self.name), "write one of these words")
        })
    }

    /// Something written as text that has a parser.
    pub(super) fn parsed<T: std::str::FromStr<Err: Display>>(
        &self,
        hint: &str,
    ) -> Result<T, Failure> {
        self.string()?.parse().map_err(|error| self.error(format!("{}: {error}", self.name), hint))
    }

    /// A string, number or boolean as text.
    pub(super) fn scalar(&self) -> Result<String, Failure> {
        match self.plain() {
            Some(TomlValue::String(text)) => Ok(text.value().clone()),
            Some(TomlValue::Integer(number)) => Ok(number.value().to_string()),
            Some(TomlValue::Boolean(flag)) => Ok(flag.value().to_string()),
            _ => Err(self.expected("a string, a number or a boolean", "it in quotes")),
        }
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}
