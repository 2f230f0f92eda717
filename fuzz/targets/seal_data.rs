//! Data of a sealed session, in any order, repeated, altered, thrown back and made up: each datagram is opened once and says what was
//! sealed, whichever cipher it is, and nothing else is opened.
use fabric_seal::{Address, Event, Gate, GateConfig, HEAD, Identity, Keys, OVERHEAD, Secret, Suite};
use std::time::Duration;

const SUITES: [Suite; 3] = [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305];

fn gate(n: u8, suite: Suite) -> Gate {
    let config = GateConfig { suites: vec![suite], lanes: 2, ..GateConfig::default() };
    Gate::new(Identity::from_secret(Secret::new([n; 32])).unwrap(), config).unwrap()
}

/// The keys of both ends of a session.
fn session(suite: Suite) -> (Keys, Keys) {
    let (mut a, mut b) = (gate(1, suite), gate(2, suite));
    let (at_a, at_b, now) = (Address::from([1; 6]), Address::from([2; 6]), Duration::from_secs(1));
    b.admit(a.public());
    a.open(now, b.public(), at_b).unwrap();
    let (mut of_a, mut of_b) = (None, None);
    for _ in 0..8 {
        while let Some(mut transmit) = a.poll_transmit() {
            b.handle_datagram(now, at_a, &mut transmit.bytes);
        }
        while let Some(mut transmit) = b.poll_transmit() {
            a.handle_datagram(now, at_b, &mut transmit.bytes);
        }
        for (gate, keys) in [(&mut a, &mut of_a), (&mut b, &mut of_b)] {
            while let Some(event) = gate.poll_event() {
                if let Event::Keys { keys: made, .. } = event {
                    *keys = Some(made);
                }
            }
        }
    }
    (of_a.unwrap(), of_b.unwrap())
}

pub fn run(input: &[u8]) {
    let [suite, orders @ ..] = input else { return };
    let mut orders = orders;
    let (mut a, mut b) = session(SUITES[usize::from(*suite) % 3]);
    // The gate opened what confirmed the session.
    let before = b.opener.opened();
    let mut sent: Vec<(Vec<u8>, Vec<u8>, bool)> = Vec::new();
    // Each order: what to do, two numbers, and for some bytes.
    while let [order, n, m, rest @ ..] = orders {
        orders = rest;
        let (which, place) = (usize::from(*n), usize::from(*m));
        match (order % 6, sent.is_empty()) {
            (0, _) | (_, true) => {
                let (message, behind) = rest.split_at(place.min(rest.len()));
                orders = behind;
                let mut datagram = vec![0; message.len() + OVERHEAD];
                let sealer = &mut a.sealers[which % 2];
                if order & 8 == 0 {
                    datagram[HEAD..HEAD + message.len()].copy_from_slice(message);
                    sealer.seal_in_place(&mut datagram).unwrap();
                } else {
                    sealer.seal_from(message, &mut datagram).unwrap();
                }
                assert_eq!(fabric_seal::index_of(&datagram), Some(b.index()));
                sent.push((datagram, message.to_vec(), false));
            }
            (1 | 2, _) => {
                let at = which % sent.len();
                let (datagram, message, was_opened) = &mut sent[at];
                let mut copy = datagram.clone();
                let told = b.opener.open_in_place(&mut copy).ok();
                // Fewer than the window is wide are under way.
                assert_eq!(told.as_deref(), (!*was_opened).then_some(&**message));
                *was_opened = true;
            }
            (3, _) => {
                let at = which % sent.len();
                let mut copy = sent[at].0.clone();
                let (end, bit) = (copy.len(), order >> 4 & 7);
                copy[place % end] ^= 1 << bit;
                assert!(b.opener.open_in_place(&mut copy).is_err(), "an altered one");
            }
            (4, _) => {
                let at = which % sent.len();
                let mut copy = sent[at].0.clone();
                assert!(a.opener.open_in_place(&mut copy).is_err(), "thrown back");
                let mut copy = sent[at].0[..place % sent[at].0.len()].to_vec();
                assert!(b.opener.open_in_place(&mut copy).is_err(), "cut off");
            }
            _ => {
                let at = which % sent.len();
                // A genuine head with anything behind it.
                let mut made = [&sent[at].0[..HEAD], &rest[..place.min(rest.len())]].concat();
                orders = &rest[place.min(rest.len())..];
                if made != sent[at].0 {
                    assert!(b.opener.open_in_place(&mut made).is_err(), "made up");
                }
            }
        }
    }
    let opened = sent.iter().filter(|(.., was_opened)| *was_opened).count();
    assert_eq!(b.opener.opened() - before, opened as u64);
}
