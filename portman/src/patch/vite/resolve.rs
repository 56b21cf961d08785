//! What the names and members of a file stand for.
//!
//! Nothing is evaluated: a name is followed to the one value it ever gets, a member to the object literal that has it,
//! a spread to the object literal it spreads. Where that is not certain, the expression itself is the answer.

use std::cell::Cell;

use oxc_ast::ast::{
    Argument, Expression, ObjectExpression, ObjectProperty, ObjectPropertyKind, Program,
    PropertyKind,
};
use oxc_span::{GetSpan, Span};

use super::super::Code;
use super::names::{Names, Origin, Usage};

/// Whose `defineConfig` returns what it is given, and whose `mergeConfig` lets the last config win.
const TRUSTED: [&str; 4] = ["vite", "vitest/config", "vite-plus", "rolldown-vite"];

/// Names that lead to names, and spreads in spreads, at most: they may lead round in circles.
const MAX_DEPTH: u32 = 64;

/// Names followed and objects searched in one file, at most: they may double at every step.
const MAX_STEPS: u32 = 20_000;

/// A parsed file.
pub(super) struct Module<'a> {
    pub(super) text: &'a str,
    pub(super) program: &'a Program<'a>,
    pub(super) names: Names<'a>,
    depth: Cell<u32>,
    steps: Cell<u32>,
}

/// An object of the file.
#[derive(Clone)]
pub(super) struct Reached<'a> {
    pub(super) object: &'a ObjectExpression<'a>,
    /// The names that led to it.
    pub(super) through: Vec<Link>,
}

/// A name, or a member of one, that stands for a value.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// Its declaration.
    pub(super) binding: usize,
    /// The expression's bytes: `PORT`, `PORTS.web`.
    pub(super) at: Span,
    /// It is a member of what was declared, not all of it.
    pub(super) is_member: bool,
}

/// Where following ended.
#[derive(Debug, Clone)]
pub(super) struct Stuck {
    pub(super) at: Span,
    pub(super) code: Code,
    pub(super) why: String,
}

impl Stuck {
    pub(super) fn new(at: Span, code: Code, why: impl Into<String>) -> Self {
        Self { at, code, why: why.into() }
    }

    pub(super) fn unfollowed(at: Span, why: impl Into<String>) -> Self {
        Self::new(at, Code::NotFollowed, why)
    }
}

/// What an object says about a key.
pub(super) enum Member<'a> {
    /// This.
    Here(&'a ObjectProperty<'a>, Vec<Link>),
    /// Nothing.
    Absent,
    /// A spread may bring the key, and overrides the literal member that stands before it.
    Spread(Span, Option<&'a ObjectProperty<'a>>),
    /// A computed key may be this one.
    Hidden(Span),
}

impl<'a> Module<'a> {
    pub(super) fn new(text: &'a str, program: &'a Program<'a>) -> Self {
        Self { text, program, names: Names::of(program), depth: Cell::new(0), steps: Cell::new(0) }
    }

    /// The name of a function that comes from a package we trust, whatever it is called here.
    pub(super) fn trusted(&self, callee: &Expression<'a>) -> Option<&'a str> {
        match callee.get_inner_expression() {
            Expression::Identifier(name) => match self.names.binding(name)? {
                (place, _) if self.is_assigned(place) => None,
                (_, binding) => match binding.origin {
                    Origin::Import { file, member } if TRUSTED.contains(&file) => member,
                    Origin::Member { of, member, default: None } if is_trusted_require(of) => {
                        Some(member)
                    }
                    _ => None,
                },
            },
            Expression::StaticMemberExpression(member) => {
                let package = member.object.get_inner_expression();
                let trusted = is_trusted_require(package) || self.is_trusted_package(package);
                trusted.then(|| member.property.name.as_str())
            }
            _ => None,
        }
    }

    fn is_trusted_package(&self, expression: &Expression<'a>) -> bool {
        let Expression::Identifier(name) = expression else {
            return false;
        };
        match self.names.binding(name).map(|(_, binding)| binding.origin) {
            Some(Origin::Import { file, member: None }) => TRUSTED.contains(&file),
            Some(Origin::Value(value)) => is_trusted_require(value),
            _ => false,
        }
    }

    /// The expression that gives the value, behind names, casts and parentheses; and the names that led to it.
    pub(super) fn follow(&self, expression: &'a Expression<'a>) -> (&'a Expression<'a>, Vec<Link>) {
        let mut at = expression.get_inner_expression();
        let mut through = Vec::new();
        while let Some((next, link)) = self.deeper(|| self.behind(at)).flatten() {
            through.push(link);
            at = next.get_inner_expression();
            if through.len() > MAX_DEPTH as usize {
                break;
            }
        }
        (at, through)
    }

    /// What a name, or a member of one, stands for.
    fn behind(&self, expression: &'a Expression<'a>) -> Option<(&'a Expression<'a>, Link)> {
        let at = expression.span();
        match expression {
            Expression::Identifier(name) => {
                let (place, binding) = self.names.binding(name)?;
                if self.is_assigned(place) {
                    return None;
                }
                match binding.origin {
                    Origin::Value(value) => {
                        Some((value, Link { binding: place, at, is_member: false }))
                    }
                    Origin::Member { of, member, default: None } => {
                        let value = self.value_of_member(of, member)?;
                        Some((value, Link { binding: place, at, is_member: true }))
                    }
                    _ => None,
                }
            }
            Expression::StaticMemberExpression(member) if !member.optional => {
                let (_, through) = self.follow(&member.object);
                let value = self.value_of_member(&member.object, member.property.name.as_str())?;
                Some((value, Link { binding: through.first()?.binding, at, is_member: true }))
            }
            _ => None,
        }
    }

    fn value_of_member(&self, of: &'a Expression<'a>, key: &str) -> Option<&'a Expression<'a>> {
        let (object, through) = self.follow(of);
        let Expression::ObjectExpression(object) = object else {
            return None;
        };
        if !through.iter().all(|link| self.is_steady(link, key)) {
            return None;
        }
        match self.member(object, key) {
            Member::Here(member, _) => Some(&member.value),
            _ => None,
        }
    }

    /// What `object` says about `key`; the last of several wins.
    pub(super) fn member(&self, object: &'a ObjectExpression<'a>, key: &str) -> Member<'a> {
        let mut spread = None;
        for property in object.properties.iter().rev() {
            match property {
                ObjectPropertyKind::ObjectProperty(property) => match self.key_of(property) {
                    None => return Member::Hidden(property.key.span()),
                    Some(name) if name != key => {}
                    Some(_) if property.kind != PropertyKind::Init || property.method => {
                        return Member::Hidden(property.span);
                    }
                    Some(_) => {
                        return spread.map_or(Member::Here(property, Vec::new()), |at| {
                            Member::Spread(at, Some(property))
                        });
                    }
                },
                ObjectPropertyKind::SpreadProperty(spreading) => {
                    match self.spread(&spreading.argument, key) {
                        Member::Absent => {}
                        Member::Here(member, through) if spread.is_none() => {
                            return Member::Here(member, through);
                        }
                        _ => spread = spread.or(Some(spreading.span)),
                    }
                }
            }
        }
        spread.map_or(Member::Absent, |at| Member::Spread(at, None))
    }

    /// What spreading an expression says about `key`.
    fn spread(&self, expression: &'a Expression<'a>, key: &str) -> Member<'a> {
        self.deeper(|| self.spread_of(expression, key)).unwrap_or(Member::Hidden(expression.span()))
    }

    fn spread_of(&self, expression: &'a Expression<'a>, key: &str) -> Member<'a> {
        let hidden = Member::Hidden(expression.span());
        let (value, mut through) = self.follow(expression);
        if !through.iter().all(|link| self.is_steady(link, key)) {
            return hidden;
        }
        match value {
            Expression::ObjectExpression(object) => match self.member(object, key) {
                Member::Here(member, further) => {
                    through.extend(further);
                    Member::Here(member, through)
                }
                other => other,
            },
            // `...(condition && { … })`, `...(condition ? { … } : {})`: enough to know that no arm has the key.
            Expression::LogicalExpression(either) => self.neither(&[&either.right], key, hidden),
            Expression::ConditionalExpression(either) => {
                self.neither(&[&either.consequent, &either.alternate], key, hidden)
            }
            Expression::NullLiteral(_) | Expression::BooleanLiteral(_) => Member::Absent,
            Expression::Identifier(name) if name.name == "undefined" => Member::Absent,
            _ => hidden,
        }
    }

    fn neither(&self, arms: &[&'a Expression<'a>], key: &str, otherwise: Member<'a>) -> Member<'a> {
        let absent = arms.iter().all(|arm| matches!(self.spread(arm, key), Member::Absent));
        if absent { Member::Absent } else { otherwise }
    }

    /// The name of a member; none when it is computed.
    pub(super) fn key_of(&self, property: &'a ObjectProperty<'a>) -> Option<String> {
        if let Some(name) = property.key.static_name() {
            return Some(name.into_owned());
        }
        match self.follow(property.key.as_expression()?).0 {
            Expression::StringLiteral(name) => Some(name.value.to_string()),
            _ => None,
        }
    }

    /// Whether the object behind a name keeps the member it was made with.
    pub(super) fn is_steady(&self, link: &Link, key: &str) -> bool {
        self.names.uses(link.binding).all(|reference| match reference.usage {
            Usage::Assigned => false,
            Usage::MemberChanged(member) => member.is_some_and(|member| member != key),
            Usage::Argument(call) => self.trusted(&call.callee).is_some(),
            Usage::Whole | Usage::Shown | Usage::Member(_) => true,
        })
    }

    /// Whether the object behind a name keeps every member it was made with.
    pub(super) fn is_untouched(&self, link: &Link) -> bool {
        self.names.uses(link.binding).all(|reference| match reference.usage {
            Usage::Assigned | Usage::MemberChanged(_) => false,
            Usage::Argument(call) => self.trusted(&call.callee).is_some(),
            Usage::Whole | Usage::Shown | Usage::Member(_) => true,
        })
    }

    pub(super) fn is_assigned(&self, binding: usize) -> bool {
        self.names.uses(binding).any(|reference| matches!(reference.usage, Usage::Assigned))
    }

    /// One step further, unless the names of this file lead round in circles.
    pub(super) fn deeper<T>(&self, step: impl FnOnce() -> T) -> Option<T> {
        if self.depth.get() >= MAX_DEPTH || self.steps.get() >= MAX_STEPS {
            return None;
        }
        self.depth.set(self.depth.get() + 1);
        self.steps.set(self.steps.get() + 1);
        let result = step();
        self.depth.set(self.depth.get() - 1);
        Some(result)
    }

    /// The bytes of an expression, for people: one line, not too long.
    pub(super) fn shown(&self, at: Span) -> String {
        const MAX_SHOWN: usize = 40;
        let text = at.source_text(self.text).split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().count() <= MAX_SHOWN {
            return text;
        }
        text.chars().take(MAX_SHOWN).chain(['…']).collect()
    }
}

/// `require('vite')`
fn is_trusted_require(expression: &Expression<'_>) -> bool {
    let Expression::CallExpression(call) = expression.get_inner_expression() else {
        return false;
    };
    let is_require = matches!(&call.callee, Expression::Identifier(name) if name.name == "require");
    match call.arguments.first() {
        Some(Argument::StringLiteral(file)) => is_require && TRUSTED.contains(&file.value.as_str()),
        _ => false,
    }
}
