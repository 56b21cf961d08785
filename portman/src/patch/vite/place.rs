//! Where a key path ends in a config.
//!
//! A value may only be changed where nothing else sees it: the way there leads through object literals, and through
//! names that nothing else uses for that member.

use oxc_ast::ast::{Expression, ObjectExpression, ObjectProperty};
use oxc_span::GetSpan;

use super::super::Code;
use super::names::Usage;
use super::resolve::{Link, Member, Module, Reached, Stuck};

/// Where a key path ends in a config.
pub(super) enum Place<'a> {
    /// At a member.
    Member(&'a ObjectProperty<'a>),
    /// In this object, which lacks the member at `depth` of the path.
    Gap {
        /// Where the rest of the path is to be made.
        object: &'a ObjectExpression<'a>,
        /// How many steps of the path exist.
        depth: usize,
        /// Nothing else can bring the key.
        sure: bool,
    },
}

impl<'a> Module<'a> {
    /// Where `path` ends below `from`. The way there may only lead through names that nothing else uses.
    pub(super) fn place(&self, from: &Reached<'a>, path: &[&str]) -> Result<Place<'a>, Stuck> {
        let mut reached = from.clone();
        for (depth, &key) in path.iter().enumerate() {
            self.must_be_ours(&reached.through, key)?;
            let is_last = depth + 1 == path.len();
            let object = reached.object;
            match self.member(object, key) {
                // What others share stays as it is, and one more value behind its spread overrides it here.
                Member::Here(_, through)
                    if is_last && self.must_be_ours(&through, key).is_err() =>
                {
                    return Ok(Place::Gap { object, depth, sure: false });
                }
                Member::Here(member, _) if is_last => return Ok(Place::Member(member)),
                Member::Here(member, through) => {
                    self.must_be_ours(&through, key)?;
                    reached = self.object(&member.value, &path[..=depth])?;
                }
                Member::Absent => return Ok(Place::Gap { object, depth, sure: true }),
                // After an unknown spread one more value is certain, but one more object would replace a whole one.
                Member::Spread(_, None) if is_last => {
                    return Ok(Place::Gap { object, depth, sure: false });
                }
                Member::Spread(at, _) => {
                    let why = format!("`{key}` may come from `{}`", self.shown(at));
                    return Err(Stuck::new(at, Code::Computed, why));
                }
                Member::Hidden(at) => {
                    return Err(Stuck::new(
                        at,
                        Code::Computed,
                        format!("a computed key may be `{key}`"),
                    ));
                }
            }
        }
        Err(Stuck::new(from.object.span, Code::NotAValue, "an empty key path names no value"))
    }

    /// The object that an expression is; `path` is what it is called.
    fn object(&self, expression: &'a Expression<'a>, path: &[&str]) -> Result<Reached<'a>, Stuck> {
        let (value, through) = self.follow(expression);
        let name = path.join(".");
        match value {
            Expression::ObjectExpression(object) => Ok(Reached { object, through }),
            value if is_literal(value) => {
                Err(Stuck::new(value.span(), Code::NoParent, format!("`{name}` is not an object")))
            }
            value => Err(Stuck::new(value.span(), Code::Computed, format!("`{name}` is computed"))),
        }
    }

    /// Nothing else sees what is changed behind these names, and nothing changes it meanwhile.
    fn must_be_ours(&self, through: &[Link], key: &str) -> Result<(), Stuck> {
        for link in through {
            let name = self.shown(link.at);
            if !self.is_steady(link, key) {
                return Err(Stuck::unfollowed(
                    link.at,
                    format!("`{name}` is changed after it is made"),
                ));
            }
            if link.is_member || self.uses_reaching(link.binding, key) > 1 {
                return Err(Stuck::unfollowed(
                    link.at,
                    format!("`{name}` is used in several places, which would all change"),
                ));
            }
        }
        Ok(())
    }

    fn uses_reaching(&self, binding: usize, key: &str) -> usize {
        let reaches = |usage| match usage {
            Usage::Member(member) | Usage::MemberChanged(member) => {
                member.is_none_or(|member| member == key)
            }
            Usage::Shown => false,
            _ => true,
        };
        self.names.uses(binding).filter(|reference| reaches(reference.usage)).count()
    }
}

fn is_literal(expression: &Expression<'_>) -> bool {
    matches!(
        expression,
        Expression::StringLiteral(_)
            | Expression::NumericLiteral(_)
            | Expression::BooleanLiteral(_)
            | Expression::NullLiteral(_)
            | Expression::ArrayExpression(_)
    )
}
