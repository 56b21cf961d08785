//! The second opinion: a patched config differs from the one before in what was asked, and in nothing else.
//!
//! Four things are compared, each of which another mistake would break: the bytes outside the splices, the two syntax
//! trees node by node, the values that the two configs say, and what is left to change.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use oxc_ast::ast::{Expression, ObjectExpression, ObjectPropertyKind};
use oxc_ast::{AstKind, AstType};
use oxc_ast_visit::Visit;
use oxc_span::{GetSpan, Span};

use super::super::key::Step;
use super::super::{Code, Edit, Refusal, Splice, spliced};
use super::config::Config;
use super::proxy::{Proxies, moved};
use super::resolve::Module;
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
    if splices.is_empty() {
        return Ok(());
    }
    let was = source::parsed(before, Reading::of)?;
    let is = source::parsed(after, Reading::of)?;
    if was.comments != is.comments {
        return Err(refusal(0, "a comment differs"));
    }
    if kept(&was.nodes, splices, Side::Before) != kept(&is.nodes, splices, Side::After) {
        return Err(refusal(0, "the syntax around the changed values differs"));
    }
    if let Some(path) = was.unasked(&is, edits) {
        return Err(refusal(0, &format!("`{}` differs, which nobody asked for", path.join("."))));
    }
    if was.targets_after(&moves(edits)) != is.targets {
        return Err(refusal(0, "the proxies do not point where they should"));
    }
    // Whether peers moved was just seen; asked again, a port that two of them swapped would move back.
    let is_peer = |edit: &&Edit| matches!(edit, Edit::Peer { .. });
    let others = edits.iter().filter(|edit| !is_peer(edit)).cloned().collect::<Vec<_>>();
    match super::locate(after, &others)?.first() {
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
    comments: Vec<String>,
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
        let comments = module.program.comments.iter();
        let comments =
            comments.map(|comment| comment.span.source_text(module.text).to_owned()).collect();
        Ok(Self { nodes: nodes.0, comments, says: values(module, &config), targets })
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
        Edit::Script { .. } | Edit::Given { .. } => false,
        Edit::Own { .. } => matches!(
            path.as_slice(),
            ["server", "port" | "strictPort"] | ["server", "hmr", "port" | "clientPort"]
        ),
        // `const proxy = …` may serve the preview too, and what moved has moved for both.
        Edit::Peer { .. } => {
            let mut path = path.iter().skip_while(|step| **step == BELOW);
            matches!((path.next(), path.next()), (Some(&("server" | "preview")), Some(&"proxy")))
        }
        Edit::Set { key, .. } => {
            let is = |step: &Step, name: &str| matches!(step, Step::Name(step) if step == name);
            key.steps().len() == path.len()
                && key.steps().iter().zip(&path).all(|(step, name)| is(step, name))
        }
    }
}

struct Nodes(Vec<Node>);

impl<'a> Visit<'a> for Nodes {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        self.0.push((kind.ty(), kind.span()));
    }
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

/// The nodes that no splice made or removed, with the places they have afterwards. The splices are in order.
fn kept(nodes: &[Node], splices: &[Splice], side: Side) -> Vec<(AstType, usize, usize)> {
    let (mut ranges, mut added, mut removed) = (Vec::new(), 0, 0);
    for splice in splices {
        let start = splice.range.start + added - removed;
        added += splice.text.len();
        removed += splice.range.len();
        ranges.push(match side {
            Side::Before => splice.range.clone(),
            Side::After => start..start + splice.text.len(),
        });
    }
    let is_outside = |span: Span| {
        let is_in = |range: &Range<usize>| {
            range.start <= span.start as usize && span.end as usize <= range.end
        };
        !ranges.iter().any(is_in)
    };
    let place = |(kind, span): Node| match side {
        Side::After => (kind, span.start as usize, span.end as usize),
        Side::Before => {
            (kind, shifted(span.start, true, splices), shifted(span.end, false, splices))
        }
    };
    nodes.iter().copied().filter(|&(_, span)| is_outside(span)).map(place).collect()
}

/// Where the edge of a node is after the splices: what is put between two nodes belongs to neither.
fn shifted(offset: u32, is_start: bool, splices: &[Splice]) -> usize {
    let offset = offset as usize;
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
        let mut path = path.to_vec();
        let value = match property {
            ObjectPropertyKind::ObjectProperty(property) => {
                path.push(
                    module.key_of(property).unwrap_or_else(|| module.shown(property.key.span())),
                );
                &property.value
            }
            ObjectPropertyKind::SpreadProperty(spread) => &spread.argument,
        };
        if let Expression::ObjectExpression(inner) = module.follow(value).0 {
            // What goes round in circles is compared node by node only.
            let _ = module.deeper(|| read_values(module, inner, &path, values));
        } else {
            values.insert(path, says(module, value));
        }
    }
}

fn says<'a>(module: &Module<'a>, value: &'a Expression<'a>) -> String {
    let (followed, _) = module.follow(value);
    if let Some(literal) = literal(module.text, followed) {
        return literal.says;
    }
    match pieces(module, value) {
        Some(pieces) => pieces.into_iter().map(|piece| piece.says).collect(),
        None => followed.span().source_text(module.text).to_owned(),
    }
}
