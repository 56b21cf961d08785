//! The claim on a port, by which holds keep from each other: a name in the abstract namespace, which is as wide as a
//! network and as long as its socket.

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

pub(crate) fn is_claimed(port: Port) -> io::Result<bool> {
    match UnixDatagram::unbound()?.connect_addr(&claim_name(port)?) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}

fn claim_name(port: Port) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("portman/hold/{port}"))
}
