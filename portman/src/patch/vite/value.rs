//! What a value of the config says, and which bytes say it.

use oxc_ast::ast::{BinaryOperator, Expression, TemplateLiteral};
use oxc_span::{GetSpan, Span};

use super::resolve::{Link, Module};

/// A literal.
pub(super) struct Literal {
    /// Its bytes, with its quotes.
    pub(super) at: Span,
    /// What it says, without quotes.
    pub(super) says: String,
    /// How it is written.
    pub(super) style: Style,
}

/// How a literal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `5173`
    Number,
    /// In these quotes.
    Quoted(char),
    /// `true`, `null`, `undefined`
    Word,
}

/// The literal that an expression is.
pub(super) fn literal(text: &str, expression: &Expression<'_>) -> Option<Literal> {
    let at = expression.span();
    let quote = || Style::Quoted(if at.source_text(text).starts_with('"') { '"' } else { '\'' });
    let (says, style) = match expression {
        Expression::NumericLiteral(number) => (number.value.to_string(), Style::Number),
        Expression::StringLiteral(string) => (string.value.to_string(), quote()),
        Expression::TemplateLiteral(template) => {
            (template.single_quasi()?.to_string(), Style::Quoted('`'))
        }
        Expression::BooleanLiteral(truth) => (truth.value.to_string(), Style::Word),
        Expression::NullLiteral(_) => ("null".to_owned(), Style::Word),
        Expression::Identifier(name) if name.name == "undefined" => {
            ("undefined".to_owned(), Style::Word)
        }
        _ => return None,
    };
    Some(Literal { at, says, style })
}

/// `says` as a literal of this style.
pub(super) fn written(says: &str, style: Style) -> String {
    let Style::Quoted(quote) = style else {
        return says.to_owned();
    };
    let mut literal = String::from(quote);
    for letter in says.chars() {
        match letter {
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            _ => {
                if letter == quote || letter == '\\' || (letter == '$' && quote == '`') {
                    literal.push('\\');
                }
                literal.push(letter);
            }
        }
    }
    literal.push(quote);
    literal
}

/// A part of a text that the config puts together, and the literal it comes from.
pub(super) struct Piece {
    /// What it adds to the text.
    pub(super) says: String,
    /// The bytes that say so: one to one, or a whole number literal.
    pub(super) at: Span,
    /// How the literal is written that it is in.
    pub(super) style: Style,
    /// The names that led there, outermost first.
    pub(super) through: Vec<Hole>,
}

/// A name in a text that is put together.
#[derive(Clone)]
pub(super) struct Hole {
    pub(super) link: Link,
    /// The template's hole that it fills, with its `${` and `}`; and the template.
    pub(super) hole: Option<(Span, Span)>,
}

/// The parts of the text that an expression is; none when one of them is not certain.
pub(super) fn pieces<'a>(
    module: &Module<'a>,
    expression: &'a Expression<'a>,
) -> Option<Vec<Piece>> {
    pieces_in(module, expression, None)
}

fn pieces_in<'a>(
    module: &Module<'a>,
    expression: &'a Expression<'a>,
    hole: Option<(Span, Span)>,
) -> Option<Vec<Piece>> {
    let (value, links) = module.follow(expression);
    // Only the outermost name fills the hole; those behind it stand in declarations of their own.
    let holes = links
        .into_iter()
        .enumerate()
        .map(|(depth, link)| Hole { link, hole: hole.filter(|_| depth == 0) });
    let holes = holes.collect::<Vec<_>>();
    let mut pieces = module.deeper(|| own_pieces(module, value)).flatten()?;
    for piece in &mut pieces {
        piece.through.splice(0..0, holes.iter().cloned());
    }
    Some(pieces)
}

fn own_pieces<'a>(module: &Module<'a>, value: &'a Expression<'a>) -> Option<Vec<Piece>> {
    match value {
        Expression::TemplateLiteral(template) => template_pieces(module, template),
        Expression::BinaryExpression(sum) if sum.operator == BinaryOperator::Addition => {
            let mut pieces = pieces_in(module, &sum.left, None)?;
            pieces.extend(pieces_in(module, &sum.right, None)?);
            // Numbers are added up, not put side by side.
            let is_text = pieces.iter().any(|piece| piece.style != Style::Number);
            is_text.then_some(pieces)
        }
        Expression::StringLiteral(_) | Expression::NumericLiteral(_) => {
            let literal = literal(module.text, value)?;
            let at = if literal.style == Style::Number { literal.at } else { literal.at.shrink(1) };
            // With an escape in it, the bytes are not what they say.
            let plain =
                literal.style == Style::Number || at.source_text(module.text) == literal.says;
            plain.then(|| {
                vec![Piece { says: literal.says, at, style: literal.style, through: Vec::new() }]
            })
        }
        _ => None,
    }
}

fn template_pieces<'a>(
    module: &Module<'a>,
    template: &'a TemplateLiteral<'a>,
) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    for (place, quasi) in template.quasis.iter().enumerate() {
        let says = quasi.value.cooked.as_ref()?.to_string();
        if quasi.span.source_text(module.text) != says {
            return None;
        }
        pieces.push(Piece { says, at: quasi.span, style: Style::Quoted('`'), through: Vec::new() });
        if let (Some(expression), Some(next)) =
            (template.expressions.get(place), template.quasis.get(place + 1))
        {
            let hole = Span::new(quasi.span.end, next.span.start);
            pieces.extend(pieces_in(module, expression, Some((hole, template.span)))?);
        }
    }
    Some(pieces)
}
