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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HEAD_MAX,
        testing::{SEGMENT, Spec, mac, member, node},
    };
    use proptest::prelude::*;
    use std::vec::Vec;

    fn table() -> Table {
        Table::builder(node(1), SEGMENT)
            .member(member(2))
            .address("10.0.0.1".parse().unwrap(), node(1))
            .address("10.0.0.2".parse().unwrap(), node(2))
            .address("fe80::2".parse().unwrap(), node(2))
            .build()
    }

    fn v4(dst: [u8; 4]) -> Vec<u8> {
        let mut packet = Vec::from([0; 20]);
        packet[0] = 0x45;
        packet[16..20].copy_from_slice(&dst);
        packet
    }

    fn v6(dst: &str) -> Vec<u8> {
        let mut packet = Vec::from([0; 40]);
        packet[0] = 0x60;
        packet[24..].copy_from_slice(&dst.parse::<Ipv6Addr>().unwrap().octets());
        packet
    }

    #[test]
    fn the_header_is_computed() {
        let to = |packet: &[u8]| {
            wrap(&table(), packet, None).map(|h| (Mac(h[..6].try_into().unwrap()), u16::from_be_bytes([h[12], h[13]])))
        };
        assert_eq!(to(&v4([10, 0, 0, 2])), Ok((mac(2), 0x0800)));
        assert_eq!(to(&v6("fe80::2")), Ok((mac(2), 0x86dd)));
        assert_eq!(to(&v4([255; 4])), Ok((Mac::BROADCAST, 0x0800)));
        assert_eq!(to(&v4([239, 129, 2, 3])), Ok((Mac([1, 0, 0x5e, 1, 2, 3]), 0x0800)));
        assert_eq!(to(&v6("ff02::1:ff00:7")), Ok((Mac([0x33, 0x33, 0xff, 0, 0, 7]), 0x86dd)));
        assert_eq!(to(&v4([10, 0, 0, 9])), Err(Reason::UnknownNode));
        assert_eq!(to(&v4([10, 0, 0, 1])), Err(Reason::SameSide));
        assert_eq!(to(&[0x45, 0]), Err(Reason::Malformed));
        let header = wrap(&table(), &v4([8, 8, 8, 8]), Some(mac(2))).unwrap();
        assert_eq!((&header[..6], &header[6..12]), (&mac(2).0[..], &mac(1).0[..]));
    }

    #[test]
    fn plain_ip_comes_out_and_nothing_else() {
        let whole = Spec { payload: 100, ..Spec::default() }.complete();
        let show = |f: &[u8]| unwrap(Frame { head: &f[..f.len().min(HEAD_MAX)], total: f.len(), vnet: false });
        assert_eq!(show(&whole), Ok(14));
        assert_eq!(show(&Spec { v6: true, payload: 100, ..Spec::default() }.complete()), Ok(14));
        assert_eq!(show(&Spec { tags: 1, payload: 100, ..Spec::default() }.complete()), Err(Reason::NotForUs));
        let mut arp = whole.clone();
        arp[13] = 6;
        assert_eq!(show(&arp), Err(Reason::NotForUs));
        let mut other_version = whole;
        other_version[14] = 0x65;
        assert_eq!(show(&other_version), Err(Reason::Malformed));
        let partial = Spec { payload: 100, ..Spec::default() }.build();
        assert_eq!(unwrap(Frame { head: &partial, total: partial.len(), vnet: true }), Err(Reason::Offload));
    }

    #[test]
    fn requests_for_our_own_address_are_answered_and_others_not() {
        let mut f = Vec::from([0xff; 6]);
        f.extend(mac(2).0);
        f.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        f.extend(mac(2).0);
        f.extend([10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1]);
        let mut out = [0; 64];
        let frame = |f: &[u8], out: &mut [u8]| answer(&table(), Frame { head: f, total: f.len(), vnet: false }, out);
        assert_eq!(frame(&f, &mut out), Some(42));
        assert_eq!((&out[..6], &out[6..12], &out[28..32]), (&mac(2).0[..], &mac(1).0[..], &[10, 0, 0, 1][..]));
        assert_eq!(frame(&f, &mut [0; 41]), None);
        f[41] = 2;
        assert_eq!(frame(&f, &mut out), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), vnet: bool) {
            let frame = Frame { head: &bytes, total: bytes.len(), vnet };
            let _ = wrap(&table(), &bytes, None);
            if let Ok(at) = unwrap(frame) {
                prop_assert!(at < bytes.len());
            }
            let _ = answer(&table(), frame, &mut [0; 100]);
        }
    }
}
