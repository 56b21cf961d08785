//! YAML, in blocks and in braces.
//!
//! `granit-parser` says where a value stands. What a file shares between several places by an anchor is refused, and so is
//! what a template engine reads before YAML does: there the bytes are not the value. Of duplicate keys the last counts.

mod insert;
mod read;
mod scalar;
mod template;
mod tree;

use std::collections::BTreeSet;
use std::ops::Range;

use granit_parser::ScalarStyle;

use super::key::{KeyPath, Step};
use super::value;
use super::{Code, Refusal, Splice};
use read::{Content, Member, Node, What};
use tree::{Says, Tree};

/// The splices that make `sets`; none for what is already so.
pub(super) fn locate(text: &str, sets: &[(&KeyPath, &str)]) -> Result<Vec<Splice>, Refusal> {
    let file = File::parse(text)?;
    let mut splices = Vec::new();
    let mut additions = insert::Additions::default();
    for (key, asked) in value::distinct(sets)? {
        match file.find(key)? {
            Found::Value(standing, member) => {
                splices.extend(file.replacement(standing, member, key, asked)?);
            }
            Found::Missing(place, names) => additions.add(place, &names, key, asked),
        }
    }
    splices.extend(additions.splices(&file)?);
    Ok(splices)
}

/// Reads both texts: `after` is `before` with the asked values, and nothing else differs.
pub(super) fn read_back(
    before: &str,
    after: &str,
    sets: &[(&KeyPath, &str)],
) -> Result<(), Refusal> {
    let tree = |content: &Content| content.root.as_ref().map_or_else(Tree::empty, Tree::of);
    let mut expected = tree(&read::read(before)?);
    let actual = read::read(after)
        .map_err(|_| Refusal::of_read_back("the patched text could not be read back"))?;
    for (key, asked) in value::distinct(sets)? {
        expected.set(key.steps(), asked);
    }
    if expected == tree(&actual) {
        return Ok(());
    }
    Err(Refusal::of_read_back("the patched text differs in more than was asked for"))
}

/// The plain value at `key`, as text; none when nothing stands there.
pub(super) fn says(text: &str, key: &KeyPath) -> Result<Option<String>, Refusal> {
    let file = File::parse(text)?;
    let Found::Value(standing, _) = file.find(key)? else { return Ok(None) };
    Ok(match value_of(standing, key)? {
        Says::Text(text) | Says::Number(text) => Some(text),
        Says::Bool(boolean) => Some(boolean.to_string()),
        Says::Null | Says::Elements(_) | Says::Members(_) | Says::Alias(_) => None,
    })
}

/// A parsed file.
struct File<'t> {
    text: &'t str,
    content: Content,
}

/// What a key path leads to.
enum Found<'f> {
    /// A value, and the member that has it; an element of a list has none.
    Value(&'f Node, Option<&'f Member>),
    /// Something without the first of these names.
    Missing(Place<'f>, Vec<&'f str>),
}

/// Where new members go.
#[derive(Clone, Copy)]
enum Place<'f> {
    /// A file that holds nothing.
    File,
    /// A mapping.
    Mapping(&'f Node),
    /// A key of a block without a value.
    Key(&'f Node),
}

impl<'t> File<'t> {
    fn parse(text: &'t str) -> Result<Self, Refusal> {
        if let Some(offset) = text.find('\0') {
            return Err(Refusal {
                offset,
                code: Code::Syntax,
                message: "a NUL byte, which no YAML file holds".to_owned(),
                hint: "write the file as UTF-8".to_owned(),
            });
        }
        let content = read::read(text).map_err(|refusal| match template::first(text) {
            // What a template makes of the file may well be YAML.
            Some(offset) if refusal.code == Code::Syntax => template::refusal(offset),
            _ => refusal,
        })?;
        match template::outside_quotes(text, content.root.as_ref()) {
            Some(offset) => Err(template::refusal(offset)),
            None => Ok(Self { text, content }),
        }
    }

    fn find<'f>(&'f self, key: &'f KeyPath) -> Result<Found<'f>, Refusal> {
        let Some(mut at) = self.content.root.as_ref() else {
            return Ok(Found::Missing(Place::File, names(0, key, 0)?));
        };
        let mut owner: Option<(&Node, &Member)> = None;
        for (depth, step) in key.steps().iter().enumerate() {
            self.refuse_shared(at, key)?;
            let start = at.range.start;
            at = match (&at.what, step) {
                (What::Mapping(members, _), Step::Name(name)) => {
                    if let Some(member) = last_member(members, name) {
                        owner = Some((at, member));
                        &member.value
                    } else {
                        self.refuse_merged(members, name, key)?;
                        return Ok(Found::Missing(Place::Mapping(at), names(start, key, depth)?));
                    }
                }
                (What::List(elements, _), Step::Index(index)) if *index < elements.len() => {
                    owner = None;
                    &elements[*index]
                }
                (_, Step::Name(_))
                    if insert::can_hold(at, owner.map(|(outer, _)| outer), depth) =>
                {
                    let place = owner.map_or(Place::File, |(_, member)| Place::Key(&member.key));
                    return Ok(Found::Missing(place, names(start, key, depth)?));
                }
                _ => return Err(no_parent(at, key, step)),
            };
        }
        self.refuse_shared(at, key)?;
        Ok(Found::Value(at, owner.map(|(_, member)| member)))
    }

    /// Refuses what other places of the file say too, by an alias.
    fn refuse_shared(&self, at: &Node, key: &KeyPath) -> Result<(), Refusal> {
        let (anchor, is) = match at.what {
            What::Alias(anchor) => (anchor, "an alias of"),
            _ => (at.anchor, "in"),
        };
        let aliases = self.content.aliases.iter().filter(|&&alias| alias == anchor).count();
        if anchor == 0 || aliases == 0 {
            return Ok(());
        }
        let noun = if aliases == 1 { "alias" } else { "aliases" };
        Err(Refusal {
            offset: at.range.start,
            code: Code::Shared,
            message: format!("`{key}` is {is} an anchored value that has {aliases} {noun}"),
            hint: "give the key a value of its own, or change the anchored one by hand".to_owned(),
        })
    }

    /// Refuses a name that `members` lack and get by a `<<`.
    fn refuse_merged(&self, members: &[Member], name: &str, key: &KeyPath) -> Result<(), Refusal> {
        let merges = members.iter().filter(|member| is_merge(member));
        for merge in merges {
            if self.has_merged(&merge.value, name, &mut BTreeSet::new()) {
                return Err(Refusal {
                    offset: merge.key.range.start,
                    code: Code::Shared,
                    message: format!("`{key}` comes out of another mapping, by this `<<`"),
                    hint: "give the key a value of its own, or change the other mapping by hand"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Does what is merged have this name? An anchor is looked at once.
    fn has_merged(&self, merged: &Node, name: &str, seen: &mut BTreeSet<usize>) -> bool {
        match &merged.what {
            What::Alias(anchor) => {
                let root = self.content.root.as_ref();
                let target = root.and_then(|root| anchored(root, *anchor));
                seen.insert(*anchor)
                    && target.is_some_and(|target| self.has_merged(target, name, seen))
            }
            What::List(elements, _) => {
                elements.iter().any(|element| self.has_merged(element, name, seen))
            }
            What::Mapping(members, _) => {
                last_member(members, name).is_some()
                    || members.iter().any(|member| {
                        is_merge(member) && self.has_merged(&member.value, name, seen)
                    })
            }
            What::Scalar(..) => false,
        }
    }

    fn replacement(
        &self,
        standing: &Node,
        member: Option<&Member>,
        key: &KeyPath,
        asked: &str,
    ) -> Result<Option<Splice>, Refusal> {
        let before = value_of(standing, key)?;
        let (range, old) = (standing.range.clone(), &self.text[standing.range.clone()]);
        let text = match &before {
            Says::Text(text) => text.as_str(),
            _ => "",
        };
        value::refuse_uncertain_port(text, asked, key, range.start)?;
        let wanted = before.wanted(asked);
        if wanted == before {
            return Ok(None);
        }
        let style = standing.style().unwrap_or(ScalarStyle::Plain);
        let (part, new_part) = value::port_to_change(text, asked)
            .and_then(|digits| port_in_scalar(old, &text[digits], asked, &wanted))
            .unwrap_or_else(|| (0..old.len(), scalar::encode(&wanted, style)));
        let new = format!("{}{new_part}{}", &old[..part.start], &old[part.end..]);
        let part = range.start + part.start..range.start + part.end;
        if standing.is_empty() {
            return self.fill(standing, member, key, &new).map(Some);
        }
        let (key, old) = (key.to_string(), Some(old.to_owned()));
        Ok(Some(Splice { range: part, text: new_part, key, old, new }))
    }

    /// A value behind a colon or dash that has none yet, on its line.
    fn fill(
        &self,
        standing: &Node,
        member: Option<&Member>,
        key: &KeyPath,
        new: &str,
    ) -> Result<Splice, Refusal> {
        let at = match member {
            Some(member) => self.end_of_member(member),
            None => self.text[..standing.range.start].trim_end().len(),
        };
        let is_bare = standing.anchor == 0 && standing.tag.is_none();
        let line = &self.text[value::line_start(self.text, at)..at];
        let is_comment = member.is_none() && line.contains('#');
        if !is_bare || is_comment || !line.ends_with([':', '-']) {
            return Err(Refusal {
                offset: standing.range.start,
                code: Code::NotAValue,
                message: format!("`{key}` has no value, and none can be put here for certain"),
                hint: "write a value into the file first".to_owned(),
            });
        }
        let (key, text) = (key.to_string(), format!(" {new}"));
        Ok(Splice { range: at..at, text, key, old: None, new: new.to_owned() })
    }
}

/// Where in a scalar the digits of the port stand: there where other digits make it say what is wanted.
fn port_in_scalar(
    scalar: &str,
    digits: &str,
    asked: &str,
    wanted: &Says,
) -> Option<(Range<usize>, String)> {
    scalar.match_indices(digits).map(|(start, _)| start..start + digits.len()).find_map(|place| {
        let candidate = format!("{}{asked}{}", &scalar[..place.start], &scalar[place.end..]);
        let root = read::read(&candidate).ok()?.root?;
        (tree::says(&root) == *wanted).then(|| (place, asked.to_owned()))
    })
}

/// What stands at a key, if it is one value on which nobody else works.
fn value_of(node: &Node, key: &KeyPath) -> Result<Says, Refusal> {
    let refused = |code, message: String, hint: &str| {
        Err(Refusal { offset: node.range.start, code, message, hint: hint.to_owned() })
    };
    let is_block = matches!(node.style(), Some(ScalarStyle::Literal | ScalarStyle::Folded));
    if is_block || node.style().is_none() {
        let hint = if is_block { "write it on one line first" } else { "name one value inside it" };
        return refused(Code::NotAValue, format!("`{key}` is {}, not one value", kind(node)), hint);
    }
    let says = tree::says(node);
    let Some(tag) = &node.tag else { return Ok(says) };
    match (tag.core_suffix(), &says) {
        (Some("str"), _) | (Some("int"), Says::Number(_)) | (Some("bool"), Says::Bool(_)) => {
            Ok(says)
        }
        _ => {
            let message =
                format!("`{key}` has the tag `{}`, which makes its value", tag.original());
            refused(Code::Computed, message, "change the value by hand")
        }
    }
}

fn is_merge(member: &Member) -> bool {
    matches!(&member.key.what, What::Scalar(text, ScalarStyle::Plain) if text == "<<")
}

/// Of duplicate keys the last one counts.
fn last_member<'f>(members: &'f [Member], name: &str) -> Option<&'f Member> {
    members.iter().rev().find(|member| member.key.name() == Some(name))
}

fn anchored(node: &Node, anchor: usize) -> Option<&Node> {
    if node.anchor == anchor {
        return Some(node);
    }
    match &node.what {
        What::List(elements, _) => elements.iter().find_map(|element| anchored(element, anchor)),
        What::Mapping(members, _) => members.iter().find_map(|member| {
            anchored(&member.key, anchor).or_else(|| anchored(&member.value, anchor))
        }),
        What::Scalar(..) | What::Alias(_) => None,
    }
}

/// The names from `depth` on, all of which are to be made.
fn names<'f>(offset: usize, key: &'f KeyPath, depth: usize) -> Result<Vec<&'f str>, Refusal> {
    let name = |step: &'f Step| match step {
        Step::Name(name) => Ok(name.as_str()),
        Step::Index(_) => Err(Refusal {
            offset,
            code: Code::NoParent,
            message: format!("`{key}` asks for an element of a list that is not there"),
            hint: "add the list to the file first".to_owned(),
        }),
    };
    key.steps()[depth..].iter().map(name).collect()
}

fn no_parent(at: &Node, key: &KeyPath, step: &Step) -> Refusal {
    let (message, hint) = match (&at.what, step) {
        (What::List(elements, _), Step::Index(index)) => {
            let message =
                format!("`{key}` asks for element {index} of a list of {}", elements.len());
            (message, "elements are counted from 0; add the element to the file first")
        }
        (_, Step::Index(_)) => {
            (format!("`{key}` asks for an element of {}", kind(at)), "correct the key")
        }
        (_, Step::Name(name)) => {
            (format!("`{key}` asks for `{name}` in {}", kind(at)), "correct the key")
        }
    };
    Refusal { offset: at.range.start, code: Code::NoParent, message, hint: hint.to_owned() }
}

fn kind(node: &Node) -> &'static str {
    match &node.what {
        What::List(..) => "a list",
        What::Mapping(..) => "a mapping",
        What::Alias(_) => "an alias",
        What::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded) => "a text of several lines",
        What::Scalar(..) => match tree::says(node) {
            Says::Null => "a null",
            Says::Bool(_) => "a boolean",
            Says::Number(_) => "a number",
            _ => "a string",
        },
    }
}

#[cfg(test)]
mod tests;
