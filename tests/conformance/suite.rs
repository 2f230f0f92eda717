//! The contract, as tests over any connected pair.

use crate::pair::{End, PATIENCE, Pair, bytes, rung};
use fabric::{
    AttachError, BATCH, Batch, Carrier, Channel, Message, Peer, SendError, Slot, View, ether::MacAddr, loopback,
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Bytes that tell where they belong.
fn pattern(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number * 31 + at * 7) as u8).collect()
}

pub fn boundaries_and_order_are_kept(mut pair: Pair) {
    let longest = pair.a.limit().min(9000);
    let sizes = [0, 1, 2, 55, 56, 57, 63, 64, 65, 1400, 1400, 1400, 700, 1400, 0, 0, longest, 1, 1400, 1400];
    for round in 0..50 {
        let messages: Vec<_> = sizes.iter().enumerate().map(|(n, len)| pattern(n + round, *len)).collect();
        // Cut into pieces in all kinds of ways, also empty ones.
        let parts: Vec<[View<'_>; 4]> = messages
            .iter()
            .map(|message| {
                let (head, tail) = message.split_at(message.len().min(round));
                [View::EMPTY, View::from(head), View::EMPTY, View::from(tail)]
            })
            .collect();
        let list: Vec<Message<'_>> = parts.iter().map(|parts| Message { parts }).collect();
        assert_eq!(pair.a.carrier.send(pair.a.channel, &list), (sizes.len(), Ok(())));
        pair.a.carrier.flush();
        assert_eq!(pair.carry(sizes.len()), messages);
        assert!(pair.b.take().is_empty());
    }
    assert_eq!(pair.a.carrier.send(pair.a.channel, &[]), (0, Ok(())));
    assert_eq!(pair.a.carrier.send(pair.a.channel, &[Message { parts: &[] }]), (1, Ok(())));
    pair.a.carrier.flush();
    assert_eq!(pair.b.wait_for(1), [Vec::<u8>::new()]);
}

pub fn the_longest_message_arrives_and_a_longer_one_is_refused(mut pair: Pair) {
    let limit = pair.a.limit();
    assert!(limit >= 1200, "{limit}");
    let (longest, longer) = (pattern(1, limit), pattern(2, limit + 1));
    for _ in 0..20 {
        let parts = [[View::from(&longest[..])], [View::from(&longer[..])], [View::from(&longest[..])]];
        let list = parts.each_ref().map(|parts| Message { parts });
        assert_eq!(pair.a.carrier.send(pair.a.channel, &list), (1, Err(SendError::TooLong(limit))));
        pair.a.carrier.flush();
        assert_eq!(pair.carry(1), std::slice::from_ref(&longest));
    }
    assert!(pair.b.take().is_empty());
}

pub fn full_is_an_answer_and_gives_way_after_release(mut pair: Pair) {
    if !pair.lossless {
        return;
    }
    for round in 0..3 {
        let message = pattern(round, 1000);
        let mut taken = 0;
        let refused = loop {
            match pair.a.send(&message) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 1_000_000, "never full");
        };
        assert_eq!(refused, SendError::Full);
        pair.a.carrier.flush();
        assert_eq!(pair.a.send(&message), Err(SendError::Full));
        assert_eq!(pair.b.wait_for(taken), vec![message.clone(); taken]);
        assert_eq!(pair.a.send(&message), Ok(()));
        pair.a.carrier.flush();
        assert_eq!(pair.b.wait_for(1).len(), 1);
    }
}

pub fn channels_that_are_not_open_say_so(mut pair: Pair) {
    let carrier = &mut pair.a.carrier;
    for channel in [Channel(0), Channel(8), Channel(u32::MAX)] {
        assert_eq!(carrier.limits(channel), None);
        assert_eq!(carrier.send(channel, &[Message { parts: &[] }]), (0, Err(SendError::NotOpen)));
        assert_eq!(carrier.reserve(channel, 1).err(), Some(SendError::NotOpen));
        assert_eq!(carrier.commit(channel, 0), Err(SendError::NotOpen));
        carrier.detach(channel);
    }
    let channel = pair.a.channel;
    assert!(carrier.limits(channel).is_some());
    carrier.detach(channel);
    assert_eq!(carrier.limits(channel), None);
    assert_eq!(carrier.send(channel, &[Message { parts: &[] }]), (0, Err(SendError::NotOpen)));
    carrier.flush();
    carrier.release();
    assert!(carrier.receive(&mut Batch::new()).is_ok());
}

pub fn a_number_is_attached_once_and_to_its_own_kind(mut pair: Pair) {
    let carrier = &mut pair.a.carrier;
    let address = || Peer::Address("127.0.0.1:9".parse().unwrap());
    let wrong = if carrier.kind() == "udp" { Peer::Loop(loopback::pair(1, 1).0) } else { address() };
    assert!(matches!(carrier.attach(Channel(9), wrong), Err(AttachError::WrongKind(_))));
    let again = match carrier.kind() {
        "udp" => address(),
        "loopback" => Peer::Loop(loopback::pair(1, 1).0),
        "ether" => Peer::Ether(MacAddr(2, 0, 0, 0, 0, 9)),
        "serial" => Peer::Line,
        _ => return,
    };
    assert!(matches!(carrier.attach(pair.a.channel, again), Err(AttachError::InUse(_))));
    assert!(pair.a.send(b"still here").is_ok());
}

pub fn messages_are_made_in_place_or_refused(mut pair: Pair) {
    let channel = pair.a.channel;
    if !pair.a.carrier.limits(channel).unwrap().in_place {
        assert_eq!(pair.a.carrier.reserve(channel, 10).err(), Some(SendError::NotInPlace));
        assert_eq!(pair.a.carrier.commit(channel, 10), Err(SendError::NotInPlace));
        return;
    }
    let limit = pair.a.limit();
    let fill = |mut slot: Slot<'_>, text: &[u8]| assert!(slot.write(0, View::from(text)));
    for _ in 0..100 {
        let carrier = &mut pair.a.carrier;
        fill(carrier.reserve(channel, 2000).unwrap(), b"forgotten");
        fill(carrier.reserve(channel, 60_000.min(limit)).unwrap(), b"kept");
        assert_eq!(carrier.commit(channel, 4), Ok(()));
        assert!(carrier.commit(channel, 4).is_err(), "committed twice");
        fill(carrier.reserve(channel, 10).unwrap(), b"too much");
        assert!(carrier.commit(channel, 11).is_err());
        assert_eq!(carrier.reserve(channel, limit + 1).err(), Some(SendError::TooLong(limit)));
        fill(carrier.reserve(channel, 10).unwrap(), b"forgotten");
        assert_eq!(pair.a.send(b"sent"), Ok(()));
        fill(pair.a.carrier.reserve(channel, 10).unwrap(), b"forgotten");
        pair.a.carrier.flush();
        assert!(pair.a.carrier.commit(channel, 9).is_err());
        pair.a.carrier.flush();
        assert_eq!(pair.b.wait_for(2), [b"kept".to_vec(), b"sent".to_vec()]);
        assert!(pair.b.take().is_empty());
    }
}

pub fn a_batch_is_bounded_and_nothing_is_handed_out_twice(mut pair: Pair) {
    let count = 200;
    for number in 0..count {
        pair.a.send(&pattern(number, 90)).unwrap();
    }
    pair.a.carrier.flush();
    let mut seen = Vec::new();
    let end = Instant::now() + PATIENCE;
    while seen.len() < count {
        // Twice without a release between: the second goes on where the first stopped, over other memory.
        let mut all = Vec::new();
        if pair.goes_on() {
            pair.a.carrier.flush();
        }
        for _ in 0..2 {
            let mut batch = Batch::new();
            pair.b.carrier.receive(&mut batch).unwrap();
            assert!(batch.len() <= BATCH);
            all.extend(batch.iter().map(|received| bytes(received.bytes)));
        }
        pair.b.carrier.release();
        seen.extend(all);
        assert!(Instant::now() < end, "{} came", seen.len());
    }
    assert_eq!(seen, (0..count).map(|number| pattern(number, 90)).collect::<Vec<_>>());
    pair.b.carrier.release();
    assert!(pair.b.take().is_empty());
}

pub fn nobody_sleeps_over_a_message(mut pair: Pair) {
    assert!(pair.b.carrier.arm(), "nothing is there yet");
    assert!(!rung(&*pair.b.carrier, Duration::ZERO));
    pair.a.send(b"x").unwrap();
    pair.a.carrier.flush();
    assert!(rung(&*pair.b.carrier, PATIENCE), "rung while asleep");
    pair.b.carrier.disarm();
    assert_eq!(pair.b.wait_for(1).len(), 1);
    pair.a.send(b"y").unwrap();
    pair.a.carrier.flush();
    let there = !pair.b.carrier.arm() || rung(&*pair.b.carrier, PATIENCE);
    assert!(there, "told before sleeping");
    pair.b.carrier.disarm();
    assert_eq!(pair.b.wait_for(1).len(), 1);
}

pub fn a_ring_is_never_lost(pair: Pair) {
    const ROUNDS: usize = 3000;
    let Pair { mut a, mut b, .. } = pair;
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut count = 0;
            while count < ROUNDS {
                for message in b.take() {
                    b.send(&message).unwrap();
                    count += 1;
                }
                b.carrier.flush();
                if count < ROUNDS {
                    b.sleep();
                }
            }
        });
        for round in (0..ROUNDS).step_by(3) {
            for number in 0..3 {
                a.send(&pattern(round + number, 20)).unwrap();
                if round % 2 == 0 {
                    a.carrier.flush();
                }
            }
            a.carrier.flush();
            let mut back = Vec::new();
            while back.len() < 3 {
                back.extend(a.take());
                if back.len() < 3 {
                    a.sleep();
                }
            }
            assert_eq!(back, [0, 1, 2].map(|number| pattern(round + number, 20)));
        }
    });
}

pub fn a_flood_into_a_full_carrier_is_neither_lost_nor_stuck(pair: Pair) {
    if !pair.lossless {
        return;
    }
    const COUNT: usize = 6_000;
    let Pair { mut a, mut b, .. } = pair;
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut number = 0;
            while number < COUNT {
                match a.send(&pattern(number, number % 1800)) {
                    Ok(()) => number += 1,
                    Err(SendError::Full) => {
                        a.carrier.flush();
                        a.sleep();
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            a.carrier.flush();
            // Held until the other is done: a sender that leaves may close the way behind it.
            a.wait_for(1);
        });
        let mut number = 0;
        while number < COUNT {
            for message in b.take() {
                assert_eq!(message, pattern(number, number % 1800));
                number += 1;
            }
            if number < COUNT {
                b.sleep();
            }
        }
        b.send(b"done").unwrap();
        b.carrier.flush();
    });
}

pub fn what_was_sent_before_a_detach_arrives(mut pair: Pair) {
    for _ in 0..5 {
        pair.a.send(b"last words").unwrap();
    }
    pair.a.carrier.detach(pair.a.channel);
    assert_eq!(pair.b.wait_for(5).len(), 5);
    if pair.lossless {
        let gone = |end: &mut End| {
            end.take();
            end.send(b"anybody?") == Err(SendError::NotOpen) && end.carrier.limits(end.channel).is_none()
        };
        assert!((0..3).any(|_| gone(&mut pair.b)), "the peer's leaving is seen");
    }
}

pub fn counts_are_exact(mut pair: Pair) {
    for number in 0..100 {
        pair.a.send(&pattern(number, number)).unwrap();
    }
    assert!(pair.a.send(&vec![0; pair.a.limit() + 1]).is_err());
    pair.a.carrier.flush();
    pair.b.wait_for(100);
    let (sent, got) = (pair.a.carrier.counts(), pair.b.carrier.counts());
    assert_eq!((sent.sent, sent.sent_bytes, sent.send_failed), (100, 4950, 0));
    assert_eq!((got.received, got.received_bytes, got.malformed), (100, 4950, 0));
    assert_eq!((sent.received, got.sent), (0, 0));
}
