//! Parses a config. What the parser objects to is refused with its own words and place.

use oxc_allocator::Allocator;
use oxc_parser::{ParseOptions, Parser, ParserReturn};
use oxc_span::SourceType;

use super::super::{Code, Refusal};
use super::depth;
use super::resolve::Module;

/// Hands `text`, parsed, to `use_it`.
pub(super) fn parsed<T>(
    text: &str,
    use_it: impl FnOnce(&Module<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    if let Some(offset) = depth::too_deep(text) {
        return Err(syntax(offset, "the file nests deeper than any config does".to_owned()));
    }
    let allocator = Allocator::default();
    let mut first_error = None;
    for source_type in source_types() {
        let parsed = parse(&allocator, text, source_type);
        match error(&parsed) {
            None => return use_it(&Module::new(text, allocator.alloc(parsed.program))),
            Some(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| syntax(0, "not a JavaScript or TypeScript file".to_owned())))
}

/// TypeScript is nearly all of JavaScript; the others are for what it is not.
fn source_types() -> [SourceType; 4] {
    [SourceType::ts(), SourceType::tsx(), SourceType::jsx(), SourceType::cjs()]
}

fn parse<'a>(allocator: &'a Allocator, text: &'a str, source_type: SourceType) -> ParserReturn<'a> {
    // Without its own node for parentheses the tree would not say where a value's bytes end.
    let options = ParseOptions { preserve_parens: true, ..ParseOptions::default() };
    Parser::new(allocator, text, source_type).with_options(options).parse()
}

fn error(parsed: &ParserReturn<'_>) -> Option<Refusal> {
    let error = parsed.diagnostics.errors().next();
    if error.is_none() && parsed.panicked {
        return Some(syntax(0, "the file cannot be parsed".to_owned()));
    }
    error.map(|error| {
        let offset = error.labels.first().map_or(0, |label| label.offset() as usize);
        syntax(offset, house_style(&error.message))
    })
}

/// The parser's words, written as ours are: lower case, no period.
fn house_style(message: &str) -> String {
    let message = message.trim_end_matches('.');
    let mut letters = message.chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}

fn syntax(offset: usize, message: String) -> Refusal {
    Refusal {
        offset,
        code: Code::Syntax,
        message,
        hint: "correct the file, or leave it out of what is patched".into(),
    }
}
