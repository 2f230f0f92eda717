//! Records through a ring.

use crate::sys::Pages;
use fabric_ring::{Consumer, Producer, View, layout::SIZE_DEFAULT};
use std::hint::black_box;

/// A batch, as a lane makes one.
const BATCH: usize = 16;

/// A super-frame.
const LONG: usize = 65_000;

fn pair() -> (Producer<Pages>, Consumer<Pages>) {
    let memory = Pages::new(SIZE_DEFAULT);
    let producer = Producer::offer(memory, SIZE_DEFAULT).unwrap();
    (producer, Consumer::join(memory).unwrap())
}

/// What a lane reads of a record before it hands it on.
fn look(record: View<'_>) {
    let mut head = [0; 64];
    black_box(record.copy_to(0, &mut head));
}

/// A record pushed, published, received and released.
pub fn one() -> Box<dyn FnMut()> {
    let (mut producer, mut consumer) = pair();
    let bytes = [7; 64];
    Box::new(move || {
        producer.push(&[View::from(&bytes[..])]).unwrap();
        producer.publish();
        assert_eq!(consumer.receive(BATCH, look).unwrap(), 1);
        consumer.release();
    })
}

/// Many records, published and released together.
pub fn batch() -> Box<dyn FnMut()> {
    let (mut producer, mut consumer) = pair();
    let bytes = [7; 1500];
    Box::new(move || {
        for _ in 0..BATCH {
            producer.push(&[View::from(&bytes[..16]), View::from(&bytes[16..])]).unwrap();
        }
        producer.publish();
        assert_eq!(consumer.receive(BATCH, look).unwrap(), BATCH);
        consumer.release();
    })
}

/// As a lane does with what the interface wrote into the ring: nothing is copied but the head.
pub fn in_place() -> Box<dyn FnMut()> {
    let (mut producer, mut consumer) = pair();
    Box::new(move || {
        let mut slot = producer.reserve(LONG).unwrap();
        slot.write(0, View::from(&[7; 16][..]));
        producer.commit(LONG).unwrap();
        producer.publish();
        assert_eq!(consumer.receive(BATCH, look).unwrap(), 1);
        consumer.release();
    })
}
