//! A literal that a member of the config says, and how it is made to say something else.

use oxc_ast::ast::{Expression, ObjectProperty};
use oxc_span::GetSpan;

use super::super::{Code, Refusal};
use super::computed::{self, Instead};
use super::resolve::{Link, Module, Stuck};
use super::value::{Literal, Style, literal, written};
use super::want::{Use, Want, Wants};

/// A literal that a member of the config says.
pub(super) struct Leaf {
    key: String,
    pub(super) literal: Literal,
    through: Vec<(Link, Option<String>)>,
}

impl Leaf {
    /// The literal behind `member`'s value; a refusal when there is none.
    pub(super) fn of<'a>(
        module: &Module<'a>,
        key: &str,
        member: &'a ObjectProperty<'a>,
        instead: &Instead,
    ) -> Result<Self, Refusal> {
        let (value, links) = module.follow(&member.value);
        let Some(literal) = literal(module.text, value) else {
            let is_structure = matches!(
                value,
                Expression::ObjectExpression(_)
                    | Expression::ArrayExpression(_)
                    | Expression::ArrowFunctionExpression(_)
                    | Expression::FunctionExpression(_)
            );
            if is_structure {
                let at = value.span();
                let why = format!("`{key}` is not one plain value");
                return Err(computed::stuck(&Stuck { at, code: Code::NotAValue, why }, instead));
            }
            return Err(computed::refusal(module, key, value, instead));
        };
        // `{ port }` says the key and the value in one word.
        let shorthand =
            member.shorthand.then(|| member.key.span().source_text(module.text).to_owned());
        let through = links.into_iter().enumerate();
        let through =
            through.map(|(depth, link)| (link, shorthand.clone().filter(|_| depth == 0))).collect();
        Ok(Self { key: key.to_owned(), literal, through })
    }

    /// Wants it to say `says`, unless it does.
    pub(super) fn change(&self, says: &str, style: Style, wants: &mut Wants<'_>) {
        wants.forget(&self.key);
        if self.literal.says == says {
            return;
        }
        let text = written(says, style);
        let through = self.through.iter().map(|(link, shorthand)| Use {
            link: link.clone(),
            at: link.at,
            text: shorthand.as_ref().map_or_else(|| text.clone(), |name| format!("{name}: {text}")),
        });
        wants.changes.push(Want {
            key: self.key.clone(),
            old: self.literal.says.clone(),
            new: says.to_owned(),
            at: self.literal.at,
            through: through.collect(),
            text: text.clone(),
        });
    }
}
