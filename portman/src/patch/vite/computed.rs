//! Values that no bytes of the file are, and what the user can do about them.

use std::collections::BTreeSet;

use oxc_ast::ast::{Argument, Expression, LogicalOperator, ObjectPropertyKind, UnaryOperator};
use oxc_span::{GetSpan, Span};

use super::super::{Code, Refusal};
use super::names::Origin;
use super::resolve::{Module, Stuck};
use super::value::pieces;
use crate::port::Port;

/// What can be done instead of patching.
pub(super) enum Instead {
    /// Start Vite with this port.
    Own(Port),
    /// Send the proxy to this port.
    Peer(Port),
    /// Give the key this value.
    Set(String),
    /// Make a config that can be followed.
    Config,
}

/// The refusal of a value that is computed by `value`.
pub(super) fn refusal<'a>(
    module: &Module<'a>,
    key: &str,
    value: &'a Expression<'a>,
    instead: &Instead,
) -> Refusal {
    let offset = value.span().start as usize;
    match variable(module, value) {
        Some(name) => Refusal {
            offset,
            code: Code::Computed,
            message: format!("`{key}` is computed from the environment variable `{name}`"),
            hint: match instead {
                Instead::Own(port) => {
                    format!("set `{name}` to {port} in the service's `env` in dev.toml")
                }
                Instead::Peer(port) => {
                    format!(
                        "set `{name}` in the service's `env` in dev.toml, so that it says port {port}"
                    )
                }
                Instead::Set(says) => {
                    format!("set `{name}` to `{says}` in the service's `env` in dev.toml")
                }
                Instead::Config => format!("set `{name}` in the service's `env` in dev.toml"),
            },
        },
        None => Refusal {
            offset,
            code: Code::Computed,
            message: format!("`{key}` is computed: `{}`", module.shown(value.span())),
            hint: hint(instead),
        },
    }
}

/// Is `value` what one of these environment variables says, and does that say `port`?
pub(super) fn is_given<'a>(
    module: &Module<'a>,
    value: &'a Expression<'a>,
    given: &[(&str, Port)],
    port: Port,
) -> bool {
    variable(module, value).is_some_and(|name| given.contains(&(name.as_str(), port)))
}

/// The refusal of a way that could not be followed.
pub(super) fn stuck(stuck: &Stuck, instead: &Instead) -> Refusal {
    Refusal {
        offset: stuck.at.start as usize,
        code: stuck.code,
        message: stuck.why.clone(),
        hint: hint(instead),
    }
}

fn hint(instead: &Instead) -> String {
    match instead {
        Instead::Own(port) => {
            format!(
                "pass `--port {port} --strictPort` to vite in `command`, and take the file out of `patch`"
            )
        }
        Instead::Peer(port) => {
            format!(
                "write the target as a string, or read it from a variable that dev.toml sets to port {port}"
            )
        }
        Instead::Set(says) => format!("write `{says}` there yourself, as a literal"),
        Instead::Config => {
            "export one object literal, with `defineConfig` of `vite` around it if you like"
                .to_owned()
        }
    }
}

/// The environment variable that decides a value when it is set: `Number(process.env.PORT) || 5173`.
///
/// None unless it is certain: what a condition chooses, or two variables make, is nobody's.
fn variable<'a>(module: &Module<'a>, value: &'a Expression<'a>) -> Option<String> {
    module.deeper(|| variable_in(module, value)).flatten()
}

fn variable_in<'a>(module: &Module<'a>, value: &'a Expression<'a>) -> Option<String> {
    match value.get_inner_expression() {
        Expression::StaticMemberExpression(member) if is_environment(module, &member.object) => {
            Some(member.property.name.to_string())
        }
        Expression::ComputedMemberExpression(member) if is_environment(module, &member.object) => {
            match &member.expression {
                Expression::StringLiteral(name) => Some(name.value.to_string()),
                _ => None,
            }
        }
        Expression::Identifier(name) => match module.names.binding(name)? {
            (place, _) if module.is_assigned(place) => None,
            (_, binding) => match binding.origin {
                Origin::Value(value) => variable(module, value),
                Origin::Member { of, member, .. } if is_environment(module, of) => {
                    Some(member.to_owned())
                }
                _ => None,
            },
        },
        Expression::CallExpression(call) if is_conversion(&call.callee) => {
            variable(module, call.arguments.first().and_then(Argument::as_expression)?)
        }
        Expression::UnaryExpression(unary) if unary.operator == UnaryOperator::UnaryPlus => {
            variable(module, &unary.argument)
        }
        Expression::LogicalExpression(either) if either.operator != LogicalOperator::And => {
            variable(module, &either.left)
        }
        Expression::TemplateLiteral(template) => {
            let holes = template
                .expressions
                .iter()
                .filter(|hole| pieces(module, hole).is_none())
                .collect::<Vec<_>>();
            let [hole] = holes.as_slice() else {
                return None;
            };
            variable(module, hole)
        }
        _ => None,
    }
}

fn is_conversion(callee: &Expression<'_>) -> bool {
    match callee {
        Expression::Identifier(name) => {
            matches!(name.name.as_str(), "Number" | "parseInt" | "String")
        }
        Expression::StaticMemberExpression(member) => {
            let of_number =
                matches!(&member.object, Expression::Identifier(object) if object.name == "Number");
            of_number && member.property.name == "parseInt"
        }
        _ => false,
    }
}

/// `process.env`, `import.meta.env`, what `loadEnv(…)` returns, and objects that only spread those.
fn is_environment<'a>(module: &Module<'a>, object: &'a Expression<'a>) -> bool {
    module.deeper(|| is_environment_in(module, object)).unwrap_or(false)
}

fn is_environment_in<'a>(module: &Module<'a>, object: &'a Expression<'a>) -> bool {
    match object.get_inner_expression() {
        Expression::StaticMemberExpression(member) if member.property.name == "env" => {
            match &member.object {
                Expression::Identifier(name) => name.name == "process",
                Expression::ImportMeta(_) => true,
                _ => false,
            }
        }
        Expression::Identifier(name) => {
            match module.names.binding(name).map(|(_, binding)| binding.origin) {
                Some(Origin::Value(value)) => is_environment(module, value),
                Some(Origin::Import { file, member }) => {
                    matches!(file, "process" | "node:process") && member == Some("env")
                }
                _ => false,
            }
        }
        Expression::CallExpression(call) => module.trusted(&call.callee) == Some("loadEnv"),
        Expression::ObjectExpression(object) => {
            !object.properties.is_empty()
                && object.properties.iter().all(|property| match property {
                    ObjectPropertyKind::SpreadProperty(spread) => {
                        is_environment(module, &spread.argument)
                    }
                    ObjectPropertyKind::ObjectProperty(_) => false,
                })
        }
        _ => false,
    }
}

/// Where `digits` stand as a number of their own in the code at `at`, or in what the names there mean.
pub(super) fn mentions(module: &Module<'_>, at: Span, digits: &str) -> Option<Span> {
    let mut seen = BTreeSet::new();
    let mut open = vec![at];
    while let Some(at) = open.pop() {
        if !seen.insert((at.start, at.end)) {
            continue;
        }
        if let Some(offset) = number_in(module, at, digits) {
            return Some(Span::sized(offset, u32::try_from(digits.len()).unwrap_or(0)));
        }
        for binding in module.names.within(at.start..at.end) {
            match module.names.at(binding).origin {
                Origin::Value(value) => open.push(value.span()),
                Origin::Member { of, default, .. } => {
                    open.push(of.span());
                    open.extend(default.map(GetSpan::span));
                }
                Origin::Function(function) => open.push(function.span),
                Origin::Import { .. } | Origin::Unknown => {}
            }
        }
    }
    None
}

fn number_in(module: &Module<'_>, at: Span, digits: &str) -> Option<u32> {
    let bytes = module.text.as_bytes();
    let is_part =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let in_comment = |offset: u32| {
        module
            .program
            .comments
            .iter()
            .any(|comment| comment.span.start <= offset && offset < comment.span.end)
    };
    at.source_text(module.text)
        .match_indices(digits)
        .map(|(offset, _)| at.start + u32::try_from(offset).unwrap_or(0))
        .find(|&offset| {
            let (start, end) = (offset as usize, offset as usize + digits.len());
            !is_part(start.checked_sub(1).and_then(|before| bytes.get(before)))
                && !is_part(bytes.get(end))
                && !in_comment(offset)
        })
}
