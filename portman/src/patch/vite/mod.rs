//! `vite.config.*`: finds the dev server's port, its proxies' targets and other literals, wherever the config says them.
//!
//! Nothing is evaluated. A value is changed only where its bytes are certain; what the file computes is refused, with
//! the variable's name where that is certain.

mod depth;
mod source;

mod computed;
mod config;
mod names;
mod place;
mod resolve;
mod value;

mod own;
mod proxy;
mod set;

mod insert;
mod leaf;
mod said;
mod want;

mod same;

#[cfg(test)]
mod tests;

use super::key::KeyPath;
use super::{Edit, Refusal, Splice};
use crate::port::Port;
use computed::{Instead, mentions};
use resolve::Module;
use want::Wants;

/// The splices that make `edits` in `text`; none when it says so already.
pub(super) fn locate(text: &str, edits: &[Edit]) -> Result<Vec<Splice>, Refusal> {
    if edits.is_empty() {
        return Ok(Vec::new());
    }
    source::parsed(text, |module| splices(module, edits))
}

/// What the config says at `key`; none when it certainly says nothing.
pub(super) fn says(text: &str, key: &KeyPath) -> Result<Option<String>, Refusal> {
    source::parsed(text, |module| said::said(module, key))
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
    let config = match module.config() {
        Ok(config) => config,
        Err(_) if nothing_to_follow(module, edits) => return Ok(Vec::new()),
        Err(stuck) => return Err(computed::stuck(&stuck, &instead(edits))),
    };
    let given = given(edits);
    let mut wants = Wants::default();
    for edit in edits {
        match edit {
            &Edit::Own { old, new } => {
                own::listen(module, &config, (old, new), &given, &mut wants)?;
            }
            Edit::Set { key, value } => set::set(module, &config, key, value, &mut wants)?,
            // Peers move all at once, below; a script is in another file.
            Edit::Peer { .. } | Edit::Script { .. } | Edit::Given { .. } => {}
        }
    }
    proxy::follow(module, &config, &moves(edits), &given, &mut wants)?;
    wants.splices(module)
}

/// The variables that the config finds set, each with the port it says.
fn given(edits: &[Edit]) -> Vec<(&str, Port)> {
    let mut given = Vec::new();
    for edit in edits {
        if let Edit::Given { variable, port } = edit {
            given.push((variable.as_str(), *port));
        }
    }
    given
}

/// What the `Peer` edits ask for, all at once.
fn moves(edits: &[Edit]) -> Vec<(Port, Port)> {
    let moved = |edit: &Edit| match edit {
        &Edit::Peer { old, new } if old != new => Some((old, new)),
        _ => None,
    };
    edits.iter().filter_map(moved).collect()
}

/// Only peers moved, and the file says none of their ports: then it does not matter what it exports.
fn nothing_to_follow(module: &Module<'_>, edits: &[Edit]) -> bool {
    edits.iter().all(|edit| match edit {
        Edit::Peer { old, .. } => mentions(module, module.program.span, &old.to_string()).is_none(),
        Edit::Script { .. } | Edit::Given { .. } => true,
        Edit::Own { .. } | Edit::Set { .. } => false,
    })
}

/// What the user can do about a config that cannot be followed at all.
fn instead(edits: &[Edit]) -> Instead {
    let own = edits.iter().find_map(|edit| match edit {
        &Edit::Own { new, .. } => Some(Instead::Own(new)),
        _ => None,
    });
    own.unwrap_or(Instead::Config)
}
