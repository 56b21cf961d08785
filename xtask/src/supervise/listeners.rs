//! Which ports the processes of each service listen on.

use std::collections::HashMap;

use portman::check::{self, Socket};
use portman::owner::{self, Scope};
use portman::port::Port;
use portman::process::family;

use super::identity::Identity;

/// Listening sockets of this machine, with the service that has them. Each is asked for its owner once.
#[derive(Debug)]
pub(super) struct Listeners {
    known: HashMap<u64, Option<usize>>,
}

impl Listeners {
    /// All that listens before the first service starts is a stranger.
    pub(super) fn strangers() -> anyhow::Result<Self> {
        let inodes = check::all_listeners()?.into_iter().filter_map(|socket| socket.inode);
        Ok(Self { known: inodes.map(|inode| (inode, None)).collect() })
    }

    /// Every port that a process of one of these services listens on; the entry of a service that does not run is none.
    pub(super) fn look(
        &mut self,
        services: &[Option<Identity>],
    ) -> anyhow::Result<Vec<(usize, Port)>> {
        let sockets = check::all_listeners()?;
        self.known.retain(|inode, _| sockets.iter().any(|socket| socket.inode == Some(*inode)));
        let is_new =
            |socket: &&Socket| socket.inode.is_some_and(|inode| !self.known.contains_key(&inode));
        let new: Vec<Socket> = sockets.iter().filter(is_new).copied().collect();
        let families = services.iter().flatten().flat_map(|service| family(service.group));
        let holders = owner::holders(&new, Scope::Group, &families.collect::<Vec<u32>>())?;
        for inode in new.iter().filter_map(|socket| socket.inode) {
            let pids = holders.get(&inode).map_or(&[][..], Vec::as_slice);
            self.known.insert(inode, service_of(pids, services)?);
        }
        let found = sockets.iter().filter_map(|socket| {
            let service = (*self.known.get(&socket.inode?)?)?;
            Some((service, Port::new(socket.local.port())?))
        });
        Ok(found.collect())
    }
}

/// The service that one of these processes is of.
fn service_of(pids: &[u32], services: &[Option<Identity>]) -> anyhow::Result<Option<usize>> {
    for (service, identity) in services.iter().enumerate() {
        let Some(identity) = identity else { continue };
        for pid in pids {
            if identity.has(*pid)? {
                return Ok(Some(service));
            }
        }
    }
    Ok(None)
}
