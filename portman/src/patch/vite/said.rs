//! What the config says at a key.

use oxc_span::GetSpan;

use super::super::key::{KeyPath, Step};
use super::super::{Code, Refusal};
use super::computed::{self, Instead};
use super::config::Config;
use super::leaf::Leaf;
use super::place::Place;
use super::resolve::{Module, Stuck};
use super::value::literal;

/// What the config says at `key`; none when it certainly says nothing.
pub(super) fn said(module: &Module<'_>, key: &KeyPath) -> Result<Option<String>, Refusal> {
    let names = key.steps().iter().map(|step| match step {
        Step::Name(name) => Some(name.as_str()),
        Step::Index(_) => None,
    });
    let Some(path) = names.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let refuse = |stuck: Stuck| computed::stuck(&stuck, &Instead::Config);
    let config = module.config().map_err(refuse)?;
    match module.place(&config.top, &path).map_err(refuse)? {
        Place::Member(member) => {
            let leaf = Leaf::of(module, &key.to_string(), member, &Instead::Config)?;
            Ok(Some(leaf.literal.says))
        }
        Place::Gap { sure: true, .. } => said_below(module, &config, &path).map_err(refuse),
        Place::Gap { object, .. } => {
            let why = format!("what `{key}` is cannot be followed");
            Err(refuse(Stuck::new(object.span, Code::Computed, why)))
        }
    }
}

/// What the configs that are merged below say at `path`.
pub(super) fn said_below<'a>(
    module: &Module<'a>,
    config: &Config<'a>,
    path: &[&str],
) -> Result<Option<String>, Stuck> {
    let mut says = None;
    for layer in &config.below {
        let unfollowed = |at| Stuck::unfollowed(at, "what is merged here cannot be followed");
        let layer = layer.as_ref().map_err(|at| unfollowed(*at))?;
        match module.place(layer, path)? {
            Place::Member(member) => {
                let value = module.follow(&member.value).0;
                let literal =
                    literal(module.text, value).ok_or_else(|| unfollowed(value.span()))?;
                says = Some(literal.says);
            }
            Place::Gap { sure: true, .. } => {}
            Place::Gap { object, .. } => return Err(unfollowed(object.span)),
        }
    }
    Ok(says)
}
