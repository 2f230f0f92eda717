//! A stream over a channel that does anything but lie.

use super::*;
use crate::{
    Incarnation, NodeId, Payload, PortId, Time,
    limits::WINDOW,
    wire::{Flags, Header, LaneAck, SubHeader},
};
use core::time::Duration;
use proptest::prelude::*;
use std::{collections::VecDeque, vec::Vec};

struct Channel {
    now: Time,
    sender: Sender,
    receiver: Receiver,
    arrived: VecDeque<Arrived>,
    /// Heads and payloads under way, and acknowledgements on the way back.
    there: VecDeque<Vec<u8>>,
    back: VecDeque<Vec<LaneAck>>,
    seed: u64,
    /// In parts of a thousand.
    loss: u64,
    limit: usize,
    sent: usize,
}

const ENDS: Ends = Ends {
    me: NodeId::new(1).unwrap(),
    peer: NodeId::new(2).unwrap(),
    life: Incarnation::new(3),
    peer_life: Incarnation::new(4),
    epoch: 5,
    floor: 0,
};
const MOST: usize = 1 << 20;

fn message(n: u64, priority: Priority, payload: Vec<u8>) -> Outgoing {
    Outgoing {
        kind: Kind::Message,
        priority,
        wants: Flags::RECEIPT,
        from: PortId::NODE,
        to: PortId { index: 1, generation: 1 },
        transaction: n,
        slot: 0,
        sub: SubHeader { tag: n as u32, ..SubHeader::default() },
        again: None,
        payload: payload.into(),
    }
}

impl Channel {
    fn new(seed: u64, loss: u64) -> Channel {
        Channel {
            now: Time::from_millis(1),
            sender: Sender::new(),
            receiver: Receiver::default(),
            arrived: VecDeque::new(),
            there: VecDeque::new(),
            back: VecDeque::new(),
            seed,
            loss,
            limit: 600,
            sent: 0,
        }
    }

    fn chance(&mut self, most: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.seed >> 33) % most
    }

    fn pump(&mut self) {
        while let Some((head, payload)) = self.sender.poll(self.now, self.limit, &ENDS, |_| true) {
            self.sent += 1;
            let mut bytes = head;
            payload.copy_to(&mut bytes);
            assert!(bytes.len() <= self.limit);
            // Lost, twice, or out of its turn.
            if self.chance(1000) < self.loss {
                continue;
            }
            if self.chance(1000) < self.loss / 2 {
                self.there.push_back(bytes.clone());
            }
            if self.chance(1000) < self.loss {
                self.there.push_front(bytes);
            } else {
                self.there.push_back(bytes);
            }
        }
    }

    /// One thing arrives, or time passes until the sender gives up waiting. False when all is done.
    fn step(&mut self) -> bool {
        self.pump();
        self.now = self.now + Duration::from_micros(50);
        if let Some(bytes) = self.there.pop_front() {
            let header = Header::parse(&bytes).unwrap();
            let meta = Meta::parse(&header, &bytes).unwrap();
            let at = Sequence::parse(&header, &bytes).unwrap();
            let body = header.body(&bytes).unwrap();
            let taken = self.receiver.receive(meta, at.number, at.offset, body, MOST, &mut self.arrived);
            assert_ne!(taken, Taken::Bad);
            assert!(self.receiver.held() as u64 <= LANES as u64 * 2 * WINDOW);
            if self.chance(1000) >= self.loss {
                let acks = self.receiver.acks();
                self.back.push_back(acks);
            }
        } else if let Some(acks) = self.back.pop_front() {
            self.sender.handle_ack(self.now, &acks);
        } else if let Some(at) = self.sender.timeout() {
            self.now = at;
            self.sender.handle_timeout(at);
        } else {
            assert!(self.sender.is_idle(), "nothing under way, and something waits");
            return false;
        }
        true
    }
}

fn content(n: u64, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i as u64 * 31 + n * 7) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Every message once, whole, and in the order of its lane, whatever is lost, repeated and reordered, and though the
    /// way takes larger and smaller parts in turn..
    ///
    /// PROTOCOL 7.5, 7.7.
    #[test]
    fn everything_arrives_once_and_in_order(
        seed in any::<u64>(),
        loss in prop_oneof![Just(0), 0u64..400],
        sizes in prop::collection::vec((0usize..4, prop_oneof![0usize..40, 0usize..20_000]), 1..40),
    ) {
        let mut c = Channel::new(seed, loss);
        for (n, (priority, len)) in sizes.iter().enumerate() {
            c.sender.push(message(n as u64, Priority::ALL[*priority], content(n as u64, *len)));
            if n % 3 == 0 {
                c.limit = [600, 128, 1500, 65_000][c.chance(4) as usize];
                c.step();
            }
        }
        let mut steps = 0;
        while c.step() {
            steps += 1;
            prop_assert!(steps < 200_000, "does not end");
        }
        let mut last = [None; 4];
        prop_assert_eq!(c.arrived.len(), sizes.len());
        for a in &c.arrived {
            let n = a.meta.transaction;
            let (priority, len) = sizes[n as usize];
            prop_assert_eq!(a.payload.to_vec(), content(n, len));
            prop_assert!(!a.too_large && a.meta.sub.tag == n as u32);
            prop_assert!(last[priority].replace(n).is_none_or(|before| before < n), "out of order");
        }
    }
}

/// PROTOCOL 7.4.
#[test]
fn without_loss_nothing_is_sent_twice_and_numbers_wrap() {
    let mut c = Channel::new(1, 0);
    for n in 0..50 {
        c.sender.push(message(n, Priority::Normal, content(n, 5_000)));
    }
    while c.step() {}
    assert_eq!((c.arrived.len(), c.sender.repeated), (50, 0));
    assert_eq!(c.sender.numbers(3), (250_000 - 0x400, 250_000 - 0x400));
    assert!(c.sender.round_trip().is_some_and(|r| r < Duration::from_millis(100)));
}

/// PROTOCOL 7.9.
#[test]
fn receipts_go_first_and_past_a_full_window() {
    let mut c = Channel::new(1, 0);
    c.sender.push(message(0, Priority::Urgent, content(0, 10 << 20)));
    let mut sent = 0;
    while c.sender.poll(c.now, 600, &ENDS, |_| true).is_some() {
        sent += 1;
    }
    assert!(sent < 1000, "the window is bounded: {sent}");
    c.sender.push(Outgoing { kind: Kind::Receipt, ..message(1, Priority::Low, Vec::new()) });
    let (head, _) = c.sender.poll(c.now, 600, &ENDS, |_| true).unwrap();
    assert_eq!(Header::parse(&head).unwrap().kind, Kind::Receipt);
}

/// PROTOCOL 7.8.
#[test]
fn a_lost_message_is_known_by_later_ones_before_the_time_out() {
    let mut c = Channel::new(1, 0);
    for n in 0..10 {
        c.sender.push(message(n, Priority::Normal, content(n, 10)));
    }
    c.pump();
    c.there.remove(2);
    let before = c.now;
    while c.step() {}
    assert_eq!((c.arrived.len(), c.sender.repeated), (10, 1));
    assert!(c.now.since(before) < Duration::from_millis(10));
}

/// Rows: MF-3.
#[test]
fn impossible_parts_are_refused_and_harm_nothing() {
    let mut r = Receiver::default();
    let mut out = VecDeque::new();
    let whole = message(1, Priority::Normal, content(1, 100));
    let head = |range: core::ops::Range<usize>| {
        let head = whole.head(&ENDS, Some(0), range);
        let header = Header::parse(&head).unwrap();
        Meta::parse(&header, &head).unwrap()
    };
    let (first, last) = (head(0..50), head(50..100));
    let at = |n: u64| number(n);
    let bytes = content(1, 100);
    // A part in the middle of nothing, an empty part of more, one that is much too far ahead.
    assert_eq!(r.receive(last, at(0), 50, &bytes[50..], MOST, &mut out), Taken::Bad);
    let mut r = Receiver::default();
    assert_eq!(r.receive(first, at(0), 0, &[], MOST, &mut out), Taken::Bad);
    assert_eq!(r.receive(last, at(1 << 30), 50, &bytes[50..], MOST, &mut out), Taken::Bad);
    // The second half first, twice; then the first half: whole, once. Then all of it again.
    assert_eq!(r.receive(last, at(50), 50, &bytes[50..], MOST, &mut out), Taken::New);
    assert_eq!(r.receive(last, at(50), 50, &bytes[50..], MOST, &mut out), Taken::Old);
    assert_eq!(r.acks()[0].ranges, [(at(50), at(100))]);
    assert_eq!(r.receive(first, at(0), 0, &bytes[..50], MOST, &mut out), Taken::New);
    assert_eq!(r.receive(first, at(0), 0, &bytes[..50], MOST, &mut out), Taken::Old);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].payload.to_vec(), bytes);
    assert_eq!(r.held(), 0);
}

/// Parts that overlap without end, all beyond a gap: what is held is bounded.
///
/// PROTOCOL 7.7.
#[test]
fn a_peer_that_never_fills_its_gap_costs_a_bounded_amount() {
    let mut r = Receiver::default();
    let mut out = VecDeque::new();
    let head = message(1, Priority::Normal, content(1, 100)).head(&ENDS, Some(0), 50..90);
    let meta = Meta::parse(&Header::parse(&head).unwrap(), &head).unwrap();
    let bytes = content(1, 60_000);
    let mut refused = 0;
    for n in 1..10_000 {
        refused += usize::from(r.receive(meta, number(n), n as u32, &bytes, MOST, &mut out) == Taken::Bad);
        assert!(r.held() as u64 <= 2 * WINDOW);
    }
    assert!(refused > 9_900 && out.is_empty());
}

#[test]
fn what_is_too_large_is_told_and_not_kept() {
    let mut c = Channel::new(1, 0);
    c.sender.push(message(0, Priority::Normal, content(0, MOST + 1)));
    c.sender.push(message(1, Priority::Normal, content(1, 10)));
    while c.step() {}
    let told: Vec<_> = c.arrived.iter().map(|a| (a.too_large, a.payload.len())).collect();
    assert_eq!(told, [(true, 0), (false, 10)]);
}

/// Acknowledgements that lie: of what was never sent, backwards, empty ranges.
#[test]
fn lying_acknowledgements_change_nothing() {
    let mut c = Channel::new(1, 0);
    c.sender.push(message(0, Priority::Normal, content(0, 1000)));
    c.pump();
    let before = c.sender.numbers(3);
    for lie in [number(5000), number(0).wrapping_sub(1), number(1 << 31)] {
        let ack = LaneAck { lane: 3, next: lie, ranges: Vec::from([(lie, lie), (number(9), number(3))]) };
        c.sender.handle_ack(c.now, &[ack, LaneAck { lane: 200, next: 0, ranges: Vec::new() }]);
        assert_eq!(c.sender.numbers(3), before);
    }
    while c.step() {}
    assert_eq!(c.arrived.len(), 1);
    let _ = Payload::EMPTY;
}
