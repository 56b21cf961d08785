//! Where a member that is missing goes, and how it is written there.
//!
//! It goes where no other line has to change: behind the last member where that one ends with a comma, otherwise in
//! front of the first. Behind a spread it always goes, because the spread would override it.

use oxc_ast::AstKind;
use oxc_ast::ast::{ObjectExpression, ObjectPropertyKind, PropertyKey};
use oxc_ast_visit::Visit;
use oxc_span::{GetSpan, Span};

use super::super::Splice;
use super::resolve::Module;
use super::value::{Style, written};

/// A member that is missing.
pub(super) struct Insert<'a> {
    /// The object that lacks it.
    pub(super) object: &'a ObjectExpression<'a>,
    /// The whole path, for people and for what is to be made.
    pub(super) path: Vec<&'static str>,
    /// How many steps of the path exist.
    pub(super) depth: usize,
    /// What it says.
    pub(super) says: String,
    /// The literal that says so.
    pub(super) literal: String,
}

impl Insert<'_> {
    /// What the value is called.
    pub(super) fn key(&self) -> String {
        self.path.join(".")
    }

    fn missing(&self) -> &[&'static str] {
        &self.path[self.depth..]
    }
}

/// The quotes that most strings of the file stand in.
pub(super) fn quotes(module: &Module<'_>) -> Style {
    let mut count = Quotes { text: module.text, single: 0, double: 0 };
    count.visit_program(module.program);
    Style::Quoted(if count.double > count.single { '"' } else { '\'' })
}

struct Quotes<'t> {
    text: &'t str,
    single: usize,
    double: usize,
}

impl<'a> Visit<'a> for Quotes<'_> {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        if let AstKind::StringLiteral(string) = kind {
            match string.span.source_text(self.text).starts_with('"') {
                true => self.double += 1,
                false => self.single += 1,
            }
        }
    }
}

/// One splice for each object that gets members.
pub(super) fn splices(module: &Module<'_>, inserts: &[Insert<'_>]) -> Vec<Splice> {
    let mut objects: Vec<&ObjectExpression<'_>> = Vec::new();
    for insert in inserts {
        if !objects.iter().any(|object| object.span == insert.object.span) {
            objects.push(insert.object);
        }
    }
    let splice = |object: &ObjectExpression<'_>| {
        let wanted =
            inserts.iter().filter(|insert| insert.object.span == object.span).collect::<Vec<_>>();
        let spot = Spot::of(module, object);
        let members = members(&wanted, 0, key_quotes(module, object));
        let names = |of: fn(&Insert<'_>) -> String| {
            wanted.iter().map(|insert| of(insert)).collect::<Vec<_>>().join(", ")
        };
        Splice {
            range: spot.at.start as usize..spot.at.end as usize,
            text: spot.text(module.text, &members),
            key: names(|insert| insert.key()),
            old: None,
            new: names(|insert| insert.says.clone()),
        }
    };
    objects.into_iter().map(splice).collect()
}

/// The members that `wanted` make, those with the same first step as one.
fn members(wanted: &[&Insert<'_>], from: usize, quotes: Option<char>) -> Vec<String> {
    let mut names: Vec<&str> = wanted.iter().map(|insert| insert.missing()[from]).collect();
    names.dedup();
    let mut members = Vec::new();
    for name in names {
        let of_it = wanted
            .iter()
            .copied()
            .filter(|insert| insert.missing()[from] == name)
            .collect::<Vec<_>>();
        let name =
            quotes.map_or_else(|| name.to_owned(), |quote| written(name, Style::Quoted(quote)));
        let value = match of_it.as_slice() {
            [leaf] if leaf.missing().len() == from + 1 => leaf.literal.clone(),
            _ => format!("{{ {} }}", members_of(&of_it, from, quotes)),
        };
        members.push(format!("{name}: {value}"));
    }
    members
}

fn members_of(wanted: &[&Insert<'_>], from: usize, quotes: Option<char>) -> String {
    members(wanted, from + 1, quotes).join(", ")
}

/// The quotes that the object's keys stand in, if all of them do.
fn key_quotes(module: &Module<'_>, object: &ObjectExpression<'_>) -> Option<char> {
    let mut keys = object.properties.iter().filter_map(|property| match property {
        ObjectPropertyKind::ObjectProperty(property) => Some(&property.key),
        ObjectPropertyKind::SpreadProperty(_) => None,
    });
    let quote = |key: &PropertyKey<'_>| match key {
        PropertyKey::StringLiteral(name) => name.span.source_text(module.text).chars().next(),
        _ => None,
    };
    let first = quote(keys.next()?)?;
    keys.all(|key| quote(key) == Some(first)).then_some(first)
}

/// Where new members go.
struct Spot {
    /// The bytes that are replaced: none, or a comment behind the last member that has to keep its line.
    at: Span,
    shape: Shape,
}

enum Shape {
    /// A line for each, behind this line: its line ending, the indentation, and whether a comma has to come first.
    Lines { ending: &'static str, indent: String, comma_first: bool },
    /// In a line with others: behind a member, and whether that has a comma.
    Inline { comma: bool },
    /// In braces without members; `blank` when there is no comment either.
    Only { blank: bool },
}

impl Spot {
    fn of(module: &Module<'_>, object: &ObjectExpression<'_>) -> Self {
        let text = module.text;
        let (open, close) = (object.span.start + 1, object.span.end - 1);
        let has_line_break =
            |from: u32, to: u32| text[from as usize..to as usize].contains(LINE_ENDS);
        let Some(last) = object.properties.last() else {
            return if has_line_break(open, close) {
                let indent = format!(
                    "{}{}",
                    indentation(text, object.span.start),
                    unit(text, object.span.start)
                );
                Self::line_behind(module, open, indent, false)
            } else {
                let blank = text[open as usize..close as usize].trim().is_empty();
                let at = if blank { Span::new(open, close) } else { Span::empty(open) };
                Self { at, shape: Shape::Only { blank } }
            };
        };
        let first = object.properties.first().unwrap_or(last);
        let comma = comma_behind(module, last.span().end, close);
        let behind = comma.map_or(last.span().end, |comma| comma + 1);
        let indent = || indentation(text, last.span().start);
        let has_spread = object
            .properties
            .iter()
            .any(|property| matches!(property, ObjectPropertyKind::SpreadProperty(_)));
        let own_lines = has_line_break(open, first.span().start);
        if own_lines && comma.is_some() && has_line_break(behind, close) {
            Self::line_behind(module, behind, indent(), false)
        } else if own_lines && comma.is_none() && !has_spread {
            Self::line_behind(module, open, indentation(text, first.span().start), false)
        } else if own_lines && comma.is_none() && has_line_break(behind, close) {
            Self::line_behind(module, behind, indent(), true)
        } else {
            Self { at: Span::empty(behind), shape: Shape::Inline { comma: comma.is_some() } }
        }
    }

    /// At the end of the line that `from` is in, behind its comments.
    fn line_behind(module: &Module<'_>, from: u32, indent: String, comma_first: bool) -> Self {
        let end = line_end(module, from);
        let ending = ["\r\n", "\n", "\r", "\u{2028}", "\u{2029}"]
            .into_iter()
            .find(|ending| module.text[end as usize..].starts_with(ending))
            .unwrap_or("\n");
        let start = if comma_first { from } else { end };
        Self { at: Span::new(start, end), shape: Shape::Lines { ending, indent, comma_first } }
    }

    fn text(&self, text: &str, members: &[String]) -> String {
        match &self.shape {
            Shape::Only { blank } => {
                format!(" {}{}", members.join(", "), if *blank { " " } else { "" })
            }
            Shape::Inline { comma: true } => {
                members.iter().map(|member| format!(" {member},")).collect()
            }
            Shape::Inline { comma: false } => {
                members.iter().map(|member| format!(", {member}")).collect()
            }
            Shape::Lines { ending, indent, comma_first: false } => {
                members.iter().map(|member| format!("{ending}{indent}{member},")).collect()
            }
            Shape::Lines { ending, indent, comma_first: true } => {
                let lines = members.join(&format!(",{ending}{indent}"));
                format!(",{}{ending}{indent}{lines}", self.at.source_text(text))
            }
        }
    }
}

const LINE_ENDS: [char; 4] = ['\n', '\r', '\u{2028}', '\u{2029}'];

/// The comma behind a member, comments passed over.
fn comma_behind(module: &Module<'_>, from: u32, to: u32) -> Option<u32> {
    let comment = |at: u32| module.program.comments.iter().find(|comment| comment.span.start == at);
    let mut at = from;
    while at < to {
        if let Some(comment) = comment(at) {
            at = comment.span.end;
        } else if module.text.as_bytes()[at as usize] == b',' {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

/// Where the line of `from` ends, or the line in which its last comment ends.
fn line_end(module: &Module<'_>, from: u32) -> u32 {
    let mut from = from as usize;
    loop {
        let rest = &module.text[from..];
        let end = from + rest.find(LINE_ENDS).unwrap_or(rest.len());
        let over_the_end = |comment: &&oxc_ast::ast::Comment| {
            (comment.span.start as usize) < end && end < comment.span.end as usize
        };
        match module.program.comments.iter().find(over_the_end) {
            Some(comment) => from = comment.span.end as usize,
            None => return u32::try_from(end).unwrap_or(u32::MAX),
        }
    }
}

/// The white space that the line of `at` begins with.
fn indentation(text: &str, at: u32) -> String {
    let before = &text[..at as usize];
    let line =
        before.rfind(LINE_ENDS).map_or(before, |end| before[end..].trim_start_matches(LINE_ENDS));
    line.chars().take_while(|letter| matches!(letter, ' ' | '\t')).collect()
}

/// One level of indentation: that of the line, if it is indented at all.
fn unit(text: &str, at: u32) -> &'static str {
    if indentation(text, at).starts_with('\t') || text.contains("\n\t") { "\t" } else { "  " }
}
