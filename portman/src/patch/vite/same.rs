//! The second opinion: a patched config differs from the one before in what was asked, and in nothing else.
//!
//! Four things are compared, each of which another mistake would break: the bytes outside the splices, the two syntax
//! trees node by node, the values that the two configs say, and what is left to change.

use std::collections::{BTreeMap, BTreeSet};

use oxc_ast::ast::{Expression, ObjectExpression, ObjectPropertyKind};
use oxc_ast::{AstKind, AstType};
use oxc_ast_visit::Visit;
use oxc_span::{GetSpan, Span};

use super::super::key::Step;
use super::super::{Code, Edit, Refusal, Splice, spliced};
use super::proxy::{Proxies, moved};
use super::resolve::{Config, Module};
use super::value::{literal, pieces};
use super::{moves, source};
use crate::port::Port;

/// Whether `after` is `before` with `edits` made by `splices`.
pub(super) fn read_back(
    before: &str,
    after: &str,
    edits: &[Edit],
    splices: &[Splice],
) -> Result<(), Refusal> {
    if spliced(before, splices) != after {
        return Err(refusal(0, "bytes outside the changed values differ"));
    }
    let before = source::parsed(before, Reading::of)?;
    let after_says = source::parsed(after, Reading::of)?;
    if kept(&before.nodes, splices, Side::Before) != kept(&after_says.nodes, splices, Side::After) {
        return Err(refusal(0, "the syntax around the changed values differs"));
    }
    if let Some(path) = before.unasked(&after_says, edits) {
        return Err(refusal(0, &format!("`{}` differs, which nobody asked for", path.join("."))));
    }
    if before.targets_after(&moves(edits)) != after_says.targets {
        return Err(refusal(0, "the proxies do not point where they should"));
    }
    // Whether peers moved was just seen; asked again, a port that two of them swapped would move back.
    let own =
        edits.iter().filter(|edit| !matches!(edit, Edit::Peer { .. })).cloned().collect::<Vec<_>>();
    match super::locate(after, &own)?.first() {
        None => Ok(()),
        Some(left) => {
            Err(refusal(left.range.start, &format!("`{}` still says something else", left.key)))
        }
    }
}

fn refusal(offset: usize, message: &str) -> Refusal {
    let hint = "change this file by hand, and please report it: this is a bug".to_owned();
    Refusal { offset, code: Code::ReadBack, message: message.to_owned(), hint }
}

/// What one reading of a file finds.
struct Reading {
    nodes: Vec<Node>,
    says: Values,
    targets: Vec<(String, Port)>,
}

type Node = (AstType, Span);
type Values = BTreeMap<Vec<String>, String>;

impl Reading {
    fn of(module: &Module<'_>) -> Result<Self, Refusal> {
        let mut nodes = Nodes(Vec::new());
        nodes.visit_program(module.program);
        let config =
            module.config().map_err(|stuck| refusal(stuck.at.start as usize, &stuck.why))?;
        let targets = Proxies::of(module, &config).targets;
        let targets = targets.into_iter().map(|target| (target.key, target.port)).collect();
        Ok(Self { nodes: nodes.0, says: values(module, &config), targets })
    }

    /// The first value that differs from `after` without an edit that asks for it.
    fn unasked<'r>(&'r self, after: &'r Self, edits: &[Edit]) -> Option<&'r [String]> {
        let paths = self.says.keys().chain(after.says.keys()).collect::<BTreeSet<_>>();
        let differs = |path: &&&Vec<String>| self.says.get(**path) != after.says.get(**path);
        let mut differing = paths.iter().filter(differs).map(|path| path.as_slice());
        differing.find(|path| !edits.iter().any(|edit| asks(edit, path)))
    }

    fn targets_after(&self, moves: &[(Port, Port)]) -> Vec<(String, Port)> {
        let after =
            |(key, port): &(String, Port)| (key.clone(), moved(*port, moves).unwrap_or(*port));
        self.targets.iter().map(after).collect()
    }
}

fn asks(edit: &Edit, path: &[String]) -> bool {
    let path = path.iter().map(String::as_str).collect::<Vec<_>>();
    match edit {
        Edit::Own { .. } => matches!(
            path.as_slice(),
            ["server", "port" | "strictPort"] | ["server", "hmr", "port" | "clientPort"]
        ),
        Edit::Peer { .. } => {
            path.iter().skip_while(|step| **step == BELOW).take(2).eq(&["server", "proxy"])
        }
        Edit::Set { key, .. } => key.steps().iter().eq(path
            .iter()
            .map(|name| Step::Name((*name).to_owned()))
            .collect::<Vec<_>>()
            .iter()),
    }
}

struct Nodes(Vec<Node>);

impl<'a> Visit<'a> for Nodes {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        self.0.push((kind.ty(), kind.span()));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Before,
    After,
}

/// The nodes that no splice made or removed, with the places they have afterwards.
fn kept(nodes: &[Node], splices: &[Splice], side: Side) -> Vec<(AstType, usize, usize)> {
    let (mut ranges, mut grown) = (Vec::new(), 0);
    for splice in splices {
        let start = splice.range.start + grown - splices_removed(splices, splice.range.start);
        grown += splice.text.len();
        ranges.push(match side {
            Side::Before => splice.range.clone(),
            Side::After => start..start + splice.text.len(),
        });
    }
    let inside = |start: usize, end: usize| {
        ranges.iter().any(|range| range.start <= start && end <= range.end)
    };
    let nodes = nodes.iter().map(|&(kind, span)| (kind, span.start as usize, span.end as usize));
    let outside = nodes.filter(|&(_, start, end)| !inside(start, end));
    match side {
        Side::After => outside.collect(),
        Side::Before => outside
            .map(|(kind, start, end)| {
                (kind, shifted(start, true, splices), shifted(end, false, splices))
            })
            .collect(),
    }
}

/// Bytes that splices before `offset` remove.
fn splices_removed(splices: &[Splice], offset: usize) -> usize {
    splices
        .iter()
        .filter(|splice| splice.range.end <= offset && !splice.range.is_empty())
        .map(|splice| splice.range.len())
        .sum()
}

/// Where the edge of a node is after the splices: what is put between two nodes belongs to neither.
fn shifted(offset: usize, is_start: bool, splices: &[Splice]) -> usize {
    let before = |splice: &&Splice| {
        splice.range.end < offset
            || (splice.range.end == offset && (is_start || !splice.range.is_empty()))
    };
    let (grown, removed) =
        splices.iter().filter(before).fold((0, 0), |(grown, removed), splice| {
            (grown + splice.text.len(), removed + splice.range.len())
        });
    offset + grown - removed
}

/// Stands before the path of a value that another config is merged over.
const BELOW: &str = "(below)";

/// What a config says at each path: literals by value, everything else by its text.
fn values<'a>(module: &Module<'a>, config: &Config<'a>) -> Values {
    let mut values = Values::new();
    let mut path = Vec::new();
    for layer in config.below.iter().flatten() {
        path.push(BELOW.to_owned());
        read_values(module, layer.object, &path, &mut values);
    }
    read_values(module, config.top.object, &[], &mut values);
    values
}

fn read_values<'a>(
    module: &Module<'a>,
    object: &'a ObjectExpression<'a>,
    path: &[String],
    values: &mut Values,
) {
    for property in &object.properties {
        let (name, value) = match property {
            ObjectPropertyKind::ObjectProperty(property) => {
                (module.key_of(property), &property.value)
            }
            ObjectPropertyKind::SpreadProperty(spread) => (None, &spread.argument),
        };
        let is_spread = matches!(property, ObjectPropertyKind::SpreadProperty(_));
        let mut path = path.to_vec();
        if !is_spread {
            path.push(name.unwrap_or_else(|| module.shown(property.span())));
        }
        match module.follow(value).0 {
            Expression::ObjectExpression(inner) => {
                // Circles are not followed; their text is compared with the tree.
                let _ = module.deeper(|| read_values(module, inner, &path, values));
            }
            followed => {
                let says = literal(module.text, followed).map(|literal| literal.says);
                let says = says.or_else(|| {
                    Some(pieces(module, value)?.into_iter().map(|piece| piece.says).collect())
                });
                let says =
                    says.unwrap_or_else(|| followed.span().source_text(module.text).to_owned());
                values.insert(path, says);
            }
        }
    }
}
