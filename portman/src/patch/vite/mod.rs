//! `vite.config.*`: finds the dev server's port, its proxies' targets and other literals, wherever the config says them.
//!
//! Nothing is evaluated. A value is changed only where its bytes are certain; what the file computes is refused, with
//! the variable's name where that is certain.

mod computed;
mod depth;
mod export;
mod insert;
mod names;
mod proxy;
mod resolve;
mod same;
mod server;
mod source;
mod value;
mod want;

#[cfg(test)]
mod tests;

use super::{Edit, Refusal, Splice};
use crate::port::Port;
use computed::Instead;
use resolve::Module;
use want::Wants;

/// The splices that make `edits` in `text`; none when it says so already.
pub(super) fn locate(text: &str, edits: &[Edit]) -> Result<Vec<Splice>, Refusal> {
    if edits.is_empty() {
        return Ok(Vec::new());
    }
    source::parsed(text, |module| splices(module, edits))
}

/// Whether `after` is `before` with `edits` made by `splices`, and equal in everything else.
pub(super) fn read_back(
    before: &str,
    after: &str,
    edits: &[Edit],
    splices: &[Splice],
) -> Result<(), Refusal> {
    same::read_back(before, after, edits, splices)
}

fn splices(module: &Module<'_>, edits: &[Edit]) -> Result<Vec<Splice>, Refusal> {
    let config = module.config().map_err(|stuck| computed::stuck(&stuck, &instead(edits)))?;
    let mut wants = Wants::default();
    for edit in edits {
        match edit {
            &Edit::Own { old, new } => server::own(module, &config, (old, new), &mut wants)?,
            Edit::Set { key, value } => server::set(module, &config, key, value, &mut wants)?,
            Edit::Peer { .. } => {}
        }
    }
    proxy::follow(module, &config, &moves(edits), &mut wants)?;
    wants.splices(module)
}

/// What the `Peer` edits ask for, all at once.
fn moves(edits: &[Edit]) -> Vec<(Port, Port)> {
    let moved = |edit: &Edit| match edit {
        &Edit::Peer { old, new } if old != new => Some((old, new)),
        _ => None,
    };
    edits.iter().filter_map(moved).collect()
}

/// What the user can do about a config that cannot be followed at all.
fn instead(edits: &[Edit]) -> Instead {
    let own = edits.iter().find_map(|edit| match edit {
        &Edit::Own { new, .. } => Some(Instead::Own(new)),
        _ => None,
    });
    own.unwrap_or(Instead::Config)
}
