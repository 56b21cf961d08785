//! Measures how deep a text nests, before it is parsed.
//!
//! A parser that calls itself for every bracket dies of a text that is nothing but brackets, and takes the whole
//! process with it. This reads bytes, not syntax: what it counts is at least about the depth of the tree, and the
//! limits are far above what people write.

/// Brackets inside brackets, at most. Real configs stay below 20.
const MAX_OPEN: usize = 200;

/// Operators and keywords in one expression, at most: `!!!!x`, `a => b => c`, `a ? b : c ? d : e`.
const MAX_RUN: usize = 500;

/// The byte where the text nests deeper than the limits.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    // For each open bracket, and the file itself: the run that has led there.
    let mut runs = vec![0_usize];
    let mut total = 0;
    let mut before = b';';
    let mut is_new_line = false;
    let mut skim = Skim { bytes: text.as_bytes(), at: 0 };
    while let Some((offset, byte)) = skim.next(before) {
        if byte == b'\n' {
            is_new_line = true;
            continue;
        }
        let run = runs.last_mut()?;
        // A line that neither begins with an operator nor follows one is a statement of its own.
        let is_statement = is_new_line && !is_operator(before) && !is_operator(byte);
        if is_statement || matches!(byte, b';' | b',') {
            total -= *run;
            *run = 0;
        }
        if is_operator(byte) || (byte == WORD && matches!(before, WORD | b')')) {
            *run += 1;
            total += 1;
        }
        match byte {
            b'(' | b'[' | b'{' => runs.push(0),
            b')' | b']' | b'}' if runs.len() > 1 => total -= runs.pop()?,
            _ => {}
        }
        if runs.len() > MAX_OPEN || total > MAX_RUN {
            return Some(offset);
        }
        (before, is_new_line) = (byte, false);
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
