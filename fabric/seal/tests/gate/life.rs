//! A session from its first knock to its end.

use crate::pair::{End, Pair, Seen, at, ms};
use fabric_seal::{GateConfig, HEAD, OVERHEAD, SetupError, Suite, Use};
use std::time::Duration;

#[test]
fn two_that_know_each_other_open_a_session_in_two_round_trips() {
    let mut pair = Pair::new(GateConfig::default());
    pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
    let mut sizes = Vec::new();
    while let Some((from_a, transmit)) = pair.next() {
        sizes.push((from_a, transmit.bytes.len()));
        pair.deliver(from_a, transmit.bytes).unwrap();
    }
    assert_eq!(sizes, [(true, 24), (false, 24), (true, 144), (false, 96), (true, OVERHEAD)]);
    pair.talk();
    let (a, b) = (pair.a.gate.public(), pair.b.gate.public());
    assert_eq!(pair.a.seen(|s| *s == Seen::Opened(pair.a.session(), b)), 1);
    assert_eq!(pair.b.seen(|s| *s == Seen::Opened(pair.b.session(), a)), 1);
}

/// PROTOCOL 6.15.
#[test]
fn both_may_begin_at_once() {
    for _ in 0..20 {
        let mut pair = Pair::new(GateConfig::default());
        pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
        pair.b.gate.open(pair.now, pair.a.gate.public(), pair.a.at).unwrap();
        // Datagrams of both are under way at the same time.
        for _ in 0..20 {
            let mut round = Vec::new();
            while let Some(next) = pair.next() {
                round.push(next);
            }
            for (from_a, transmit) in round {
                let _ = pair.deliver(from_a, transmit.bytes);
            }
        }
        pair.talk();
        pair.pass(Duration::from_secs(600));
        pair.talk();
        assert_eq!((pair.a.gate.sessions(), pair.b.gate.sessions()), (1, 1));
    }
}

#[test]
fn every_datagram_of_the_handshake_may_be_lost() {
    for lost in 0..12 {
        let mut pair = Pair::new(GateConfig::default());
        pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
        let mut n = 0;
        for _ in 0..40 {
            while let Some((from_a, transmit)) = pair.next() {
                if n != lost && n != lost + 2 {
                    let _ = pair.deliver(from_a, transmit.bytes);
                }
                n += 1;
            }
            pair.now += ms(100);
            pair.a.gate.handle_timeout(pair.now);
            pair.b.gate.handle_timeout(pair.now);
        }
        // The confirmation may have been lost; the first message does as well.
        let session = pair.a.session();
        let message = pair.a.seal(session, b"hello");
        pair.deliver(true, message).unwrap();
        assert!(pair.b.gate.sessions() == 1 && !pair.b.sealers.is_empty(), "lost {lost}: {:?}", pair.b.log);
        pair.talk();
    }
}

/// Frames go on through every change of keys, also those sealed before it and delivered after it.
///
/// PROTOCOL 6.11, 6.12.
#[test]
fn keys_are_replaced_by_time_and_no_frame_is_lost() {
    let config = GateConfig {
        rekey_after: Duration::from_secs(10),
        expire_after: Duration::from_secs(25),
        ..GateConfig::default()
    };
    let mut pair = Pair::open(config);
    let (mut late, mut sent, mut received) = (Vec::<(bool, Vec<u8>)>::new(), 0, 0);
    for _ in 0..2000 {
        let (of_a, of_b) = (pair.a.session(), pair.b.session());
        late.push((true, pair.a.seal(of_a, b"frame")));
        late.push((false, pair.b.seal(of_b, b"frame")));
        sent += 2;
        pair.pass(ms(50));
        // Each arrives 400 ms after it was sent.
        while late.len() > 16 {
            let (from_a, datagram) = late.remove(0);
            received += usize::from(pair.deliver(from_a, datagram) == Ok(Some(b"frame".to_vec())));
        }
    }
    assert_eq!(received + late.len(), sent);
    let keys = |end: &End| end.seen(|s| matches!(s, Seen::Keys(..)));
    assert!(keys(&pair.a) >= 9 && keys(&pair.b) >= 9, "{} {}", keys(&pair.a), keys(&pair.b));
    assert!(pair.a.openers.len() <= 2 && pair.b.openers.len() <= 3, "old keys are forgotten");
    assert_eq!((pair.a.gate.sessions(), pair.b.gate.sessions()), (1, 1));
}

/// Neither the first keys nor those that replace them are lost by it, not for a moment.
#[test]
fn every_datagram_of_a_handshake_may_come_twice() {
    let mut pair = Pair::new(GateConfig { rekey_after: Duration::from_secs(10), ..GateConfig::default() });
    pair.twice = true;
    pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
    pair.settle();
    for _ in 0..1000 {
        pair.talk();
        pair.pass(ms(50));
    }
    assert!(pair.a.seen(|s| matches!(s, Seen::Keys(..))) >= 4, "keys were replaced: {:?}", pair.a.log);
}

/// Somebody keeps every first message and repeats all of them all the time.
#[test]
fn first_messages_repeated_for_ever_change_nothing() {
    let mut pair = Pair::new(GateConfig { rekey_after: Duration::from_secs(10), ..GateConfig::default() });
    pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for _ in 0..600 {
        while let Some((from_a, transmit)) = pair.next() {
            let is_first = from_a && transmit.bytes.len() == 144;
            let _ = pair.deliver(from_a, transmit.bytes.clone());
            kept.extend(is_first.then_some(transmit.bytes));
            for bytes in &kept {
                let _ = pair.deliver(true, bytes.clone());
            }
        }
        pair.talk();
        pair.now += ms(50);
        pair.a.gate.handle_timeout(pair.now);
        pair.b.gate.handle_timeout(pair.now);
    }
    assert!(kept.len() >= 3, "keys were replaced {} times", kept.len());
}

/// PROTOCOL 6.12.
#[test]
fn keys_are_replaced_by_bytes() {
    let usual = GateConfig::default();
    assert_eq!((usual.rekey_after.as_secs(), usual.rekey_bytes >> 30, usual.expire_after.as_secs()), (120, 64, 240));
    let mut pair = Pair::open(GateConfig { rekey_bytes: 1 << 20, ..usual });
    let before = pair.a.seen(|s| matches!(s, Seen::Keys(..)));
    let session = pair.a.session();
    for _ in 0..1000 {
        let datagram = pair.a.seal(session, &[0; 2000]);
        assert!(matches!(pair.deliver(true, datagram), Ok(Some(_))));
    }
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.a.seen(|s| matches!(s, Seen::Keys(..))), before + 1);
    pair.talk();
}

#[test]
fn a_peer_that_began_anew_is_met_again_at_once() {
    let mut pair = Pair::open(GateConfig::default());
    let session = pair.a.session();
    // b restarts with the same identity and waits to be called.
    let fresh = End::new(2, GateConfig::default());
    let mut old = std::mem::replace(&mut pair.b, fresh);
    std::mem::swap(&mut old.gate, &mut pair.b.gate);
    let lost = old.gate.sessions();
    assert_eq!(lost, 0);
    // The gate with b's identity has a session still: it forgets it, as a restart would.
    let id = *old.sealers.keys().next().unwrap();
    pair.b.gate.close(id);
    pair.b.take_events();
    let datagram = pair.a.seal(session, b"are you there?");
    pair.now += Duration::from_secs(5);
    pair.deliver(true, datagram).unwrap();
    pair.settle();
    pair.talk();
    assert_eq!(pair.a.seen(|s| matches!(s, Seen::Keys(_, _, Use::Now))), 2);
}

#[test]
fn a_peer_that_moves_keeps_its_session() {
    let config = GateConfig { rekey_after: Duration::from_secs(10), ..GateConfig::default() };
    let mut pair = Pair::open(config);
    let (of_a, of_b) = (pair.a.session(), pair.b.session());
    // a's next handshake comes from elsewhere.
    pair.a.at = at(9);
    pair.pass(Duration::from_secs(13));
    assert_eq!((pair.a.session(), pair.b.session()), (of_a, of_b));
    let message = pair.a.seal(of_a, b"from elsewhere");
    pair.deliver(true, message).unwrap();
    pair.pass(Duration::from_secs(1));
    let before = pair.b.gate.sessions();
    assert_eq!(before, 1);
    pair.talk();
}

#[test]
fn a_session_that_cannot_be_renewed_ends() {
    let config = GateConfig {
        rekey_after: Duration::from_secs(10),
        expire_after: Duration::from_secs(30),
        ..GateConfig::default()
    };
    let mut pair = Pair::open(config);
    // Nothing gets through any more.
    for _ in 0..400 {
        while pair.next().is_some() {}
        pair.now += ms(100);
        pair.a.gate.handle_timeout(pair.now);
        pair.b.gate.handle_timeout(pair.now);
    }
    pair.a.take_events();
    pair.b.take_events();
    assert!(pair.a.openers.is_empty() && pair.b.openers.is_empty(), "{:?}", pair.a.log);
    assert_eq!((pair.a.gate.sessions(), pair.b.gate.sessions()), (1, 0), "who opened it goes on trying");
    while pair.next().is_some() {}
    pair.pass(Duration::from_secs(3));
    pair.talk();
}

#[test]
fn lanes_seal_side_by_side() {
    let mut a = End::new(1, GateConfig { lanes: 15, ..GateConfig::default() });
    let mut b = End::new(2, GateConfig::default());
    b.gate.admit(a.gate.public());
    a.gate.open(ms(0), b.gate.public(), b.at).unwrap();
    let mut sealers = Vec::new();
    loop {
        while let Some(event) = a.gate.poll_event() {
            if let fabric_seal::Event::Keys { keys, .. } = event {
                sealers = keys.sealers;
            }
        }
        if let Some(mut t) = a.gate.poll_transmit() {
            b.receive(ms(0), a.at, &mut t.bytes).unwrap();
        } else if let Some(mut t) = b.gate.poll_transmit() {
            a.gate.handle_datagram(ms(0), b.at, &mut t.bytes);
        } else {
            break;
        }
    }
    b.take_events();
    assert_eq!(sealers.len(), 15);
    for round in 0..5000u32 {
        for sealer in &mut sealers {
            let mut datagram = vec![0; OVERHEAD + 4];
            datagram[HEAD..HEAD + 4].copy_from_slice(&round.to_le_bytes());
            sealer.seal_in_place(&mut datagram).unwrap();
            assert_eq!(b.receive(ms(0), a.at, &mut datagram), Ok(Some(round.to_le_bytes().to_vec())));
        }
    }
}

#[test]
fn every_cipher_works() {
    for suite in Suite::preferred() {
        let mut pair = Pair::open(GateConfig { suites: vec![suite], ..GateConfig::default() });
        assert_eq!(pair.a.gate.suite(pair.a.session()), Some(suite));
        assert_eq!(pair.b.gate.suite(pair.b.session()), Some(suite));
        for len in [1, 15, 16, 17, 64, 1400, 8900, 65_000] {
            let message = vec![len as u8; len];
            let session = pair.a.session();
            let datagram = pair.a.seal(session, &message);
            assert!(len < 16 || !datagram.windows(16).any(|w| w == &message[..16]), "not in clear text");
            assert_eq!(pair.deliver(true, datagram), Ok(Some(message)));
        }
    }
}

#[test]
fn what_cannot_be_set_up_is_said() {
    let mut end = End::new(1, GateConfig::default());
    assert_eq!(end.gate.open(ms(0), end.gate.public(), at(1)), Err(SetupError::Own));
    let identity = || fabric_seal::Identity::generate().unwrap();
    let gate = |config| fabric_seal::Gate::new(identity(), config).err();
    assert_eq!(gate(GateConfig { suites: vec![], ..GateConfig::default() }), Some(SetupError::NoSuite));
    assert_eq!(gate(GateConfig { lanes: 0, ..GateConfig::default() }), Some(SetupError::Streams));
    assert_eq!(gate(GateConfig { lanes: 16, ..GateConfig::default() }), Some(SetupError::Streams));
}
