//! What one peer's path takes.

use super::source::Own;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{io, net::SocketAddr};

/// When the kernel knows no route: what nearly every path takes.
const MTU_GUESS: usize = 1500;

/// A peer's address and path.
pub(super) struct Route {
    pub(super) address: SocketAddr,
    /// The address as the socket wants it.
    pub(super) name: SockAddr,
    /// The longest message in bytes.
    pub(super) message: usize,
    /// Set by the caller: probing does not raise it.
    pub(super) fixed: bool,
    /// The kernel sends runs on this path.
    pub(super) segment: bool,
    /// A message was refused because the socket was full.
    pub(super) wanted: bool,
    /// Where its datagrams leave from.
    pub(super) own: Own,
}

impl Route {
    pub(super) fn new(address: SocketAddr, name: SockAddr) -> Route {
        let message = message_most(address);
        Route { address, name, message, fixed: false, segment: true, wanted: false, own: Own::default() }
    }

    /// Takes what somebody else found the path to take.
    pub(super) fn resize(&mut self, message: usize) {
        if message < self.message || !self.fixed {
            self.message = message;
        }
        self.segment = true;
    }

    /// The peer is somewhere else now, and perhaps on another path.
    pub(super) fn move_to(&mut self, address: SocketAddr, name: SockAddr) {
        (self.address, self.name, self.own) = (address, name, Own::default());
        if !self.fixed {
            self.message = message_most(address);
        }
        self.segment = true;
    }

    /// Asks again what the path takes; whether it is less than before.
    pub(super) fn probe(&mut self) -> bool {
        let message = message_most(self.address);
        let less = message < self.message;
        if less || !self.fixed {
            self.message = message;
        }
        less
    }
}

/// The largest message that the path to `address` takes, in bytes: its MTU without the headers of IP and UDP. Where the
/// kernel knows no path, what nearly every one takes.
pub fn message_most(address: SocketAddr) -> usize {
    path_message(address).unwrap_or_else(|_| payload(MTU_GUESS, address))
}

/// The largest message that the path to `address` takes as the kernel knows it now, in bytes.
///
/// # Errors
/// The kernel knows no path.
pub fn path_message(address: SocketAddr) -> io::Result<usize> {
    path_mtu(address).map(|mtu| payload(mtu, address))
}

fn payload(mtu: usize, address: SocketAddr) -> usize {
    let (headers, datagram_most) = if address.is_ipv4() { (28, 65_507) } else { (48, 65_487) };
    mtu.saturating_sub(headers).min(datagram_most)
}

fn path_mtu(address: SocketAddr) -> io::Result<usize> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
    socket.connect(&address.into())?;
    let mtu = if address.is_ipv4() {
        rustix::net::sockopt::ip_mtu(&socket)?
    } else {
        rustix::net::sockopt::ipv6_mtu(&socket)?
    };
    Ok(mtu as usize)
}
