//! Floods: what nobody proved to be from somewhere costs no memory.

use crate::pair::{Pair, ms};
use fabric_seal::{Address, GateConfig};

fn spoofed(n: u32) -> Address {
    let [a, b, c, d] = n.to_le_bytes();
    Address::from([a, b, c, d, 1, 2])
}

/// 100,000 first messages from addresses that do not answer: no session, no state, and no answer longer than the question.
///
/// PROTOCOL 6.3.
#[test]
fn a_flood_from_spoofed_addresses_leaves_no_state() {
    let mut pair = Pair::open(GateConfig::default());
    pair.b.gate.open(pair.now, pair.a.gate.public(), crate::pair::at(50)).unwrap();
    let knock = pair.b.gate.poll_transmit().unwrap().bytes;
    pair.b.gate.handle_datagram(pair.now, pair.a.at, &mut [0; 24]);
    let mut init = [0x5a; 144];
    init[..4].copy_from_slice(&[0x83, 1, 0, 0]);
    let before = pair.a.gate.sessions();
    let mut answers = 0;
    let mut flood = |pair: &mut Pair, from: u32, count: u32| {
        for n in from..from + count {
            for question in [&knock[..], &init[..]] {
                pair.a.gate.handle_datagram(pair.now, spoofed(n), &mut question.to_vec());
                while let Some(answer) = pair.a.gate.poll_transmit() {
                    assert!(answer.bytes.len() <= question.len() && answer.to == spoofed(n));
                    answers += 1;
                }
            }
        }
    };
    flood(&mut pair, 0, 1000);
    let mut count = |from| {
        let mut still = 0;
        let info = allocation_counter::measure(|| {
            flood(&mut pair, from, 50_000);
            still = pair.a.gate.sessions();
        });
        assert_eq!(still, before);
        info.bytes_current
    };
    let (first, second) = (count(1000), count(51_000));
    assert_eq!((first, second), (0, 0), "bytes that stay");
    assert_eq!(answers, 2 * 101_000);
    assert!(pair.a.gate.poll_event().is_none());
    pair.talk();
}

/// Answers that nobody fetches do not grow without end either.
#[test]
fn a_flood_does_not_fill_the_queue() {
    let mut pair = Pair::open(GateConfig::default());
    pair.b.gate.open(pair.now, pair.a.gate.public(), crate::pair::at(50)).unwrap();
    let knock = pair.b.gate.poll_transmit().unwrap().bytes;
    for n in 0..10_000 {
        pair.a.gate.handle_datagram(pair.now, spoofed(n), &mut knock.clone());
    }
    assert!(std::iter::from_fn(|| pair.a.gate.poll_transmit()).count() <= 1024);
}

/// One that does prove its address costs a bounded number of handshakes a second.
#[test]
fn a_flood_from_a_real_address_is_limited() {
    let mut pair = Pair::new(GateConfig::default());
    pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
    let knock = pair.a.gate.poll_transmit().unwrap().bytes;
    pair.b.gate.handle_datagram(pair.now, pair.a.at, &mut knock.clone());
    let cookie = pair.b.gate.poll_transmit().unwrap().bytes;
    let mut init = [0x5a; 144];
    init[..4].copy_from_slice(&[0x83, 1, 0, 0]);
    init[8..24].copy_from_slice(&cookie[8..24]);
    for _ in 0..10_000 {
        pair.b.gate.handle_datagram(pair.now, pair.a.at, &mut init.clone());
    }
    let counts = pair.b.gate.counts();
    assert!(counts.limited >= 9900, "{counts:?}");
    assert_eq!(pair.b.gate.sessions(), 0);
    // The next second it may try again.
    pair.pass(ms(3000));
    pair.talk();
}
