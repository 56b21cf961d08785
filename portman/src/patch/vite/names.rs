//! Which declaration each name in the file means, and what is done with it.
//!
//! It knows just enough scoping for a config file: a name means the innermost declaration around it. A name that two
//! declarations of one scope share means neither, and a `var` that may not have its value yet has none.

use std::ops::Range;

use oxc_ast::AstKind;
use oxc_ast::ast::{
    BindingIdentifier, BindingProperty, CallExpression, Expression, Function, IdentifierReference,
    ModuleExportName, Program, PropertyKey, UnaryOperator,
};
use oxc_ast_visit::Visit;
use oxc_span::{GetSpan, Span};

/// The declarations and names of a file.
pub(super) struct Names<'a> {
    bindings: Vec<Binding<'a>>,
    references: Vec<Reference<'a>>,
}

/// One declared name.
pub(super) struct Binding<'a> {
    name: &'a str,
    scope: Span,
    /// Where it is declared; before that a `var` can be used, and has no value.
    var: Option<Span>,
    /// Where its value comes from.
    pub(super) origin: Origin<'a>,
    /// Other files may use it.
    pub(super) exported: bool,
}

/// Where a name's value comes from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// `const name = value`
    Value(&'a Expression<'a>),
    /// `const { member: name = default } = of`
    Member { of: &'a Expression<'a>, member: &'a str, default: Option<&'a Expression<'a>> },
    /// `function name() {}`
    Function(&'a Function<'a>),
    /// `import { name } from 'file'`; a namespace has no member.
    Import { file: &'a str, member: Option<&'a str> },
    /// A parameter, a class, or whatever else.
    Unknown,
}

/// A use of a name.
pub(super) struct Reference<'a> {
    name: &'a str,
    /// Its bytes.
    pub(super) span: Span,
    binding: Option<usize>,
    /// What is done with it.
    pub(super) usage: Usage<'a>,
}

/// What is done with a name where it stands.
#[derive(Clone, Copy)]
pub(super) enum Usage<'a> {
    /// Its value goes on as it is.
    Whole,
    /// It is shown to somebody, and that is all.
    Shown,
    /// It is handed to this call.
    Argument(&'a CallExpression<'a>),
    /// A member is read; none when its name is computed.
    Member(Option<&'a str>),
    /// A member is changed, or handed to code that may.
    MemberChanged(Option<&'a str>),
    /// It gets another value.
    Assigned,
}

impl<'a> Names<'a> {
    /// Reads the names of a file.
    pub(super) fn of(program: &Program<'a>) -> Self {
        let names = Self { bindings: Vec::new(), references: Vec::new() };
        let mut reader = Reader { above: Vec::new(), scopes: Vec::new(), names };
        reader.visit_program(program);
        let mut names = reader.names;
        for place in 0..names.references.len() {
            names.references[place].binding = names.declaration(&names.references[place]);
        }
        names.forget_early_values();
        names
    }

    /// A `var` that is used before the place where it gets its value.
    fn forget_early_values(&mut self) {
        for reference in &self.references {
            let binding = reference.binding.and_then(|place| self.bindings.get_mut(place));
            if let Some(binding) = binding
                && binding.var.is_some_and(|var| reference.span.start < var.start)
            {
                binding.origin = Origin::Unknown;
            }
        }
    }

    /// The uses of a name that is not declared in this file: `module`, `process`.
    pub(super) fn undeclared(&self, name: &str) -> impl Iterator<Item = &Reference<'a>> {
        let is_meant = move |reference: &&Reference<'a>| {
            reference.binding.is_none() && reference.name == name && !self.is_declared(reference)
        };
        self.references.iter().filter(is_meant)
    }

    fn is_declared(&self, reference: &Reference<'_>) -> bool {
        let mut bindings = self.bindings.iter();
        bindings.any(|binding| {
            binding.name == reference.name && contains(binding.scope, reference.span)
        })
    }

    /// The declaration that a name means.
    pub(super) fn binding(&self, name: &IdentifierReference<'a>) -> Option<(usize, &Binding<'a>)> {
        let reference = self.references.iter().find(|reference| reference.span == name.span)?;
        reference.binding.map(|place| (place, &self.bindings[place]))
    }

    /// The declaration at a place that [`Names::binding`] gave.
    pub(super) fn at(&self, place: usize) -> &Binding<'a> {
        &self.bindings[place]
    }

    /// The uses of a declaration.
    pub(super) fn uses(&self, place: usize) -> impl Iterator<Item = &Reference<'a>> {
        self.references.iter().filter(move |reference| reference.binding == Some(place))
    }

    /// The declarations that the names within `range` mean.
    pub(super) fn within(&self, range: Range<u32>) -> impl Iterator<Item = usize> {
        self.references
            .iter()
            .filter(move |reference| range.contains(&reference.span.start))
            .filter_map(|r| r.binding)
    }

    fn declaration(&self, reference: &Reference<'_>) -> Option<usize> {
        let visible = |binding: &&Binding<'_>| {
            binding.name == reference.name && contains(binding.scope, reference.span)
        };
        let innermost =
            self.bindings.iter().filter(visible).map(|binding| binding.scope.size()).min()?;
        let mut found = (0..self.bindings.len()).filter(|&place| {
            visible(&&self.bindings[place]) && self.bindings[place].scope.size() == innermost
        });
        let first = found.next();
        if found.next().is_some() { None } else { first }
    }
}

fn contains(outer: Span, inner: Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

struct Reader<'a> {
    above: Vec<AstKind<'a>>,
    scopes: Vec<AstKind<'a>>,
    names: Names<'a>,
}

impl<'a> Visit<'a> for Reader<'a> {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        match kind {
            AstKind::BindingIdentifier(name) => self.declare(name),
            AstKind::IdentifierReference(name) => {
                let usage = usage(&self.above, name.span);
                let reference =
                    Reference { name: name.name.as_str(), span: name.span, binding: None, usage };
                self.names.references.push(reference);
            }
            _ => {}
        }
        if is_scope(kind) {
            self.scopes.push(kind);
        }
        self.above.push(kind);
    }

    fn leave_node(&mut self, kind: AstKind<'a>) {
        self.above.pop();
        if is_scope(kind) {
            self.scopes.pop();
        }
    }
}

impl<'a> Reader<'a> {
    fn declare(&mut self, name: &'a BindingIdentifier<'a>) {
        let (outside, origin) = match self.above.as_slice() {
            [
                ..,
                AstKind::TSTypeAliasDeclaration(_)
                | AstKind::TSInterfaceDeclaration(_)
                | AstKind::TSTypeParameter(_),
            ] => {
                return;
            }
            [.., AstKind::VariableDeclarator(variable)] => {
                (0, variable.init.as_ref().map_or(Origin::Unknown, Origin::Value))
            }
            [
                ..,
                AstKind::VariableDeclarator(variable),
                AstKind::ObjectPattern(_),
                AstKind::BindingProperty(property),
            ] => (0, member(variable.init.as_ref(), property, None)),
            [
                ..,
                AstKind::VariableDeclarator(variable),
                AstKind::ObjectPattern(_),
                AstKind::BindingProperty(property),
                AstKind::AssignmentPattern(pattern),
            ] => (0, member(variable.init.as_ref(), property, Some(&pattern.right))),
            // A function's name stands inside its own scope in this tree, but is declared around it.
            [.., AstKind::Function(function)] if function.is_declaration() => {
                (1, Origin::Function(function))
            }
            [.., AstKind::ImportDeclaration(import), AstKind::ImportSpecifier(name)] => {
                let member = match &name.imported {
                    ModuleExportName::IdentifierName(name) => name.name.as_str(),
                    ModuleExportName::IdentifierReference(name) => name.name.as_str(),
                    ModuleExportName::StringLiteral(name) => name.value.as_str(),
                };
                (0, Origin::Import { file: import.source.value.as_str(), member: Some(member) })
            }
            [
                ..,
                AstKind::ImportDeclaration(import),
                AstKind::ImportDefaultSpecifier(_) | AstKind::ImportNamespaceSpecifier(_),
            ] => (0, Origin::Import { file: import.source.value.as_str(), member: None }),
            _ => (0, Origin::Unknown),
        };
        let var = self.var();
        let scope = match var {
            Some(_) => self.scopes.iter().rev().find(|scope| has_vars(**scope)),
            None => self.scopes.iter().rev().nth(outside),
        };
        let scope = scope.map_or(name.span, GetSpan::span);
        let origin = if var.is_some_and(|var| !var.is_certain) { Origin::Unknown } else { origin };
        let exported = self
            .above
            .iter()
            .rev()
            .take(5)
            .any(|kind| matches!(kind, AstKind::ExportDeclaration(_)));
        let var = var.map(|_| name.span);
        let name = name.name.as_str();
        self.names.bindings.push(Binding { name, scope, var, origin, exported });
    }

    /// The `var` that the name below is declared with.
    fn var(&self) -> Option<Var> {
        let mut above = self.above.iter().rev().skip_while(|kind| is_pattern(**kind));
        let (Some(AstKind::VariableDeclarator(_)), Some(AstKind::VariableDeclaration(declaration))) =
            (above.next(), above.next())
        else {
            return None;
        };
        let is_certain = matches!(
            above.next(),
            Some(AstKind::Program(_) | AstKind::FunctionBody(_) | AstKind::ExportDeclaration(_))
        );
        declaration.kind.is_var().then_some(Var { is_certain })
    }
}

/// A declaration that its whole function sees.
#[derive(Clone, Copy)]
struct Var {
    /// No condition or loop decides whether it gets its value.
    is_certain: bool,
}

fn is_pattern(kind: AstKind<'_>) -> bool {
    matches!(
        kind,
        AstKind::ObjectPattern(_)
            | AstKind::ArrayPattern(_)
            | AstKind::BindingProperty(_)
            | AstKind::BindingRestElement(_)
            | AstKind::AssignmentPattern(_)
    )
}

/// The scopes that a `var` is declared in, wherever in them it stands.
fn has_vars(kind: AstKind<'_>) -> bool {
    matches!(
        kind,
        AstKind::Program(_)
            | AstKind::Function(_)
            | AstKind::ArrowFunctionExpression(_)
            | AstKind::StaticBlock(_)
            | AstKind::TSModuleBlock(_)
    )
}

fn member<'a>(
    of: Option<&'a Expression<'a>>,
    property: &'a BindingProperty<'a>,
    default: Option<&'a Expression<'a>>,
) -> Origin<'a> {
    let PropertyKey::StaticIdentifier(name) = &property.key else {
        return Origin::Unknown;
    };
    of.map_or(Origin::Unknown, |of| Origin::Member { of, member: name.name.as_str(), default })
}

fn is_scope(kind: AstKind<'_>) -> bool {
    matches!(
        kind,
        AstKind::Program(_)
            | AstKind::Function(_)
            | AstKind::ArrowFunctionExpression(_)
            | AstKind::BlockStatement(_)
            | AstKind::ForStatement(_)
            | AstKind::ForInStatement(_)
            | AstKind::ForOfStatement(_)
            | AstKind::SwitchStatement(_)
            | AstKind::CatchClause(_)
            | AstKind::StaticBlock(_)
            | AstKind::TSModuleBlock(_)
    )
}

/// The member of a name that comes first in `name.first.second`; none when it is computed.
#[derive(Clone, Copy)]
struct First<'a>(Option<&'a str>);

/// What is done with the name at `span`, below the nodes `above`.
fn usage<'a>(above: &[AstKind<'a>], mut span: Span) -> Usage<'a> {
    let mut first_member: Option<First<'a>> = None;
    let mut members = 0;
    for &kind in above.iter().rev() {
        match kind {
            AstKind::ParenthesizedExpression(_)
            | AstKind::TSAsExpression(_)
            | AstKind::TSSatisfiesExpression(_)
            | AstKind::TSNonNullExpression(_)
            | AstKind::TSTypeAssertion(_)
            | AstKind::ChainExpression(_) => {}
            AstKind::StaticMemberExpression(member) if member.object.span() == span => {
                members += 1;
                first_member = first_member.or(Some(First(Some(member.property.name.as_str()))));
            }
            AstKind::ComputedMemberExpression(member) if member.object.span() == span => {
                let name = match &member.expression {
                    Expression::StringLiteral(name) => Some(name.value.as_str()),
                    _ => None,
                };
                members += 1;
                first_member = first_member.or(Some(First(name)));
            }
            // `config.init()` gets all of `config` for its `this`, `config.plugins.push()` only the list.
            AstKind::CallExpression(call) if members == 1 && call.callee.span() == span => {
                return Usage::MemberChanged(None);
            }
            _ => return usage_in(kind, span, first_member),
        }
        span = kind.span();
    }
    Usage::Whole
}

/// What the node `kind` does with the expression at `span` in it: a name, or a member of one.
fn usage_in<'a>(kind: AstKind<'a>, span: Span, first_member: Option<First<'a>>) -> Usage<'a> {
    let changed = first_member.map_or(Usage::Assigned, |First(name)| Usage::MemberChanged(name));
    let read = first_member.map_or(Usage::Whole, |First(name)| Usage::Member(name));
    match kind {
        AstKind::AssignmentExpression(assignment) if assignment.left.span() == span => changed,
        AstKind::ForInStatement(it) if it.left.span() == span => changed,
        AstKind::ForOfStatement(it) if it.left.span() == span => changed,
        AstKind::UpdateExpression(_)
        | AstKind::ArrayAssignmentTarget(_)
        | AstKind::AssignmentTargetRest(_)
        | AstKind::AssignmentTargetPropertyIdentifier(_) => changed,
        AstKind::AssignmentTargetWithDefault(it) if it.binding.span() == span => changed,
        AstKind::AssignmentTargetPropertyProperty(it) if it.binding.span() == span => changed,
        AstKind::UnaryExpression(unary) if unary.operator == UnaryOperator::Delete => changed,
        AstKind::UnaryExpression(unary) if unary.operator == UnaryOperator::Typeof => Usage::Shown,
        AstKind::BinaryExpression(test) if test.operator.is_equality() => Usage::Shown,
        AstKind::TSTypeQuery(_) => Usage::Shown,
        AstKind::CallExpression(call) if call.callee.span() == span => {
            changed_by_call(first_member)
        }
        AstKind::CallExpression(call) if is_console(call) => Usage::Shown,
        AstKind::CallExpression(call) => match first_member {
            Some(_) => changed,
            None => Usage::Argument(call),
        },
        AstKind::NewExpression(_) => first_member
            .map_or(Usage::MemberChanged(None), |First(name)| Usage::MemberChanged(name)),
        _ => read,
    }
}

/// `name()` reads a name; `name.list.push()` may change `list`.
fn changed_by_call(first_member: Option<First<'_>>) -> Usage<'_> {
    first_member.map_or(Usage::Whole, |First(name)| Usage::MemberChanged(name))
}

fn is_console(call: &CallExpression<'_>) -> bool {
    let Expression::StaticMemberExpression(member) = &call.callee else {
        return false;
    };
    matches!(&member.object, Expression::Identifier(name) if name.name == "console")
}
