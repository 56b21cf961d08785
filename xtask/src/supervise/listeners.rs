//! Which ports the processes of each service listen on.

use std::collections::HashMap;

use portman::check::{self, Socket};
use portman::owner;
use portman::port::Port;

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
        for socket in new {
            let service = owner_of(&socket, services)?;
            self.known.extend(socket.inode.map(|inode| (inode, service)));
        }
        let found = sockets.iter().filter_map(|socket| {
            let service = (*self.known.get(&socket.inode?)?)?;
            Some((service, Port::new(socket.local.port())?))
        });
        Ok(found.collect())
    }
}

fn owner_of(socket: &Socket, services: &[Option<Identity>]) -> anyhow::Result<Option<usize>> {
    for pid in owner::holders(&[*socket])? {
        for (service, identity) in services.iter().enumerate() {
            if let Some(identity) = identity
                && identity.has(pid)?
            {
                return Ok(Some(service));
            }
        }
    }
    Ok(None)
}
