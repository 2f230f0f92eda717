//! Tells the sender of a packet that a member's interface does not take it, as a router would.

use crate::{Ethernet, Frame, Protocol, Switch};
use messenger_core::Time;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv4Packet,
        Ipv4Repr, Ipv6Packet, Ipv6Repr,
    },
};

/// How many bytes of the packet are sent back.
const QUOTE_MAX: usize = 160;

/// Writes the answer; gives its length. `None` for what must not be answered (groups, errors, later fragments, no IP)
/// or where there were too many already. The answer comes from the address the packet was for, so that no filter on the
/// way in minds it.
pub(crate) fn answer(
    switch: &mut Switch,
    now: Time,
    rate: u32,
    mtu: usize,
    frame: Frame<'_>,
    ethernet: &Ethernet,
    out: &mut [u8],
) -> Option<usize> {
    if ethernet.dst.is_group() || ethernet.src.is_group() || rate == 0 {
        return None;
    }
    let bytes = frame.ethernet_bytes();
    let front = frame.offset();
    out.get_mut(..front)?.fill(0);
    let out = out.get_mut(front..)?;
    out.get_mut(..6)?.copy_from_slice(&ethernet.src.0);
    out.get_mut(6..12)?.copy_from_slice(&ethernet.dst.0);
    out.get_mut(12..ethernet.payload)?.copy_from_slice(bytes.get(12..ethernet.payload)?);
    let body = out.get_mut(ethernet.payload..)?;
    let packet = bytes.get(ethernet.payload..)?;
    let len = match ethernet.protocol {
        Protocol::Ipv4 => v4(packet, mtu, body)?,
        Protocol::Ipv6 => v6(packet, mtu, body)?,
        _ => return None,
    };
    switch.icmp.take(now, rate, rate).then_some(front + ethernet.payload + len)
}

fn v4(packet: &[u8], mtu: usize, out: &mut [u8]) -> Option<usize> {
    // Only the head is here, so the lengths inside cannot be checked against it.
    let ip = Ipv4Packet::new_unchecked(packet.get(..20).map(|_| packet)?);
    let header_len = usize::from(ip.header_len());
    if ip.version() != 4 || header_len < 20 || packet.len() < header_len || ip.frag_offset() != 0 {
        return None;
    }
    let (src, dst) = (ip.src_addr(), ip.dst_addr());
    if src.is_multicast() || src.is_unspecified() || src.is_broadcast() || dst.is_multicast() || dst.is_broadcast() {
        return None;
    }
    if ip.next_header() == IpProtocol::Icmp && !matches!(packet.get(header_len)?, 0 | 8 | 13 | 14) {
        return None;
    }
    let quote = packet.get(..packet.len().min(QUOTE_MAX))?;
    let header = Ipv4Repr {
        src_addr: dst,
        dst_addr: src,
        next_header: IpProtocol::Icmp,
        payload_len: 8 + quote.len(),
        hop_limit: 64,
    };
    let len = header.buffer_len() + header.payload_len;
    let (ip, icmp) = out.get_mut(..len)?.split_at_mut_checked(header.buffer_len())?;
    ip.fill(0);
    header.emit(&mut Ipv4Packet::new_unchecked(ip), &ChecksumCapabilities::default());
    icmp.get_mut(..8)?.fill(0);
    icmp.get_mut(6..8)?.copy_from_slice(&u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes());
    icmp.get_mut(8..)?.copy_from_slice(quote);
    let mut message = Icmpv4Packet::new_unchecked(icmp);
    message.set_msg_type(Icmpv4Message::DstUnreachable);
    message.set_msg_code(Icmpv4DstUnreachable::FragRequired.into());
    message.fill_checksum();
    Some(len)
}

fn v6(packet: &[u8], mtu: usize, out: &mut [u8]) -> Option<usize> {
    let ip = Ipv6Packet::new_unchecked(packet.get(..40).map(|_| packet)?);
    let (src, dst) = (ip.src_addr(), ip.dst_addr());
    if ip.version() != 6 || src.is_multicast() || src.is_unspecified() || dst.is_multicast() {
        return None;
    }
    if ip.next_header() == IpProtocol::Icmpv6 && *packet.get(40)? < 128 {
        return None;
    }
    let quote = packet.get(..packet.len().min(QUOTE_MAX))?;
    let header = Ipv6Repr {
        src_addr: dst,
        dst_addr: src,
        next_header: IpProtocol::Icmpv6,
        payload_len: 8 + quote.len(),
        hop_limit: 64,
    };
    let len = header.buffer_len() + header.payload_len;
    let (ip, icmp) = out.get_mut(..len)?.split_at_mut_checked(header.buffer_len())?;
    ip.fill(0);
    header.emit(&mut Ipv6Packet::new_unchecked(ip));
    icmp.get_mut(..8)?.fill(0);
    icmp.get_mut(8..)?.copy_from_slice(quote);
    let mut message = Icmpv6Packet::new_unchecked(icmp);
    message.set_msg_type(Icmpv6Message::PktTooBig);
    message.set_msg_code(0);
    message.set_pkt_too_big_mtu(u32::try_from(mtu).unwrap_or(u32::MAX));
    message.fill_checksum(&dst, &src);
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ANSWER_MAX, Member, Plan, Reason, Route,
        testing::{Spec, check_frame, frame, mac, member, table_with},
    };
    use etherparse::{Icmpv4Type, Icmpv6Type, SlicedPacket, TransportSlice, icmpv4};
    use std::vec::Vec;

    fn large(v6: bool) -> Vec<u8> {
        Spec { tcp: false, v6, payload: 3000, gso: u16::MAX, ..Spec::default() }.build()
    }

    fn answer_to(switch: &mut Switch, read: &[u8]) -> Result<Vec<u8>, Reason> {
        let table = table_with(Member { largest_frame: 1414, ..member(2) });
        let mut answer = [0xa5; ANSWER_MAX];
        match switch.plan(&table, 0, Time::ZERO, frame(read), Route::Own, &mut answer) {
            Plan::TooBig(len) => Ok(answer[..len].into()),
            Plan::Drop(reason) => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    /// PROTOCOL 2.8.
    #[test]
    fn ipv4_gets_fragmentation_needed() {
        let read = large(false);
        let answer = answer_to(&mut Switch::new(), &read).unwrap();
        assert_eq!((&answer[..10], &answer[10..16], &answer[16..22]), (&[0; 10][..], &mac(1).0[..], &mac(2).0[..]));
        let packet = SlicedPacket::from_ethernet(&answer[10..]).unwrap();
        let ip = packet.net.as_ref().unwrap().ipv4_ref().unwrap().header();
        assert_eq!((ip.source(), ip.destination()), ([10, 0, 0, 2], [10, 0, 0, 1]));
        assert_eq!(ip.header_checksum(), ip.to_header().calc_header_checksum());
        let Some(TransportSlice::Icmpv4(icmp)) = packet.transport else { panic!() };
        let needed = icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1400 };
        assert_eq!(icmp.icmp_type(), Icmpv4Type::DestinationUnreachable(needed));
        assert_eq!(icmp.checksum(), icmp.icmp_type().calc_checksum(icmp.payload()));
        assert_eq!(icmp.payload(), &read[24..24 + QUOTE_MAX]);
    }

    /// PROTOCOL 2.8.
    #[test]
    fn ipv6_gets_packet_too_big() {
        let read = large(true);
        let answer = answer_to(&mut Switch::new(), &read).unwrap();
        let packet = SlicedPacket::from_ethernet(&answer[10..]).unwrap();
        let ip = packet.net.as_ref().unwrap().ipv6_ref().unwrap().header();
        assert_eq!((ip.source(), ip.destination()), ([0xfe; 16], [0xfd; 16]));
        let Some(TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!() };
        assert_eq!(icmp.icmp_type(), Icmpv6Type::PacketTooBig { mtu: 1400 });
        assert!(icmp.is_checksum_valid(ip.source(), ip.destination()));
        assert_eq!(icmp.payload(), &read[24..24 + QUOTE_MAX]);
    }

    #[test]
    fn tags_stay_on_the_answer() {
        let read = Spec { tcp: false, tags: 1, payload: 3000, gso: u16::MAX, ..Spec::default() }.build();
        let answer = answer_to(&mut Switch::new(), &read).unwrap();
        assert_eq!(answer[22..26], read[22..26]);
        assert_eq!(SlicedPacket::from_ethernet(&answer[10..]).unwrap().link_exts.len(), 1);
        assert_eq!(check_frame(&Spec { payload: 10, tags: 1, ..Spec::default() }.complete()).tags, 1);
    }

    #[test]
    fn what_must_not_be_answered_is_dropped() {
        let changed = |at: usize, to: &[u8]| {
            let mut read = large(false);
            read[at..at + to.len()].copy_from_slice(to);
            answer_to(&mut Switch::new(), &read)
        };
        assert_eq!(changed(10, &[0xff; 6]), Err(Reason::TooLong), "broadcast");
        assert_eq!(changed(24 + 16, &[224, 0, 0, 5]), Err(Reason::TooLong), "multicast");
        assert_eq!(changed(24 + 12, &[0; 4]), Err(Reason::TooLong), "no source");
        assert_eq!(changed(24 + 6, &[0, 9]), Err(Reason::TooLong), "a later fragment");
        assert_eq!(changed(22, &[0x88, 0xb5]), Err(Reason::TooLong), "no IP");
        assert!(changed(24 + 9, &[47]).is_ok(), "any other protocol is told");
        let mut error = large(false);
        (error[24 + 9], error[24 + 20]) = (1, 3);
        assert_eq!(answer_to(&mut Switch::new(), &error), Err(Reason::TooLong), "an ICMP error");
        error[24 + 20] = 8;
        assert!(answer_to(&mut Switch::new(), &error).is_ok(), "an echo request");
        let mut error = large(true);
        (error[24 + 6], error[24 + 40]) = (58, 1);
        assert_eq!(answer_to(&mut Switch::new(), &error), Err(Reason::TooLong), "an ICMPv6 error");
        error[24 + 40] = 128;
        assert!(answer_to(&mut Switch::new(), &error).is_ok());
    }

    #[test]
    fn answers_are_limited_and_counted() {
        let mut switch = Switch::new();
        let told = (0..1000).filter(|_| answer_to(&mut switch, &large(false)).is_ok()).count();
        assert_eq!(told, 100);
        assert_eq!((switch.counters.icmp_answers, switch.counters.dropped(Reason::TooLong)), (100, 1000));
    }
}
