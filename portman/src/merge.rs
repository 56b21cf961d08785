//! Takes our values back out of a text that a user has edited since: the edits stay, and where the user edited one of
//! our values, nothing is certain and nothing is done.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::patch::Undo;

/// `now` with every value of `undo` back to what it was in `before`. A value that the user put back already stays; none
/// when one is neither as `after` nor as `before` has it.
pub(crate) fn take_back(before: &str, after: &str, undo: &[Undo], now: &str) -> Option<String> {
    let ours: Vec<Range<usize>> = undo.iter().map(|undo| undo.range.clone()).collect();
    let originals = originals(undo);
    let (patched, original) =
        (Aligned::new(after, &ours, now), Aligned::new(before, &originals, now));
    let mut back = Vec::with_capacity(undo.len());
    for (undo, old) in undo.iter().zip(&originals) {
        match patched.place(&undo.range) {
            Some(place) => back.push((place, &undo.old)),
            // What was inserted has no bytes in `before` that could be found again.
            None if !old.is_empty() && original.place(old).is_some() => {}
            None => return None,
        }
    }
    let mut merged = now.to_owned();
    for (place, old) in back.into_iter().rev() {
        merged.replace_range(place, old);
    }
    Some(merged)
}

/// Where the old values stand in the text before the patch.
fn originals(undo: &[Undo]) -> Vec<Range<usize>> {
    let (mut added, mut removed) = (0, 0);
    let original = |undo: &Undo| {
        let start = undo.range.start + removed - added;
        added += undo.range.len();
        removed += undo.old.len();
        start..start + undo.old.len()
    };
    undo.iter().map(original).collect()
}

/// One text laid beside what it has become.
struct Aligned {
    ours: Vec<Range<usize>>,
    theirs: Vec<Range<usize>>,
    /// Pairs of equal runs of tokens: where in ours, where in theirs.
    same: Vec<(Range<usize>, usize)>,
}

impl Aligned {
    /// No token of `text` crosses an edge of `values`.
    fn new(text: &str, values: &[Range<usize>], now: &str) -> Self {
        let edges: Vec<usize> = values.iter().flat_map(|value| [value.start, value.end]).collect();
        let (ours, theirs) = (tokens(text, &edges), tokens(now, &[]));
        let words = |tokens: &[Range<usize>], of: &str| -> Vec<String> {
            tokens.iter().map(|token| of[token.clone()].to_owned()).collect()
        };
        let ops = capture_diff_slices(Algorithm::Myers, &words(&ours, text), &words(&theirs, now));
        Self { same: same(&ops), ours, theirs }
    }

    /// Where the bytes `range` of our text stand in theirs: within one run of equal tokens, together with a neighbour on
    /// each side, so that an equal word elsewhere is not taken for ours.
    fn place(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let first = self.ours.iter().position(|token| token.start == range.start)?;
        let last = self.ours.iter().position(|token| token.end == range.end)?;
        let wide = first.saturating_sub(1)..(last + 2).min(self.ours.len());
        let is_in = |run: &Range<usize>| run.start <= wide.start && wide.end <= run.end;
        let (run, at) = self.same.iter().find(|(run, _)| is_in(run))?;
        Some(self.theirs[at + first - run.start].start..self.theirs[at + last - run.start].end)
    }
}

/// Pairs of equal runs of tokens: where in ours, where in theirs.
fn same(ops: &[DiffOp]) -> Vec<(Range<usize>, usize)> {
    let equal = |op: &DiffOp| match *op {
        DiffOp::Equal { old_index, new_index, len } => {
            Some((old_index..old_index + len, new_index))
        }
        _ => None,
    };
    ops.iter().filter_map(equal).collect()
}

/// Numbers, words and single other characters; a token never crosses one of `edges`.
fn tokens(text: &str, edges: &[usize]) -> Vec<Range<usize>> {
    let mut tokens: Vec<Range<usize>> = Vec::new();
    let mut last = Kind::Other;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let kind = Kind::of(c);
        match tokens.last_mut() {
            Some(token) if kind == last && kind != Kind::Other && !edges.contains(&at) => {
                token.end = end;
            }
            _ => tokens.push(at..end),
        }
        last = kind;
    }
    tokens
}

/// `-p3001` is three tokens, so that a port can be told from what stands beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Digit,
    Letter,
    Other,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            '0'..='9' => Self::Digit,
            _ if c.is_alphanumeric() || c == '_' => Self::Letter,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::take_back;
    use crate::patch::Undo;

    const AFTER: &str = "{\n  \"port\": 8001,\n  \"api\": 8001,\n  \"name\": \"web\"\n}\n";

    /// The first 8001 is ours.
    fn ours() -> Vec<Undo> {
        let at = AFTER.find("8001").unwrap();
        vec![Undo { range: at..at + 4, old: "8000".into() }]
    }

    fn before() -> String {
        AFTER.replacen("8001", "8000", 1)
    }

    #[test]
    fn edits_elsewhere_stay_and_our_value_goes() {
        for (edited, expected) in [
            (
                AFTER.replace("web", "mine"),
                AFTER.replace("web", "mine").replacen("8001", "8000", 1),
            ),
            (
                AFTER.replace("  \"api\"", "  // new\n  \"api\""),
                AFTER.replace("  \"api\"", "  // new\n  \"api\"").replacen("8001", "8000", 1),
            ),
            (
                AFTER.replace("\"port\"", "\"my_port\""),
                AFTER.replace("\"port\"", "\"my_port\"").replacen("8001", "8000", 1),
            ),
            (
                format!("// on top\n{AFTER}"),
                format!("// on top\n{AFTER}").replacen("8001", "8000", 1),
            ),
            (AFTER.replace('\n', "\r\n"), AFTER.replace('\n', "\r\n").replacen("8001", "8000", 1)),
        ] {
            assert_eq!(
                take_back(&before(), AFTER, &ours(), &edited).as_deref(),
                Some(expected.as_str()),
                "{edited}"
            );
        }
    }

    #[test]
    fn an_edit_of_our_value_or_of_all_around_it_is_not_guessed_at() {
        for edited in [
            AFTER.replacen("8001", "9000", 1),
            AFTER.replacen("8001", "80017", 1),
            AFTER.replacen("8001", "\"8001\"", 1),
            AFTER.replacen("  \"port\": 8001,\n", "", 1),
            String::new(),
        ] {
            assert_eq!(take_back(&before(), AFTER, &ours(), &edited), None, "{edited}");
        }
    }

    #[test]
    fn a_value_that_was_put_back_by_hand_stays_and_the_others_go_back() {
        let second = AFTER.rfind("8001").unwrap();
        let mut both = ours();
        both.push(Undo { range: second..second + 4, old: "8000".into() });
        let before = AFTER.replace("8001", "8000");
        for (edited, expected) in [
            (before.replace("web", "mine"), Some(before.replace("web", "mine"))),
            (AFTER.replacen("8001", "8000", 1), Some(before.clone())),
            (AFTER.replacen("8001", "7000", 1), None),
        ] {
            assert_eq!(take_back(&before, AFTER, &both, &edited), expected, "{edited}");
        }
    }

    #[test]
    fn a_number_that_touches_a_word_is_found() {
        let (before, after) = ("next dev -p3000x \"a\"", "next dev -p3001x \"a\"");
        let undo = [Undo { range: 11..15, old: "3000".into() }];
        let now = after.replace("\"a\"", "\"b\"");
        assert_eq!(take_back(before, after, &undo, &now), Some(before.replace("\"a\"", "\"b\"")));
    }

    #[test]
    fn an_inserted_value_is_taken_out_again() {
        let at = AFTER.find("  \"name\"").unwrap();
        let undo = vec![Undo { range: at..at + "  \"name\": \"web\"\n".len(), old: String::new() }];
        let edited = AFTER.replace("\"api\": 8001", "\"api\": 9000");
        let expected = "{\n  \"port\": 8001,\n  \"api\": 9000,\n}\n";
        assert_eq!(take_back("", AFTER, &undo, &edited).as_deref(), Some(expected));
    }
}
