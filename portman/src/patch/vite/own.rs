//! The port that the dev server itself listens on, and what has to say the same.

use super::super::Refusal;
use super::computed::{self, Instead, mentions};
use super::config::Config;
use super::insert::Insert;
use super::leaf::Leaf;
use super::place::Place;
use super::resolve::{Module, Reached};
use super::said::said_below;
use super::value::Style;
use super::want::Wants;
use crate::port::Port;

/// Where Vite listens when nothing says so.
const VITE_DEFAULT: u16 = 5173;

const PORT: &[&str] = &["server", "port"];
const STRICT_PORT: &[&str] = &["server", "strictPort"];
const HMR_PORTS: [&[&str]; 2] = [&["server", "hmr", "port"], &["server", "hmr", "clientPort"]];

/// Lets the dev server listen on `new`.
pub(super) fn listen<'a>(
    module: &Module<'a>,
    config: &Config<'a>,
    (old, new): (Port, Port),
    given: &[(&str, Port)],
    wants: &mut Wants<'a>,
) -> Result<(), Refusal> {
    let instead = Instead::Own(new);
    let stood =
        match module.place(&config.top, PORT).map_err(|stuck| computed::stuck(&stuck, &instead))? {
            // The environment decides, and it says the new port.
            Place::Member(member) if computed::is_given(module, &member.value, given, new) => {
                old.to_string()
            }
            Place::Member(member) => {
                let leaf = Leaf::of(module, "server.port", member, &instead)?;
                let stood = leaf.literal.says.clone();
                leaf.change(&new.to_string(), leaf.literal.style, wants);
                stood
            }
            Place::Gap { object, depth, sure } => {
                let below = stood_below(module, config);
                let says_so = sure && below.as_ref() == Some(&new.to_string());
                if !says_so {
                    wants.insert(Insert::new(object, PORT, depth, new.to_string()));
                }
                below.unwrap_or_else(|| VITE_DEFAULT.to_string())
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

/// What the configs below say the port is, or Vite itself; none when one of them could not be followed.
fn stood_below<'a>(module: &Module<'a>, config: &Config<'a>) -> Option<String> {
    let says = said_below(module, config, PORT).ok()?;
    Some(says.unwrap_or_else(|| VITE_DEFAULT.to_string()))
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
    for path in HMR_PORTS {
        let key = path.join(".");
        match module.place(top, path) {
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
            Ok(Place::Gap { .. }) | Err(_) => {}
        }
    }
    Ok(())
}

/// A server that moves must not move on by itself; where nothing is said the command line says it.
fn strict_port<'a>(module: &Module<'a>, top: &Reached<'a>, wants: &mut Wants<'a>) {
    if let Ok(Place::Member(member)) = module.place(top, STRICT_PORT)
        && let Ok(leaf) =
            Leaf::of(module, "server.strictPort", member, &Instead::Set("true".to_owned()))
        && leaf.literal.says == "false"
    {
        leaf.change("true", Style::Word, wants);
    }
}
