//! Tells the network stack who its peers are before it has to ask.
//!
//! Requests for members are answered by the asker's own node and never come here, so that smoltcp would meet a peer's
//! first packet without knowing where to send the answer, ask, and lose the answer. Frames of members say where they are:
//! in front of the first one from an address, and again before smoltcp forgets, an unasked answer is put.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::{net::IpAddr, time::Duration};
use messenger_core::{Mac, Time};
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv6Packet,
        Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscNeighborFlags, NdiscRepr,
    },
};

/// smoltcp forgets after a minute.
const AGAIN: Duration = Duration::from_secs(30);
/// As many as smoltcp keeps.
const MOST: usize = 64;

/// Whom the stack was told of, and when.
#[derive(Clone, Debug, Default)]
pub struct Introductions(BTreeMap<IpAddr, Time>);

impl Introductions {
    /// The frame to put in front of this one, if there must be one.
    pub fn before(&mut self, now: Time, frame: &[u8]) -> Option<Vec<u8>> {
        let (us, them) = (Mac(*frame.first_chunk()?), Mac(*frame.get(6..)?.first_chunk()?));
        if us.is_group() {
            return None;
        }
        let (here, there) = addresses(frame)?;
        if self.0.get(&there).is_some_and(|told| now.since(*told) < AGAIN) {
            return None;
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(there, now);
        match (here, there) {
            (IpAddr::V4(here), IpAddr::V4(there)) => {
                let repr = ArpRepr::EthernetIpv4 {
                    operation: ArpOperation::Reply,
                    source_hardware_addr: EthernetAddress(them.0),
                    source_protocol_addr: there,
                    target_hardware_addr: EthernetAddress(us.0),
                    target_protocol_addr: here,
                };
                let emit = |payload: &mut [u8]| repr.emit(&mut ArpPacket::new_unchecked(payload));
                Some(ethernet(us, them, EthernetProtocol::Arp, repr.buffer_len(), emit))
            }
            (IpAddr::V6(here), IpAddr::V6(there)) => {
                let repr = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
                    flags: NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE,
                    target_addr: there,
                    lladdr: Some(EthernetAddress(them.0).into()),
                });
                let ip = Ipv6Repr {
                    src_addr: there,
                    dst_addr: here,
                    next_header: IpProtocol::Icmpv6,
                    payload_len: repr.buffer_len(),
                    hop_limit: 255,
                };
                let len = ip.buffer_len() + repr.buffer_len();
                Some(ethernet(us, them, EthernetProtocol::Ipv6, len, |payload| {
                    let mut packet = Ipv6Packet::new_unchecked(payload);
                    ip.emit(&mut packet);
                    let mut message = Icmpv6Packet::new_unchecked(packet.payload_mut());
                    repr.emit(&there, &here, &mut message, &ChecksumCapabilities::default());
                }))
            }
            _ => None,
        }
    }
}

/// Destination and source of an IP packet without VLAN tags.
fn addresses(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let kind: [u8; 2] = *frame.get(12..)?.first_chunk()?;
    match kind {
        [0x08, 0x00] => {
            let [from, to] = [26, 30].map(|at| frame.get(at..).and_then(|b| b.first_chunk::<4>()));
            Some((IpAddr::from(*to?), IpAddr::from(*from?)))
        }
        [0x86, 0xdd] => {
            let [from, to] = [22, 38].map(|at| frame.get(at..).and_then(|b| b.first_chunk::<16>()));
            Some((IpAddr::from(*to?), IpAddr::from(*from?)))
        }
        _ => None,
    }
    .filter(|(to, from)| !to.is_multicast() && !from.is_multicast() && !from.is_unspecified())
}

fn ethernet(to: Mac, from: Mac, ethertype: EthernetProtocol, len: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = vec![0; EthernetFrame::<&[u8]>::buffer_len(len)];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    EthernetRepr { src_addr: EthernetAddress(from.0), dst_addr: EthernetAddress(to.0), ethertype }.emit(&mut frame);
    fill(frame.payload_mut());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(v6: bool, from: u8) -> Vec<u8> {
        let mut frame = vec![0; 60];
        frame[..6].copy_from_slice(&[2, 0x4d, 0, 0, 0, 9]);
        frame[6..12].copy_from_slice(&[2, 0x4d, 0, 0, 0, from]);
        match v6 {
            false => {
                frame[12] = 8;
                frame[26..34].copy_from_slice(&[10, 77, 0, from, 10, 77, 0, 9]);
            }
            true => {
                frame[12..14].copy_from_slice(&[0x86, 0xdd]);
                (frame[22], frame[37], frame[38], frame[53]) = (0xfd, from, 0xfd, 9);
            }
        }
        frame
    }

    #[test]
    fn a_peer_is_introduced_once_and_again_before_it_is_forgotten() {
        let mut all = Introductions::default();
        for v6 in [false, true] {
            let told = all.before(Time::ZERO, &packet(v6, 1)).unwrap();
            assert_eq!(told[..12], packet(v6, 1)[..12]);
            assert_eq!(all.before(Time::from_millis(29_999), &packet(v6, 1)), None);
            assert!(all.before(Time::from_millis(30_000), &packet(v6, 1)).is_some());
        }
    }

    #[test]
    fn what_says_nothing_introduces_nobody() {
        let mut all = Introductions::default();
        let whole = packet(true, 1);
        for len in 0..54 {
            assert_eq!(all.before(Time::ZERO, &whole[..len]), None, "{len}");
        }
        let mut group = packet(false, 1);
        group[0] = 1;
        assert_eq!(all.before(Time::ZERO, &group), None);
        for n in 0..=255 {
            all.before(Time::ZERO, &packet(false, n));
        }
        assert!(all.0.len() <= MOST);
    }
}
