//! IP packets and frames by anybody, at a node whose interface has no Ethernet header.
use messenger_core::{Mac, NodeId, SegmentId};
use minet::{ANSWER_MAX, Ethernet, Frame, HEAD_MAX, Hop, Member, Offloads, Table, VirtioNet, tun};

pub fn run(input: &[u8]) {
    let [what, bytes @ ..] = input else { return };
    let node = |n| NodeId::new(n).unwrap_or_else(|| unreachable!());
    let member = Member {
        node: node(2),
        via: node(2),
        hop: Some(Hop { carrier: 0, channel: 0 }),
        message: 1472,
        slice: 1472,
        largest_frame: 1514,
        offloads: Offloads::ALL,
    };
    let addresses = [([10, 0, 0, 1].into(), node(1)), ([10, 0, 0, 2].into(), node(2))];
    let version_6 = |n: u16| std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n).into();
    let table = Table::builder(node(1), SegmentId(7))
        .extend([member], [], addresses)
        .address(version_6(1), node(1))
        .address(version_6(2), node(2))
        .build();
    let gateway = (what & 1 != 0).then(|| Mac::of(node(2)));
    if let Ok(header) = tun::wrap(&table, bytes, gateway) {
        assert_eq!(header[6..12], table.mac().0, "it comes from us");
        assert_ne!(header[..6], table.mac().0, "and not back to us");
        let framed = [&header[..], bytes].concat();
        let frame = Frame { head: &framed[..framed.len().min(HEAD_MAX)], total: framed.len(), vnet: false };
        assert_eq!(tun::unwrap(frame), Ok(Ethernet::LEN), "what was put in front comes off again");
    }
    for vnet in [false, true] {
        let frame = Frame { head: &bytes[..bytes.len().min(HEAD_MAX)], total: bytes.len(), vnet };
        let front = if vnet { VirtioNet::LEN } else { 0 };
        if let Ok(start) = tun::unwrap(frame) {
            assert!(start == front + Ethernet::LEN && start < bytes.len());
        }
        let mut out = [0xa5; ANSWER_MAX];
        let room = if what & 2 != 0 { usize::from(what >> 2) } else { ANSWER_MAX };
        if let Some(n) = tun::answer(&table, frame, &mut out[..room]) {
            assert!(n <= room && n >= front + Ethernet::LEN);
            assert_eq!(out[front + 6..front + 12], table.mac().0, "we answer");
            assert!(out[room..].iter().all(|byte| *byte == 0xa5));
        }
    }
}
