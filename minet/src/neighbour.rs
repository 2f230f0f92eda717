//! Answers ARP requests and neighbour solicitations in the place of the one who is asked for.

use crate::{Ethernet, Frame, Protocol, Table, VirtioNet};
use core::net::{IpAddr, Ipv6Addr};
use messenger_core::Mac;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
        Icmpv6Message, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscNeighborFlags, NdiscRepr,
    },
};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Arp,
    Nd,
}

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

/// The answer to a request for the address of a reachable member, and its length. Announcements (a node asking for its
/// own address) and whatever is tagged are not answered: these go to everybody.
pub(crate) fn answer(
    table: &Table,
    frame: Frame<'_>,
    vnet: &VirtioNet,
    ethernet: &Ethernet,
    out: &mut [u8],
) -> Option<(usize, Asked)> {
    let owner = |address| table.member_with(address).map(|(_, m)| Mac::of(m.node));
    answer_for(owner, frame, vnet, ethernet, out)
}

/// The same for whatever addresses `owner` knows.
pub(crate) fn answer_for(
    owner: impl Fn(IpAddr) -> Option<Mac>,
    frame: Frame<'_>,
    vnet: &VirtioNet,
    ethernet: &Ethernet,
    out: &mut [u8],
) -> Option<(usize, Asked)> {
    if ethernet.is_tagged() || ethernet.src.is_group() {
        return None;
    }
    let packet = frame.ethernet_bytes().get(ethernet.payload..)?;
    let front = frame.offset();
    out.get_mut(..front)?.fill(0);
    let out = out.get_mut(front..)?;
    let (len, asked) = match ethernet.protocol {
        Protocol::Arp => (arp(owner, packet, ethernet, out)?, Asked::Arp),
        Protocol::Ipv6 => (nd(owner, packet, vnet, ethernet, out)?, Asked::Nd),
        _ => return None,
    };
    Some((front + len, asked))
}

fn arp(owner: impl Fn(IpAddr) -> Option<Mac>, packet: &[u8], e: &Ethernet, out: &mut [u8]) -> Option<usize> {
    let request = ArpRepr::parse(&ArpPacket::new_checked(packet).ok()?).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = request
    else {
        return None;
    };
    if source_hardware_addr.0 != e.src.0 || source_protocol_addr == target_protocol_addr {
        return None;
    }
    let mac = owner(target_protocol_addr.into()).filter(|mac| *mac != e.src)?;
    let reply = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(mac.0),
        source_protocol_addr: target_protocol_addr,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    let body = link(mac, e.src, EthernetProtocol::Arp, reply.buffer_len(), out)?;
    reply.emit(&mut ArpPacket::new_unchecked(body));
    Some(Ethernet::LEN + reply.buffer_len())
}

fn nd(
    owner: impl Fn(IpAddr) -> Option<Mac>,
    packet: &[u8],
    vnet: &VirtioNet,
    e: &Ethernet,
    out: &mut [u8],
) -> Option<usize> {
    let ip = Ipv6Packet::new_checked(packet).ok()?;
    if ip.next_header() != IpProtocol::Icmpv6 || ip.hop_limit() != 255 {
        return None;
    }
    let icmp = Icmpv6Packet::new_checked(ip.payload()).ok()?;
    if icmp.msg_type() != Icmpv6Message::NeighborSolicit || icmp.msg_code() != 0 || ip.payload().len() < 24 {
        return None;
    }
    let (src, dst) = (ip.src_addr(), ip.dst_addr());
    if !vnet.needs_csum() && !icmp.verify_checksum(&src, &dst) {
        return None;
    }
    let target = icmp.target_addr();
    let probe = src.is_unspecified();
    if target.is_multicast() || probe && !dst.is_multicast() {
        return None;
    }
    let mac = owner(target.into()).filter(|mac| *mac != e.src)?;
    let (flags, to, to_mac) = if probe {
        (NdiscNeighborFlags::OVERRIDE, ALL_NODES, ALL_NODES_MAC)
    } else {
        (NdiscNeighborFlags::OVERRIDE | NdiscNeighborFlags::SOLICITED, src, e.src)
    };
    let advert = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
        flags,
        target_addr: target,
        lladdr: Some(EthernetAddress(mac.0).into()),
    });
    let header = Ipv6Repr {
        src_addr: target,
        dst_addr: to,
        next_header: IpProtocol::Icmpv6,
        payload_len: advert.buffer_len(),
        hop_limit: 255,
    };
    let body = link(mac, to_mac, EthernetProtocol::Ipv6, header.buffer_len() + advert.buffer_len(), out)?;
    let (ip, icmp) = body.split_at_mut_checked(header.buffer_len())?;
    header.emit(&mut Ipv6Packet::new_unchecked(ip));
    advert.emit(&target, &to, &mut Icmpv6Packet::new_unchecked(icmp), &ChecksumCapabilities::default());
    Some(Ethernet::LEN + header.buffer_len() + advert.buffer_len())
}

/// Writes an Ethernet header and gives the `len` bytes behind it.
fn link(src: Mac, dst: Mac, ethertype: EthernetProtocol, len: usize, out: &mut [u8]) -> Option<&mut [u8]> {
    let out = out.get_mut(..Ethernet::LEN + len)?;
    let (header, body) = out.split_at_mut_checked(Ethernet::LEN)?;
    EthernetRepr { src_addr: EthernetAddress(src.0), dst_addr: EthernetAddress(dst.0), ethertype }
        .emit(&mut EthernetFrame::new_unchecked(header));
    body.fill(0);
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ANSWER_MAX, Member, Outbound, Policy, Switch,
        testing::{SEGMENT, mac, member, node},
    };
    use messenger_core::Time;
    use std::vec::Vec;

    fn table() -> Table {
        Table::builder(node(1), SEGMENT)
            .member(member(2))
            .member(Member { hop: None, ..member(3) })
            .address("10.0.0.1".parse().unwrap(), node(1))
            .address("10.0.0.2".parse().unwrap(), node(2))
            .address("10.0.0.3".parse().unwrap(), node(3))
            .address("fe80::2".parse().unwrap(), node(2))
            .address("fe80::1".parse().unwrap(), node(1))
            .build()
    }

    /// What goes back to the interface; `None` when the frame is flooded.
    fn ask(table: &Table, frame: &[u8], vnet: bool) -> Option<Vec<u8>> {
        let mut read = if vnet { Vec::from([0; 10]) } else { Vec::new() };
        read.extend(frame);
        let mut answer = [0xa5; ANSWER_MAX];
        let frame = Frame { head: &read, total: read.len(), vnet };
        match Switch::new().outbound(table, Time::ZERO, frame, &mut answer) {
            Outbound::Answer(len) => Some(answer[..len].into()),
            Outbound::Flood => None,
            other => panic!("{other:?}"),
        }
    }

    fn request(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
        let mut f = Vec::from([0xff; 6]);
        f.extend(mac(1).0);
        f.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        f.extend(mac(1).0);
        f.extend(sender);
        f.extend([0; 6]);
        f.extend(target);
        f
    }

    /// PROTOCOL 2.11.
    #[test]
    fn arp_for_a_member_is_answered_byte_by_byte() {
        let golden = [
            2, 0x4d, 0, 0, 0, 1, 2, 0x4d, 0, 0, 0, 2, 8, 6, // Ethernet: to us, from node 2
            0, 1, 8, 0, 6, 4, 0, 2, // ARP reply
            2, 0x4d, 0, 0, 0, 2, 10, 0, 0, 2, // node 2 has 10.0.0.2
            2, 0x4d, 0, 0, 0, 1, 10, 0, 0, 1,
        ];
        let request = request([10, 0, 0, 1], [10, 0, 0, 2]);
        assert_eq!(ask(&table(), &request, false).unwrap(), golden);
        let with_header = ask(&table(), &request, true).unwrap();
        assert_eq!((&with_header[..10], &with_header[10..]), (&[0; 10][..], &golden[..]));
    }

    #[test]
    fn an_arp_probe_for_a_members_address_is_answered() {
        let answer = ask(&table(), &request([0; 4], [10, 0, 0, 2]), false).unwrap();
        assert_eq!(answer[20..22], [0, 2]);
        assert_eq!(answer[38..42], [0; 4]);
    }

    /// PROTOCOL 2.11.
    #[test]
    fn what_only_others_can_answer_goes_to_everybody() {
        let own_probe = request([0; 4], [10, 0, 0, 1]);
        let unknown = request([10, 0, 0, 1], [10, 0, 0, 77]);
        let unreachable = request([10, 0, 0, 1], [10, 0, 0, 3]);
        let announcement = request([10, 0, 0, 2], [10, 0, 0, 2]);
        let mut reply = request([10, 0, 0, 1], [10, 0, 0, 2]);
        reply[21] = 2;
        let mut odd_sender = request([10, 0, 0, 1], [10, 0, 0, 2]);
        odd_sender[23] ^= 1;
        let mut tagged = request([10, 0, 0, 1], [10, 0, 0, 2]);
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        for frame in [own_probe, unknown, unreachable, announcement, reply, odd_sender, tagged] {
            assert_eq!(ask(&table(), &frame, false), None);
        }
        let deaf = Table::builder(node(1), SEGMENT)
            .policy(Policy { answer: false, ..Policy::default() })
            .member(member(2))
            .address("10.0.0.2".parse().unwrap(), node(2))
            .build();
        assert_eq!(ask(&deaf, &request([10, 0, 0, 1], [10, 0, 0, 2]), false), None);
    }

    /// A neighbour solicitation for `target`, as etherparse makes it.
    fn solicit(source: [u8; 16], target: [u8; 16]) -> Vec<u8> {
        use etherparse::{Icmpv6Type, PacketBuilder};
        let mut to = [0; 16];
        to[..13].copy_from_slice(&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]);
        to[13..].copy_from_slice(&target[13..]);
        let mut f = Vec::new();
        let mut body = Vec::from(target);
        if source != [0; 16] {
            body.extend([1, 1]);
            body.extend(mac(1).0);
        }
        PacketBuilder::ethernet2(mac(1).0, [0x33, 0x33, 0xff, target[13], target[14], target[15]])
            .ipv6(source, to, 255)
            .icmpv6(Icmpv6Type::Unknown { type_u8: 135, code_u8: 0, bytes5to8: [0; 4] })
            .write(&mut f, &body)
            .unwrap();
        f
    }

    fn fe80(n: u8) -> [u8; 16] {
        let mut a = [0; 16];
        (a[0], a[1], a[15]) = (0xfe, 0x80, n);
        a
    }

    /// PROTOCOL 2.11.
    #[test]
    fn a_solicitation_for_a_member_is_answered_byte_by_byte() {
        let answer = ask(&table(), &solicit(fe80(1), fe80(2)), false).unwrap();
        let mut golden = Vec::from([2, 0x4d, 0, 0, 0, 1, 2, 0x4d, 0, 0, 0, 2, 0x86, 0xdd]);
        golden.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
        golden.extend(fe80(2));
        golden.extend(fe80(1));
        golden.extend([136, 0, answer[56], answer[57], 0x60, 0, 0, 0]); // solicited, override
        golden.extend(fe80(2));
        golden.extend([2, 1, 2, 0x4d, 0, 0, 0, 2]);
        assert_eq!(answer, golden);
        assert_icmpv6_sum(&answer, fe80(2), fe80(1));
    }

    #[test]
    fn duplicate_address_detection_of_a_members_address_is_told_to_all() {
        let answer = ask(&table(), &solicit([0; 16], fe80(2)), true).unwrap();
        let answer = &answer[10..];
        assert_eq!(answer[..6], [0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!(answer[58], 0x20, "override, not solicited");
        assert_icmpv6_sum(answer, fe80(2), ALL_NODES.octets());
    }

    fn assert_icmpv6_sum(frame: &[u8], src: [u8; 16], dst: [u8; 16]) {
        let icmp = etherparse::Icmpv6Slice::from_slice(&frame[54..]).unwrap();
        assert!(icmp.is_checksum_valid(src, dst));
    }

    #[test]
    fn bad_and_foreign_solicitations_go_to_everybody() {
        let good = solicit(fe80(1), fe80(2));
        assert!(ask(&table(), &good, false).is_some());
        let changed = |at: usize, value: u8| {
            let mut f = good.clone();
            f[at] = value;
            ask(&table(), &f, false)
        };
        assert_eq!(changed(21, 254), None, "hop limit");
        assert_eq!(changed(56, good[56] ^ 1), None, "checksum");
        assert_eq!(changed(55, 1), None, "code");
        assert_eq!(changed(54, 133), None, "another message");
        assert_eq!(ask(&table(), &solicit([0; 16], fe80(1)), false), None, "our own");
        assert_eq!(ask(&table(), &solicit(fe80(1), fe80(9)), false), None, "nobody's");
    }

    #[test]
    fn answers_are_counted() {
        let mut switch = Switch::new();
        for frame in [request([10, 0, 0, 1], [10, 0, 0, 2]), solicit(fe80(1), fe80(2))] {
            let frame = Frame { head: &frame, total: frame.len(), vnet: false };
            switch.outbound(&table(), Time::ZERO, frame, &mut [0; ANSWER_MAX]);
        }
        assert_eq!((switch.counters.arp_answers, switch.counters.nd_answers, switch.counters.tx_packets), (1, 1, 2));
    }
}
