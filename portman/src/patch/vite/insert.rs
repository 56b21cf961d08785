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
use super::want::range;

/// A member that is missing.
pub(super) struct Insert<'a> {
    /// The object that lacks it.
    pub(super) object: &'a ObjectExpression<'a>,
    /// The whole path, for people and for what is to be made.
    pub(super) path: &'static [&'static str],
    /// How many steps of the path exist.
    pub(super) depth: usize,
    /// What it says.
    pub(super) says: String,
    /// The literal that says so.
    pub(super) literal: String,
}

impl<'a> Insert<'a> {
    /// A number, or a word such as `true`.
    pub(super) fn new(
        object: &'a ObjectExpression<'a>,
        path: &'static [&'static str],
        depth: usize,
        says: String,
    ) -> Self {
        Self { object, path, depth, literal: says.clone(), says }
    }

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
            if string.span.source_text(self.text).starts_with('"') {
                self.double += 1;
            } else {
                self.single += 1;
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
        Splice {
            range: range(spot.at),
            text: spot.text(module.text, &members),
            key: wanted.iter().map(|insert| insert.key()).collect::<Vec<_>>().join(", "),
            old: None,
            new: wanted.iter().map(|insert| insert.says.as_str()).collect::<Vec<_>>().join(", "),
        }
    };
    objects.into_iter().map(splice).collect()
}

/// The members that `wanted` make, those with the same first step as one.
fn members(wanted: &[&Insert<'_>], from: usize, quotes: Option<char>) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for insert in wanted {
        let name = insert.missing()[from];
        if !names.contains(&name) {
            names.push(name);
        }
    }
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
        let (Some(first), Some(last)) = (object.properties.first(), object.properties.last())
        else {
            let indent = format!("{}{}", indentation(text, object.span.start), unit(text));
            let lines = has_line_break(open, close)
                .then(|| Self::line_behind(module, open, close, indent, false));
            let blank = text[open as usize..close as usize].trim().is_empty();
            let at = if blank { Span::new(open, close) } else { Span::empty(open) };
            return lines.flatten().unwrap_or(Self { at, shape: Shape::Only { blank } });
        };
        let (first, last) = (first.span(), last.span());
        let comma = comma_behind(module, last.end, close);
        let behind = comma.map_or(last.end, |comma| comma + 1);
        let has_spread = object
            .properties
            .iter()
            .any(|property| matches!(property, ObjectPropertyKind::SpreadProperty(_)));
        let own_lines = has_line_break(open, first.start).then(|| {
            if comma.is_none() && !has_spread {
                Self::line_behind(module, open, first.start, indentation(text, first.start), false)
            } else {
                Self::line_behind(
                    module,
                    behind,
                    close,
                    indentation(text, last.start),
                    comma.is_none(),
                )
            }
        });
        let inline =
            Self { at: Span::empty(behind), shape: Shape::Inline { comma: comma.is_some() } };
        own_lines.flatten().unwrap_or(inline)
    }

    /// At the end of the line that `from` is in, behind its comments; none when something else stands in that line.
    fn line_behind(
        module: &Module<'_>,
        from: u32,
        to: u32,
        indent: String,
        comma_first: bool,
    ) -> Option<Self> {
        let end = line_end(module, from);
        if end >= to {
            return None;
        }
        let rest = &module.text[end as usize..];
        let ending = LINE_ENDINGS.into_iter().find(|ending| rest.starts_with(ending))?;
        let start = if comma_first { from } else { end };
        Some(Self {
            at: Span::new(start, end),
            shape: Shape::Lines { ending, indent, comma_first },
        })
    }

    fn text(&self, text: &str, members: &[String]) -> String {
        match &self.shape {
            Shape::Only { blank } => {
                format!(" {}{}", members.join(", "), if *blank { " " } else { "" })
            }
            Shape::Inline { comma: true } => format!(" {},", members.join(", ")),
            Shape::Inline { comma: false } => format!(", {}", members.join(", ")),
            Shape::Lines { ending, indent, comma_first } => {
                let lines = members.join(&format!(",{ending}{indent}"));
                if *comma_first {
                    format!(",{}{ending}{indent}{lines}", self.at.source_text(text))
                } else {
                    format!("{ending}{indent}{lines},")
                }
            }
        }
    }
}

/// The longest first, because each is looked for as a whole.
const LINE_ENDINGS: [&str; 5] = ["\r\n", "\n", "\r", "\u{2028}", "\u{2029}"];
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

/// One level of indentation, as the least indented line of the file has it.
fn unit(text: &str) -> String {
    let indented = text.lines().map(|line| &line[..line.len() - line.trim_start().len()]);
    // One blank is how the lines of a comment begin.
    let least =
        indented.filter(|white| white.len() > 1 || *white == "\t").min_by_key(|white| white.len());
    match least {
        Some(white) if white.starts_with('\t') => "\t".to_owned(),
        Some(white) if white.trim_matches(' ').is_empty() => white.to_owned(),
        _ => "  ".to_owned(),
    }
}
