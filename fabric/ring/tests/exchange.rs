//! What the two ends do together when nobody lies or dies.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
#![cfg(not(loom))]

use fabric_ring::{
    Broken, Consumer, JoinError, OfferError, Producer, ReserveError, View, barrier, layout, model::Heap,
};

fn pair(size: usize) -> (Producer<Heap>, Consumer<Heap>) {
    let memory = Heap::new(size);
    let producer = Producer::offer(memory.clone(), size).unwrap();
    (producer, Consumer::join(memory).unwrap())
}

fn drain(consumer: &mut Consumer<Heap>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while {
        let count = consumer.receive(3, |view| {
            let mut bytes = vec![0; view.len()];
            assert_eq!(view.copy_to(0, &mut bytes), bytes.len());
            all.push(bytes);
        });
        count.unwrap() > 0
    } {}
    consumer.release();
    all
}

#[test]
fn records_of_all_sizes_arrive_whole_and_in_order_over_many_rounds() {
    let (mut producer, mut consumer) = pair(4096);
    for round in 0..5000usize {
        let len = round * 37 % 2000;
        let bytes = vec![round as u8; len];
        producer.push(&[View::from(&bytes[..len / 2]), View::from(&bytes[len / 2..])]).unwrap();
        assert!(producer.publish());
        assert_eq!(drain(&mut consumer), [bytes]);
    }
}

/// Rows: MF-2.
#[test]
fn full_is_an_answer_and_gives_way_after_release() {
    let (mut producer, mut consumer) = pair(1024);
    let mut count = 0;
    while producer.push(&[View::from(&[7; 100][..])]).is_ok() {
        count += 1;
    }
    assert_eq!(count, 8);
    assert_eq!(producer.reserve(1).unwrap_err(), ReserveError::Full);
    assert!(!producer.has_room(1));
    producer.publish();
    assert_eq!(consumer.receive(100, |_| ()).unwrap(), 8);
    assert_eq!(producer.reserve(1).unwrap_err(), ReserveError::Full, "handed out is not given back");
    assert!(consumer.release());
    assert!(!consumer.release());
    assert!(producer.reserve(1).is_ok());
}

#[test]
fn what_is_not_committed_or_published_is_not_seen() {
    let (mut producer, mut consumer) = pair(1024);
    assert!(producer.reserve(10).is_ok());
    assert!(!producer.publish());
    assert_eq!(producer.commit(5), Err(ReserveError::NotReserved), "publish forgot it");
    producer.reserve(10).unwrap();
    assert_eq!(producer.commit(11), Err(ReserveError::NotReserved));
    producer.push(&[]).unwrap();
    assert!(!consumer.has_more());
    producer.publish();
    assert!(consumer.has_more());
    assert_eq!(drain(&mut consumer), [Vec::<u8>::new()]);
}

#[test]
fn the_longest_record_fits_wherever_the_ring_stands() {
    let (mut producer, mut consumer) = pair(1024);
    let most = producer.record_most();
    assert_eq!(most, 504);
    assert_eq!(producer.reserve(most + 1).unwrap_err(), ReserveError::TooLong(most));
    for step in 0..40 {
        producer.push(&[View::from(&vec![1; step * 12][..])]).unwrap();
        producer.publish();
        drain(&mut consumer);
        producer.push(&[View::from(&vec![2; most][..])]).unwrap();
        producer.publish();
        assert_eq!(drain(&mut consumer), [vec![2; most]]);
    }
}

#[test]
fn sleepers_are_seen_once() {
    let (mut producer, mut consumer) = pair(1024);
    assert!(!producer.consumer_sleeps());
    consumer.sleep();
    barrier();
    assert!(!consumer.has_more());
    producer.push(&[]).unwrap();
    producer.publish();
    barrier();
    assert!(producer.consumer_sleeps());
    assert!(!producer.consumer_sleeps());
    producer.sleep();
    barrier();
    assert!(producer.has_room(1));
    drain(&mut consumer);
    assert!(consumer.producer_sleeps());
    producer.sleep();
    producer.wake();
    assert!(!consumer.producer_sleeps());
}

#[test]
fn leaving_is_seen_by_the_other_after_the_last_record() {
    let (mut producer, mut consumer) = pair(1024);
    producer.push(&[View::from(&b"last"[..])]).unwrap();
    producer.publish();
    producer.close();
    assert_eq!(drain_until_broken(&mut consumer), ([b"last".to_vec()].to_vec(), Broken::Closed));

    let (mut producer, mut consumer) = pair(1024);
    consumer.close();
    assert_eq!(producer.check(), Err(Broken::Closed));
    assert_eq!(producer.reserve(1).unwrap_err(), ReserveError::Broken(Broken::Closed));
}

fn drain_until_broken(consumer: &mut Consumer<Heap>) -> (Vec<Vec<u8>>, Broken) {
    let mut all = Vec::new();
    loop {
        let got = consumer.receive(3, |view| {
            let mut bytes = vec![0; view.len()];
            view.copy_to(0, &mut bytes);
            all.push(bytes);
        });
        if let Err(broken) = got {
            return (all, broken);
        }
    }
}

#[test]
fn a_new_incarnation_takes_the_memory_over() {
    let memory = Heap::new(1024);
    let mut old = Producer::offer(memory.clone(), 1024).unwrap();
    let mut reader = Consumer::join(memory.clone()).unwrap();
    old.push(&[View::from(&b"lost"[..])]).unwrap();
    let mut new = Producer::offer(memory.clone(), 1024).unwrap();
    assert_eq!(new.generation(), old.generation() + 1);
    assert_eq!(reader.receive(1, |_| ()), Err(Broken::Closed), "the session it joined is over");
    let mut reader = Consumer::join(memory.clone()).unwrap();
    new.push(&[View::from(&b"kept"[..])]).unwrap();
    new.publish();
    assert_eq!(drain(&mut reader), [b"kept".to_vec()]);

    assert_eq!(Consumer::join(memory.clone()).unwrap_err(), JoinError::Running);
    assert!(Consumer::evict(memory.clone()));
    assert_eq!(Consumer::join(memory.clone()).unwrap_err(), JoinError::Closing);
    assert_eq!(new.check(), Err(Broken::Closed));
    Producer::offer(new.into_memory(), 1024).unwrap();
    assert!(Consumer::join(memory).is_ok());
}

#[test]
fn memory_that_holds_no_ring_is_refused() {
    assert_eq!(Consumer::join(Heap::new(1024)).unwrap_err(), JoinError::NotOffered);
    assert_eq!(Producer::offer(Heap::new(1024), 1000).unwrap_err(), OfferError::Size);
    assert_eq!(Producer::offer(Heap::new(1024), 2048).unwrap_err(), OfferError::Memory);
    let refuse = |at: usize, word: u32| {
        let memory = Heap::new(1024);
        Producer::offer(memory.clone(), 1024).unwrap();
        memory.poke(at, &word.to_le_bytes());
        Consumer::join(memory).unwrap_err()
    };
    assert_eq!(refuse(0, 1), JoinError::NotOffered);
    assert_eq!(refuse(8, 2 | 3 << 16), JoinError::Version { low: 2, high: 3 });
    assert_eq!(refuse(8, 1), JoinError::Version { low: 1, high: 0 });
    assert_eq!(refuse(12, 0), JoinError::Size);
    for size in [0, 1, 64, 1000, 2048, 1 << 31, u32::MAX] {
        assert_eq!(refuse(16, size), JoinError::Size, "{size}");
    }
    assert_eq!(refuse(24, 9), JoinError::NotOffered);
    assert_eq!(refuse(128, 1), JoinError::Index);
    assert_eq!(refuse(128, 2048), JoinError::Index);
    assert_eq!(refuse(256, 64), JoinError::Index);
}

#[test]
fn a_lying_peer_breaks_the_ring_and_nothing_else() {
    let tail = 128;
    let head = 256;
    let first = layout::DATA_AT;
    let lie = |at: usize, word: u32| {
        let memory = Heap::new(1024);
        let mut producer = Producer::offer(memory.clone(), 1024).unwrap();
        let mut consumer = Consumer::join(memory.clone()).unwrap();
        producer.push(&[View::from(&b"x"[..])]).unwrap();
        producer.publish();
        memory.poke(at, &word.to_le_bytes());
        for _ in 0..10 {
            let _ = producer.push(&[View::from(&[1; 300][..])]);
        }
        let seen = consumer.receive(10, |_| ()).and_then(|_| consumer.receive(10, |_| ())).err();
        (producer.check().err(), seen)
    };
    for word in [1, 63, 128, u32::MAX] {
        assert_eq!(lie(tail, word).1, Some(Broken::Index), "tail {word}");
        assert_eq!(lie(head, word).0, Some(Broken::Index), "head {word}");
    }
    for len in [57, 504, 1016, 1017, 0x7fff_ffff, u32::MAX - 7, u32::MAX] {
        assert_eq!(lie(first, len).1, Some(Broken::Record), "length {len}");
    }
    for mark in [0, 1, 2, 0xA000_0001, 0xA000_0002, u32::MAX] {
        assert_eq!(lie(first + 4, mark).1, Some(Broken::Record), "mark {mark:#x}");
    }
}
