//! The lines of a `.env` file. A line may span several where its quoted value does.
//!
//! No standard says what such a file is. What all loaders read alike is read here; where they differ, the caller is told
//! so ([`Style::Mixed`], [`Content::Other`]) and decides whether it matters to what is asked.

use std::ops::Range;

use crate::patch::{Code, Refusal};

/// A line without its line ending.
#[derive(Debug)]
pub(super) struct Line<'t> {
    pub(super) raw: &'t str,
    pub(super) start: usize,
    pub(super) content: Content<'t>,
}

#[derive(Debug)]
pub(super) enum Content<'t> {
    /// Nothing but blanks or a comment.
    Nothing,
    /// No assignment, with the name it begins with: `NAME`, `NAME: value`.
    Other(&'t str),
    Assignment(Assignment<'t>),
}

#[derive(Debug)]
pub(super) struct Assignment<'t> {
    pub(super) exported: bool,
    pub(super) name: &'t str,
    /// Blanks on both sides of the `=`.
    pub(super) spaced: bool,
    pub(super) style: Style,
    /// The bytes of the value in the text, without its quotes.
    pub(super) value: Range<usize>,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Bare,
    Quoted(Quote),
    /// Partly in quotes, which loaders read differently.
    Mixed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    Single,
    Double,
    Backtick,
}

impl Quote {
    pub(super) const ALL: [Self; 3] = [Self::Single, Self::Double, Self::Backtick];

    pub(super) fn char(self) -> char {
        match self {
            Self::Single => '\'',
            Self::Double => '"',
            Self::Backtick => '`',
        }
    }
}

impl Assignment<'_> {
    /// The bytes of the value with its quotes.
    pub(super) fn whole(&self) -> Range<usize> {
        let quote = usize::from(matches!(self.style, Style::Quoted(_)));
        self.value.start - quote..self.value.end + quote
    }
}

/// Whether loaders take `name` for the name of a variable.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name_in(name).len() == name.len()
}

/// All lines of `text`.
pub(super) fn lines(text: &str) -> Result<Vec<Line<'_>>, Refusal> {
    let lone = text.match_indices('\r').find(|(at, _)| !text[at + 1..].starts_with('\n'));
    if let Some((offset, _)) = lone {
        return Err(syntax(offset, "a carriage return without a newline", "end lines with \\n"));
    }
    let mut lines = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let (content, inside) = content(text, start)?;
        let end = line_end(text, inside);
        lines.push(Line { raw: text[start..end].trim_end_matches('\r'), start, content });
        start = end + 1;
    }
    Ok(lines)
}

/// What the line at `start` says, and a byte of its last line.
fn content(text: &str, start: usize) -> Result<(Content<'_>, usize), Refusal> {
    let line = text[start..line_end(text, start)].trim_end();
    let indented = line.trim_start_matches(BLANKS);
    if indented.is_empty() || indented.starts_with('#') {
        return Ok((Content::Nothing, start));
    }
    let unexported = indented.strip_prefix("export").map(|rest| (rest, without_blanks(rest)));
    let (exported, named) = match unexported {
        Some((rest, named)) if rest.len() > named.len() && !name_in(named).is_empty() => {
            (true, named)
        }
        _ => (false, indented),
    };
    let name = name_in(named);
    let behind = &named[name.len()..];
    let Some(value) = without_blanks(behind).strip_prefix('=').filter(|_| !name.is_empty()) else {
        refuse_lines_behind_colon(text, start + line.len() - without_blanks(behind).len())?;
        return Ok((Content::Other(name), start));
    };
    let spaced = behind.starts_with(BLANKS) && value.starts_with(BLANKS);
    let (style, value) = value_at(text, start + line.len() - value.len())?;
    let inside = value.end;
    Ok((Content::Assignment(Assignment { exported, name, spaced, style, value }), inside))
}

/// Some loaders take `NAME: value` for an assignment: its next lines are the value there, and assignments elsewhere.
fn refuse_lines_behind_colon(text: &str, colon: usize) -> Result<(), Refusal> {
    if text[colon..].starts_with(':') && value_at(text, colon + 1)?.1.end > line_end(text, colon) {
        let hint = "write it like NAME='value'";
        return Err(syntax(colon, "a value of several lines behind a `:`", hint));
    }
    Ok(())
}

/// The value behind the `=` that ends at `start`.
fn value_at(text: &str, start: usize) -> Result<(Style, Range<usize>), Refusal> {
    let line = &text[start..line_end(text, start)];
    let written = without_blanks(line);
    let open = start + line.len() - written.len();
    let Some(quote) = Quote::ALL.into_iter().find(|quote| written.starts_with(quote.char())) else {
        return Ok(bare(start, line));
    };
    let inside = open + 1;
    let unclosed = || {
        let hint = "close it, or put the whole value into other quotes";
        syntax(open, "a quote that is not closed for certain", hint)
    };
    let close = inside + closing(&text[inside..], quote).ok_or_else(unclosed)?;
    let rest = text[close + 1..line_end(text, close)].trim();
    if rest.is_empty() || rest.starts_with('#') {
        return Ok((Style::Quoted(quote), inside..close));
    }
    if text[inside..close].contains('\n') {
        return Err(unclosed());
    }
    Ok((Style::Mixed, open..open + written.trim_end().len()))
}

/// A value without quotes ends at a `#` behind a blank.
fn bare(start: usize, line: &str) -> (Style, Range<usize>) {
    let line = line.trim_end_matches('\r');
    let comment = line.match_indices('#').find(|(at, _)| line[..*at].ends_with(BLANKS));
    let value = &line[..comment.map_or(line.len(), |(at, _)| at)];
    let written = value.trim_matches(BLANKS);
    let style = if written.contains(['\'', '"', '`']) { Style::Mixed } else { Style::Bare };
    // A value that is put where none is follows the `=` at once, as shells want it, and the blank before a comment stays.
    let blanks = if written.is_empty() { 0 } else { value.len() - without_blanks(value).len() };
    (style, start + blanks..start + blanks + written.len())
}

/// Where `quote` ends in `text`, what stands behind it. A backslash keeps it open, as most loaders have it.
fn closing(text: &str, quote: Quote) -> Option<usize> {
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        if char == quote.char() {
            return Some(at);
        }
        let escaped = chars.as_str();
        if char == '\\' && (quote == Quote::Double || escaped.starts_with(quote.char())) {
            chars.next();
        }
    }
    None
}

const BLANKS: [char; 2] = [' ', '\t'];

fn without_blanks(text: &str) -> &str {
    text.trim_start_matches(BLANKS)
}

fn name_in(text: &str) -> &str {
    let is_of_a_name = |char: char| char.is_ascii_alphanumeric() || "_.-".contains(char);
    &text[..text.find(|char| !is_of_a_name(char)).unwrap_or(text.len())]
}

/// Where the line of `offset` ends, before its newline.
fn line_end(text: &str, offset: usize) -> usize {
    text[offset..].find('\n').map_or(text.len(), |newline| offset + newline)
}

fn syntax(offset: usize, message: &str, hint: &str) -> Refusal {
    Refusal { offset, code: Code::Syntax, message: message.to_owned(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Content, Quote, Style, lines};
    use crate::patch::Code;

    #[test]
    fn a_line_is_read_as_loaders_read_it() {
        use Quote::{Backtick, Double, Single};
        for (line, name, style, value) in [
            ("A=1", "A", Style::Bare, "1"),
            ("A=", "A", Style::Bare, ""),
            ("A= \t", "A", Style::Bare, ""),
            ("A=1  ", "A", Style::Bare, "1"),
            ("  export\tA = 1 2 # c", "A", Style::Bare, "1 2"),
            ("export=1", "export", Style::Bare, "1"),
            ("export = 1", "export", Style::Bare, "1"),
            ("exported=1", "exported", Style::Bare, "1"),
            ("a.b-c=x=y", "a.b-c", Style::Bare, "x=y"),
            ("A=x#y # z # w", "A", Style::Bare, "x#y"),
            ("A=#y", "A", Style::Bare, "#y"),
            ("A= # c", "A", Style::Bare, ""),
            ("A=é\t# c", "A", Style::Bare, "é"),
            ("A='1'", "A", Style::Quoted(Single), "1"),
            ("A = \"1 # 2\" # c", "A", Style::Quoted(Double), "1 # 2"),
            ("A=`1'\"`#c", "A", Style::Quoted(Backtick), "1'\""),
            ("A=\"a\\\"b\"", "A", Style::Quoted(Double), "a\\\"b"),
            ("A=\"a\\\\\"", "A", Style::Quoted(Double), "a\\\\"),
            ("A='C:\\dir'", "A", Style::Quoted(Single), "C:\\dir"),
            ("A=''", "A", Style::Quoted(Single), ""),
            ("A='x\r\n# B=1\n'", "A", Style::Quoted(Single), "x\r\n# B=1\n"),
            ("A=it's", "A", Style::Mixed, "it's"),
            ("A='x'y ", "A", Style::Mixed, "'x'y"),
        ] {
            for (before, after) in [("", ""), ("", "\r\n"), ("# c\n\n", "\nB=2\n")] {
                let text = format!("{before}{line}{after}");
                let lines = lines(&text).unwrap();
                let line_of = lines.iter().find(|found| found.start == before.len()).unwrap();
                let Content::Assignment(found) = &line_of.content else { panic!("{text}") };
                assert_eq!(line_of.raw, line);
                let read = (found.name, found.style, &text[found.value.clone()]);
                assert_eq!(read, (name, style, value), "{text}");
                let quotes = 2 * usize::from(matches!(style, Style::Quoted(_)));
                assert_eq!(found.whole().len() - found.value.len(), quotes, "{text}");
            }
        }
    }

    #[test]
    fn other_lines_are_told_apart() {
        for (line, name) in [
            ("", None),
            (" \t", None),
            ("# A=1", None),
            ("  #A=1", None),
            ("A", Some("A")),
            ("export A", Some("A")),
            ("A: 1", Some("A")),
            ("A : 1", Some("A")),
            ("=1", Some("")),
            ("<% if x %>", Some("")),
        ] {
            let text = format!("{line}\nB=1");
            let found = &lines(&text).unwrap()[0];
            let said = match found.content {
                Content::Nothing => None,
                Content::Other(name) => Some(name),
                Content::Assignment(_) => panic!("{text}"),
            };
            assert_eq!((found.raw, said), (line, name));
        }
        assert!(lines("").unwrap().is_empty());
        assert_eq!(lines("A=1\n\n").unwrap().len(), 2);
    }

    #[test]
    fn where_a_value_ends_is_certain_or_the_file_is_refused() {
        for (text, offset) in [
            ("B=1\nA='x", 6),
            ("A=\"x\\\"\n", 2),
            ("A='x\nB='y'\n", 2),
            ("A=1\rB=2\r", 3),
            ("A='C:\\dir\\'\n", 2),
            ("B=1\nA: 'x\nB=2\n'\n", 5),
            ("A: 'x\nB=2\n", 3),
        ] {
            let refusal = lines(text).unwrap_err();
            assert_eq!((refusal.code, refusal.offset), (Code::Syntax, offset), "{text}");
        }
    }
}
