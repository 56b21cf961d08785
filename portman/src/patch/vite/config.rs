//! The config that a file exports.
//!
//! It is followed from the export through `defineConfig`, functions with one return, and names to an object literal.
//! Only functions that come from Vite, or from who passes Vite's on, are known to return what they are given.

use oxc_ast::AstKind;
use oxc_ast::ast::{
    Argument, ArrowFunctionBody, AssignmentExpression, AssignmentTarget,
    ExportDefaultDeclarationKind, Expression, Function, FunctionBody, IdentifierReference,
    ModuleExportName, Statement,
};
use oxc_ast_visit::Visit;
use oxc_span::{GetSpan, Span};

use super::names::{Origin, Reference, Usage};
use super::resolve::{Link, Module, Reached, Stuck};

/// What the file exports: configs of which a later one overrides an earlier one.
pub(super) struct Config<'a> {
    /// The config that wins, to which changes are made.
    pub(super) top: Reached<'a>,
    /// What is merged below it, unless it could not be followed.
    pub(super) below: Vec<Result<Reached<'a>, Span>>,
}

impl<'a> Module<'a> {
    /// The config that the file exports.
    pub(super) fn config(&self) -> Result<Config<'a>, Stuck> {
        let mut exports = defaults(self);
        let first = exports.next();
        match (first, exports.next()) {
            (None, _) => Err(Stuck::unfollowed(Span::empty(0), "the file has no default export")),
            (_, Some(second)) => {
                Err(Stuck::unfollowed(second.span(), "the file has two default exports"))
            }
            (Some(export), None) => {
                self.must_be_the_only_one()?;
                self.exported(&export)
            }
        }
    }

    /// Nothing below `module.exports` or `exports` changes but by the one export: `module.exports.server = {}`.
    fn must_be_the_only_one(&self) -> Result<(), Stuck> {
        let is_export = |reference: &Reference<'a>| {
            let mut targets = self.program.body.iter().filter_map(export_target);
            targets.any(|target| target.span().contains_inclusive(reference.span))
        };
        let may_change = |reference: &&Reference<'a>| match reference.usage {
            Usage::Shown => false,
            Usage::Member(member) | Usage::MemberChanged(member) => {
                !is_export(reference) && member.is_none_or(|member| member == "exports")
            }
            _ => true,
        };
        let adds = |reference: &&Reference<'a>| {
            let is_mark = matches!(reference.usage, Usage::MemberChanged(Some("__esModule")));
            !is_export(reference) && !is_mark && !matches!(reference.usage, Usage::Shown)
        };
        let module = self.names.undeclared("module").find(may_change);
        match module.or_else(|| self.names.undeclared("exports").find(adds)) {
            None => Ok(()),
            Some(reference) => {
                let why = "what the file exports is changed or used in another place too";
                Err(Stuck::unfollowed(reference.span, why))
            }
        }
    }

    fn exported(&self, export: &Export<'a>) -> Result<Config<'a>, Stuck> {
        match *export {
            Export::Expression(expression) => self.config_of(expression, Vec::new()),
            Export::Function(function) => self.config_of_function(function, Vec::new()),
            Export::Name(at, Some(place)) => self.config_of_binding(at, place, Vec::new()),
            Export::Name(at, None) => {
                Err(Stuck::unfollowed(at, "the exported name is not declared here"))
            }
            Export::Other(at) => Err(Stuck::unfollowed(at, "the config comes from somewhere else")),
        }
    }

    fn config_of(
        &self,
        expression: &'a Expression<'a>,
        through: Vec<Link>,
    ) -> Result<Config<'a>, Stuck> {
        let circle = || {
            Err(Stuck::unfollowed(
                expression.span(),
                "the names in this file lead round in circles",
            ))
        };
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
                None => Err(Stuck::unfollowed(name.span, "the exported name is not declared here")),
            },
            Expression::ArrowFunctionExpression(function) => match &function.body {
                ArrowFunctionBody::FunctionBody(body) => self.config_of_body(body, through),
                body => match body.as_expression() {
                    Some(body) => self.config_of(body, through),
                    None => Err(Stuck::unfollowed(
                        function.span,
                        "the exported function returns no object",
                    )),
                },
            },
            Expression::FunctionExpression(function) => self.config_of_function(function, through),
            Expression::CallExpression(call) => match self.trusted(&call.callee) {
                Some("defineConfig") => {
                    match call.arguments.first().and_then(Argument::as_expression) {
                        Some(config) => self.config_of(config, through),
                        None => Err(Stuck::unfollowed(
                            call.span,
                            "`defineConfig` is called without a config",
                        )),
                    }
                }
                Some("mergeConfig") => self.merged(&call.arguments, call.span, through),
                _ => Err(Stuck::unfollowed(
                    call.span,
                    format!("what `{}` returns is not known", self.shown(call.callee.span())),
                )),
            },
            other => {
                Err(Stuck::unfollowed(other.span(), "the exported config is not an object literal"))
            }
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
            Origin::Function(function) if !self.is_assigned(place) => {
                self.config_of_function(function, through)
            }
            Origin::Import { .. } => {
                Err(Stuck::unfollowed(at, format!("`{}` comes from another file", self.shown(at))))
            }
            _ => Err(Stuck::unfollowed(
                at,
                format!("`{}` does not stand for one object", self.shown(at)),
            )),
        }
    }

    fn config_of_function(
        &self,
        function: &'a Function<'a>,
        through: Vec<Link>,
    ) -> Result<Config<'a>, Stuck> {
        match &function.body {
            Some(body) if !function.generator => self.config_of_body(body, through),
            _ => Err(Stuck::unfollowed(function.span, "the exported function returns no object")),
        }
    }

    fn config_of_body(
        &self,
        body: &'a FunctionBody<'a>,
        through: Vec<Link>,
    ) -> Result<Config<'a>, Stuck> {
        let count = returns(body);
        let last = body.statements.iter().find_map(|statement| match statement {
            Statement::ReturnStatement(statement) => Some(statement),
            _ => None,
        });
        match last.and_then(|statement| statement.argument.as_ref()) {
            Some(config) if count == 1 => self.config_of(config, through),
            _ => Err(Stuck::unfollowed(
                body.span,
                "the exported function has more than one return, or none at its end",
            )),
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
            return Err(Stuck::unfollowed(at, "`mergeConfig` is called without two configs"));
        };
        let (Some(below), Some(top)) = (below.as_expression(), top.as_expression()) else {
            return Err(Stuck::unfollowed(
                at,
                "the configs that `mergeConfig` gets are not written out",
            ));
        };
        self.must_be_written_out(top)?;
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

    /// `mergeConfig` takes objects only, and changes go to an object that stands in this file.
    fn must_be_written_out(&self, config: &'a Expression<'a>) -> Result<(), Stuck> {
        let (value, _) = self.follow(config);
        let not_an_object =
            Err(Stuck::unfollowed(value.span(), "what is merged last is not an object literal"));
        let Expression::CallExpression(call) = value else {
            return if matches!(value, Expression::ObjectExpression(_)) {
                Ok(())
            } else {
                not_an_object
            };
        };
        match (self.trusted(&call.callee), call.arguments.first().and_then(Argument::as_expression))
        {
            (Some("mergeConfig"), _) => Ok(()),
            (Some("defineConfig"), Some(config)) => {
                self.deeper(|| self.must_be_written_out(config)).unwrap_or(not_an_object)
            }
            _ => not_an_object,
        }
    }
}

/// A default export.
enum Export<'a> {
    /// `export default …`, `module.exports = …`
    Expression(&'a Expression<'a>),
    /// `export default function () {}`
    Function(&'a Function<'a>),
    /// `export { name as default }`, with what the name means.
    Name(Span, Option<usize>),
    /// A class, or an export of another file's.
    Other(Span),
}

impl Export<'_> {
    fn span(&self) -> Span {
        match self {
            Self::Expression(expression) => expression.span(),
            Self::Function(function) => function.span,
            Self::Name(at, _) | Self::Other(at) => *at,
        }
    }
}

/// The default exports of a file: one, if it is a config.
fn defaults<'m, 'a>(module: &'m Module<'a>) -> impl Iterator<Item = Export<'a>> + use<'m, 'a> {
    module.program.body.iter().filter_map(|statement| default(module, statement))
}

fn default<'a>(module: &Module<'a>, statement: &'a Statement<'a>) -> Option<Export<'a>> {
    match statement {
        Statement::ExportDefaultDeclaration(export) => Some(match &export.declaration {
            ExportDefaultDeclarationKind::FunctionDeclaration(function) => {
                Export::Function(function)
            }
            declaration => {
                declaration.as_expression().map_or(Export::Other(export.span), Export::Expression)
            }
        }),
        Statement::ExportNamedDeclaration(export) => {
            let specifier = export
                .specifiers
                .iter()
                .find(|specifier| specifier.exported.name() == "default")?;
            let place = match &specifier.local {
                ModuleExportName::IdentifierReference(name) => place(module, name),
                _ => None,
            };
            Some(Export::Name(specifier.local.span(), place))
        }
        Statement::ExportFromDeclaration(export) => {
            let specifier = export
                .specifiers
                .iter()
                .find(|specifier| specifier.exported.name() == "default")?;
            Some(Export::Other(specifier.span))
        }
        Statement::TSExportAssignment(export) => Some(Export::Expression(&export.expression)),
        statement => exporting(statement).map(|assignment| Export::Expression(&assignment.right)),
    }
}

/// `module.exports = …` at the top of the file.
fn exporting<'a>(statement: &'a Statement<'a>) -> Option<&'a AssignmentExpression<'a>> {
    match statement {
        Statement::ExpressionStatement(statement) => match &statement.expression {
            Expression::AssignmentExpression(assignment)
                if assignment.operator.is_assign() && is_exports(&assignment.left) =>
            {
                Some(assignment)
            }
            _ => None,
        },
        _ => None,
    }
}

fn export_target<'a>(statement: &'a Statement<'a>) -> Option<&'a AssignmentTarget<'a>> {
    exporting(statement).map(|assignment| &assignment.left)
}

fn place<'a>(module: &Module<'a>, name: &IdentifierReference<'a>) -> Option<usize> {
    module.names.binding(name).map(|(place, _)| place)
}

/// `module.exports`, `exports.default`
fn is_exports(target: &AssignmentTarget<'_>) -> bool {
    let AssignmentTarget::StaticMemberExpression(member) = target else {
        return false;
    };
    let Expression::Identifier(object) = &member.object else {
        return false;
    };
    matches!(
        (object.name.as_str(), member.property.name.as_str()),
        ("module", "exports") | ("exports", "default")
    )
}

/// How many times a function returns, its inner functions left out.
fn returns(body: &FunctionBody<'_>) -> usize {
    let mut returns = Returns { count: 0, functions: 0 };
    returns.visit_function_body(body);
    returns.count
}

struct Returns {
    count: usize,
    functions: usize,
}

impl<'a> Visit<'a> for Returns {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        match kind {
            AstKind::Function(_) | AstKind::ArrowFunctionExpression(_) => self.functions += 1,
            AstKind::ReturnStatement(_) if self.functions == 0 => self.count += 1,
            _ => {}
        }
    }

    fn leave_node(&mut self, kind: AstKind<'a>) {
        if matches!(kind, AstKind::Function(_) | AstKind::ArrowFunctionExpression(_)) {
            self.functions -= 1;
        }
    }
}
