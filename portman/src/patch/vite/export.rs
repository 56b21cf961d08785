//! What a file exports by default, and what a function returns.

use oxc_ast::AstKind;
use oxc_ast::ast::{
    AssignmentTarget, ExportDefaultDeclarationKind, Expression, Function, FunctionBody,
    IdentifierReference, ModuleExportName, Statement,
};
use oxc_ast_visit::Visit;
use oxc_span::{GetSpan, Span};

use super::resolve::Module;

/// A default export.
pub(super) enum Export<'a> {
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
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Expression(expression) => expression.span(),
            Self::Function(function) => function.span,
            Self::Name(at, _) | Self::Other(at) => *at,
        }
    }
}

/// The default exports of a file: one, if it is a config.
pub(super) fn defaults<'m, 'a>(
    module: &'m Module<'a>,
) -> impl Iterator<Item = Export<'a>> + use<'m, 'a> {
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
        Statement::ExpressionStatement(statement) => match &statement.expression {
            Expression::AssignmentExpression(assignment) if is_exports(&assignment.left) => {
                Some(Export::Expression(&assignment.right))
            }
            _ => None,
        },
        _ => None,
    }
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
pub(super) fn returns(body: &FunctionBody<'_>) -> usize {
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
