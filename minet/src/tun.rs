//! For a node whose interface carries IP packets, not frames (TUN): puts the Ethernet header in front and takes it off.
//!
//! Such a node has no ARP or neighbour cache: the destination's MAC is computed from the table, and requests for the
//! node's own addresses that do reach it are answered here.

use crate::{Ethernet, Frame, Protocol, Reason, Table, neighbour};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use messenger_core::Mac;

/// The Ethernet header that belongs in front of an IP packet read from our interface; `packet` is its start. What no
/// member owns goes to `gateway`, or is refused.
pub fn wrap(table: &Table, packet: &[u8], gateway: Option<Mac>) -> Result<[u8; Ethernet::LEN], Reason> {
    let (dst, ethertype) = destination(packet).ok_or(Reason::Malformed)?;
    let mac = match dst {
        IpAddr::V4(a) if a.is_broadcast() => Mac::BROADCAST,
        IpAddr::V4(a) if a.is_multicast() => {
            let [_, b, c, d] = a.octets();
            Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(a) if a.is_multicast() => {
            let [.., w, x, y, z] = a.octets();
            Mac([0x33, 0x33, w, x, y, z])
        }
        dst => match table.owner(dst) {
            Some(node) if node != table.own() => Mac::of(node),
            Some(_) => return Err(Reason::SameSide),
            None => gateway.ok_or(Reason::UnknownNode)?,
        },
    };
    let mut header = [0; Ethernet::LEN];
    let (to, rest) = header.split_at_mut(6);
    let (from, kind) = rest.split_at_mut(6);
    to.copy_from_slice(&mac.0);
    from.copy_from_slice(&table.mac().0);
    kind.copy_from_slice(&ethertype.to_be_bytes());
    Ok(header)
}

/// Where the IP packet starts in a frame that is to be written to our interface (virtio-net header counted). Whatever is
/// not plain IP, or needs work that such an interface cannot do, is refused.
pub fn unwrap(frame: Frame<'_>) -> Result<usize, Reason> {
    let (vnet, ethernet) = frame.open()?;
    if !vnet.is_trivial() {
        return Err(Reason::Offload);
    }
    let version = frame.ethernet_bytes().get(ethernet.payload).map(|b| b >> 4);
    match (ethernet.protocol, version, ethernet.is_tagged()) {
        (Protocol::Ipv4, Some(4), false) | (Protocol::Ipv6, Some(6), false) => Ok(frame.offset() + ethernet.payload),
        (Protocol::Ipv4 | Protocol::Ipv6, _, false) => Err(Reason::Malformed),
        _ => Err(Reason::NotForUs),
    }
}

/// The answer to an ARP request or neighbour solicitation for one of our own addresses, and its length: a frame to send
/// to the asker as if it had been read from our interface.
pub fn answer(table: &Table, frame: Frame<'_>, out: &mut [u8]) -> Option<usize> {
    let (vnet, ethernet) = frame.open().ok()?;
    let owner = |address| (table.owner(address)? == table.own()).then_some(table.mac());
    neighbour::answer_for(owner, frame, &vnet, &ethernet, out).map(|(len, _)| len)
}

fn destination(packet: &[u8]) -> Option<(IpAddr, u16)> {
    match packet.first()? >> 4 {
        4 => Some((Ipv4Addr::from(*packet.get(16..)?.first_chunk::<4>()?).into(), 0x0800)),
        6 => Some((Ipv6Addr::from(*packet.get(24..)?.first_chunk::<16>()?).into(), 0x86dd)),
        _ => None,
    }
}
