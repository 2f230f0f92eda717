//! Frames and tables for the pieces: node 1, a little fabric around it, and what it reads from its interface.

use etherparse::PacketBuilder;
use messenger_core::{Mac, NodeId, SegmentId};
use minet::{Gso, Hop, Member, Offloads, Table, VirtioNet};

/// Virtio-net, Ethernet, IPv4 and TCP headers.
const ETHERNET: usize = 14;
const IP: usize = 20;
const TCP: usize = 20;

/// Payload of a part of a run.
const SEGMENT_SIZE: u16 = 1448;

/// Payload of a super-frame: 42 parts.
pub const SUPER: usize = 42 * SEGMENT_SIZE as usize;

pub fn node(id: u32) -> NodeId {
    NodeId::new(id).unwrap()
}

/// Node `own` among eight, each of which takes messages of so many bytes.
pub fn table(own: u32, message: usize) -> Table {
    let member = |id| Member {
        node: node(id),
        via: node(id),
        hop: Some(Hop { carrier: 0, channel: id }),
        message,
        slice: message,
        largest_frame: 1514,
        offloads: Offloads::ALL,
    };
    let builder = Table::builder(node(own), SegmentId::from_name("lan"));
    (1..=8).filter(|id| *id != own).fold(builder, |builder, id| builder.member(member(id))).build()
}

/// What node 1 reads from its interface for node 2: a TCP segment of so many bytes, a super-frame when they are many.
/// Its checksum is partial.
pub fn read(payload: usize) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2(Mac::of(node(1)).0, Mac::of(node(2)).0).ipv4([10, 77, 0, 1], [10, 77, 0, 2], 64);
    let mut frame = Vec::new();
    ip.tcp(5000, 80, 1, 4096).ack(77).write(&mut frame, &vec![7; payload]).unwrap();
    let l4 = ETHERNET + IP;
    let pseudo = [10 << 8 | 77, 1, 10 << 8 | 77, 2, 6, (TCP + payload) as u32];
    let sum: u32 = pseudo.iter().sum();
    let partial = (sum & 0xffff) + (sum >> 16);
    frame[l4 + 16..l4 + 18].copy_from_slice(&(partial as u16).to_be_bytes());
    let long = payload > usize::from(SEGMENT_SIZE);
    let vnet = VirtioNet {
        flags: VirtioNet::NEEDS_CSUM,
        gso: if long { Gso::Tcp4 } else { Gso::None },
        ecn: false,
        hdr_len: if long { (l4 + TCP) as u16 } else { 0 },
        gso_size: if long { SEGMENT_SIZE } else { 0 },
        csum_start: l4 as u16,
        csum_offset: 16,
    };
    let mut read = Vec::from(vnet.emit());
    read.append(&mut frame);
    read
}
