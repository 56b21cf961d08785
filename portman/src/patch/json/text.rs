//! JSON strings: what a literal says, byte for byte, and literals that say something.

use std::ops::Range;

use crate::patch::value::Wanted;

/// A string of the file, decoded, that knows where each of its characters was written.
#[derive(Debug)]
pub(in crate::patch) struct Text {
    /// What the string says.
    pub(in crate::patch) value: String,
    /// For each byte of `value` the bytes of the file that stand for its character.
    written: Vec<Range<usize>>,
    /// Where the closing quote stands.
    end: usize,
}

impl Text {
    /// The bytes of the file that say the bytes `decoded` of the value.
    pub(in crate::patch) fn raw(&self, decoded: Range<usize>) -> Range<usize> {
        let start = self.written.get(decoded.start).map_or(self.end, |written| written.start);
        if decoded.is_empty() { start..start } else { start..self.written[decoded.end - 1].end }
    }

    /// The string literal at `literal`, quotes included, which the parser has accepted.
    pub(super) fn of(text: &str, literal: Range<usize>) -> Self {
        let end = literal.end - 1;
        let mut string = Self { value: String::new(), written: Vec::new(), end };
        let mut at = literal.start + 1;
        while let Some(char) = text[at..end].chars().next() {
            let (decoded, length) = match char {
                '\\' => escape(&text[at..end]),
                _ => (Some(char), char.len_utf8()),
            };
            if let Some(decoded) = decoded {
                string.value.push(decoded);
                string.written.resize(string.value.len(), at..at + length);
            }
            at += length;
        }
        string
    }
}

/// What the escape that `text` begins with stands for, and its length. A continued line stands for nothing.
fn escape(text: &str) -> (Option<char>, usize) {
    let after = text[1..].chars().next().unwrap_or('\\');
    let decoded = match after {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '0' => '\0',
        'x' => return (hex(text, 2..4).and_then(char::from_u32), 4),
        'u' => return unicode_escape(text),
        '\r' if text[2..].starts_with('\n') => return (None, 3),
        '\r' | '\n' | '\u{2028}' | '\u{2029}' => return (None, 1 + after.len_utf8()),
        itself => itself,
    };
    (Some(decoded), 1 + after.len_utf8())
}

/// `\u0041`, or two of them for a character beyond the sixteen bits of one.
fn unicode_escape(text: &str) -> (Option<char>, usize) {
    match (hex(text, 2..6), hex(text, 8..12)) {
        (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
            (char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12)
        }
        (unit, _) => (unit.and_then(char::from_u32), 6),
    }
}

fn hex(text: &str, digits: Range<usize>) -> Option<u32> {
    u32::from_str_radix(text.get(digits)?, 16).ok()
}

/// The quote that `literal` begins with.
pub(super) fn quote_of(literal: &str) -> char {
    if literal.starts_with('\'') { '\'' } else { '"' }
}

/// `wanted` as JSON.
pub(super) fn encode(wanted: &Wanted<'_>, quote: char) -> String {
    match wanted {
        Wanted::Bool(boolean) => boolean.to_string(),
        Wanted::Number(number) => (*number).to_owned(),
        Wanted::Text(text) => quoted(text, quote),
    }
}

/// `text` as a string literal.
pub(super) fn quoted(text: &str, quote: char) -> String {
    let mut literal = String::from(quote);
    for char in text.chars() {
        match char {
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            '\u{0}'..'\u{20}' => literal.extend(format!("\\u{:04x}", u32::from(char)).chars()),
            '\\' => literal.push_str("\\\\"),
            _ if char == quote => literal.extend(['\\', quote]),
            _ => literal.push(char),
        }
    }
    literal.push(quote);
    literal
}

/// A name that JSON5 takes without quotes; those that also read as something else get quotes all the same.
pub(super) fn is_identifier(name: &str) -> bool {
    let starts =
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '$');
    starts
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '$')
        && !["true", "false", "null", "Infinity", "NaN"].contains(&name)
}
