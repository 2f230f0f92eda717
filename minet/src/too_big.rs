//! Tells the sender of a packet that a member's interface does not take it, as a router would.

use crate::{Ethernet, Frame, Protocol, Switch};
use messenger_core::Time;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Packet, Ipv4Repr,
        Ipv6Packet, Ipv6Repr,
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
    let original = Ipv6Repr {
        src_addr: src,
        dst_addr: dst,
        next_header: ip.next_header(),
        payload_len: usize::from(ip.payload_len()),
        hop_limit: ip.hop_limit(),
    };
    let data = packet.get(40..packet.len().min(QUOTE_MAX))?;
    let answer = Icmpv6Repr::PktTooBig { mtu: u32::try_from(mtu).unwrap_or(u32::MAX), header: original, data };
    let header = Ipv6Repr {
        src_addr: dst,
        dst_addr: src,
        next_header: IpProtocol::Icmpv6,
        payload_len: answer.buffer_len(),
        hop_limit: 64,
    };
    let len = header.buffer_len() + header.payload_len;
    let (ip, icmp) = out.get_mut(..len)?.split_at_mut_checked(header.buffer_len())?;
    ip.fill(0);
    icmp.fill(0);
    header.emit(&mut Ipv6Packet::new_unchecked(ip));
    answer.emit(&dst, &src, &mut Icmpv6Packet::new_unchecked(icmp), &ChecksumCapabilities::default());
    Some(len)
}
