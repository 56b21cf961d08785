//! The claim on a port, by which holds keep from each other: a name in the abstract namespace, which is as wide as a
//! network and as long as its socket.

use std::collections::HashSet;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::port::Port;

/// The name, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Claim {
    _name: UnixDatagram,
}

pub(crate) fn claim(port: Port) -> io::Result<Claim> {
    Ok(Claim { _name: UnixDatagram::bind_addr(&claim_name(port)?)? })
}

pub(crate) fn claimed(ports: &[Port]) -> io::Result<HashSet<Port>> {
    // One socket asks for all of them: to connect to a name tells whether anybody has it.
    let asking = UnixDatagram::unbound()?;
    let mut claimed = HashSet::new();
    for &port in ports {
        match asking.connect_addr(&claim_name(port)?) {
            Ok(()) => drop(claimed.insert(port)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
    Ok(claimed)
}

fn claim_name(port: Port) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("portman/hold/{port}"))
}
