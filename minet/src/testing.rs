//! What the tests share: super-frames made by etherparse, messages put together from plans, segments checked by
//! etherparse.

use crate::{
    ANSWER_MAX, Frame, Gso, HEAD_MAX, Hop, Member, Offloads, Part, Plan, Reassembly, Route, Switch, Table, VirtioNet,
    checksum::{Completion, complete_checksum, fold, pseudo},
};
use core::net::IpAddr;
use etherparse::{IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder, SlicedPacket, TcpHeader, TransportSlice};
use messenger_core::{
    Mac, NodeId, SegmentId, Time,
    wire::{Flags, Header, Kind, Slice},
};
use proptest::prelude::*;
use std::{vec, vec::Vec};

pub(crate) const SEGMENT: SegmentId = SegmentId(0x5e9);

pub(crate) fn node(n: u32) -> NodeId {
    NodeId::new(n).unwrap()
}

pub(crate) fn mac(n: u32) -> Mac {
    Mac::of(node(n))
}

/// A member with all abilities and a wide path.
pub(crate) fn member(n: u32) -> Member {
    Member {
        node: node(n),
        via: node(n),
        hop: Some(Hop { carrier: 0, channel: n }),
        message: 70_000,
        slice: 70_000,
        largest_frame: 1514,
        offloads: Offloads::ALL,
    }
}

/// Node 1 with one member.
pub(crate) fn table_with(member: Member) -> Table {
    Table::builder(node(1), SEGMENT).member(member).build()
}

/// What a frame is made of.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) v6: bool,
    pub(crate) tcp: bool,
    pub(crate) tags: usize,
    pub(crate) options: usize,
    pub(crate) payload: usize,
    pub(crate) gso: u16,
    pub(crate) seq: u32,
    pub(crate) id: u16,
    pub(crate) fin: bool,
    pub(crate) psh: bool,
    pub(crate) cwr: bool,
}

impl Default for Spec {
    fn default() -> Spec {
        let (v6, tags, options, seq, id) = (false, 0, 12, 0xffff_f000, 0xfff8);
        Spec { v6, tcp: true, tags, options, payload: 60_000, gso: 1448, seq, id, fin: false, psh: true, cwr: false }
    }
}

impl Spec {
    pub(crate) fn any() -> impl Strategy<Value = Spec> {
        let numbers = (0usize..3, 0usize..11, 1usize..64_000, 1u16..9000, any::<u32>(), any::<u16>());
        (any::<[bool; 5]>(), numbers).prop_map(|([v6, tcp, fin, psh, cwr], (tags, options, payload, gso, seq, id))| {
            let gso = gso.max((payload / 120) as u16 + 1);
            Spec { v6, tcp, tags, options: options * 4, payload, gso, seq, id, fin, psh, cwr: cwr && tcp }
        })
    }

    /// Length of all headers.
    pub(crate) fn headers(&self) -> usize {
        14 + 4 * self.tags + if self.v6 { 40 } else { 20 } + if self.tcp { 20 + self.options } else { 8 }
    }

    /// Virtio-net header and frame, from node 1 to node 2; the checksum is partial.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut frame = Vec::from(mac(2).0);
        frame.extend(mac(1).0);
        for tag in 0..self.tags {
            frame.extend([0x81, 0, 0x20, tag as u8 + 1]);
        }
        frame.extend(if self.v6 { [0x86, 0xdd] } else { [8, 0] });
        let l4 = frame.len() + if self.v6 { 40 } else { 20 };
        let (ip, src, dst): (_, IpAddr, IpAddr) = if self.v6 {
            let (a, b) = ([0xfd; 16], [0xfe; 16]);
            let mut h = Ipv6Header { hop_limit: 64, source: a, destination: b, ..Ipv6Header::default() };
            h.traffic_class = 2;
            (IpHeaders::Ipv6(h, Default::default()), a.into(), b.into())
        } else {
            let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
            let mut h = Ipv4Header::new(0, 64, IpNumber::TCP, a, b).unwrap();
            (h.identification, h.dont_fragment) = (self.id, true);
            (IpHeaders::Ipv4(h, Default::default()), a.into(), b.into())
        };
        let payload: Vec<u8> = (0..self.payload).map(|i| (i ^ i >> 8) as u8).collect();
        let step = PacketBuilder::ip(ip);
        if self.tcp {
            let mut h = TcpHeader::new(5000, 80, self.seq, 4096);
            (h.ack, h.acknowledgment_number) = (true, 77);
            (h.fin, h.psh, h.cwr) = (self.fin, self.psh, self.cwr);
            h.set_options_raw(&vec![1; self.options]).unwrap();
            step.tcp_header(h).write(&mut frame, &payload).unwrap();
        } else {
            step.udp(5000, 443).write(&mut frame, &payload).unwrap();
        }
        let csum_offset = if self.tcp { 16 } else { 6 };
        let partial = fold(pseudo(src, dst, if self.tcp { 6 } else { 17 }) + (frame.len() - l4) as u64);
        frame[l4 + csum_offset..l4 + csum_offset + 2].copy_from_slice(&partial.to_be_bytes());
        let gso = match (self.payload > usize::from(self.gso), self.tcp, self.v6) {
            (false, ..) => Gso::None,
            (true, false, _) => Gso::Udp,
            (true, true, false) => Gso::Tcp4,
            (true, true, true) => Gso::Tcp6,
        };
        let vnet = VirtioNet {
            flags: VirtioNet::NEEDS_CSUM,
            gso,
            ecn: self.cwr && gso != Gso::None,
            hdr_len: if gso == Gso::None { 0 } else { self.headers() as u16 },
            gso_size: if gso == Gso::None { 0 } else { self.gso },
            csum_start: l4 as u16,
            csum_offset: csum_offset as u16,
        };
        let mut read = Vec::from(vnet.emit());
        read.extend(frame);
        read
    }

    /// The frame alone, its checksum completed.
    pub(crate) fn complete(&self) -> Vec<u8> {
        let mut frame = self.build();
        let vnet = VirtioNet::parse(&frame).unwrap();
        frame.drain(..10);
        let start = usize::from(vnet.csum_start);
        assert!(complete_checksum(&mut frame, Completion { start, field: start + usize::from(vnet.csum_offset) }));
        frame
    }
}

/// The frame as a lane would show it.
pub(crate) fn frame(read: &[u8]) -> Frame<'_> {
    Frame { head: &read[..read.len().min(HEAD_MAX)], total: read.len(), vnet: true }
}

/// Shows a received message.
pub(crate) fn received(message: &[u8]) -> (Header, Frame<'_>) {
    let header = Header::parse(message).unwrap();
    let body = header.body(message).unwrap();
    let vnet = header.flags.has(Flags::OFFLOAD);
    (header, Frame { head: &body[..body.len().min(HEAD_MAX)], total: body.len(), vnet })
}

/// Plans for the only member.
pub(crate) fn plan(table: &Table, read: &[u8]) -> Plan {
    Switch::new().plan(table, 0, Time::ZERO, frame(read), Route::Own, &mut [0; ANSWER_MAX])
}

/// The messages of a plan.
pub(crate) fn messages(plan: Plan, read: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut head = [0xa5; HEAD_MAX];
    let mut private = Vec::from(read);
    let mut push = |part: Part, head: &[u8], read: &[u8]| {
        let mut message = Vec::from(&head[..part.head_len]);
        message.extend(&read[part.payload.clone()]);
        assert_eq!(message.len(), part.len());
        if let Some(completion) = part.complete {
            assert!(complete_checksum(&mut message, completion));
        }
        out.push(message);
    };
    match plan {
        Plan::Whole(whole) => {
            if let Some(completion) = whole.complete {
                assert!(complete_checksum(&mut private, completion));
            }
            let part = Part { head_len: whole.head().len(), payload: whole.payload.clone(), complete: None };
            push(part, whole.head(), &private);
        }
        Plan::Cut(mut cutter) => {
            while let Some(part) = cutter.next(&mut head) {
                push(part, &head, read);
            }
        }
        Plan::Slices(mut slicer) => {
            if let Some(completion) = slicer.complete {
                assert!(complete_checksum(&mut private, completion));
            }
            while let Some(part) = slicer.next(&mut head) {
                push(part, &head, &private);
            }
        }
        other => panic!("no messages in {other:?}"),
    }
    out
}

/// Puts slices together; gives whole messages back as if they had come so.
pub(crate) fn unslice(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut reassembly = Reassembly::new(Reassembly::FRAMES, 66_000);
    let mut out = Vec::new();
    for message in messages {
        let header = Header::parse(message).unwrap();
        if !header.flags.has(Flags::SLICE) {
            out.push(message.clone());
            continue;
        }
        assert_eq!(usize::from(header.len), Slice::HEADER_LEN);
        let body = header.body(message).unwrap();
        let place = reassembly.place(Time::ZERO, &header, Slice::parse(message).unwrap(), body.len()).unwrap();
        place.copy_from_slice(body);
        if let Some(whole) = reassembly.finish() {
            let flags = header.flags.without(Flags::SLICE).without(Flags::FIRST).without(Flags::MORE);
            let mut message = vec![0; 16];
            Header { len: 16, flags, ..header }.emit(&mut message).unwrap();
            message.extend_from_slice(whole);
            out.push(message);
        }
    }
    out
}

/// What etherparse finds in one segment, after all sums and lengths were found right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) payload: Vec<u8>,
    pub(crate) seq: u32,
    pub(crate) fin: bool,
    pub(crate) psh: bool,
    pub(crate) cwr: bool,
    pub(crate) id: u16,
    pub(crate) tags: usize,
}

/// Checks one frame message that holds one segment.
pub(crate) fn check(message: &[u8]) -> Checked {
    let header = Header::parse(message).unwrap();
    assert_eq!((header.kind, header.port, header.len), (Kind::Frame, SEGMENT.0, 16));
    let mut body = Vec::from(header.body(message).unwrap());
    if header.flags.has(Flags::OFFLOAD) {
        let vnet = VirtioNet::parse(&body).unwrap();
        body.drain(..10);
        assert!(vnet.check(body.len(), body.len()));
        assert_eq!(vnet.gso, Gso::None);
        let start = usize::from(vnet.csum_start);
        let completion = Completion { start, field: start + usize::from(vnet.csum_offset) };
        assert!(vnet.needs_csum() && complete_checksum(&mut body, completion));
    }
    check_frame(&body)
}

/// Checks one Ethernet frame with complete sums.
pub(crate) fn check_frame(body: &[u8]) -> Checked {
    let packet = SlicedPacket::from_ethernet(body).unwrap();
    let net = packet.net.as_ref().unwrap();
    let (id, src, dst, sum4) = match (net.ipv4_ref(), net.ipv6_ref()) {
        (Some(ip), _) => {
            let h = ip.header();
            assert_eq!(h.header_checksum(), h.to_header().calc_header_checksum());
            (h.identification(), vec![], vec![], Some((h.source(), h.destination())))
        }
        (_, Some(ip)) => (0, Vec::from(ip.header().source()), Vec::from(ip.header().destination()), None),
        _ => panic!("no IP"),
    };
    let v6 = |b: &[u8]| -> [u8; 16] { b.try_into().unwrap() };
    let tags = packet.link_exts.len();
    match packet.transport.unwrap() {
        TransportSlice::Tcp(tcp) => {
            let sum = match sum4 {
                Some((src, dst)) => tcp.calc_checksum_ipv4(src, dst).unwrap(),
                None => tcp.calc_checksum_ipv6(v6(&src), v6(&dst)).unwrap(),
            };
            assert!(same_sum(tcp.checksum(), sum));
            let (fin, psh, cwr) = (tcp.fin(), tcp.psh(), tcp.cwr());
            Checked { payload: tcp.payload().into(), seq: tcp.sequence_number(), fin, psh, cwr, id, tags }
        }
        TransportSlice::Udp(udp) => {
            let header = udp.to_header();
            assert_eq!(usize::from(udp.length()), 8 + udp.payload().len());
            let sum = match sum4 {
                Some((src, dst)) => header.calc_checksum_ipv4_raw(src, dst, udp.payload()).unwrap(),
                None => header.calc_checksum_ipv6_raw(v6(&src), v6(&dst), udp.payload()).unwrap(),
            };
            assert!(same_sum(udp.checksum(), sum));
            Checked { payload: udp.payload().into(), seq: 0, fin: false, psh: false, cwr: false, id, tags }
        }
        other => panic!("no TCP or UDP: {other:?}"),
    }
}

/// A completed sum of zero is written as all ones, which is the same sum; the kernel does so for TCP, too.
fn same_sum(got: u16, computed: u16) -> bool {
    got == computed || (got, computed) == (0xffff, 0)
}
