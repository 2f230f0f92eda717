//! Kills an end before each of its stores, one after the other, and looks at what the other end makes of it.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

use fabric_ring::{
    Broken, Consumer, JoinError, Producer, ReserveError, View, barrier,
    model::{Heap, pattern, steps::kill_at},
};

const SIZE: usize = 512;
/// Chosen so that the ring wraps, skips, and gets full.
const LENGTHS: [usize; 9] = [10, 100, 0, 180, 56, 57, 200, 1, 120];

/// Reads what is there and checks it against the records that may be: returns how many there were in all.
fn read(consumer: &mut Consumer<Heap>, first: usize) -> (usize, Option<Broken>) {
    let mut number = first;
    for _ in 0..100 {
        let got = consumer.receive(2, |view| {
            let mut bytes = vec![0; view.len()];
            view.copy_to(0, &mut bytes);
            assert_eq!(bytes, pattern(number as u64, LENGTHS[number % LENGTHS.len()]), "record {number} is whole");
            number += 1;
        });
        match got {
            Ok(0) => return (number, None),
            Ok(_) => drop(consumer.release()),
            Err(broken) => return (number, Some(broken)),
        }
    }
    panic!("stuck");
}

fn push(producer: &mut Producer<Heap>, number: usize) -> Result<(), ReserveError> {
    let bytes = pattern(number as u64, LENGTHS[number % LENGTHS.len()]);
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    producer.push(&[View::from(head), View::from(tail)])
}

/// One end is dead, whatever it left: a new pair comes up in the same memory and works over several rounds.
fn takes_over(memory: &Heap) {
    let mut producer = Producer::offer(memory.clone(), SIZE).unwrap();
    let mut consumer = Consumer::join(memory.clone()).unwrap();
    for number in 0..30 {
        push(&mut producer, number).unwrap();
        producer.publish();
        assert_eq!(read(&mut consumer, number), (number + 1, None));
    }
}

#[test]
fn a_producer_killed_at_any_store_harms_nobody() {
    let mut n = 0;
    while dies_at(n) {
        n += 1;
    }
    assert!(n > 200, "only {n} stores");
}

/// A life of the producer with a reader beside it; whether it came to store number `n`.
fn dies_at(n: u64) -> bool {
    let memory = Heap::new(SIZE);
    let mut producer = Producer::offer(memory.clone(), SIZE).unwrap();
    let mut consumer = Consumer::join(memory.clone()).unwrap();
    let mut seen = 0;
    let mut left = Some(n);
    for number in 0..40 {
        consumer.sleep();
        left = kill_at(left.unwrap(), || {
            push(&mut producer, number).unwrap();
            producer.publish();
            barrier();
            let _ = producer.consumer_sleeps();
            producer.sleep();
            producer.wake();
        });
        let (read, broken) = read(&mut consumer, seen);
        assert_eq!(broken, None, "a death is no lie");
        if left.is_none() {
            assert!(read == seen || read == seen + 1, "a record is seen whole or not at all");
            break;
        }
        assert_eq!(read, number + 1);
        seen = read;
    }
    if left.is_some() {
        return false;
    }
    drop(producer);
    consumer.sleep();
    assert!(!consumer.has_more());
    let mut next = Producer::offer(memory.clone(), SIZE).unwrap();
    assert_eq!(consumer.receive(1, |_| ()), Err(Broken::Closed), "the survivor sees the new incarnation");
    next.close();
    takes_over(&memory);
    true
}

#[test]
fn a_producer_killed_while_it_offers_leaves_nothing_to_join() {
    for leavings in [false, true] {
        let mut n = 0;
        loop {
            let memory = Heap::new(SIZE);
            if leavings {
                // An older session stands there, with records in it.
                let mut old = Producer::offer(memory.clone(), SIZE).unwrap();
                drop(Consumer::join(memory.clone()).unwrap());
                push(&mut old, 0).unwrap();
                old.publish();
                drop(old);
            }
            let offered = memory.clone();
            if kill_at(n, || drop(Producer::offer(offered, SIZE).unwrap())).is_some() {
                break;
            }
            let joined = Consumer::join(memory.clone()).map(drop).unwrap_err();
            assert!(matches!(joined, JoinError::NotOffered | JoinError::Running), "{n}: {joined:?}");
            takes_over(&memory);
            n += 1;
        }
        assert_eq!(n, 12, "stores of an offer");
    }
}

#[test]
fn a_consumer_killed_at_any_store_harms_nobody() {
    let mut n = 0;
    loop {
        let memory = Heap::new(SIZE);
        let mut producer = Producer::offer(memory.clone(), SIZE).unwrap();
        for number in 0..3 {
            push(&mut producer, number).unwrap();
        }
        producer.publish();
        producer.sleep();
        let joined = memory.clone();
        let mut released = 0;
        let killed = kill_at(n, || {
            let mut consumer = Consumer::join(joined).unwrap();
            consumer.sleep();
            for _ in 0..3 {
                consumer.receive(1, |_| ()).unwrap();
                consumer.release();
                released += 1;
                barrier();
                let _ = consumer.producer_sleeps();
            }
            consumer.wake();
            consumer.close();
            drop(consumer);
        });
        if killed.is_some() {
            break;
        }
        // The producer goes on until there is no room; that is all that happens to it.
        let mut number = 3;
        let end = loop {
            match push(&mut producer, number) {
                Ok(()) => number += 1,
                Err(error) => break error,
            }
            producer.publish();
            let _ = producer.consumer_sleeps();
            assert!(number < 100, "stuck in the other sense");
        };
        assert_eq!(end, ReserveError::Full);
        assert!(!producer.has_room(200));
        // A new consumer ends the dead one's session; the producer sees it and offers again.
        let state = Consumer::join(memory.clone()).map(drop);
        if n > 0 {
            assert_eq!(state, Err(JoinError::Running), "{n}");
            assert!(Consumer::evict(memory.clone()));
        } else {
            assert_eq!(state, Ok(()));
            assert!(Consumer::evict(memory.clone()));
        }
        assert_eq!(producer.check(), Err(Broken::Closed));
        assert_eq!(producer.reserve(1).unwrap_err(), ReserveError::Broken(Broken::Closed));
        takes_over(&memory);
        n += 1;
    }
    assert!(n > 5, "only {n} stores");
}
