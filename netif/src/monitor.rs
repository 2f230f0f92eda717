//! Tells of changes to an interface that others make: a DHCP client, an operator.

use crate::{
    Address, Error, Link,
    netlink::{receive, split},
};
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The interface is now like this.
    Link(Link),
    /// The interface is gone.
    Gone,
    /// An address is there now, or its flags changed.
    Address(Address),
    /// An address is not there any more.
    NoAddress(Address),
    /// Changes were lost because nobody read them: look at everything again.
    Lost,
}

/// Listens to the kernel about one interface. Never blocks.
pub struct Monitor {
    socket: Socket,
    index: u32,
}

const LISTEN: &str = "listen to changes";
// RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR
const GROUPS: [u32; 3] = [1, 5, 9];

impl Monitor {
    /// Begins to listen, about the interface with that number ([`Link::index`]).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(index: u32) -> Result<Monitor, Error> {
        let make = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            for group in GROUPS {
                socket.add_membership(group)?;
            }
            socket.set_non_blocking(true)?;
            Ok(socket)
        };
        Ok(Monitor { socket: make().map_err(|e| Error::kernel(LISTEN, "", e))?, index })
    }

    /// Adds what changed since the last call to `changes`; returns at once when there is nothing more.
    ///
    /// # Errors
    /// What the kernel says. A message that cannot be read counts as lost, not as an error.
    pub fn read(&mut self, changes: &mut Vec<Change>) -> Result<(), Error> {
        loop {
            match receive(&self.socket) {
                Ok((bytes, from)) if from.port_number() == 0 => changes.extend(Change::read(self.index, &bytes)),
                // Not from the kernel: any process may send here.
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => changes.push(Change::Lost),
                Err(e) => return Err(Error::kernel(LISTEN, "", e)),
            }
        }
    }
}

impl Change {
    /// What one datagram of the kernel's says of the interface with that number. One that cannot be read is [`Change::Lost`].
    pub fn read(index: u32, bytes: &[u8]) -> Vec<Change> {
        let Ok(messages) = split(LISTEN, bytes) else { return Vec::from([Change::Lost]) };
        let inner = messages.into_iter().filter_map(|m| match m.payload {
            NetlinkPayload::InnerMessage(inner) => Some(inner),
            _ => None,
        });
        inner.filter_map(|message| Change::of(index, &message)).collect()
    }

    fn of(index: u32, message: &RouteNetlinkMessage) -> Option<Change> {
        match message {
            RouteNetlinkMessage::NewLink(m) if m.header.index == index => Link::from_message(m).map(Change::Link),
            RouteNetlinkMessage::DelLink(m) if m.header.index == index => Some(Change::Gone),
            RouteNetlinkMessage::NewAddress(m) if m.header.index == index => {
                Address::from_message(m).map(Change::Address)
            }
            RouteNetlinkMessage::DelAddress(m) if m.header.index == index => {
                Address::from_message(m).map(Change::NoAddress)
            }
            _ => None,
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
