use super::*;
use crate::{
    Member,
    testing::{Spec, check, member, messages, plan, received, table_with},
};
use messenger_core::wire::Header;
use proptest::prelude::*;
use std::{vec, vec::Vec};

/// What a lane writes to its interface when these messages come: the same whether parts are foretold or all parsed.
fn receive(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (parsed, _) = receive_by(messages, false);
    let (foretold, _) = receive_by(messages, true);
    assert_eq!(parsed, foretold);
    parsed
}

/// The same, and how many parts were foretold.
fn receive_by(messages: &[Vec<u8>], foretell: bool) -> (Vec<Vec<u8>>, usize) {
    let mut merger = Merger::new();
    let mut out = Vec::new();
    let (mut middle, mut foretold) = (Vec::new(), 0);
    let write = |m: Merged<'_>| {
        let mut bytes = Vec::from(m.head);
        m.pieces.iter().for_each(|p| bytes.extend(&received_body(&messages[p.token])[p.range()]));
        assert_eq!(bytes.len(), m.len());
        bytes
    };
    for (i, message) in messages.iter().enumerate() {
        let (header, frame) = received(message);
        if let (Some((shown, total)), true) = (merger.next(), foretell)
            && message[..16] == middle
            && frame.total == total
            && merger.follow(i, &frame.head[..shown], total)
        {
            foretold += 1;
            continue;
        }
        let flags = header.flags.without(Flags::FIRST).with(Flags::MORE);
        middle = vec![0; 16];
        Header { flags, ..header }.emit(&mut middle).unwrap();
        let mut merge = merger.push(i, header.flags, frame);
        if merge == Merge::Refused {
            out.extend(merger.take().map(write));
            merge = merger.push(i, header.flags, frame);
        }
        match merge {
            Merge::Alone => out.push(received_body(message).into()),
            Merge::Held => {}
            Merge::Complete => out.extend(merger.take().map(write)),
            Merge::Refused => panic!("refused with nothing held"),
        }
    }
    out.extend(merger.take().map(write));
    assert!(merger.is_empty() && merger.take().is_none());
    (out, foretold)
}

#[test]
fn all_parts_in_the_middle_are_foretold() {
    for (v6, tcp, tags) in [(false, true, 0), (true, true, 1), (false, false, 2), (true, false, 0)] {
        let (read, messages) = run(&Spec { v6, tcp, tags, cwr: tcp, fin: tcp, ..Spec::default() });
        let (written, foretold) = receive_by(&messages, true);
        assert_eq!(written, [read]);
        assert_eq!(foretold, messages.len() - 2, "v6 {v6} tcp {tcp} tags {tags}");
    }
}

#[test]
fn a_part_that_differs_in_any_byte_of_its_head_is_not_foretold() {
    let (_, messages) = run(&Spec::default());
    let (_, frame) = received(&messages[1]);
    let head = frame.head;
    for at in 0..head.len() {
        let mut merger = Merger::new();
        let (header, first) = received(&messages[0]);
        assert_eq!(merger.push(0, header.flags, first), Merge::Held);
        let (shown, total) = merger.next().unwrap();
        let mut other = Vec::from(head);
        other[at] ^= 0x10;
        let whole = merger.follow(1, &other[..shown], total);
        assert_eq!(whole, at >= shown, "byte {at}");
        if at < shown {
            assert!(!merger.follow(1, &head[..shown], total - 1) && !merger.follow(1, &head[..shown - 1], total));
            assert!(merger.follow(1, &head[..shown], total), "nothing was done before");
        }
    }
}

fn received_body(message: &[u8]) -> &[u8] {
    &message[16..]
}

fn run(spec: &Spec) -> (Vec<u8>, Vec<Vec<u8>>) {
    run_of(spec, 1)
}

/// In parts of so many segments each; the last has what is left.
fn run_of(spec: &Spec, per: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let read = spec.build();
    let offloads = if per == 1 { Offloads::CSUM.with(Offloads::SLICES) } else { Offloads::ALL };
    let message = if per == 1 { 70_000 } else { 26 + spec.headers() + per * usize::from(spec.gso) + 7 };
    let table = table_with(Member { largest_frame: 65_600, offloads, message, ..member(2) });
    let messages = messages(plan(&table, &read), &read);
    (read, messages)
}

/// PROTOCOL 2.5.
#[test]
fn a_run_becomes_the_super_frame_it_was() {
    for (v6, tcp, tags) in [(false, true, 0), (true, true, 1), (false, false, 2), (true, false, 0)] {
        let spec = Spec { v6, tcp, tags, cwr: tcp, fin: tcp, ..Spec::default() };
        let (read, messages) = run(&spec);
        assert!(messages.len() > 40);
        assert_eq!(receive(&messages), [read]);
    }
}

/// `PROTOCOL 2.5`: parts of several segments, each a super-frame itself, with a last one of all sorts.
#[test]
fn parts_of_several_segments_become_the_super_frame_they_were() {
    for (v6, tcp, tags) in [(false, true, 0), (true, true, 1), (false, false, 2), (true, false, 0)] {
        for payload in [60_000, 6 * 1448 * 4, 6 * 1448 * 4 + 1, 6 * 1448 * 4 + 1448 * 2, 6 * 1448 + 1447] {
            let gso = 1448;
            let spec = Spec { v6, tcp, tags, payload, gso, cwr: tcp, fin: tcp, ..Spec::default() };
            let (read, messages) = run_of(&spec, 6);
            assert_eq!(messages.len(), payload.div_ceil(6 * 1448));
            let (written, foretold) = receive_by(&messages, true);
            assert!(written == [read], "v6 {v6} tcp {tcp} payload {payload}");
            assert_eq!(foretold, messages.len() - 2, "v6 {v6} tcp {tcp} payload {payload}");
            assert_eq!(receive(&messages), written);
        }
    }
}

/// A part that is no whole number of segments ends what is merged, since only the last segment of all may be short.
#[test]
fn a_part_with_a_short_segment_is_followed_by_none() {
    let spec = Spec { payload: 30_000, gso: 1000, psh: false, ..Spec::default() };
    let (_, mut messages) = run_of(&spec, 6);
    let most = messages.len();
    for part in 0..most - 1 {
        // As it would be if the segments had 999 bytes: it holds 6006 then.
        for message in &mut messages[part..=part] {
            message[16 + 4..16 + 6].copy_from_slice(&999u16.to_le_bytes());
        }
    }
    let written = receive(&messages);
    assert_eq!(written.len(), most, "each alone");
}

#[test]
fn a_lost_part_costs_one_segment() {
    let spec = Spec::default();
    let (_, messages) = run(&spec);
    for lost in 0..messages.len() {
        let mut some = messages.clone();
        some.remove(lost);
        let written = receive(&some);
        assert!(written.len() <= 3, "{lost}: {}", written.len());
        assert_eq!(segments(&written), expected(&some), "{lost}");
    }
}

#[test]
fn only_what_the_interface_takes_is_made() {
    for (tcp, v6, wanted) in [(true, false, Offloads::TSO4), (true, true, Offloads::TSO6), (false, true, Offloads::USO)]
    {
        let (_, run) = run(&Spec { tcp, v6, gso: 1400, ..Spec::default() });
        let (header, frame) = received(&run[0]);
        let push = |offloads| Merger::with(offloads).push(0, header.flags, frame);
        assert_eq!(push(Offloads::CSUM.with(wanted)), Merge::Held);
        assert_eq!(push(Offloads::ALL.without(wanted)), Merge::Alone);
    }
}

/// PROTOCOL 2.5.
#[test]
fn flags_alone_merge_nothing() {
    let spec = Spec { payload: 4000, gso: 1000, psh: false, ..Spec::default() };
    let (_, run) = run(&spec);
    let patched = |at: usize, value: u8| {
        let mut bad = run.clone();
        bad[1][16 + 10 + at] ^= value;
        receive(&bad).len()
    };
    assert_eq!(receive(&run).len(), 1);
    // MAC, TTL, source address, TCP port, acknowledgement, window, option, the partial sum, the sequence number.
    for at in [5, 22, 29, 35, 45, 49, 55, 51, 41] {
        assert!(patched(at, 1) >= 2, "byte {at}");
    }
    // SYN, RST, URG and CWR in the middle.
    for flag in [2, 4, 0x20, 0x80] {
        assert!(patched(47, flag) >= 2, "flag {flag}");
    }
    assert_eq!(patched(47, 0x08), 2, "PSH ends a super-frame");
}

/// Payloads, in order, of what is written, cut as the kernel would.
fn segments(written: &[Vec<u8>]) -> Vec<(u32, Vec<u8>)> {
    written
        .iter()
        .flat_map(|read| {
            let to = Member { offloads: Offloads::CSUM, largest_frame: 65_600, ..member(2) };
            messages(plan(&table_with(to), read), read)
        })
        .map(|m| check(&m))
        .map(|c| (c.seq, c.payload))
        .collect()
}

fn expected(messages: &[Vec<u8>]) -> Vec<(u32, Vec<u8>)> {
    let whole = |m: &Vec<u8>| received(m).1.open().unwrap().0.gso != Gso::None;
    let of = |m: &Vec<u8>| {
        let segment = || check(m);
        if whole(m) { segments(&[received_body(m).into()]) } else { vec![(segment().seq, segment().payload)] }
    };
    messages.iter().flat_map(of).collect()
}

proptest! {
    #[test]
    fn cut_and_merged_is_what_it_was(spec in Spec::any(), per in 1usize..9) {
        let (read, messages) = run_of(&spec, per);
        prop_assume!(messages.len() <= RUN_MAX);
        prop_assert_eq!(receive(&messages), vec![read]);
    }

    #[test]
    fn whatever_the_network_does_every_part_that_came_is_delivered_once(
        spec in Spec::any(),
        fates in proptest::collection::vec(0u8..20, 128),
        per in 1usize..9,
    ) {
        let (_, run) = run_of(&spec, per);
        let mut came = Vec::new();
        for (message, fate) in run.iter().zip(&fates) {
            match fate {
                0 => {}
                1 => came.extend([message.clone(), message.clone()]),
                2 => came.insert(came.len().saturating_sub(3), message.clone()),
                _ => came.push(message.clone()),
            }
        }
        prop_assert_eq!(segments(&receive(&came)), expected(&came));
    }

    #[test]
    fn random_bytes_are_alone_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        more in 0usize..70_000,
        flags: u16,
        vnet: bool,
        held: bool,
    ) {
        let mut merger = Merger::new();
        if held {
            let (_, run) = run(&Spec::default());
            let (header, frame) = received(&run[0]);
            prop_assert_eq!(merger.push(0, header.flags, frame), Merge::Held);
        }
        let frame = Frame { head: &bytes, total: bytes.len() + more, vnet };
        let merge = merger.push(1, Flags(flags), frame);
        prop_assert_eq!(merge, if held { Merge::Refused } else { Merge::Alone });
    }

    #[test]
    fn a_bent_run_never_makes_a_frame_the_checks_refuse(spec in Spec::any(), bends in proptest::collection::vec((0usize..8, 16usize..120, any::<u8>()), 1..6)) {
        let (_, mut run) = run(&spec);
        for (part, at, value) in bends {
            let n = part.min(run.len() - 1);
            if let Some(byte) = run[n].get_mut(at) {
                *byte = value;
            }
        }
        run.retain(|m| passes(received(m).1));
        for written in receive(&run) {
            prop_assert!(passes(crate::testing::frame(&written)) || written[..10] == [0; 10]);
        }
    }
}

fn passes(frame: Frame<'_>) -> bool {
    frame.open().is_ok_and(|(vnet, ethernet)| frame.vnet && Layers::segment(frame, &vnet, &ethernet).is_ok())
}
