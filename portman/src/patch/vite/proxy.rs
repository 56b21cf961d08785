//! The targets of `server.proxy` that point at a service of this machine.

use std::ops::Range;

use oxc_ast::ast::{Expression, ObjectExpression, ObjectProperty, ObjectPropertyKind};
use oxc_span::{GetSpan, Span};

use super::super::key::KeyPath;
use super::super::{Code, Refusal};
use super::computed::{self, Instead, mentions};
use super::config::Config;
use super::resolve::{Member, Module, Reached, Stuck};
use super::value::{Hole, Piece, Style, pieces, written};
use super::want::{Use, Want, Wants};
use crate::port::Port;

/// The names of this machine.
const THIS_MACHINE: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"];

/// A proxy target at this machine.
pub(super) struct Target<'a> {
    /// What it is called: `server.proxy."/api".target`.
    pub(super) key: String,
    /// The port it points at.
    pub(super) port: Port,
    url: String,
    /// Where the port's digits stand in `url`.
    digits: Range<usize>,
    pieces: Vec<Piece>,
    /// The literal that holds the digits: its place in `pieces`, and in it the digits' bytes.
    holder: usize,
    at: Span,
    /// `{ target }` says the key and the value in one word.
    shorthand: Option<&'a str>,
}

/// What the proxies of a config say.
pub(super) struct Proxies<'a> {
    /// The certain targets at this machine.
    pub(super) targets: Vec<Target<'a>>,
    /// What may be or hold a target, and what it is called.
    open: Vec<Open<'a>>,
}

struct Open<'a> {
    key: String,
    at: Span,
    value: Option<&'a Expression<'a>>,
}

/// Lets the targets follow services that moved, all at once: a port that one leaves another may take.
pub(super) fn follow<'a>(
    module: &Module<'a>,
    config: &Config<'a>,
    moves: &[(Port, Port)],
    given: &[(&str, Port)],
    wants: &mut Wants<'a>,
) -> Result<(), Refusal> {
    let proxies = Proxies::of(module, config);
    for open in &proxies.open {
        for &(old, new) in moves {
            let is_given =
                open.value.is_some_and(|value| computed::is_given(module, value, given, new));
            if !is_given && mentions(module, open.at, &old.to_string()).is_some() {
                return Err(open.refusal(module, new));
            }
        }
    }
    for target in &proxies.targets {
        if let Some(new) = moved(target.port, moves) {
            wants.changes.push(target.want(module, new));
        }
    }
    Ok(())
}

/// Where a port went.
pub(super) fn moved(port: Port, moves: &[(Port, Port)]) -> Option<Port> {
    moves.iter().find(|(old, new)| *old == port && old != new).map(|&(_, new)| new)
}

impl<'a> Open<'a> {
    fn refusal(&self, module: &Module<'a>, new: Port) -> Refusal {
        let instead = Instead::Peer(new);
        if let Some(value) = self.value {
            return computed::refusal(module, &self.key, value, &instead);
        }
        let why = format!("`{}` is not certain: `{}`", self.key, module.shown(self.at));
        computed::stuck(&Stuck { at: self.at, code: Code::Computed, why }, &instead)
    }
}

impl<'a> Proxies<'a> {
    /// Reads the proxies of every config that is merged.
    pub(super) fn of(module: &Module<'a>, config: &Config<'a>) -> Self {
        let mut proxies = Self { targets: Vec::new(), open: Vec::new() };
        for layer in &config.below {
            match layer {
                Ok(layer) => proxies.read_config(module, layer),
                Err(at) => proxies.open_at("server.proxy", *at),
            }
        }
        proxies.read_config(module, &config.top);
        proxies
    }

    fn read_config(&mut self, module: &Module<'a>, config: &Reached<'a>) {
        let server = self.section(module, config, "server", "server");
        let proxy =
            server.and_then(|server| self.section(module, &server, "proxy", "server.proxy"));
        if let Some(proxy) = proxy {
            if !proxy.through.iter().all(|link| module.is_untouched(link)) {
                self.open_at("server.proxy", module.program.span);
            }
            self.read_entries(module, proxy.object);
        }
    }

    /// The object that a member is. What hides it stays open.
    fn section(
        &mut self,
        module: &Module<'a>,
        of: &Reached<'a>,
        key: &str,
        name: &str,
    ) -> Option<Reached<'a>> {
        if !of.through.iter().all(|link| module.is_steady(link, key)) {
            self.open_at(name, module.program.span);
        }
        match module.member(of.object, key) {
            Member::Here(member, _) => match module.follow(&member.value) {
                (Expression::ObjectExpression(object), through) => {
                    return Some(Reached { object, through });
                }
                (value, _) => self.open.push(Open {
                    key: name.to_owned(),
                    at: value.span(),
                    value: Some(value),
                }),
            },
            Member::Absent => {}
            Member::Spread(at, below) => {
                self.open_at(name, at);
                if let Some(below) = below {
                    self.open_at(name, below.span);
                }
            }
            Member::Hidden(_) => self.open_at(name, of.object.span),
        }
        None
    }

    fn open_at(&mut self, name: &str, at: Span) {
        self.open.push(Open { key: name.to_owned(), at, value: None });
    }

    fn read_entries(&mut self, module: &Module<'a>, proxy: &'a ObjectExpression<'a>) {
        for property in &proxy.properties {
            match property {
                ObjectPropertyKind::ObjectProperty(entry) => self.read_entry(module, entry),
                ObjectPropertyKind::SpreadProperty(spread) => match module.follow(&spread.argument)
                {
                    (Expression::ObjectExpression(object), through) => {
                        if !through.iter().all(|link| module.is_untouched(link)) {
                            self.open_at("server.proxy", module.program.span);
                        }
                        if module.deeper(|| self.read_entries(module, object)).is_none() {
                            self.open_at("server.proxy", spread.span);
                        }
                    }
                    _ => self.open_at("server.proxy", spread.span),
                },
            }
        }
    }

    fn read_entry(&mut self, module: &Module<'a>, entry: &'a ObjectProperty<'a>) {
        let name = module.key_of(entry).unwrap_or_else(|| module.shown(entry.key.span()));
        let (value, through) = module.follow(&entry.value);
        let Expression::ObjectExpression(object) = value else {
            let key = KeyPath::of(["server", "proxy", &name]).to_string();
            return self.read_target(module, key, entry);
        };
        let key = KeyPath::of(["server", "proxy", &name, "target"]).to_string();
        let is_steady = through.iter().all(|link| module.is_steady(link, "target"));
        match module.member(object, "target") {
            _ if !is_steady => self.open_at(&key, module.program.span),
            Member::Here(target, _) => self.read_target(module, key, target),
            Member::Absent => {}
            Member::Spread(..) | Member::Hidden(_) => self.open_at(&key, object.span),
        }
    }

    fn read_target(&mut self, module: &Module<'a>, key: String, member: &'a ObjectProperty<'a>) {
        let Some(pieces) = pieces(module, &member.value) else {
            let (value, _) = module.follow(&member.value);
            return self.open.push(Open { key, at: value.span(), value: Some(value) });
        };
        let url = pieces.iter().map(|piece| piece.says.as_str()).collect::<String>();
        let Some((port, digits)) = port_at_this_machine(&url) else {
            return;
        };
        let Some((holder, at)) = holder(&pieces, &digits) else {
            return self.open_at(&key, member.span);
        };
        let shorthand = member.shorthand.then(|| member.key.span().source_text(module.text));
        self.targets.push(Target { key, port, url, digits, pieces, holder, at, shorthand });
    }
}

/// The piece that holds all the digits, and their bytes in the file.
fn holder(pieces: &[Piece], digits: &Range<usize>) -> Option<(usize, Span)> {
    let mut start = 0;
    for (place, piece) in pieces.iter().enumerate() {
        let end = start + piece.says.len();
        if start <= digits.start && digits.end <= end {
            let offset = u32::try_from(digits.start - start).ok()?;
            let length = u32::try_from(digits.len()).ok()?;
            return match piece.style {
                Style::Number if piece.says.len() == digits.len() => Some((place, piece.at)),
                Style::Number => None,
                _ => Some((place, Span::sized(piece.at.start + offset, length))),
            };
        }
        start = end;
    }
    None
}

impl Target<'_> {
    fn want(&self, module: &Module<'_>, new: Port) -> Want {
        let mut moved = self.url.clone();
        moved.replace_range(self.digits.clone(), &new.to_string());
        let holder = &self.pieces[self.holder];
        let through = holder.through.iter().enumerate().map(|(depth, hole)| {
            let text = self.instead_of(depth, hole, new);
            let (at, text) = match (hole.hole, self.shorthand) {
                (Some((hole, template)), _) => (template, filled(module, template, hole, &text)),
                (None, Some(name)) if depth == 0 => (hole.link.at, format!("{name}: {text}")),
                (None, _) => (hole.link.at, text),
            };
            Use { link: hole.link.clone(), at, text }
        });
        Want {
            key: self.key.clone(),
            old: self.url.clone(),
            new: moved,
            at: self.at,
            text: new.to_string(),
            through: through.collect(),
        }
    }

    /// What can be written where a name stands that must keep its value: the part of the URL that comes through it.
    fn instead_of(&self, depth: usize, hole: &Hole, new: Port) -> String {
        let comes_through = |piece: &&(usize, &Piece)| {
            piece.1.through.get(depth).is_some_and(|other| other.link.at == hole.link.at)
        };
        let pieces = self.pieces.iter().enumerate().collect::<Vec<_>>();
        let parts = pieces.iter().filter(comes_through).collect::<Vec<_>>();
        let says = parts
            .iter()
            .map(|(place, piece)| self.piece_moved(*place, piece, new))
            .collect::<String>();
        let holder = &self.pieces[self.holder];
        let is_number = parts.len() == 1 && holder.style == Style::Number;
        match hole.hole {
            Some(_) if !says.contains(['`', '\\', '$']) => says,
            Some(_) => format!("${{{}}}", written(&says, Style::Quoted('\''))),
            None if is_number => says,
            None if holder.style == Style::Number => written(&says, Style::Quoted('\'')),
            None => written(&says, holder.style),
        }
    }

    fn piece_moved(&self, place: usize, piece: &Piece, new: Port) -> String {
        if place != self.holder {
            return piece.says.clone();
        }
        let start = self.pieces[..place].iter().map(|piece| piece.says.len()).sum::<usize>();
        let mut says = piece.says.clone();
        says.replace_range(self.digits.start - start..self.digits.end - start, &new.to_string());
        says
    }
}

/// The template with a hole filled. It is replaced as a whole, because it has one hole less then.
fn filled(module: &Module<'_>, template: Span, hole: Span, text: &str) -> String {
    let before = Span::new(template.start, hole.start).source_text(module.text);
    let behind = Span::new(hole.end, template.end).source_text(module.text);
    format!("{before}{text}{behind}")
}

/// The port of a URL whose host is this machine, and where its digits stand.
fn port_at_this_machine(url: &str) -> Option<(Port, Range<usize>)> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, digits) = host.rsplit_once(':')?;
    let is_ours = THIS_MACHINE.iter().any(|ours| name.eq_ignore_ascii_case(ours));
    if !is_ours || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let end = url.len() - rest.len() + authority.len();
    Some((digits.parse().ok()?, end - digits.len()..end))
}
