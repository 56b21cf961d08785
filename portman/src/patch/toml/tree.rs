//! What a TOML file says, without how it says it: for reading a patched text back, and for telling a value that is
//! already so.

use std::collections::BTreeMap;

use toml_edit::{Datetime, Item, Table, Value};

use super::Step;
use crate::patch::value::{Standing, Wanted};

#[derive(Debug, PartialEq)]
pub(super) enum Tree {
    Members(BTreeMap<String, Tree>),
    Elements(Vec<Tree>),
    Text(String),
    Integer(i64),
    /// The bits of a float: a `nan` equals itself here.
    Float(u64),
    Bool(bool),
    Datetime(String),
    /// Nothing yet: what was asked for goes here.
    Missing,
}

impl Tree {
    pub(super) fn of_table(table: &Table) -> Self {
        Self::Members(table.iter().map(|(name, item)| (name.to_owned(), Self::of(item))).collect())
    }

    fn of(item: &Item) -> Self {
        match item {
            Item::None => Self::Missing,
            Item::Table(table) => Self::of_table(table),
            Item::ArrayOfTables(tables) => {
                Self::Elements(tables.iter().map(Self::of_table).collect())
            }
            Item::Value(value) => Self::of_value(value),
        }
    }

    pub(super) fn of_value(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.value().clone()),
            Value::Integer(integer) => Self::Integer(*integer.value()),
            Value::Float(float) => Self::Float(float.value().to_bits()),
            Value::Boolean(boolean) => Self::Bool(*boolean.value()),
            Value::Datetime(datetime) => Self::Datetime(datetime.value().to_string()),
            Value::Array(array) => Self::Elements(array.iter().map(Self::of_value).collect()),
            Value::InlineTable(table) => Self::Members(
                table
                    .iter()
                    .map(|(name, value)| (name.to_owned(), Self::of_value(value)))
                    .collect(),
            ),
        }
    }

    /// Gives the value at `steps` what `asked` means there. Where the way ends nothing changes, and the comparison
    /// fails.
    pub(super) fn set(&mut self, steps: &[Step], asked: &str) {
        let Some((step, rest)) = steps.split_first() else {
            *self = self.wanted(asked);
            return;
        };
        let next = match (self, step) {
            (Self::Members(members), Step::Name(name)) => {
                let missing =
                    if rest.is_empty() { Self::Missing } else { Self::Members(BTreeMap::new()) };
                Some(members.entry(name.clone()).or_insert(missing))
            }
            (Self::Elements(elements), Step::Index(index)) => elements.get_mut(*index),
            _ => None,
        };
        if let Some(next) = next {
            next.set(rest, asked);
        }
    }

    /// What stands here when this is given what `asked` means here.
    pub(super) fn wanted(&self, asked: &str) -> Self {
        if let (Self::Datetime(_), Ok(wanted)) = (self, asked.parse::<Datetime>()) {
            return Self::Datetime(wanted.to_string());
        }
        let standing = match self {
            Self::Text(text) => Standing::Text(text),
            Self::Integer(_) | Self::Float(_) => Standing::Number,
            Self::Bool(_) => Standing::Bool,
            _ => Standing::Nothing,
        };
        match Wanted::of(standing, asked) {
            Wanted::Bool(wanted) => Self::Bool(wanted),
            Wanted::Text(wanted) => Self::Text(wanted.into_owned()),
            Wanted::Number(wanted) => match wanted.parse() {
                Ok(wanted) if !matches!(self, Self::Float(_)) => Self::Integer(wanted),
                _ => wanted
                    .parse()
                    .map_or(Self::Missing, |wanted: f64| Self::Float(wanted.to_bits())),
            },
        }
    }
}
