//! A peer that writes anything anywhere, at any time.

use super::{Bytes, Heap};
use crate::{Broken, Consumer, Producer, ReserveError, View, layout};

/// Offsets of the words that matter most.
const WORDS: [usize; 11] = [0, 8, 12, 16, 20, 24, 128, 256, 384, 512, layout::DATA_AT];

/// Runs a fuzzer's input: steps of both ends with lies between. Nothing may panic, loop or leave the memory; an end that
/// found the ring broken stays so; the next offer works again.
///
/// # Panics
/// When an end does not keep to that.
#[allow(clippy::unwrap_used, reason = "for tests")]
pub fn attack(input: &[u8]) {
    let mut bytes = Bytes(input);
    let size = layout::SIZE_LEAST << (bytes.byte() % 5);
    let memory = Heap::new(size);
    let mut producer = Producer::offer(memory.clone(), size).unwrap();
    let mut consumer = Consumer::join(memory.clone()).unwrap();
    let mut broken: Option<Broken> = None;
    while !bytes.is_empty() {
        match bytes.byte() % 8 {
            0 | 1 => {
                let at = WORDS.get(usize::from(bytes.byte()) % WORDS.len()).copied().unwrap_or(0);
                let near = memory.peek(at);
                let step = u32::from(bytes.byte()) * 8;
                let word = match bytes.byte() % 4 {
                    0 => near.wrapping_add(step),
                    1 => near.wrapping_sub(step),
                    2 => step / 8,
                    _ => bytes.word(),
                };
                memory.poke(at, &word.to_le_bytes());
            }
            2 => {
                let at = layout::DATA_AT + usize::from(bytes.half()) % size / 4 * 4;
                let word = bytes.word();
                memory.poke(at, &word.to_le_bytes());
            }
            3 => {
                let text = vec![1; usize::from(bytes.half()) % size];
                let _ = producer.push(&[View::from(&text[..])]);
            }
            4 => {
                let most = usize::from(bytes.half()) % size;
                if let Ok(mut slot) = producer.reserve(most) {
                    slot.write(0, View::from(&vec![2; most][..]));
                    let _ = producer.commit(usize::from(bytes.half()) % size);
                }
            }
            5 => {
                producer.publish();
                let _ = producer.consumer_sleeps();
                producer.sleep();
                producer.has_room(1);
            }
            6 => {
                let mut count = 0;
                let got = consumer.receive(usize::MAX, |view| {
                    count += 1;
                    let mut out = vec![0; view.len()];
                    assert_eq!(view.copy_to(0, &mut out), view.len());
                    assert!(view.len() <= size);
                });
                assert!(count <= size / layout::UNIT, "more records than fit");
                match (broken, got) {
                    (None, Err(why)) => broken = Some(why),
                    (Some(why), got) => assert_eq!(got, Err(why), "broken stays broken"),
                    (None, Ok(got)) => assert_eq!(got, count),
                }
            }
            _ => {
                consumer.release();
                let _ = consumer.producer_sleeps();
                consumer.sleep();
                consumer.has_more();
                broken = consumer.broken();
            }
        }
    }
    if let Err(why) = producer.check() {
        assert_eq!(producer.reserve(0).err(), Some(ReserveError::Broken(why)));
    }
    // Whatever stands there now, the next incarnation has a ring that works.
    let mut producer = Producer::offer(memory.clone(), size).unwrap();
    let mut consumer = Consumer::join(memory).unwrap();
    producer.push(&[View::from(&b"again"[..])]).unwrap();
    producer.publish();
    assert_eq!(consumer.receive(9, |view| assert_eq!(view.len(), 5)), Ok(1));
}
