//! Two threads at full speed: for the optimiser, the processor's own order, and sanitizers.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use fabric_ring::{
    Consumer, Producer, ReserveError, View,
    model::{Heap, pattern},
};
use std::thread;

#[test]
fn a_hundred_thousand_records_arrive_whole_and_in_order() {
    const COUNT: u64 = 100_000;
    const SIZE: usize = 4096;
    let length = |number: u64| (number * 7 % 300) as usize;
    let memory = Heap::new(SIZE);
    let mut producer = Producer::offer(memory.clone(), SIZE).unwrap();
    let mut consumer = Consumer::join(memory).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut number = 0;
            while number < COUNT {
                let bytes = pattern(number, length(number));
                match producer.push(&[View::from(&bytes[..])]) {
                    Ok(()) => number += 1,
                    Err(ReserveError::Full) => {
                        producer.publish();
                        thread::yield_now();
                    }
                    Err(error) => panic!("{error}"),
                }
                if number % 5 == 0 {
                    producer.publish();
                }
            }
            producer.publish();
        });
        let mut number = 0;
        while number < COUNT {
            let got = consumer.receive(16, |view| {
                let mut bytes = vec![0; view.len()];
                view.copy_to(0, &mut bytes);
                assert_eq!(bytes, pattern(number, length(number)));
                number += 1;
            });
            if got.unwrap() == 0 {
                thread::yield_now();
            }
            consumer.release();
        }
    });
}
