//! Takes our values back out of a text that a user has edited since: the edits stay, and where the user edited one of
//! our values, nothing is certain and nothing is done.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::patch::Undo;

/// `now` with every value of `undo` back to what it was; none when `now` no longer has one of them as `after` has it.
pub(crate) fn take_back(after: &str, undo: &[Undo], now: &str) -> Option<String> {
    let edges: Vec<usize> =
        undo.iter().flat_map(|undo| [undo.range.start, undo.range.end]).collect();
    let (ours, theirs) = (tokens(after, &edges), tokens(now, &[]));
    let text = |tokens: &[Range<usize>], of: &str| {
        tokens.iter().map(|token| of[token.clone()].to_owned()).collect()
    };
    let (our_text, their_text): (Vec<String>, Vec<String>) =
        (text(&ours, after), text(&theirs, now));
    let same = same(&capture_diff_slices(Algorithm::Myers, &our_text, &their_text));
    let place = |undo: &Undo| place(&undo.range, &ours, &theirs, &same);
    let places: Vec<Range<usize>> = undo.iter().map(place).collect::<Option<_>>()?;
    let mut merged = now.to_owned();
    for (place, undo) in places.into_iter().zip(undo).rev() {
        merged.replace_range(place, &undo.old);
    }
    Some(merged)
}

/// Has the user put every value back to what it was in `before`?
pub(crate) fn is_undone(before: &str, undo: &[Undo], now: &str) -> bool {
    let (mut added, mut removed) = (0, 0);
    let redo = |undo: &Undo| {
        let start = undo.range.start + removed - added;
        added += undo.range.len();
        removed += undo.old.len();
        Undo { range: start..start + undo.old.len(), old: undo.old.clone() }
    };
    let there: Vec<Undo> = undo.iter().map(redo).collect();
    // What was inserted has no bytes in `before` that could be found again.
    there.iter().all(|undo| !undo.range.is_empty()) && take_back(before, &there, now).is_some()
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

/// Where the bytes `range` of our text stand in theirs: within one run of equal tokens, together with a neighbour on
/// each side, so that an equal word elsewhere is not taken for ours.
fn place(
    range: &Range<usize>,
    ours: &[Range<usize>],
    theirs: &[Range<usize>],
    same: &[(Range<usize>, usize)],
) -> Option<Range<usize>> {
    let first = ours.iter().position(|token| token.start == range.start)?;
    let last = ours.iter().position(|token| token.end == range.end)?;
    let with_neighbours = first.saturating_sub(1)..(last + 2).min(ours.len());
    let (run, at) = same
        .iter()
        .find(|(run, _)| run.start <= with_neighbours.start && with_neighbours.end <= run.end)?;
    Some(theirs[at + first - run.start].start..theirs[at + last - run.start].end)
}

/// Words and single other characters; a token never crosses one of `edges`.
fn tokens(text: &str, edges: &[usize]) -> Vec<Range<usize>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens: Vec<Range<usize>> = Vec::new();
    let mut was_word = false;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        match tokens.last_mut() {
            Some(token) if was_word && is_word(c) && !edges.contains(&at) => token.end = end,
            _ => tokens.push(at..end),
        }
        was_word = is_word(c);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::{is_undone, take_back};
    use crate::patch::Undo;

    const AFTER: &str = "{\n  \"port\": 8001,\n  \"api\": 8001,\n  \"name\": \"web\"\n}\n";

    /// The first 8001 is ours.
    fn ours() -> Vec<Undo> {
        let at = AFTER.find("8001").unwrap();
        vec![Undo { range: at..at + 4, old: "8000".into() }]
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
                take_back(AFTER, &ours(), &edited).as_deref(),
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
            assert_eq!(take_back(AFTER, &ours(), &edited), None, "{edited}");
        }
    }

    #[test]
    fn a_value_that_was_put_back_by_hand_is_seen() {
        let before = AFTER.replacen("8001", "8000", 1);
        assert!(is_undone(&before, &ours(), &before.replace("web", "mine")));
        assert!(!is_undone(&before, &ours(), &before.replace("8000", "7000")));
    }

    #[test]
    fn an_inserted_value_is_taken_out_again() {
        let at = AFTER.find("  \"name\"").unwrap();
        let undo = vec![Undo { range: at..at + "  \"name\": \"web\"\n".len(), old: String::new() }];
        let edited = AFTER.replace("\"api\": 8001", "\"api\": 9000");
        let expected = "{\n  \"port\": 8001,\n  \"api\": 9000,\n}\n";
        assert_eq!(take_back(AFTER, &undo, &edited).as_deref(), Some(expected));
    }
}
