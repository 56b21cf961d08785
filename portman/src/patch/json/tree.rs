//! What a JSON file says, without how it says it: for reading a patched text back.
//!
//! `serde_json::Value` would do, but for `Infinity`, which it takes for null.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Step, is_same_number};
use crate::patch::value::{Standing, Wanted};

#[derive(Debug, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    /// In digits, which tell more numbers apart than a float does.
    Number(String),
    Text(String),
    Elements(Vec<Tree>),
    /// Of duplicate keys the last one.
    Members(BTreeMap<String, Tree>),
}

/// Reads a whole text; none when it cannot.
pub(super) type Reader = fn(&str) -> Option<Tree>;

impl Tree {
    /// The tree of `text`, and what read it. Each of the two readers accepts files that the other one refuses.
    pub(super) fn read(text: &str) -> Option<(Self, Reader)> {
        let readers: [Reader; 2] =
            [|text| json5::from_str(text).ok(), |text| serde_json::from_str(text).ok()];
        readers.into_iter().find_map(|reader| Some((reader(text)?, reader)))
    }

    /// Gives the value at `steps` what `asked` means there. Where the way ends nothing changes, and the comparison
    /// that follows fails.
    pub(super) fn set(&mut self, steps: &[Step], asked: &str) {
        let Some((step, rest)) = steps.split_first() else {
            *self = self.wanted(asked);
            return;
        };
        let next = match (self, step) {
            (Self::Members(members), Step::Name(name)) => {
                let missing =
                    if rest.is_empty() { Self::Null } else { Self::Members(BTreeMap::new()) };
                Some(members.entry(name.clone()).or_insert(missing))
            }
            (Self::Elements(elements), Step::Index(index)) => elements.get_mut(*index),
            _ => None,
        };
        if let Some(next) = next {
            next.set(rest, asked);
        }
    }

    fn wanted(&self, asked: &str) -> Self {
        let standing = match self {
            Self::Bool(_) => Standing::Bool,
            Self::Number(_) => Standing::Number,
            Self::Text(text) => Standing::Text(text),
            Self::Null | Self::Elements(_) | Self::Members(_) => Standing::Nothing,
        };
        match (self, Wanted::of(standing, asked)) {
            // `8080.0` is left as it is where 8080 is wanted.
            (Self::Number(stands), Wanted::Number(wanted)) if is_same_number(stands, wanted) => {
                Self::Number(stands.clone())
            }
            (_, Wanted::Bool(wanted)) => Self::Bool(wanted),
            (_, Wanted::Number(wanted)) => json5::from_str(wanted).unwrap_or(Self::Null),
            (_, Wanted::Text(wanted)) => Self::Text(wanted.into_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(boolean))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Number(format!("{number:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Tree::Elements(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            members.insert(name, value);
        }
        Ok(Tree::Members(members))
    }
}
