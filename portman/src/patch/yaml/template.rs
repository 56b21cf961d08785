//! The marks of template engines, whose file is no YAML until they have read it: Helm's `{{`, ERB's `<%`.

use std::ops::Range;

use granit_parser::ScalarStyle;

use super::read::{Node, What};
use crate::patch::value;
use crate::patch::{Code, Refusal};

const MARKS: [&str; 2] = ["{{", "<%"];

/// The first mark anywhere in `text`.
pub(super) fn first(text: &str) -> Option<usize> {
    MARKS.iter().filter_map(|mark| text.find(mark)).min()
}

/// The first mark that a template engine would act on: in quotes `{{` may as well be for the program that reads the file,
/// and of a comment nothing is left but its bytes.
pub(super) fn outside_quotes(text: &str, root: Option<&Node>) -> Option<usize> {
    first(text)?;
    let mut scalars = Vec::new();
    if let Some(root) = root {
        collect(root, &mut scalars);
    }
    // They are in the order of the text.
    let within = |offset: usize| {
        let behind = scalars.partition_point(|(range, _)| range.start <= offset);
        scalars[..behind].last().filter(|(range, _)| range.contains(&offset))
    };
    let is_comment = |offset: usize| {
        let start = value::line_start(text, offset);
        let line = &text[start..offset];
        line.match_indices('#').any(|(hash, _)| {
            let begins = line[..hash].is_empty() || line[..hash].ends_with([' ', '\t']);
            begins && within(start + hash).is_none()
        })
    };
    let acts = |mark: &str, offset: usize| match within(offset) {
        Some((_, quoted)) => mark == "<%" || !quoted,
        None => !is_comment(offset),
    };
    MARKS
        .iter()
        .filter_map(|mark| text.match_indices(mark).map(|(at, _)| at).find(|&at| acts(mark, at)))
        .min()
}

pub(super) fn refusal(offset: usize) -> Refusal {
    Refusal {
        offset,
        code: Code::Computed,
        message: "the file is a template, which is YAML only when it is filled in".to_owned(),
        hint: "change the values that it is filled with, or this one by hand".to_owned(),
    }
}

/// The bytes of every scalar, and whether it is quoted.
fn collect(node: &Node, scalars: &mut Vec<(Range<usize>, bool)>) {
    match &node.what {
        What::Scalar(_, style) => {
            let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
            scalars.push((node.range.clone(), quoted));
        }
        What::List(elements, _) => elements.iter().for_each(|element| collect(element, scalars)),
        What::Mapping(members, _) => members.iter().for_each(|member| {
            collect(&member.key, scalars);
            collect(&member.value, scalars);
        }),
        What::Alias(_) => {}
    }
}
