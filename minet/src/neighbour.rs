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
