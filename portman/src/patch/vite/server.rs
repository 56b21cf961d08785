//! The port that the dev server itself listens on, and values that are asked for by name.

use oxc_ast::ast::{Expression, ObjectProperty};
use oxc_span::GetSpan;

use super::super::key::{KeyPath, Step};
use super::super::{Code, Refusal};
use super::computed::{self, Instead, mentions};
use super::insert::{self, Insert};
use super::resolve::{Config, Module, Place, Reached, Stuck};
use super::value::{Literal, Style, literal, written};
use super::want::{Use, Want, Wants};
use crate::port::Port;

/// Where Vite listens when nothing says so.
const VITE_DEFAULT: u16 = 5173;

/// Keys that may be made where they are missing.
const MAKEABLE: [&[&str]; 8] = [
    &["server", "port"],
    &["server", "host"],
    &["server", "strictPort"],
    &["preview", "port"],
    &["preview", "host"],
    &["preview", "strictPort"],
    &["server", "hmr", "port"],
    &["server", "hmr", "clientPort"],
];

/// Lets the dev server listen on `new`.
pub(super) fn own<'a>(
    module: &Module<'a>,
    config: &Config<'a>,
    (old, new): (Port, Port),
    wants: &mut Wants<'a>,
) -> Result<(), Refusal> {
    let instead = Instead::Own(new);
    let path = MAKEABLE[0];
    let stood =
        match module.place(&config.top, path).map_err(|stuck| computed::stuck(&stuck, &instead))? {
            Place::Member(member) => {
                let leaf = Leaf::of(module, "server.port", member, &instead)?;
                let stood = leaf.literal.says.clone();
                leaf.change(&new.to_string(), leaf.literal.style, wants);
                stood
            }
            Place::Gap { object, depth, sure } => {
                let below = below(module, config);
                let stood = below.clone().flatten().unwrap_or_else(|| VITE_DEFAULT.to_string());
                let is_certain = sure && below.is_some();
                if !is_certain || stood != new.to_string() {
                    let says = new.to_string();
                    wants.inserts.push(Insert {
                        object,
                        path: path.to_vec(),
                        depth,
                        literal: says.clone(),
                        says,
                    });
                }
                stood
            }
        };
    if stood != new.to_string() {
        follow_hmr(module, &config.top, &stood, new, wants)?;
    }
    if old != new {
        strict_port(module, &config.top, wants);
    }
    Ok(())
}

/// What the configs below say the port is: none when they could not be followed, `Some(None)` when they say nothing.
fn below<'a>(module: &Module<'a>, config: &Config<'a>) -> Option<Option<String>> {
    let mut says = None;
    for layer in &config.below {
        match module.place(layer.as_ref().ok()?, MAKEABLE[0]).ok()? {
            Place::Member(member) => {
                says = Some(literal(module.text, module.follow(&member.value).0)?.says)
            }
            Place::Gap { sure: true, .. } => {}
            Place::Gap { .. } => return None,
        }
    }
    Some(says)
}

/// The browser's connection for updates goes to the server's port, or through a proxy on one that is not ours.
fn follow_hmr<'a>(
    module: &Module<'a>,
    top: &Reached<'a>,
    stood: &str,
    new: Port,
    wants: &mut Wants<'a>,
) -> Result<(), Refusal> {
    let instead = Instead::Own(new);
    for path in [MAKEABLE[6], MAKEABLE[7]] {
        let key = path.join(".");
        match module.place(top, path) {
            Ok(Place::Gap { .. }) => {}
            Ok(Place::Member(member)) => match Leaf::of(module, &key, member, &instead) {
                Ok(leaf) if leaf.literal.says == stood => {
                    leaf.change(&new.to_string(), leaf.literal.style, wants);
                }
                Err(refusal) if mentions(module, member.span, stood).is_some() => {
                    return Err(refusal);
                }
                Ok(_) | Err(_) => {}
            },
            Err(stuck) if mentions(module, stuck.at, stood).is_some() => {
                return Err(computed::stuck(&stuck, &instead));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// A server that moves must not move on by itself; where nothing is said the command line says it.
fn strict_port<'a>(module: &Module<'a>, top: &Reached<'a>, wants: &mut Wants<'a>) {
    if let Ok(Place::Member(member)) = module.place(top, MAKEABLE[2])
        && let Ok(leaf) =
            Leaf::of(module, "server.strictPort", member, &Instead::Set("true".to_owned()))
        && leaf.literal.says == "false"
    {
        leaf.change("true", Style::Word, wants);
    }
}

/// Gives `key` a value.
pub(super) fn set<'a>(
    module: &Module<'a>,
    config: &Config<'a>,
    key: &KeyPath,
    value: &str,
    wants: &mut Wants<'a>,
) -> Result<(), Refusal> {
    let instead = Instead::Set(value.to_owned());
    let unknown = || Refusal {
        offset: 0,
        code: Code::UnknownKey,
        message: format!(
            "`{key}` is not a literal of this config, and not a key that can be added to it"
        ),
        hint: "write the key into the config yourself, with a literal".to_owned(),
    };
    let names = key.steps().iter().map(|step| match step {
        Step::Name(name) => Some(name.as_str()),
        Step::Index(_) => None,
    });
    let path = names.collect::<Option<Vec<_>>>().ok_or_else(unknown)?;
    let makeable = MAKEABLE.into_iter().find(|makeable| *makeable == path);
    let refuse = |stuck: Stuck| {
        if makeable.is_some() { computed::stuck(&stuck, &instead) } else { unknown() }
    };
    match (module.place(&config.top, &path).map_err(refuse)?, makeable) {
        (Place::Member(member), _) => {
            let leaf = Leaf::of(module, &key.to_string(), member, &instead)?;
            let style = style_like(leaf.literal.style, &leaf.literal.says, value, module);
            leaf.change(value, style, wants);
        }
        (Place::Gap { object, depth, .. }, Some(path)) => {
            wants.forget(&key.to_string());
            let literal = written(value, style_like(Style::Number, "", value, module));
            wants.inserts.push(Insert {
                object,
                path: path.to_vec(),
                depth,
                says: value.to_owned(),
                literal,
            });
        }
        (Place::Gap { .. }, None) => return Err(unknown()),
    }
    Ok(())
}

/// How `value` is written where `stood` stood in this style.
fn style_like(style: Style, stood: &str, value: &str, module: &Module<'_>) -> Style {
    let is_word = |says: &str| matches!(says, "true" | "false");
    let is_number =
        !value.is_empty() && value.len() < 16 && value.bytes().all(|byte| byte.is_ascii_digit());
    match style {
        Style::Quoted(_) if !is_word(value) || is_word(stood) => style,
        _ if is_word(value) => Style::Word,
        _ if is_number => Style::Number,
        _ => insert::quotes(module),
    }
}

/// A literal that a member of the config says.
struct Leaf {
    key: String,
    literal: Literal,
    through: Vec<(super::resolve::Link, Option<String>)>,
}

impl Leaf {
    /// The literal behind `member`'s value; a refusal when there is none.
    fn of<'a>(
        module: &Module<'a>,
        key: &str,
        member: &'a ObjectProperty<'a>,
        instead: &Instead,
    ) -> Result<Self, Refusal> {
        let (value, links) = module.follow(&member.value);
        let Some(literal) = literal(module.text, value) else {
            let is_structure = matches!(
                value,
                Expression::ObjectExpression(_)
                    | Expression::ArrayExpression(_)
                    | Expression::ArrowFunctionExpression(_)
                    | Expression::FunctionExpression(_)
            );
            if is_structure {
                let at = value.span();
                let why = format!("`{key}` is not one plain value");
                return Err(computed::stuck(&Stuck { at, code: Code::NotAValue, why }, instead));
            }
            return Err(computed::refusal(module, key, value, instead));
        };
        // `{ port }` says the key and the value in one word.
        let shorthand =
            member.shorthand.then(|| member.key.span().source_text(module.text).to_owned());
        let through = links.into_iter().enumerate();
        let through =
            through.map(|(depth, link)| (link, shorthand.clone().filter(|_| depth == 0))).collect();
        Ok(Self { key: key.to_owned(), literal, through })
    }

    /// Wants it to say `says`, unless it does.
    fn change(&self, says: &str, style: Style, wants: &mut Wants<'_>) {
        wants.forget(&self.key);
        if self.literal.says == says {
            return;
        }
        let text = written(says, style);
        let through = self.through.iter().map(|(link, shorthand)| Use {
            link: link.clone(),
            at: link.at,
            text: shorthand.as_ref().map_or_else(|| text.clone(), |name| format!("{name}: {text}")),
        });
        wants.changes.push(Want {
            key: self.key.clone(),
            old: self.literal.says.clone(),
            new: says.to_owned(),
            at: self.literal.at,
            through: through.collect(),
            text: text.clone(),
        });
    }
}
