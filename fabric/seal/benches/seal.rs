//! What sealing and opening a datagram costs, and a whole handshake of both ends.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark may stop at what it did not expect")]

use divan::{Bencher, counter::BytesCount};
use fabric_seal::{Address, Event, Gate, GateConfig, HEAD, Identity, Keys, OVERHEAD, Suite};
use std::time::Duration;

fn main() {
    divan::main();
}

const SIZES: [usize; 4] = [64, 1400, 8900, 65_000];

/// A handshake from the knock to the confirmation; the keys of both ends.
fn shake(a: &mut Gate, b: &mut Gate, now: Duration) -> (Keys, Keys) {
    let (at_a, at_b) = (Address::from([1; 6]), Address::from([2; 6]));
    let session = a.open(now, b.public(), at_b).unwrap();
    let (mut of_a, mut of_b) = (None, None);
    while of_b.is_none() {
        while let Some(mut t) = a.poll_transmit() {
            b.handle_datagram(now, at_a, &mut t.bytes);
        }
        while let Some(mut t) = b.poll_transmit() {
            a.handle_datagram(now, at_b, &mut t.bytes);
        }
        for (gate, keys) in [(&mut *a, &mut of_a), (&mut *b, &mut of_b)] {
            while let Some(event) = gate.poll_event() {
                if let Event::Keys { keys: new, .. } = event {
                    *keys = Some(new);
                }
            }
        }
    }
    a.close(session);
    while a.poll_event().is_some() {}
    (of_a.unwrap(), of_b.unwrap())
}

fn gates(suite: Suite) -> (Gate, Gate) {
    let gate = || {
        let config = GateConfig { suites: vec![suite], ..GateConfig::default() };
        Gate::new(Identity::generate().unwrap(), config).unwrap()
    };
    let (a, mut b) = (gate(), gate());
    b.admit(a.public());
    (a, b)
}

fn keys(suite: Suite) -> (Keys, Keys) {
    let (mut a, mut b) = gates(suite);
    shake(&mut a, &mut b, Duration::from_secs(1))
}

fn seal(bencher: Bencher<'_, '_>, suite: Suite, len: usize) {
    let (mut keys, _) = keys(suite);
    let mut datagram = vec![7; len + OVERHEAD];
    bencher.counter(BytesCount::new(len)).bench_local(|| keys.sealers[0].seal_in_place(&mut datagram).unwrap());
}

fn open(bencher: Bencher<'_, '_>, suite: Suite, len: usize) {
    let (mut from, mut to) = keys(suite);
    let next = || {
        let mut datagram = vec![7; len + OVERHEAD];
        from.sealers[0].seal_in_place(&mut datagram).unwrap();
        datagram
    };
    bencher
        .counter(BytesCount::new(len))
        .with_inputs(next)
        .bench_local_refs(|datagram| assert_eq!(to.opener.open_in_place(datagram).unwrap().len() + HEAD, len + HEAD));
}

#[divan::bench(args = SIZES)]
fn seal_aes128(bencher: Bencher<'_, '_>, len: usize) {
    seal(bencher, Suite::Aes128Gcm, len);
}

#[divan::bench(args = SIZES)]
fn seal_chacha20(bencher: Bencher<'_, '_>, len: usize) {
    seal(bencher, Suite::ChaCha20Poly1305, len);
}

#[divan::bench(args = SIZES)]
fn open_aes128(bencher: Bencher<'_, '_>, len: usize) {
    open(bencher, Suite::Aes128Gcm, len);
}

#[divan::bench(args = SIZES)]
fn open_chacha20(bencher: Bencher<'_, '_>, len: usize) {
    open(bencher, Suite::ChaCha20Poly1305, len);
}

/// Both ends together; the budget is 1 ms for one.
#[divan::bench(sample_size = 1)]
fn handshake_of_both_ends(bencher: Bencher<'_, '_>) {
    let (mut a, mut b) = gates(Suite::Aes128Gcm);
    let mut now = Duration::from_secs(1);
    bencher.bench_local(|| {
        // A new second each time: handshakes are limited.
        now += Duration::from_secs(1);
        shake(&mut a, &mut b, now)
    });
}
