//! Members of an IPv4 multicast group, with the sockets of the kernel.

use crate::{Error, Netns, Result};
use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

/// A member of a group that counts what it receives.
pub struct Listener {
    socket: UdpSocket,
}

impl Listener {
    /// Joins a group at a port, on the interface with this address.
    ///
    /// # Errors
    /// The system refuses.
    pub fn join(space: &Netns, group: Ipv4Addr, port: u16, interface: Ipv4Addr) -> Result<Self> {
        let socket = space.inside(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
            socket.join_multicast_v4(&group, &interface)?;
            Ok(socket)
        })?;
        Ok(Self { socket })
    }

    /// Receives numbered datagrams until `count` came or `pause` passed without one; gives the numbers in order.
    ///
    /// # Errors
    /// The system refuses.
    pub fn receive(&self, count: usize, pause: Duration) -> Result<Vec<u32>> {
        let mut numbers = Vec::new();
        let mut bytes = [0; 4];
        self.socket.set_read_timeout(Some(pause)).map_err(Error::io("set a time-out"))?;
        while numbers.len() < count {
            match self.socket.recv(&mut bytes) {
                Ok(_) => numbers.push(u32::from_be_bytes(bytes)),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
                Err(error) => return Err(Error::io("receive from a group")(error)),
            }
        }
        Ok(numbers)
    }

    /// Sends datagrams numbered from 0 to a group or broadcast address, from the interface with this address.
    ///
    /// # Errors
    /// The system refuses.
    pub fn send(space: &Netns, group: Ipv4Addr, port: u16, interface: Ipv4Addr, count: u32) -> Result<()> {
        space.inside(|| {
            // The source address chooses the interface.
            let socket = UdpSocket::bind((interface, 0))?;
            socket.set_broadcast(true)?;
            (0..count).try_for_each(|number| socket.send_to(&number.to_be_bytes(), (group, port)).map(drop))
        })
    }
}
