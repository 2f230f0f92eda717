//! ```text
//!   1 ~~~ UDP, messages of 1472 bytes ~~~ 2 ~~~ the same ~~~ 3
//! ```
//!
//! All that a lane does with frames that are too large for a message, for many, or for another node.

use super::*;
use fabric::udp::Udp;
use minet::Gso;

const NARROW: usize = 1472;
/// What fits a message behind its header, the virtio-net header and all headers of the frame.
const SEGMENT: u16 = 1392;
/// An MTU of 9000, and the Ethernet header.
const LARGEST: usize = 9014;
/// Of a super-frame.
const PAYLOAD: usize = 60_000;
/// Ethernet, IPv4 and TCP.
const HEADERS: usize = 14 + 20 + 20;

/// Three nodes; all take frames of 9000 bytes.
fn line() -> [End; 3] {
    let udp: Vec<_> = (0..3).map(|_| Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap()).collect();
    let addresses: Vec<_> = udp.iter().map(|udp| Peer::Address(udp.local())).collect();
    let links: [&[u32]; 3] = [&[2], &[1, 3], &[2]];
    let mut ends = udp.into_iter().zip(1..).zip(links).map(|((udp, own), links)| {
        let mut table = Table::builder(node(own), SegmentId(7))
            .largest_frame(LARGEST)
            .policy(Policy { broadcast_rate: 0, ..Policy::default() });
        for to in (1..=3).filter(|to| *to != own) {
            let via = if links.contains(&to) { to } else { 2 };
            let channel = links.iter().position(|link| *link == via).unwrap() as u32;
            let hop = Some(Hop { carrier: 0, channel });
            let path = Member { via: node(via), hop, message: NARROW, slice: NARROW, ..member(to, Offloads::ALL) };
            table = table.member(Member { largest_frame: LARGEST, ..path });
        }
        let peers = vec![links.iter().map(|link| Some(node(*link))).collect()];
        let mut end = end(Box::new(udp), Snapshot { tables: vec![table.build()], peers });
        for (link, channel) in links.iter().zip(0..) {
            let Peer::Address(address) = &addresses[*link as usize - 1] else { panic!("an address") };
            end.attach(channel, Peer::Address(*address));
            end.lane.outlet.resize(0, Channel(channel), NARROW);
        }
        end
    });
    [(); 3].map(|()| ends.next().unwrap())
}

fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}

/// A TCP super-frame as a kernel gives it: the checksum is that of the pseudo-header.
fn super_frame(from: u32, to: u32) -> Vec<u8> {
    let vnet = VirtioNet {
        flags: VirtioNet::NEEDS_CSUM,
        gso: Gso::Tcp4,
        hdr_len: HEADERS as u16,
        gso_size: SEGMENT,
        csum_start: 34,
        csum_offset: 16,
        ..VirtioNet::default()
    };
    let mut ip = vec![0x45, 0];
    ip.extend((40 + PAYLOAD as u16).to_be_bytes());
    ip.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, from as u8, 10, 0, 0, to as u8]);
    let check = !sum(&ip);
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    let mut pseudo = ip[12..20].to_vec();
    pseudo.extend([0, 6]);
    pseudo.extend((20 + PAYLOAD as u16).to_be_bytes());
    let mut tcp = vec![0x13, 0x88, 0, 80, 0, 0, 0x10, 0, 0, 0, 0, 77, 0x50, 0x18, 0x10, 0];
    tcp.extend(sum(&pseudo).to_be_bytes());
    tcp.extend([0, 0]);
    let mut bytes = vnet.emit().to_vec();
    bytes.extend(Mac::of(node(to)).0);
    bytes.extend(Mac::of(node(from)).0);
    bytes.extend([8, 0]);
    bytes.extend(ip);
    bytes.extend(tcp);
    bytes.extend((0..PAYLOAD).map(|i| (i ^ i >> 8) as u8));
    bytes
}

/// How much of a frame this is: all of it, or so many bytes of a super-frame's payload, at their place.
fn part(sent: &[u8], got: &[u8]) -> usize {
    if VirtioNet::parse(sent).unwrap().gso == Gso::None {
        assert!(got == sent);
        return sent.len();
    }
    let payload = |frame: &'_ [u8]| frame.len() - VirtioNet::LEN - HEADERS;
    let sequence = |frame: &[u8]| u32::from_be_bytes(*frame[48..].first_chunk().unwrap());
    let start = (sequence(got) - sequence(sent)) as usize;
    let behind = &sent[VirtioNet::LEN + HEADERS..];
    assert!(got[VirtioNet::LEN + HEADERS..] == behind[start..start + payload(got)]);
    payload(got)
}

/// Gives a frame to the first node's lane and steps all until these nodes got it.
fn pass(ends: &mut [End; 3], sent: &[u8], to: &[usize], got: &mut [u8]) {
    ends[0].kernel.send(sent).unwrap();
    let whole = if VirtioNet::parse(sent).unwrap().gso == Gso::None { sent.len() } else { PAYLOAD };
    let mut missing = [0; 3];
    to.iter().for_each(|at| missing[*at] = whole);
    for _ in 0..100 {
        for end in &mut *ends {
            end.lane.turn();
        }
        for (end, missing) in ends.iter().zip(&mut missing) {
            while let Ok(n) = end.kernel.recv(got) {
                *missing = missing.checked_sub(part(sent, &got[..n])).unwrap();
            }
        }
        if missing == [0; 3] {
            return;
        }
    }
    panic!("{missing:?} bytes did not come");
}

/// Super-frames are cut, merged, relayed and merged again; frames go in slices, to all, and through another node.
///
/// Rows: MN-8.
#[test]
fn nothing_is_allocated_for_frames_that_are_cut_merged_sliced_flooded_or_relayed() {
    let mut ends = line();
    let mut broadcast = frame(1, 2, 1000);
    broadcast[10..16].fill(0xff);
    let frames = [
        (super_frame(1, 2), vec![1]),
        (super_frame(1, 3), vec![2]),
        (frame(1, 2, 8000), vec![1]),
        (frame(1, 3, 8000), vec![2]),
        (frame(1, 3, 1000), vec![2]),
        (broadcast, vec![1, 2]),
    ];
    let mut got = vec![0; MESSAGE];
    let mut round = |ends: &mut [End; 3]| frames.iter().for_each(|(sent, to)| pass(ends, sent, to, &mut got));
    round(&mut ends);
    let rounds = if cfg!(debug_assertions) { 50 } else { 5000 };
    let counted = allocation_counter::measure(|| (0..rounds).for_each(|_| round(&mut ends)));
    assert_eq!(counted.count_total, 0, "{counted:?}");
    let all = rounds + 1;
    let parts = (PAYLOAD as u64).div_ceil(u64::from(SEGMENT));
    let [one, two, three] = ends.each_ref().map(End::counters);
    assert_eq!((one.cut, one.cut_parts, one.sliced), (2 * all, 2 * all * parts, 2 * all));
    assert!(two.merged_parts >= two.merged * 2 && two.merged >= 2 * all, "for itself, and what it passes on");
    for end in [two, three] {
        assert!(end.foretold > end.merged_parts / 2 && end.foretold < end.merged_parts, "most parts are not parsed");
    }
    assert!(two.cut >= all && three.merged >= all, "cut again, and merged again");
    assert_eq!((two.reassembled, three.reassembled), (all, all));
    assert!(two.relayed > 3 * all);
    for counters in [one, two, three] {
        assert_eq!(counters.dropped_total(), 0);
    }
}
