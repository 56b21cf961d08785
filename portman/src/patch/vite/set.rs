//! Values that are asked for by name.

use super::super::key::{KeyPath, Step};
use super::super::value::{refuse_uncertain_port, with_port};
use super::super::{Code, Refusal};
use super::computed::{self, Instead};
use super::config::Config;
use super::insert::{self, Insert};
use super::leaf::Leaf;
use super::place::Place;
use super::resolve::{Module, Stuck};
use super::value::{Literal, Style, written};
use super::want::Wants;

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
            let Literal { at, says, style } = &leaf.literal;
            let style = style_like(*style, says, value, module);
            match style {
                Style::Quoted(_) => {
                    refuse_uncertain_port(says, value, key, at.start as usize)?;
                    leaf.change(&with_port(says, value), style, wants);
                }
                Style::Number | Style::Word => leaf.change(value, style, wants),
            }
        }
        (Place::Gap { object, depth, .. }, Some(path)) => {
            let literal = written(value, style_like(Style::Number, "", value, module));
            wants.insert(Insert { literal, ..Insert::new(object, path, depth, value.to_owned()) });
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
