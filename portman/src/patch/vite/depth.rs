//! Measures how deep a text nests, before it is parsed.
//!
//! A parser that calls itself for every bracket dies of a text that is nothing but brackets, and takes the whole
//! process with it. This reads bytes, not syntax: what it counts is at least about the depth of the tree, and the
//! limits are far above what people write.

/// Brackets inside brackets, at most. Real configs stay below 20.
const MAX_OPEN: usize = 200;

/// Operators and keywords in one expression, at most: `!!!!x`, `a => b => c`, `a ? b : c ? d : e`.
const MAX_RUN: usize = 250;

/// The byte where the text nests deeper than the limits.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let mut open: usize = 0;
    let mut run: usize = 0;
    let mut before = b';';
    let mut skim = Skim { bytes: text.as_bytes(), at: 0 };
    while let Some((offset, byte)) = skim.next(before) {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        match byte {
            b';' | b',' | b'{' | b'}' => run = 0,
            // A line that neither ends nor begins with an operator is a statement of its own.
            b'\n' if !is_operator(before) && !skim.ahead().is_some_and(is_operator) => run = 0,
            WORD if before == WORD || before == b')' => run += 1,
            byte if is_operator(byte) => run += 1,
            _ => {}
        }
        if open > MAX_OPEN || run > MAX_RUN {
            return Some(offset);
        }
        if byte != b'\n' {
            before = byte;
        }
    }
    None
}

/// Stands for a whole word or literal.
const WORD: u8 = b'a';

fn is_operator(byte: u8) -> bool {
    b"+-!~?:=*/%&|^<>.".contains(&byte)
}

/// Walks over the code in a text: comments are left out, words and literals are one [`WORD`] each.
struct Skim<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Skim<'_> {
    /// The next byte of code and its place. `before` tells a regular expression from a division.
    fn next(&mut self, before: u8) -> Option<(usize, u8)> {
        loop {
            let start = self.at;
            let byte = self.take()?;
            return Some(match (byte, self.ahead()) {
                (b' ' | b'\t' | b'\r', _) => continue,
                (b'/', Some(b'/')) => {
                    self.take_while(|byte| byte != b'\n');
                    continue;
                }
                (b'/', Some(b'*')) => {
                    self.take_comment();
                    continue;
                }
                (b'"' | b'\'' | b'`', _) => self.take_literal(start, byte),
                (b'/', _) if before != WORD && before != b')' && before != b']' => {
                    self.take_literal(start, byte)
                }
                _ if is_word(byte) => {
                    self.take_while(is_word);
                    (start, WORD)
                }
                _ => (start, byte),
            });
        }
    }

    fn ahead(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.ahead()?;
        self.at += 1;
        Some(byte)
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.ahead().is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn take_comment(&mut self) {
        let rest = &self.bytes[self.at..];
        let end = rest.windows(2).skip(1).position(|pair| pair == b"*/");
        self.at = end.map_or(self.bytes.len(), |end| self.at + end + 3);
    }

    /// A string, template or regular expression, up to its closing mark; without one it was none, and only the mark
    /// is taken. Brackets in a template's holes count for nothing, so a template with holes is entered instead.
    fn take_literal(&mut self, start: usize, mark: u8) -> (usize, u8) {
        let rest = &self.bytes[self.at..];
        let mut escaped = false;
        let end = rest.iter().position(|&byte| {
            let closing = !escaped && (byte == mark || (byte == b'\n' && mark != b'`'));
            escaped = byte == b'\\' && !escaped;
            closing
        });
        match end {
            Some(end) if rest[end] == mark && !(mark == b'`' && rest[..end].contains(&b'{')) => {
                self.at += end + 1;
                (start, WORD)
            }
            _ => (start, b'`'),
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}
