//! Where a TOML key that is not there goes, and how it looks there.
//!
//! A key belongs to the header above it, so it goes behind the last line that its table already has. A table that has
//! no header gets one: at the end of the file, or behind its own sub-tables, which may come first in TOML.

use std::ops::Range;

use toml_edit::{InlineTable, Item, Key, Table, Value};

use super::value;
use super::{KeyPath, Node, Place, Splice, Tree, encode, escaped};

/// New members, collected so that what shares a place comes out in order.
pub(super) struct Additions<'t> {
    text: &'t str,
    root: &'t Table,
    splices: Vec<Splice>,
    /// New tables. They come last: at the end of a file they share an offset with keys of the table before them.
    sections: Vec<Section>,
}

/// A table that gets a header.
struct Section {
    /// Where, as a byte of the file; and the header, brackets included.
    at: usize,
    header: String,
    lines: Vec<Line>,
}

/// `key = value` for a new line.
struct Line {
    text: String,
    key: String,
    new: String,
}

/// How a table writes its members.
#[derive(Clone, Copy)]
struct Style<'t> {
    /// Between a key and its value.
    equals: &'static str,
    /// A value to do it like.
    like: &'t str,
}

const PLAIN: Style<'static> = Style { equals: " = ", like: "" };

/// A member that is written in a table's own lines or braces, reached by dots or not.
struct Entry<'t> {
    key: &'t Key,
    value: Range<usize>,
}

impl<'t> Additions<'t> {
    pub(super) fn new(text: &'t str, root: &'t Table) -> Self {
        Self { text, root, splices: Vec::new(), sections: Vec::new() }
    }

    pub(super) fn add(&mut self, place: &Place<'t>, key: &KeyPath, asked: &str) {
        let inline_names = [place.dotted.as_slice(), &place.names].concat();
        match place.owner {
            Node::Inline(table) => self.in_braces(table, &inline_names, key, asked),
            Node::Table(table) if table.is_implicit() => {
                self.in_section(Some(table), &place.path, place, key, asked);
            }
            Node::Table(table)
                if place.dotted.is_empty() && place.names.len() > 1 && self.is_root(table) =>
            {
                self.in_section(None, &[], place, key, asked);
            }
            Node::Table(table) => {
                let near = if let Node::Table(inner) = place.inner { inner } else { table };
                self.in_table(table, near, &inline_names, key, asked);
            }
            Node::Tables(_) | Node::Array(_) | Node::Value(_) => {}
        }
    }

    pub(super) fn into_splices(mut self) -> Vec<Splice> {
        let empty = content_end(self.text) == 0;
        for section in std::mem::take(&mut self.sections) {
            let newline = value::newline_near(self.text, section.at);
            // A blank line before the header, unless the file begins with it.
            let gap = if empty && self.splices.is_empty() { "" } else { newline };
            let above = if empty { gap.to_owned() } else { format!("{newline}{gap}") };
            let mut before = format!("{above}{}{newline}", section.header);
            let last = section.lines.len() - 1;
            for (place, line) in section.lines.into_iter().enumerate() {
                let after = if place < last || empty { newline } else { "" };
                let text = format!("{}{}{after}", std::mem::take(&mut before), line.text);
                self.insert(section.at..section.at, text, line.key, line.new);
            }
        }
        self.splices
    }

    fn insert(&mut self, range: Range<usize>, text: String, key: String, new: String) {
        self.splices.push(Splice { range, text, key, old: None, new });
    }

    fn is_root(&self, table: &Table) -> bool {
        std::ptr::eq(table, self.root)
    }

    /// A line of its own in the body of `table`, behind the last line of `near`, which is a part of it.
    fn in_table(
        &mut self,
        table: &Table,
        near: &Table,
        names: &[&str],
        key: &KeyPath,
        asked: &str,
    ) {
        let last_of = |table| entries(table).into_iter().max_by_key(|entry| entry.value.end);
        let last = last_of(near).or_else(|| last_of(table));
        let style = last.as_ref().map_or(PLAIN, |last| self.style(last));
        let line = line(style, names, key, asked);
        let (at, indent) = match (&last, table.span()) {
            (Some(last), _) => {
                (last.value.end, value::line_indentation(self.text, start(last.key)))
            }
            (None, Some(header)) if !self.is_root(table) => {
                (header.end, value::line_indentation(self.text, header.start))
            }
            (None, _) => return self.at_the_top(line),
        };
        let newline = value::newline_near(self.text, at);
        let at = value::line_end(self.text, at);
        self.insert(at..at, format!("{newline}{indent}{}", line.text), line.key, line.new);
    }

    /// The first key of a root that has none: before the first header, or behind the comments of a file without.
    fn at_the_top(&mut self, line: Line) {
        let newline = value::newline_near(self.text, 0);
        let header = headers(self.root).into_iter().min();
        let (at, text) = match header {
            Some(header) => (self.before_comments_of(header), format!("{}{newline}", line.text)),
            None if content_end(self.text) == 0 => (0, format!("{}{newline}", line.text)),
            None => (content_end(self.text), format!("{newline}{}", line.text)),
        };
        // Of several the last one is followed by a blank line.
        let blank = match self.splices.iter_mut().rfind(|splice| splice.range == (at..at)) {
            Some(before) if header.is_some() => {
                before.text.truncate(before.text.len() - newline.len());
                newline
            }
            None if header.is_some() => newline,
            _ => "",
        };
        self.insert(at..at, format!("{text}{blank}"), line.key, line.new);
    }

    /// The start of the comment lines that stand right above the header at `header`, which speak of it.
    fn before_comments_of(&self, header: usize) -> usize {
        let mut at = value::line_start(self.text, header);
        while at > 0 {
            let above = value::line_start(self.text, at - 1);
            if !self.text[above..at].trim_start().starts_with('#') {
                break;
            }
            at = above;
        }
        at
    }

    /// A key under a header that is to be written: for the `table` at `path` that has none, or for a new one.
    fn in_section(
        &mut self,
        table: Option<&Table>,
        path: &[&str],
        place: &Place<'_>,
        key: &KeyPath,
        asked: &str,
    ) {
        let Some((name, parents)) = place.names.split_last() else { return };
        let header = format!("[{}]", dotted(&[path, parents].concat()));
        let at = table
            .and_then(|table| section_end(self.text, table))
            .unwrap_or_else(|| content_end(self.text));
        let line = line(PLAIN, &[name], key, asked);
        match self.sections.iter_mut().find(|section| section.at == at && section.header == header)
        {
            Some(section) => section.lines.push(line),
            None => self.sections.push(Section { at, header, lines: vec![line] }),
        }
    }

    /// A member inside the braces of `table`.
    fn in_braces(&mut self, table: &InlineTable, names: &[&str], key: &KeyPath, asked: &str) {
        let Some(braces) = table.span() else { return };
        let (open, close) = (braces.start + 1, braces.end - 1);
        let Some(last) = inline_entries(table).into_iter().max_by_key(|entry| entry.value.end)
        else {
            return self.in_empty_braces(open, close, names, key, asked);
        };
        let style = self.style(&last);
        let line = line(style, names, key, asked);
        let rest = &self.text[last.value.end..close];
        let comma = comma(rest).map(|comma| last.value.end + comma + 1);
        let anchor = comma.unwrap_or(last.value.end);
        let end = comment_end(self.text, anchor, close);
        let key_line = value::line_start(self.text, start(last.key));
        let own_line =
            key_line > open && !self.text[key_line..start(last.key)].contains([',', '{']);
        let gap = if own_line || end > anchor {
            let indent = value::line_indentation(self.text, start(last.key));
            format!("{}{indent}", value::newline_near(self.text, anchor))
        } else if self.text[open..].starts_with([' ', '\t']) || style.equals != "=" {
            " ".to_owned()
        } else {
            String::new()
        };
        let first =
            !self.splices.iter().any(|splice| splice.range.end == end && splice.old.is_none());
        let (range, text) = match comma {
            Some(_) => (end..end, format!("{gap}{},", line.text)),
            None if first => {
                (anchor..end, format!(",{}{gap}{}", &self.text[anchor..end], line.text))
            }
            None => (end..end, format!(",{gap}{}", line.text)),
        };
        self.insert(range, text, line.key, line.new);
    }

    fn in_empty_braces(
        &mut self,
        open: usize,
        close: usize,
        names: &[&str],
        key: &KeyPath,
        asked: &str,
    ) {
        let line = line(PLAIN, names, key, asked);
        let inner = &self.text[open..close];
        let at = open + inner.trim_end().len();
        let before = self
            .splices
            .iter_mut()
            .rev()
            .find(|splice| splice.old.is_none() && splice.range.end == close);
        if inner.contains('\n') {
            let indent = value::line_indentation(self.text, close);
            let newline = value::newline_near(self.text, close);
            let comma =
                if self.splices.iter().any(|splice| splice.range == (at..at)) { "," } else { "" };
            self.insert(
                at..at,
                format!("{comma}{newline}{indent}  {}", line.text),
                line.key,
                line.new,
            );
        } else if let Some(before) = before {
            before.text.truncate(before.text.len() - 1);
            self.insert(close..close, format!(", {} ", line.text), line.key, line.new);
        } else {
            self.insert(at..close, format!(" {} ", line.text), line.key, line.new);
        }
    }

    fn style(&self, like: &Entry<'_>) -> Style<'t> {
        let equals =
            &self.text[like.key.span().map_or(like.value.start, |key| key.end)..like.value.start];
        Style {
            equals: if equals == "=" { "=" } else { " = " },
            like: &self.text[like.value.clone()],
        }
    }
}

fn line(style: Style<'_>, names: &[&str], key: &KeyPath, asked: &str) -> Line {
    let wanted = Tree::Missing.wanted(asked);
    // Only the kind of quotes is a matter of style; that a neighbour takes several lines is not.
    let like = if style.like.starts_with('\'') { "'" } else { "" };
    let new = encode(&wanted, like);
    Line { text: format!("{}{}{new}", dotted(names), style.equals), key: key.to_string(), new }
}

fn dotted(names: &[&str]) -> String {
    let plain = |name: &str| {
        !name.is_empty()
            && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-' || char == '_')
    };
    let key = |name: &&str| {
        if plain(name) { (*name).to_owned() } else { format!("\"{}\"", escaped(name)) }
    };
    names.iter().map(key).collect::<Vec<_>>().join(".")
}

fn start(key: &Key) -> usize {
    key.span().map_or(0, |span| span.start)
}

/// The members in the lines below a header, without those that have headers of their own.
fn entries(table: &Table) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    for (name, item) in table {
        match (table.key(name), item) {
            (Some(key), Item::Value(value)) => found.push(Entry { key, value: span(value) }),
            (_, Item::Table(inner)) if inner.is_dotted() => found.extend(entries(inner)),
            _ => {}
        }
    }
    found
}

fn inline_entries(table: &InlineTable) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    for (name, value) in table {
        match (table.key(name), value) {
            (_, Value::InlineTable(inner)) if inner.is_dotted() => {
                found.extend(inline_entries(inner));
            }
            (Some(key), value) => found.push(Entry { key, value: span(value) }),
            (None, _) => {}
        }
    }
    found
}

fn span(value: &Value) -> Range<usize> {
    value.span().unwrap_or_default()
}

/// Where the headers of `table`'s sub-tables stand, however deep.
fn headers(table: &Table) -> Vec<usize> {
    let own =
        |table: &Table| table.span().filter(|_| !table.is_implicit()).map(|header| header.start);
    let below = |table: &Table| own(table).into_iter().chain(headers(table)).collect::<Vec<_>>();
    let found = table.iter().flat_map(|(_, item)| match item {
        Item::Table(inner) => below(inner),
        Item::ArrayOfTables(tables) => tables.iter().flat_map(below).collect(),
        Item::None | Item::Value(_) => Vec::new(),
    });
    found.collect()
}

/// The end of the last line of `table` and of everything below it.
fn section_end(text: &str, table: &Table) -> Option<usize> {
    let header = table.span().filter(|_| !table.is_implicit()).map(|header| header.end);
    let own = entries(table).into_iter().map(|entry| entry.value.end).chain(header);
    let own = own.map(|end| value::line_end(text, end)).max();
    let below = table.iter().filter_map(|(_, item)| match item {
        Item::Table(inner) => section_end(text, inner),
        Item::ArrayOfTables(tables) => {
            tables.iter().filter_map(|table| section_end(text, table)).max()
        }
        Item::None | Item::Value(_) => None,
    });
    below.chain(own).max()
}

/// The end of the last line that is not blank, before its line ending.
fn content_end(text: &str) -> usize {
    match text.trim_end().len() {
        0 => 0,
        end => value::line_end(text, end),
    }
}

/// Where in what follows the last member its comma stands.
fn comma(rest: &str) -> Option<usize> {
    let mut in_comment = false;
    rest.find(|char| {
        in_comment = char == '#' || in_comment && char != '\n';
        char == ',' && !in_comment
    })
}

/// The end of a comment on the line of `anchor`; `anchor` when there is none before `close`.
fn comment_end(text: &str, anchor: usize, close: usize) -> usize {
    let end = value::line_end(text, anchor);
    if end < close && text[anchor..end].trim_start().starts_with('#') { end } else { anchor }
}
