//! The ring under loom: all orders in which two threads can meet, in small.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p fabric-ring --release --test loom`
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use fabric_ring::{
    Broken, Consumer, Producer, ReserveError, View, barrier, layout,
    model::{Heap, pattern},
};
use loom::{
    sync::{Arc, Notify},
    thread,
};

/// Two units: one record of up to 56 bytes each, or a longest one with a skip.
const SIZE: usize = layout::SIZE_LEAST;

fn pair() -> (Producer<Heap>, Consumer<Heap>) {
    let memory = Heap::new(SIZE);
    let producer = Producer::offer(memory.clone(), SIZE).unwrap();
    (producer, Consumer::join(memory).unwrap())
}

fn push(producer: &mut Producer<Heap>, number: u64) -> Result<(), ReserveError> {
    producer.push(&[View::from(&pattern(number, 9)[..])])
}

/// Reads what is there; returns the number after the last record read.
fn read(consumer: &mut Consumer<Heap>, first: u64) -> Result<u64, Broken> {
    let mut number = first;
    consumer.receive(2, |view| {
        let mut bytes = vec![0; view.len()];
        view.copy_to(0, &mut bytes);
        assert_eq!(bytes, pattern(number, 9));
        number += 1;
    })?;
    consumer.release();
    Ok(number)
}

/// Records are whole when they are seen, and their room is free when it is reused: loom checks that no two accesses to
/// the same bytes race.
#[test]
fn records_and_room_are_handed_over() {
    loom::model(|| {
        let (mut producer, mut consumer) = pair();
        let writer = thread::spawn(move || {
            let mut number = 0;
            while number < 3 {
                match push(&mut producer, number) {
                    Ok(()) => {
                        number += 1;
                        producer.publish();
                    }
                    Err(error) => {
                        assert_eq!(error, ReserveError::Full);
                        thread::yield_now();
                    }
                }
            }
            drop(producer);
        });
        let mut number = 0;
        while number < 3 {
            let next = read(&mut consumer, number).unwrap();
            if next == number {
                thread::yield_now();
            }
            number = next;
        }
        writer.join().unwrap();
    });
}

/// A consumer that says that it sleeps and looks again is rung, or sees the record.
#[test]
fn no_wake_up_of_the_consumer_is_lost() {
    loom::model(|| {
        let (mut producer, mut consumer) = pair();
        let bell = Arc::new(Notify::new());
        let rung = bell.clone();
        let writer = thread::spawn(move || {
            for number in 0..2 {
                push(&mut producer, number).unwrap();
                producer.publish();
                barrier();
                if producer.consumer_sleeps() {
                    rung.notify();
                }
            }
        });
        let mut number = 0;
        while number < 2 {
            consumer.sleep();
            barrier();
            if !consumer.has_more() {
                bell.wait();
            }
            consumer.wake();
            number = read(&mut consumer, number).unwrap();
        }
        writer.join().unwrap();
    });
}

/// A producer that found no room, says that it sleeps and looks again is rung, or finds room.
#[test]
fn no_wake_up_of_the_producer_is_lost() {
    loom::model(|| {
        let (mut producer, mut consumer) = pair();
        push(&mut producer, 0).unwrap();
        push(&mut producer, 1).unwrap();
        producer.publish();
        let bell = Arc::new(Notify::new());
        let rung = bell.clone();
        let reader = thread::spawn(move || {
            assert_eq!(read(&mut consumer, 0), Ok(2));
            barrier();
            if consumer.producer_sleeps() {
                rung.notify();
            }
            consumer
        });
        while push(&mut producer, 2) == Err(ReserveError::Full) {
            producer.sleep();
            barrier();
            if !producer.has_room(9) {
                bell.wait();
            }
            producer.wake();
        }
        producer.publish();
        let mut consumer = reader.join().unwrap();
        assert_eq!(read(&mut consumer, 2), Ok(3));
    });
}

/// What was published before the producer left is read before the leaving is seen.
#[test]
fn leaving_loses_nothing() {
    loom::model(|| {
        let (mut producer, mut consumer) = pair();
        let writer = thread::spawn(move || {
            push(&mut producer, 0).unwrap();
            producer.publish();
            producer.close();
        });
        let mut number = 0;
        let end = loop {
            match read(&mut consumer, number) {
                Ok(next) if next == number => thread::yield_now(),
                Ok(next) => number = next,
                Err(broken) => break broken,
            }
        };
        assert_eq!((number, end), (1, Broken::Closed));
        writer.join().unwrap();
    });
}

/// Of two consumers that join at once, one gets the ring.
#[test]
fn one_consumer_joins() {
    loom::model(|| {
        let memory = Heap::new(SIZE);
        let producer = Producer::offer(memory.clone(), SIZE).unwrap();
        let other = memory.clone();
        let rival = thread::spawn(move || Consumer::join(other).is_ok());
        let joined = Consumer::join(memory).is_ok();
        assert!(joined ^ rival.join().unwrap());
        drop(producer);
    });
}

/// Both leave at once: the session is over, and nobody is stuck.
#[test]
fn both_leave() {
    loom::model(|| {
        let (mut producer, mut consumer) = pair();
        let writer = thread::spawn(move || {
            producer.close();
            assert_eq!(producer.check(), Err(Broken::Closed));
        });
        consumer.close();
        assert_eq!(consumer.receive(1, |_| ()), Err(Broken::Closed));
        writer.join().unwrap();
    });
}
