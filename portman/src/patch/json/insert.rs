//! Where members that are not there go in JSON, and how they look there: like their neighbours.

use std::ops::Range;

use jsonc_parser::ast::{Object, ObjectProp, ObjectPropName, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::tokens::{Token, TokenAndRange};

use super::text::{encode, is_identifier, quote_of, quoted};
use super::{File, KeyPath, Place, Splice};
use crate::patch::value::{self, Standing, Wanted};

/// New members, collected by object, so that those of one come out in order.
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
    Object(Vec<Member<'f>>),
}

impl<'f> Additions<'f> {
    /// A value for an object that has no member of the first of `names`.
    pub(super) fn add(
        &mut self,
        place: Place<'f>,
        names: &[&'f str],
        key: &'f KeyPath,
        asked: &'f str,
    ) {
        let same = |addition: &&mut Addition<'_>| addition.place.object.range == place.object.range;
        if let Some(addition) = self.0.iter_mut().find(same) {
            plan(&mut addition.members, names, key, asked);
        } else {
            let mut members = Vec::new();
            plan(&mut members, names, key, asked);
            self.0.push(Addition { place, members });
        }
    }

    pub(super) fn splices(&self, file: &File<'_>) -> Vec<Splice> {
        let splices = |addition: &Addition<'f>| match addition.place.object.properties.last() {
            Some(last) => file.append(addition.place.object, last, &addition.members),
            None => file.fill(&addition.place, &addition.members),
        };
        self.0.iter().flat_map(splices).collect()
    }
}

/// Adds a value to the members to be written, with the objects on its way.
fn plan<'f>(members: &mut Vec<Member<'f>>, names: &[&'f str], key: &'f KeyPath, asked: &'f str) {
    let Some((&name, rest)) = names.split_first() else { return };
    if rest.is_empty() {
        members.push(Member { name, content: Content::Value { key, asked } });
        return;
    }
    let known = members.iter_mut().find_map(|member| match &mut member.content {
        Content::Object(inner) if member.name == name => Some(inner),
        _ => None,
    });
    if let Some(inner) = known {
        plan(inner, rest, key, asked);
    } else {
        let mut inner = Vec::new();
        plan(&mut inner, rest, key, asked);
        members.push(Member { name, content: Content::Object(inner) });
    }
}

impl<'t> File<'t> {
    /// What one level adds to the indentation: what the outermost members have.
    fn unit(&self) -> &'t str {
        let first = match &self.root {
            Value::Object(object) => object.properties.first().map(Ranged::start),
            Value::Array(array) => array.elements.first().map(Ranged::start),
            _ => None,
        };
        let unit = first.and_then(|first| value::indentation(self.text, first)).unwrap_or_default();
        if unit.is_empty() { "  " } else { unit }
    }

    /// New members after the `last` one of `object`.
    fn append(
        &self,
        object: &Object<'_>,
        last: &ObjectProp<'_>,
        members: &[Member<'_>],
    ) -> Vec<Splice> {
        let (value_end, close) = (last.value.end(), object.range.end - 1);
        let inside =
            |token: &&TokenAndRange<'_>| token.start() >= value_end && token.end() <= close;
        let mut after = self.tokens.iter().filter(inside);
        let comma = after.find(|token| token.token == Token::Comma).map(Ranged::end);
        let mut style = self.style(object, last);
        let (end, in_line_comment) = self.line_of_comments(comma.unwrap_or(value_end), close);
        if in_line_comment && style.indent.is_none() {
            style.indent =
                Some(format!("{}{}", value::line_indentation(self.text, last.start()), style.unit));
        }
        // Blanks at the end of a line stay there.
        let blanks_end = value::line_end(self.text, end);
        let blank = style.indent.is_some() && self.text[end..blanks_end].trim().is_empty();
        let end = if blank { blanks_end } else { end };

        let indent = style.indent.clone().unwrap_or_default();
        let mut writer = Writer { style, splices: Vec::new(), open: String::new(), at: end..end };
        if comma.is_none() {
            writer.at.start = value_end;
            writer.open = format!(",{}", &self.text[value_end..end]);
        }
        writer.separate(&indent, false);
        writer.members(members, &indent);
        writer.finish(if comma.is_some() { "," } else { "" })
    }

    /// The end of the comments that follow `anchor` on its line, and whether they take up the rest of it. They speak of
    /// what stands before them, so what is new comes after them.
    fn line_of_comments(&self, anchor: usize, close: usize) -> (usize, bool) {
        let (mut end, mut in_line_comment) = (anchor, false);
        let after =
            self.tokens.iter().filter(|token| token.start() >= anchor && token.end() <= close);
        for token in after {
            if self.text[end..token.start()].contains('\n') {
                break;
            }
            end = token.end();
            in_line_comment = matches!(token.token, Token::CommentLine(_));
        }
        (end, in_line_comment)
    }

    /// Members for an object that has none.
    fn fill(&self, place: &Place<'_>, members: &[Member<'_>]) -> Vec<Splice> {
        let (open, close) = (place.object.range.start + 1, place.object.range.end - 1);
        let inner = &self.text[open..close];
        let has_own_line = |offset| value::indentation(self.text, offset).is_some();
        let expand = inner.contains('\n')
            || place.around.is_none_or(|(_, member)| has_own_line(member.start()))
            || has_own_line(place.object.start());
        let around = place
            .around
            .and_then(|(object, _)| Some(self.style(object, object.properties.last()?)));
        let mut style = around.unwrap_or_else(|| self.plain_style(open));
        let base = value::line_indentation(self.text, place.object.start());
        let indent = format!("{base}{}", style.unit);
        let start = open + inner.trim_end().len();
        let (at, closing) = if inner[start - open..].contains('\n') {
            let end = value::line_end(self.text, start);
            (end..end, String::new())
        } else if expand {
            (start..close, format!("{}{base}", style.newline))
        } else {
            (start..close, style.pad.to_owned())
        };
        style.indent = expand.then(|| indent.clone());
        let mut writer = Writer { style, splices: Vec::new(), open: String::new(), at };
        writer.separate(&indent, true);
        writer.members(members, &indent);
        writer.finish(&closing)
    }

    /// How the members of `object` are written; `last` is the last of them.
    fn style(&self, object: &Object<'_>, last: &ObjectProp<'_>) -> Style<'t> {
        let text = self.text;
        let colon = &text[last.name.end()..last.value.start()];
        let colon = if colon.trim() == ":" && !colon.contains('\n') { colon } else { ": " };
        let padded = text[object.range.start + 1..].starts_with(char::is_whitespace);
        // A name that has quotes because it needs them does not show what the others do.
        let free =
            object.properties.iter().rev().find(|member| is_identifier(member.name.as_str()));
        let key_quote = match &free.unwrap_or(last).name {
            ObjectPropName::String(name) => Some(quote_of(&text[name.start()..])),
            ObjectPropName::Word(_) => None,
        };
        Style {
            indent: value::indentation(text, last.start()).map(str::to_owned),
            newline: value::newline_near(text, last.start()),
            gap: if padded || colon.ends_with(' ') { " " } else { "" },
            pad: if padded { " " } else { "" },
            colon,
            key_quote,
            quote: self.quote_before(object.range.end),
            unit: self.unit(),
        }
    }

    /// The style of a file that shows none.
    fn plain_style(&self, offset: usize) -> Style<'t> {
        Style {
            indent: None,
            newline: value::newline_near(self.text, offset),
            gap: " ",
            pad: " ",
            colon: ": ",
            key_quote: Some('"'),
            quote: '"',
            unit: self.unit(),
        }
    }
}

/// How new members look.
struct Style<'t> {
    /// The indentation of members that stand on lines of their own; none where they share one.
    indent: Option<String>,
    newline: &'static str,
    /// Between a comma and the next member on the same line.
    gap: &'static str,
    /// Between the braces and the members on the same line.
    pad: &'static str,
    /// Between a name and its value.
    colon: &'t str,
    /// Round names; none where they go without.
    key_quote: Option<char>,
    /// Round string values.
    quote: char,
    unit: &'t str,
}

/// Writes members, one splice for each value. All insert at one offset; the first may take some text there with it.
struct Writer<'t> {
    style: Style<'t>,
    splices: Vec<Splice>,
    /// Written since the last value.
    open: String,
    /// Where the next splice goes.
    at: Range<usize>,
}

impl Writer<'_> {
    fn members(&mut self, members: &[Member<'_>], indent: &str) {
        for (place, member) in members.iter().enumerate() {
            if place > 0 {
                self.open.push(',');
                self.separate(indent, false);
            }
            self.name(member.name);
            match &member.content {
                Content::Value { key, asked } => self.value(key, asked),
                Content::Object(inner) => {
                    let deeper = format!("{indent}{}", self.style.unit);
                    self.open.push('{');
                    self.separate(&deeper, true);
                    self.members(inner, &deeper);
                    self.separate(indent, true);
                    self.open.push('}');
                }
            }
        }
    }

    /// A new line, or the blank that takes its place.
    fn separate(&mut self, indent: &str, at_brace: bool) {
        match (&self.style.indent, at_brace) {
            (Some(_), _) => {
                self.open.push_str(self.style.newline);
                self.open.push_str(indent);
            }
            (None, true) => self.open.push_str(self.style.pad),
            (None, false) => self.open.push_str(self.style.gap),
        }
    }

    fn name(&mut self, name: &str) {
        match self.style.key_quote {
            None if is_identifier(name) => self.open.push_str(name),
            quote => self.open.push_str(&quoted(name, quote.unwrap_or(self.style.quote))),
        }
        self.open.push_str(self.style.colon);
    }

    fn value(&mut self, key: &KeyPath, asked: &str) {
        let new = encode(&Wanted::of(Standing::Nothing, asked), self.style.quote);
        self.open.push_str(&new);
        let text = std::mem::take(&mut self.open);
        self.splices.push(Splice {
            range: self.at.clone(),
            text,
            key: key.to_string(),
            old: None,
            new,
        });
        self.at.start = self.at.end;
    }

    fn finish(mut self, closing: &str) -> Vec<Splice> {
        if let Some(last) = self.splices.last_mut() {
            last.text.push_str(&self.open);
            last.text.push_str(closing);
        }
        self.splices
    }
}
