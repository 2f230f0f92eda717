//! What the fault middleware does to messages, and whether its counts add up.

use crate::pair::End;
use fabric::{
    Carrier, Channel, Peer, SendError,
    loopback::{Loopback, pair},
    middleware::{Fault, FaultControl, FaultCounts, Faults, PER_MILLION},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

struct Bench {
    a: End,
    b: End,
    control: FaultControl,
    /// Milliseconds.
    clock: Arc<AtomicU64>,
}

fn bench(seed: u64, faults: Faults) -> Bench {
    let (at_a, at_b) = pair(4096, 300);
    let clock = Arc::new(AtomicU64::new(0));
    let hands = clock.clone();
    let time = Box::new(move || Duration::from_millis(hands.load(Ordering::Relaxed)));
    let mut fault = Fault::new(Loopback::new().unwrap(), seed, time);
    let control = fault.control();
    control.set(faults);
    fault.attach(Channel(0), Peer::Loop(at_a)).unwrap();
    let mut b = Loopback::new().unwrap();
    b.attach(Channel(0), Peer::Loop(at_b)).unwrap();
    let end = |carrier: Box<dyn Carrier>| End { carrier, channel: Channel(0) };
    Bench { a: end(Box::new(fault)), b: end(Box::new(b)), control, clock }
}

impl Bench {
    /// Sends numbers of two bytes.
    fn send(&mut self, numbers: std::ops::Range<u16>) {
        for number in numbers {
            self.a.send(&number.to_le_bytes()).unwrap();
        }
        self.a.carrier.flush();
    }

    /// All that has arrived.
    fn arrived(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let some = self.b.take();
            if some.is_empty() {
                break all;
            }
            all.extend(some);
        }
    }

    fn counts(&self) -> FaultCounts {
        let counts = self.control.counts();
        let left = counts.passed + counts.dropped + counts.cut + counts.overflowed + counts.waiting;
        assert_eq!(counts.taken + counts.duplicated, left, "{counts:?}");
        assert_eq!(counts.passed, self.a.carrier.counts().sent);
        counts
    }
}

fn number(message: &[u8]) -> u16 {
    u16::from_le_bytes(message.try_into().unwrap())
}

#[test]
fn dropping_loses_about_as_many_as_told_and_the_same_by_seed() {
    let faults = Faults { drop: PER_MILLION / 4, ..Faults::default() };
    let run = |seed| {
        let mut bench = bench(seed, faults);
        bench.send(0..2000);
        let arrived: Vec<u16> = bench.arrived().iter().map(|message| number(message)).collect();
        let counts = bench.counts();
        assert!((350..650).contains(&counts.dropped), "{counts:?}");
        assert_eq!(arrived.len() as u64, 2000 - counts.dropped);
        assert!(arrived.is_sorted());
        arrived
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn duplicating_sends_twice_in_order() {
    let mut bench = bench(1, Faults { duplicate: PER_MILLION, ..Faults::default() });
    bench.send(0..100);
    let arrived: Vec<u16> = bench.arrived().iter().map(|message| number(message)).collect();
    assert_eq!(arrived, (0..100).flat_map(|number| [number, number]).collect::<Vec<_>>());
    assert_eq!(bench.counts().duplicated, 100);
}

#[test]
fn reordering_swaps_and_loses_nothing() {
    let mut bench = bench(1, Faults { reorder: PER_MILLION / 3, ..Faults::default() });
    bench.send(0..500);
    bench.a.carrier.arm();
    let arrived: Vec<u16> = bench.arrived().iter().map(|message| number(message)).collect();
    assert!(!arrived.is_sorted());
    let mut sorted = arrived.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..500).collect::<Vec<_>>());
    let counts = bench.counts();
    assert!(counts.reordered > 100 && counts.waiting == 0);
}

#[test]
fn truncating_only_shortens() {
    let mut bench = bench(1, Faults { truncate: PER_MILLION, ..Faults::default() });
    bench.send(0..100);
    bench.a.send(b"").unwrap();
    bench.a.carrier.flush();
    let arrived = bench.arrived();
    assert_eq!(arrived.len(), 101);
    assert!(arrived.iter().all(|message| message.len() < 2));
    assert_eq!(bench.counts().truncated, 100);
}

#[test]
fn delaying_holds_until_the_clock_says_so() {
    let mut bench = bench(1, Faults { delay: Duration::from_millis(10), ..Faults::default() });
    bench.send(0..10);
    assert!(bench.arrived().is_empty());
    assert_eq!(bench.counts().waiting, 10);
    assert!(!bench.a.carrier.arm(), "nobody would ring");
    bench.clock.store(9, Ordering::Relaxed);
    bench.a.carrier.flush();
    assert!(bench.arrived().is_empty());
    bench.clock.store(10, Ordering::Relaxed);
    bench.a.take();
    assert_eq!(bench.arrived().len(), 10);
    bench.control.set(Faults { jitter: Duration::from_millis(5), ..Faults::default() });
    bench.send(10..60);
    bench.clock.store(15, Ordering::Relaxed);
    bench.a.carrier.flush();
    let arrived: Vec<u16> = bench.arrived().iter().map(|message| number(message)).collect();
    assert_eq!(arrived.len(), 50);
    assert!(!arrived.is_sorted(), "later ones overtake");
    assert_eq!(bench.counts().delayed, 60);
}

#[test]
fn a_cut_lets_nothing_pass_and_heals() {
    let mut bench = bench(1, Faults { cut: true, ..Faults::default() });
    bench.send(0..5);
    bench.b.send(b"in").unwrap();
    bench.b.carrier.flush();
    assert!(bench.a.take().is_empty() && bench.arrived().is_empty());
    let counts = bench.counts();
    assert_eq!((counts.cut, counts.cut_in), (5, 1));
    bench.control.set(Faults::default());
    bench.send(5..6);
    assert_eq!(bench.arrived(), [[5, 0]]);
    assert!(bench.a.take().is_empty());
}

#[test]
fn what_the_carrier_would_refuse_is_refused() {
    let mut bench = bench(1, Faults { drop: PER_MILLION, ..Faults::default() });
    assert_eq!(bench.a.send(&[0; 301]), Err(SendError::TooLong(300)));
    assert_eq!(bench.a.carrier.reserve(Channel(1), 1).err(), Some(SendError::NotOpen));
    assert!(bench.a.carrier.reserve(Channel(0), 300).is_ok());
    assert_eq!(bench.a.carrier.commit(Channel(0), 300), Ok(()));
    assert_eq!(bench.counts().dropped, 1);
    bench.a.carrier.detach(Channel(0));
    assert_eq!(bench.a.send(b"x"), Err(SendError::NotOpen));
}

/// Every kind of fault in one run: each is seen in its own count, and the counts say where every message went.
///
/// Rows: DB-3.
#[test]
fn everything_at_once_still_adds_up() {
    let chance = PER_MILLION / 5;
    for seed in 0..20 {
        let mut bench = bench(
            seed,
            Faults {
                drop: chance,
                duplicate: chance,
                reorder: chance,
                truncate: chance,
                jitter: Duration::from_millis(3),
                ..Faults::default()
            },
        );
        let mut arrived = 0;
        for step in 0..50 {
            bench.clock.store(step, Ordering::Relaxed);
            // Late ones are never held back as well, so half of the time nothing is late; then, for a while, a cut.
            let faults = bench.control.faults();
            let jitter = Duration::from_millis(if step % 2 == 0 { 3 } else { 0 });
            bench.control.set(Faults { jitter, cut: (40..45).contains(&step), ..faults });
            bench.send(step as u16 * 10..step as u16 * 10 + 10);
            arrived += bench.arrived().len() as u64;
            bench.counts();
        }
        bench.clock.store(1000, Ordering::Relaxed);
        bench.a.carrier.arm();
        arrived += bench.arrived().len() as u64;
        let counts = bench.counts();
        assert_eq!((counts.taken, counts.cut, counts.waiting, counts.passed), (500, 50, 0, arrived));
        for (fault, count) in [
            ("drop", counts.dropped),
            ("duplicate", counts.duplicated),
            ("reorder", counts.reordered),
            ("truncate", counts.truncated),
            ("delay", counts.delayed),
        ] {
            assert!(count > 10, "{fault} was seen {count} times with seed {seed}");
        }
    }
}
