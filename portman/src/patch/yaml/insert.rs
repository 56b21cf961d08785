//! Where members that are not there go in YAML, and how they look there: like their neighbours.

use granit_parser::{ScalarStyle, StructureStyle};

use super::read::{Member as Standing, Node, What};
use super::tree::Says;
use super::{File, Place, scalar};
use crate::patch::key::KeyPath;
use crate::patch::{Code, Refusal, Splice, value};

/// New members, collected by place, so that those of one come out in order.
#[derive(Default)]
pub(super) struct Additions<'f>(Vec<Addition<'f>>);

struct Addition<'f> {
    place: Place<'f>,
    members: Vec<Member<'f>>,
}

struct Member<'f> {
    name: &'f str,
    content: Content<'f>,
}

enum Content<'f> {
    Value { key: &'f KeyPath, asked: &'f str },
    Mapping(Vec<Member<'f>>),
}

/// The text that brings one value, with what is to be opened and closed around it.
struct Piece {
    text: String,
    key: String,
    new: String,
}

/// How the members around are written.
#[derive(Clone, Copy)]
struct Style {
    key: ScalarStyle,
    value: ScalarStyle,
}

const PLAIN: Style = Style { key: ScalarStyle::Plain, value: ScalarStyle::Plain };

/// Can members go where `at` stands, which is the value of a member of `owner`, or the root?
pub(super) fn can_hold(at: &Node, owner: Option<&Node>, depth: usize) -> bool {
    let is_in_block = match owner.map(|owner| &owner.what) {
        Some(What::Mapping(_, style)) => *style == StructureStyle::Block,
        _ => depth == 0,
    };
    at.is_empty() && at.anchor == 0 && at.tag.is_none() && is_in_block
}

impl Place<'_> {
    fn start(self) -> usize {
        match self {
            Self::File => 0,
            Self::Mapping(node) | Self::Key(node) => node.range.start,
        }
    }
}

impl<'f> Additions<'f> {
    /// A value for a place that has no member of the first of `names`.
    pub(super) fn add(
        &mut self,
        place: Place<'f>,
        names: &[&'f str],
        key: &'f KeyPath,
        asked: &'f str,
    ) {
        let is_same = |known: Place<'f>| match (known, place) {
            (Place::File, Place::File) => true,
            (Place::Mapping(known), Place::Mapping(node))
            | (Place::Key(known), Place::Key(node)) => std::ptr::eq(known, node),
            _ => false,
        };
        if let Some(known) = self.0.iter_mut().find(|known| is_same(known.place)) {
            plan(&mut known.members, names, key, asked);
        } else {
            let mut members = Vec::new();
            plan(&mut members, names, key, asked);
            self.0.push(Addition { place, members });
        }
    }

    /// Where several end on one line, the innermost comes first.
    pub(super) fn splices(mut self, file: &File<'_>) -> Result<Vec<Splice>, Refusal> {
        self.0.sort_by_key(|addition| std::cmp::Reverse(addition.place.start()));
        let splices = self.0.iter().map(|addition| file.insert(addition.place, &addition.members));
        Ok(splices.collect::<Result<Vec<_>, _>>()?.concat())
    }
}

/// Adds a value to the members to be written, with the mappings on its way.
fn plan<'f>(members: &mut Vec<Member<'f>>, names: &[&'f str], key: &'f KeyPath, asked: &'f str) {
    let Some((&name, rest)) = names.split_first() else { return };
    if rest.is_empty() {
        members.push(Member { name, content: Content::Value { key, asked } });
        return;
    }
    let known = members.iter_mut().find_map(|member| match &mut member.content {
        Content::Mapping(inner) if member.name == name => Some(inner),
        _ => None,
    });
    if let Some(inner) = known {
        plan(inner, rest, key, asked);
    } else {
        let mut inner = Vec::new();
        plan(&mut inner, rest, key, asked);
        members.push(Member { name, content: Content::Mapping(inner) });
    }
}

impl File<'_> {
    fn insert(&self, place: Place<'_>, members: &[Member<'_>]) -> Result<Vec<Splice>, Refusal> {
        match place {
            Place::File => self.in_empty_file(members),
            Place::Key(key) => {
                let indent = self.column(key)? + self.indentation_step();
                let at = value::line_end(self.text, key.range.end);
                Ok(self.lines(members, at, indent, PLAIN))
            }
            Place::Mapping(node) => match &node.what {
                What::Mapping(standing, StructureStyle::Block) => self.in_block(standing, members),
                What::Mapping(standing, StructureStyle::Flow) => {
                    self.refuse_without_braces(node)?;
                    Ok(self.in_braces(node, standing, members))
                }
                _ => Ok(Vec::new()),
            },
        }
    }

    fn in_empty_file(&self, members: &[Member<'_>]) -> Result<Vec<Splice>, Refusal> {
        let is_line = |at: &usize| value::line_start(self.text, *at) == *at;
        if let Some(offset) = self.text.match_indices("...").map(|(at, _)| at).find(is_line) {
            return Err(Refusal {
                offset,
                code: Code::NoParent,
                message: "the file holds nothing, and ends here".to_owned(),
                hint: "write one key into the file first".to_owned(),
            });
        }
        let at = match self.text.trim_end().len() {
            0 => 0,
            end => value::line_end(self.text, end),
        };
        Ok(self.lines(members, at, 0, PLAIN))
    }

    fn in_block(
        &self,
        standing: &[Standing],
        members: &[Member<'_>],
    ) -> Result<Vec<Splice>, Refusal> {
        let (Some(first), Some(last)) = (standing.first(), standing.last()) else {
            return Ok(Vec::new());
        };
        let indent = self.column(&first.key)?;
        let end = self.end_of_member(last);
        let is_line_start = self.text[..end].ends_with('\n');
        let at = if is_line_start { end } else { value::line_end(self.text, end) };
        Ok(self.lines(members, at, indent, style_of(last)))
    }

    /// Lines of their own behind the line that ends at `at`, or before the one that begins there.
    fn lines(&self, members: &[Member<'_>], at: usize, indent: usize, style: Style) -> Vec<Splice> {
        let newline = value::newline_near(self.text, at);
        let mut pieces = Vec::new();
        block(members, &mut String::new(), indent, self.indentation_step(), style, &mut pieces);
        let is_line_start = at == 0 || self.text[..at].ends_with('\n');
        let splice = |piece: Piece| {
            let lines = piece.text.lines().map(|line| {
                if is_line_start { format!("{line}{newline}") } else { format!("{newline}{line}") }
            });
            Splice {
                range: at..at,
                text: lines.collect(),
                key: piece.key,
                old: None,
                new: piece.new,
            }
        };
        pieces.into_iter().map(splice).collect()
    }

    /// `[a: 1]` holds a mapping of one member, which can have no other.
    fn refuse_without_braces(&self, node: &Node) -> Result<(), Refusal> {
        let raw = self.text.get(node.range.clone()).unwrap_or_default();
        if raw.len() > 1 && raw.starts_with('{') && raw.ends_with('}') {
            return Ok(());
        }
        Err(Refusal {
            offset: node.range.start,
            code: Code::NoParent,
            message: "the mapping here has no braces that could hold another key".to_owned(),
            hint: "write it in braces first".to_owned(),
        })
    }

    fn in_braces(&self, node: &Node, standing: &[Standing], members: &[Member<'_>]) -> Vec<Splice> {
        let (open, close) = (node.range.start + 1, node.range.end - 1);
        let mut pieces = Vec::new();
        let Some(last) = standing.last() else {
            flow(members, PLAIN, ": ", &mut pieces);
            let inner = &self.text[open..close];
            let at = open + inner.trim_end().len();
            let own_line = inner.contains('\n').then(|| {
                let indent = value::line_indentation(self.text, close);
                format!("{}{indent}  ", value::newline_near(self.text, close))
            });
            let lead = own_line.as_deref().unwrap_or(if inner.is_empty() { "" } else { " " });
            return joined(
                pieces,
                at,
                |first| if first { lead.to_owned() } else { ", ".to_owned() },
            );
        };
        let style = style_of(last);
        let colon = &self.text[last.key.range.end..last.value.range.start.max(last.key.range.end)];
        let is_tight = colon == ":" && style.key != ScalarStyle::Plain;
        flow(members, style, if is_tight { ":" } else { ": " }, &mut pieces);
        let end = self.end_of_member(last);
        let rest = &self.text[end..close];
        let comma = rest.len() - rest.trim_start().len();
        let has_comma = rest[comma..].starts_with(',');
        let anchor = if has_comma { end + comma + 1 } else { end };
        let line_end = value::line_end(self.text, anchor);
        let has_comment =
            line_end < close && self.text[anchor..line_end].trim_start().starts_with('#');
        let key_line = value::line_start(self.text, last.key.range.start);
        let own_line = key_line > open
            && self.text[key_line..last.key.range.start].chars().all(|char| " \t".contains(char));
        let gap = if own_line || has_comment {
            let indent = value::line_indentation(self.text, last.key.range.start);
            format!("{}{indent}", value::newline_near(self.text, anchor))
        } else if is_tight {
            String::new()
        } else {
            " ".to_owned()
        };
        let at = if has_comment { line_end } else { anchor };
        let comment = &self.text[anchor..at];
        let mut splices = joined(pieces, at, |first| match (first, has_comma) {
            (true, true) => gap.clone(),
            (true, false) if has_comment => format!(",{comment}{gap}"),
            _ => format!(",{gap}"),
        });
        if let (Some(first), true, false) = (splices.first_mut(), has_comment, has_comma) {
            first.range = anchor..at;
        }
        if let (Some(last), true) = (splices.last_mut(), has_comma) {
            last.text.push(',');
        }
        splices
    }

    /// The column of a key in a block, which nothing but dashes may stand before.
    fn column(&self, key: &Node) -> Result<usize, Refusal> {
        let before = &self.text[value::line_start(self.text, key.range.start)..key.range.start];
        if before.chars().all(|char| " -".contains(char)) {
            return Ok(before.len());
        }
        Err(Refusal {
            offset: key.range.start,
            code: Code::NoParent,
            message: "the indentation of the keys here cannot be told from this one".to_owned(),
            hint: "add the key to the file by hand".to_owned(),
        })
    }

    /// How much further the file indents a mapping inside another one.
    fn indentation_step(&self) -> usize {
        self.content.root.as_ref().and_then(|root| self.step_in(root)).unwrap_or(2)
    }

    fn step_in(&self, node: &Node) -> Option<usize> {
        match &node.what {
            What::List(elements, _) => elements.iter().find_map(|inner| self.step_in(inner)),
            What::Mapping(members, StructureStyle::Block) => members.iter().find_map(|member| {
                let own = match &member.value.what {
                    What::Mapping(inner, StructureStyle::Block) => inner.first(),
                    _ => None,
                };
                let further = own.and_then(|inner| {
                    let (inner, outer) = (self.column(&inner.key), self.column(&member.key));
                    inner.ok()?.checked_sub(outer.ok()?).filter(|step| *step > 0)
                });
                further.or_else(|| self.step_in(&member.value))
            }),
            _ => None,
        }
    }

    /// The end of its value; of one that has none, behind its colon.
    pub(super) fn end_of_member(&self, member: &Standing) -> usize {
        if !member.value.is_empty() {
            return self.end_of(&member.value);
        }
        let key = member.key.range.end;
        let rest = &self.text[key..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if rest[blank..].starts_with(':') { key + blank + 1 } else { key }
    }

    /// The end of the last value in `node`; of a text in lines that keeps its blank ones, behind them.
    fn end_of(&self, node: &Node) -> usize {
        let range = node.range.clone();
        match &node.what {
            What::List(elements, StructureStyle::Block) => {
                elements.last().map_or(range.end, |last| self.end_of(last))
            }
            What::Mapping(members, StructureStyle::Block) => {
                members.last().map_or(range.end, |last| self.end_of_member(last))
            }
            What::Scalar(text, ScalarStyle::Literal | ScalarStyle::Folded) => {
                let raw = &self.text[range.clone()];
                let keeps = text.ends_with("\n\n") || text.trim().is_empty();
                if keeps { range.end } else { range.start + raw.trim_end().len() }
            }
            What::Scalar(..) if node.is_empty() => self.text[..range.start].trim_end().len(),
            _ => range.end,
        }
    }
}

fn style_of(last: &Standing) -> Style {
    let quoted = |node: &Node| match node.style() {
        Some(style @ (ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted)) => style,
        _ => ScalarStyle::Plain,
    };
    Style { key: quoted(&last.key), value: quoted(&last.value) }
}

fn written(asked: &str, style: Style) -> String {
    scalar::encode(&Says::Null.wanted(asked), style.value)
}

/// A piece for each value, one line a member; `opened` are the lines of the mappings around that are to come first.
fn block(
    members: &[Member<'_>],
    opened: &mut String,
    indent: usize,
    step: usize,
    style: Style,
    pieces: &mut Vec<Piece>,
) {
    for member in members {
        let name = scalar::text_in(member.name, style.key);
        let line = format!("{:indent$}{name}:", "");
        match &member.content {
            Content::Value { key, asked } => {
                let new = written(asked, style);
                let text = format!("{}{line} {new}", std::mem::take(opened));
                pieces.push(Piece { text, key: key.to_string(), new });
            }
            Content::Mapping(inner) => {
                opened.push_str(&line);
                opened.push('\n');
                block(inner, opened, indent + step, step, style, pieces);
            }
        }
    }
}

/// A piece for each value, between commas.
fn flow(members: &[Member<'_>], style: Style, colon: &str, pieces: &mut Vec<Piece>) {
    for member in members {
        let name = scalar::text_in(member.name, style.key);
        match &member.content {
            Content::Value { key, asked } => {
                let new = written(asked, style);
                let text = format!("{name}{colon}{new}");
                pieces.push(Piece { text, key: key.to_string(), new });
            }
            Content::Mapping(inner) => {
                let first = pieces.len();
                flow(inner, style, colon, pieces);
                let opened = format!("{name}{colon}{{{}", pieces[first].text);
                pieces[first].text = opened;
                if let Some(last) = pieces.last_mut() {
                    last.text.push('}');
                }
            }
        }
    }
}

fn joined(pieces: Vec<Piece>, at: usize, before: impl Fn(bool) -> String) -> Vec<Splice> {
    let splice = |(place, piece): (usize, Piece)| Splice {
        range: at..at,
        text: format!("{}{}", before(place == 0), piece.text),
        key: piece.key,
        old: None,
        new: piece.new,
    };
    pieces.into_iter().enumerate().map(splice).collect()
}
