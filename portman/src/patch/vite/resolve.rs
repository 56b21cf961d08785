//! Follows the config from the file's export to the object whose members Vite reads.
//!
//! Only what is certain is followed: literals, names that get one value, and functions of Vite's own. Anything else
//! ends in a [`Stuck`] with the place where it ended.

use std::cell::Cell;

use oxc_ast::ast::{
    Argument, ArrowFunctionBody, Expression, Function, FunctionBody, ObjectExpression,
    ObjectProperty, ObjectPropertyKind, Program, PropertyKind, Statement,
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

/// What the file exports: configs of which a later one overrides an earlier one.
pub(super) struct Config<'a> {
    /// The config that wins, to which changes are made.
    pub(super) top: Reached<'a>,
    /// What is merged below it, unless it could not be followed.
    pub(super) below: Vec<Result<Reached<'a>, Span>>,
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
    fn new(at: Span, code: Code, why: impl Into<String>) -> Self {
        Self { at, code, why: why.into() }
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
    pub(super) fn new(text: &'a str, program: &'a Program<'a>) -> Self {
        Self { text, program, names: Names::of(program), depth: Cell::new(0), steps: Cell::new(0) }
    }

    /// The config that the file exports.
    pub(super) fn config(&self) -> Result<Config<'a>, Stuck> {
        let mut exports = super::export::defaults(self);
        let first = exports.next();
        match (first, exports.next()) {
            (None, _) => {
                Err(Stuck::new(Span::empty(0), Code::NotFollowed, "the file has no default export"))
            }
            (_, Some(second)) => Err(Stuck::new(
                second.span(),
                Code::NotFollowed,
                "the file has two default exports",
            )),
            (Some(export), None) => self.exported(export),
        }
    }

    fn exported(&self, export: super::export::Export<'a>) -> Result<Config<'a>, Stuck> {
        use super::export::Export;
        match export {
            Export::Expression(expression) => self.config_of(expression, Vec::new()),
            Export::Function(function) => self.config_of_function(function, Vec::new()),
            Export::Name(at, Some(place)) => self.config_of_binding(at, place, Vec::new()),
            Export::Name(at, None) => {
                Err(Stuck::new(at, Code::NotFollowed, "the exported name is not declared here"))
            }
            Export::Other(at) => {
                Err(Stuck::new(at, Code::NotFollowed, "the config comes from somewhere else"))
            }
        }
    }

    fn config_of(
        &self,
        expression: &'a Expression<'a>,
        through: Vec<Link>,
    ) -> Result<Config<'a>, Stuck> {
        let circle =
            || Err(unfollowed(expression.span(), "the names in this file lead round in circles"));
        self.deeper(|| self.config_in(expression, through)).unwrap_or_else(circle)
    }

    fn config_in(
        &self,
        expression: &'a Expression<'a>,
        through: Vec<Link>,
    ) -> Result<Config<'a>, Stuck> {
        match expression.get_inner_expression() {
            Expression::ObjectExpression(object) => {
                Ok(Config { top: Reached { object, through }, below: Vec::new() })
            }
            Expression::Identifier(name) => match self.names.binding(name) {
                Some((place, _)) => self.config_of_binding(name.span, place, through),
                None => Err(unfollowed(name.span, "the exported name is not declared here")),
            },
            Expression::ArrowFunctionExpression(function) => match &function.body {
                ArrowFunctionBody::FunctionBody(body) => self.config_of_body(body, through),
                body => match body.as_expression() {
                    Some(body) => self.config_of(body, through),
                    None => {
                        Err(unfollowed(function.span, "the exported function returns no object"))
                    }
                },
            },
            Expression::FunctionExpression(function) => self.config_of_function(function, through),
            Expression::CallExpression(call) => match self.trusted(&call.callee) {
                Some("defineConfig") => {
                    match call.arguments.first().and_then(Argument::as_expression) {
                        Some(config) => self.config_of(config, through),
                        None => {
                            Err(unfollowed(call.span, "`defineConfig` is called without a config"))
                        }
                    }
                }
                Some("mergeConfig") => self.merged(&call.arguments, call.span, through),
                _ => Err(unfollowed(
                    call.span,
                    format!("what `{}` returns is not known", self.shown(call.callee.span())),
                )),
            },
            other => Err(unfollowed(other.span(), "the exported config is not an object literal")),
        }
    }

    fn config_of_binding(
        &self,
        at: Span,
        place: usize,
        mut through: Vec<Link>,
    ) -> Result<Config<'a>, Stuck> {
        match self.names.at(place).origin {
            Origin::Value(value) if !self.is_assigned(place) => {
                through.push(Link { binding: place, at, is_member: false });
                self.config_of(value, through)
            }
            Origin::Function(function) => self.config_of_function(function, through),
            Origin::Import { .. } => {
                Err(unfollowed(at, format!("`{}` comes from another file", self.shown(at))))
            }
            _ => Err(unfollowed(at, format!("`{}` does not stand for one object", self.shown(at)))),
        }
    }

    fn config_of_function(
        &self,
        function: &'a Function<'a>,
        through: Vec<Link>,
    ) -> Result<Config<'a>, Stuck> {
        match &function.body {
            Some(body) if !function.generator => self.config_of_body(body, through),
            _ => Err(unfollowed(function.span, "the exported function returns no object")),
        }
    }

    fn config_of_body(
        &self,
        body: &'a FunctionBody<'a>,
        through: Vec<Link>,
    ) -> Result<Config<'a>, Stuck> {
        let count = super::export::returns(body);
        let last = body.statements.iter().find_map(|statement| match statement {
            Statement::ReturnStatement(statement) => Some(statement),
            _ => None,
        });
        match last.and_then(|statement| statement.argument.as_ref()) {
            Some(config) if count == 1 => self.config_of(config, through),
            _ => Err(unfollowed(body.span, "the exported function returns from several places")),
        }
    }

    /// `mergeConfig(below, top)`: changes go to `top`, which must be an object literal itself.
    fn merged(
        &self,
        arguments: &'a [Argument<'a>],
        at: Span,
        through: Vec<Link>,
    ) -> Result<Config<'a>, Stuck> {
        let [below, top, ..] = arguments else {
            return Err(unfollowed(at, "`mergeConfig` is called without two configs"));
        };
        let (Some(below), Some(top)) = (below.as_expression(), top.as_expression()) else {
            return Err(unfollowed(at, "the configs that `mergeConfig` gets are not written out"));
        };
        if matches!(
            self.unwrapped(top),
            Expression::ArrowFunctionExpression(_) | Expression::FunctionExpression(_)
        ) {
            return Err(unfollowed(top.span(), "`mergeConfig` does not take a function"));
        }
        let mut merged = self.config_of(top, through)?;
        match self.config_of(below, Vec::new()) {
            Ok(config) => {
                merged.below.extend(config.below);
                merged.below.push(Ok(config.top));
            }
            Err(_) => merged.below.push(Err(below.span())),
        }
        Ok(merged)
    }

    /// An expression without `defineConfig(…)` around it.
    fn unwrapped(&self, expression: &'a Expression<'a>) -> &'a Expression<'a> {
        match expression.get_inner_expression() {
            Expression::CallExpression(call)
                if self.trusted(&call.callee) == Some("defineConfig") =>
            {
                let inner = call.arguments.first().and_then(Argument::as_expression);
                inner.map_or(expression, Expression::get_inner_expression)
            }
            inner => inner,
        }
    }

    /// The name of a function that comes from a package we trust, whatever it is called here.
    pub(super) fn trusted(&self, callee: &Expression<'a>) -> Option<&'a str> {
        match callee.get_inner_expression() {
            Expression::Identifier(name) => match self.names.binding(name)?.1.origin {
                Origin::Import { file, member } if TRUSTED.contains(&file) => member,
                Origin::Member { of, member, default: None } if is_trusted_require(of) => {
                    Some(member)
                }
                _ => None,
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

    /// Nothing else sees what is changed behind these names, and nothing changes it meanwhile.
    fn must_be_ours(&self, through: &[Link], key: &str) -> Result<(), Stuck> {
        for link in through {
            let name = self.shown(link.at);
            if !self.is_steady(link, key) {
                return Err(unfollowed(link.at, format!("`{name}` is changed after it is made")));
            }
            if link.is_member || self.uses_reaching(link.binding, key) > 1 {
                return Err(unfollowed(
                    link.at,
                    format!("`{name}` is used in several places, which would all change"),
                ));
            }
        }
        Ok(())
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

    fn uses_reaching(&self, binding: usize, key: &str) -> usize {
        let reaches = |usage| match usage {
            Usage::Member(member) => member.is_none_or(|member| member == key),
            Usage::Shown => false,
            _ => true,
        };
        self.names.uses(binding).filter(|reference| reaches(reference.usage)).count()
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

fn unfollowed(at: Span, why: impl Into<String>) -> Stuck {
    Stuck::new(at, Code::NotFollowed, why)
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
