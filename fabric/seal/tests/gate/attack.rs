//! What somebody on the way can do: alter, cut, repeat, reorder, send back.

use crate::pair::{Pair, Seen, at};
use fabric_seal::{GateConfig, HEAD, OVERHEAD, Refused, Suite, TAG};

/// The handshake's datagrams in order, the last one not delivered when `stop` is its number.
fn until(pair: &mut Pair, stop: usize) -> (bool, Vec<u8>) {
    pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
    for n in 0.. {
        let (from_a, transmit) = pair.next().expect("a handshake has five datagrams");
        if n == stop {
            return (from_a, transmit.bytes);
        }
        pair.deliver(from_a, transmit.bytes).unwrap();
    }
    unreachable!()
}

fn opened(pair: &Pair) -> (usize, usize) {
    let opened = |s: &Seen| matches!(s, Seen::Opened(..));
    (pair.a.seen(opened), pair.b.seen(opened))
}

/// Each byte of each datagram of the handshake: an altered one opens nothing, and the genuine one still does.
#[test]
fn a_handshake_altered_at_any_byte_opens_nothing() {
    for step in 0..5 {
        let len = until(&mut Pair::new(GateConfig::default()), step).1.len();
        for byte in 0..len {
            let mut pair = Pair::new(GateConfig::default());
            let (from_a, genuine) = until(&mut pair, step);
            let mut altered = genuine.clone();
            altered[byte] ^= 1 << (byte % 8);
            let before = opened(&pair);
            let _ = pair.deliver(from_a, altered);
            if step != 1 {
                // A false cookie is worth nothing, but it is answered with a first message and that with a good cookie.
                pair.a.take_events();
                pair.b.take_events();
                assert_eq!(opened(&pair), before, "step {step} byte {byte}");
                let _ = pair.deliver(from_a, genuine);
            }
            pair.settle();
            if pair.a.sealers.is_empty() {
                pair.pass(std::time::Duration::from_secs(3));
            }
            pair.talk();
            assert_eq!(opened(&pair), (1, 1), "step {step} byte {byte}");
        }
    }
}

#[test]
fn a_handshake_cut_or_grown_anywhere_opens_nothing() {
    for step in 0..5 {
        let mut pair = Pair::new(GateConfig::default());
        let (from_a, genuine) = until(&mut pair, step);
        let before = opened(&pair);
        for len in 0..genuine.len() {
            let _ = pair.deliver(from_a, genuine[..len].to_vec());
        }
        let _ = pair.deliver(from_a, [&genuine[..], &[0]].concat());
        pair.a.take_events();
        pair.b.take_events();
        assert_eq!(opened(&pair), before, "step {step}");
        let _ = pair.deliver(from_a, genuine);
        pair.settle();
        pair.talk();
    }
}

#[test]
fn data_altered_at_any_bit_is_refused() {
    for suite in Suite::preferred() {
        let mut pair = Pair::open(GateConfig { suites: vec![suite], ..GateConfig::default() });
        let session = pair.a.session();
        let genuine = pair.a.seal(session, &[7; 100]);
        let index = fabric_seal::index_of(&genuine).unwrap();
        let opener = &mut pair.b.openers.get_mut(&index).unwrap().1;
        for bit in 0..genuine.len() * 8 {
            let mut altered = genuine.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(opener.open_in_place(&mut altered).is_err(), "bit {bit}");
        }
        assert!(opener.open_in_place(&mut genuine.clone()).is_ok());
    }
}

#[test]
fn data_cut_anywhere_is_refused() {
    let mut pair = Pair::open(GateConfig::default());
    let session = pair.a.session();
    let genuine = pair.a.seal(session, &[7; 100]);
    let index = fabric_seal::index_of(&genuine).unwrap();
    let opener = &mut pair.b.openers.get_mut(&index).unwrap().1;
    for len in 0..genuine.len() {
        let refused = opener.open_in_place(&mut genuine[..len].to_vec()).unwrap_err();
        assert_eq!(refused, if len < OVERHEAD { Refused::Short } else { Refused::Forged });
    }
    assert!(opener.open_in_place(&mut [&genuine[..], &[0]].concat()).is_err());
    assert!(opener.open_in_place(&mut genuine.clone()).is_ok());
}

#[test]
fn data_is_opened_once_in_whatever_order() {
    let mut pair = Pair::open(GateConfig::default());
    let session = pair.a.session();
    let mut all: Vec<_> = (0..1000u16).map(|n| pair.a.seal(session, &n.to_le_bytes())).collect();
    all.reverse();
    all.swap(3, 900);
    for datagram in &all {
        assert!(matches!(pair.deliver(true, datagram.clone()), Ok(Some(_))));
    }
    for datagram in all {
        assert_eq!(pair.deliver(true, datagram), Err(Refused::Replayed));
    }
}

#[test]
fn data_sent_back_is_refused() {
    let mut pair = Pair::open(GateConfig::default());
    let session = pair.a.session();
    let mut datagram = pair.a.seal(session, b"mine");
    assert_eq!(pair.deliver(false, datagram.clone()), Ok(None), "an index that a does not have");
    // Even with the index that a has.
    let own = *pair.a.openers.keys().next().unwrap();
    datagram[4..8].copy_from_slice(&own.to_le_bytes());
    assert_eq!(pair.deliver(false, datagram), Err(Refused::Forged));
    pair.talk();
}

#[test]
fn a_handshake_sent_back_or_again_opens_nothing_more() {
    let mut pair = Pair::new(GateConfig::default());
    pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
    let mut tape = Vec::new();
    while let Some((from_a, transmit)) = pair.next() {
        tape.push((from_a, transmit.bytes.clone()));
        // Back to whoever sent it, first.
        let _ = pair.deliver(!from_a, transmit.bytes.clone());
        let _ = pair.deliver(from_a, transmit.bytes);
    }
    pair.pass(std::time::Duration::from_secs(3));
    pair.talk();
    for (from_a, bytes) in tape {
        let _ = pair.deliver(from_a, bytes);
    }
    pair.settle();
    assert_eq!(opened(&pair), (1, 1));
    assert_eq!((pair.a.gate.sessions(), pair.b.gate.sessions()), (1, 1));
    pair.talk();
    // What the repeated first message made is never used and is forgotten.
    pair.pass(std::time::Duration::from_secs(10));
    assert_eq!(pair.b.openers.len(), 1, "{:?}", pair.b.log);
    pair.talk();
}

#[test]
fn a_first_message_taken_from_the_wire_is_worth_nothing_elsewhere_or_later() {
    let mut pair = Pair::new(GateConfig::default());
    let (_, init) = until(&mut pair, 2);
    assert_eq!(init.len(), 144);
    // From another address its cookie is not good: a cookie is the answer, no state, no handshake.
    pair.b.gate.handle_datagram(pair.now, at(66), &mut init.clone());
    assert_eq!(pair.b.gate.poll_transmit().map(|t| t.bytes.len()), Some(24));
    assert_eq!(pair.b.gate.sessions(), 0);
    // With a cookie of that address put in its place, it is no message any more.
    let mut knock = init[..24].to_vec();
    knock[0] = 0x81;
    let cookie = {
        pair.b.gate.handle_datagram(pair.now, at(66), &mut init.clone());
        pair.b.gate.poll_transmit().unwrap().bytes
    };
    let mut moved = init.clone();
    moved[8..24].copy_from_slice(&cookie[8..24]);
    pair.b.gate.handle_datagram(pair.now, at(66), &mut moved);
    assert_eq!((pair.b.gate.sessions(), pair.b.gate.poll_transmit()), (0, None));
    // Much later the cookie is not good from its own address either.
    pair.b.gate.handle_datagram(pair.now + std::time::Duration::from_secs(600), pair.a.at, &mut init.clone());
    assert_eq!(pair.b.gate.poll_transmit().map(|t| t.bytes.len()), Some(24));
    assert_eq!(pair.b.gate.sessions(), 0);
}

/// Somebody who only listens and answers "lost" makes a handshake come sooner, and breaks nothing.
///
/// PROTOCOL 6.13.
#[test]
fn a_false_lost_only_hastens_a_handshake() {
    let mut pair = Pair::open(GateConfig::default());
    let session = pair.a.session();
    let datagram = pair.a.seal(session, b"x");
    let mut lost = vec![0x86, 1, 0, 0];
    lost.extend_from_slice(&datagram[4..8]);
    for _ in 0..100 {
        pair.a.gate.handle_datagram(pair.now, pair.b.at, &mut lost.clone());
    }
    assert!(std::iter::from_fn(|| pair.a.gate.poll_transmit()).count() <= 1);
    pair.pass(std::time::Duration::from_secs(2));
    assert_eq!(pair.deliver(true, datagram), Ok(Some(b"x".to_vec())), "the keys before still open");
    pair.talk();
}

#[test]
fn arbitrary_bytes_are_ignored_in_every_length() {
    let mut pair = Pair::open(GateConfig::default());
    for len in 0..300 {
        for first in [0x12, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x8f, 0xff] {
            let mut bytes = vec![0xa5; len];
            bytes.iter_mut().zip([first, 1, 0, 0]).for_each(|(to, from)| *to = from);
            let _ = pair.a.receive(pair.now, at(7), &mut bytes);
        }
    }
    pair.talk();
    assert_eq!(HEAD + TAG, OVERHEAD);
}
