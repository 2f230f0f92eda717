//! TCP/IP on an interface: smoltcp with the addresses and the MAC address of a node, wherever its frames come from.

use crate::device::{Frames, Port};
use alloc::vec::Vec;
use core::net::IpAddr;
use messenger_core::{Mac, NodeId, Time};
use smoltcp::{
    iface::{Config, Context, Interface, PollResult, SocketHandle, SocketSet},
    socket::AnySocket,
    time::Instant,
    wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv6Address},
};

/// An interface with its sockets.
pub struct Inet {
    interface: Interface,
    sockets: SocketSet<'static>,
}

impl Inet {
    /// The interface of a node with these addresses; it has a link-local one too. `seed` is of its random numbers.
    pub fn new(
        frames: &mut impl Frames,
        node: NodeId,
        seed: u64,
        addresses: impl IntoIterator<Item = (IpAddr, u8)>,
        now: Time,
    ) -> Inet {
        let mac = Mac::of(node);
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac.0)));
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut Port { frames, now }, instant(now));
        interface.update_ip_addrs(|own| {
            for (ip, prefix) in addresses.into_iter().chain([(IpAddr::V6(link_local(mac)), 64)]) {
                // There is room for more addresses than a configuration can have.
                let _ = own.push(IpCidr::new(ip.into(), prefix));
            }
        });
        Inet { interface, sockets: SocketSet::new(Vec::new()) }
    }

    /// Its sockets.
    pub const fn sockets(&mut self) -> &mut SocketSet<'static> {
        &mut self.sockets
    }

    /// A socket, and what it needs to call somebody.
    pub fn socket<S: AnySocket<'static>>(&mut self, handle: SocketHandle) -> (&mut S, &mut Context) {
        (self.sockets.get_mut(handle), self.interface.context())
    }

    /// Takes and sends frames; whether a socket changed.
    pub fn poll(&mut self, now: Time, frames: &mut impl Frames) -> bool {
        self.interface.poll(instant(now), &mut Port { frames, now }, &mut self.sockets)
            == PollResult::SocketStateChanged
    }

    /// When [`Inet::poll`] is to be called though no frame came.
    pub fn poll_timeout(&mut self, now: Time) -> Option<Time> {
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        Some(Time::from_nanos(u64::try_from(at.total_micros()).unwrap_or(0).saturating_mul(1000)))
    }
}

fn instant(time: Time) -> Instant {
    Instant::from_micros((time.as_nanos() / 1000) as i64)
}

/// The address that every IPv6 interface has: made from its MAC address.
fn link_local(mac: Mac) -> Ipv6Address {
    let [a, b, c, d, e, f] = mac.0;
    let word = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    Ipv6Address::new(0xfe80, 0, 0, 0, word(a ^ 2, b), word(c, 0xff), word(0xfe, d), word(e, f))
}
