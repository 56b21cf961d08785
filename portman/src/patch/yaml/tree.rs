//! What a YAML file says, without how it says it: for reading a patched text back, and for telling a value that is
//! already so. Anchors, aliases and tags are part of it.

use granit_parser::{ScalarStyle, Tag};

use super::read::{Node, What};
use super::scalar;
use crate::patch::key::Step;
use crate::patch::value::{Standing, Wanted};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    anchor: usize,
    tag: Option<Tag>,
    says: Says,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Says {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    Elements(Vec<Tree>),
    Members(Vec<Member>),
    Alias(usize),
}

/// A key as it is written and as it is read (`on` is a truth value to some), and what it has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    name: Option<String>,
    key: Tree,
    value: Tree,
}

impl Says {
    fn plain(self) -> Tree {
        Tree { anchor: 0, tag: None, says: self }
    }

    /// What stands here when this is given what `asked` means here.
    pub(super) fn wanted(&self, asked: &str) -> Self {
        let standing = match self {
            Self::Bool(_) => Standing::Bool,
            Self::Number(_) => Standing::Number,
            Self::Text(text) => Standing::Text(text),
            _ => Standing::Nothing,
        };
        match (self, Wanted::of(standing, asked)) {
            // `0x1F90` is left as it is where 8080 is wanted.
            (Self::Number(stands), Wanted::Number(wanted))
                if scalar::is_same_number(stands, wanted) =>
            {
                self.clone()
            }
            (_, Wanted::Bool(wanted)) => Self::Bool(wanted),
            (_, Wanted::Number(wanted)) => Self::Number(wanted.to_owned()),
            (_, Wanted::Text(wanted)) => Self::Text(wanted.into_owned()),
        }
    }
}

impl Tree {
    pub(super) fn of(node: &Node) -> Self {
        let says = match &node.what {
            What::Scalar(..) => says(node),
            What::List(elements, _) => Says::Elements(elements.iter().map(Self::of).collect()),
            What::Mapping(members, _) => Says::Members(
                members
                    .iter()
                    .map(|member| Member {
                        name: member.key.name().map(str::to_owned),
                        key: Self::of(&member.key),
                        value: Self::of(&member.value),
                    })
                    .collect(),
            ),
            What::Alias(anchor) => Says::Alias(*anchor),
        };
        Self { anchor: node.anchor, tag: node.tag.clone(), says }
    }

    /// A file without anything.
    pub(super) fn empty() -> Self {
        Says::Null.plain()
    }

    /// Gives the value at `steps` what `asked` means there. Where the way ends nothing changes, and the comparison
    /// fails. What is new comes last.
    pub(super) fn set(&mut self, steps: &[Step], asked: &str) {
        let Some((step, rest)) = steps.split_first() else {
            self.says = self.says.wanted(asked);
            return;
        };
        if self.says == Says::Null {
            self.says = Says::Members(Vec::new());
        }
        let next = match (&mut self.says, step) {
            (Says::Members(members), Step::Name(name)) => {
                let known = members.iter().rposition(|member| member.name.as_ref() == Some(name));
                let place = known.unwrap_or_else(|| {
                    members.push(Member {
                        name: Some(name.clone()),
                        key: Says::Text(name.clone()).plain(),
                        value: Self::empty(),
                    });
                    members.len() - 1
                });
                members.get_mut(place).map(|member| &mut member.value)
            }
            (Says::Elements(elements), Step::Index(index)) => elements.get_mut(*index),
            _ => None,
        };
        if let Some(next) = next {
            next.set(rest, asked);
        }
    }
}

/// What a scalar says; a tag may have it be a text.
pub(super) fn says(node: &Node) -> Says {
    let What::Scalar(text, style) = &node.what else { return Says::Null };
    let is_text = node.tag.as_ref().is_some_and(|tag| tag.core_suffix() == Some("str"));
    if is_text || *style != ScalarStyle::Plain {
        return Says::Text(text.clone());
    }
    scalar::resolved(text)
}
