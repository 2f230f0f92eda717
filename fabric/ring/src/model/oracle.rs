//! A ring beside a model of it. The model is a list of records and three counters; it says beforehand what the ring must
//! answer, to the byte, also whether it is full.

use super::{Bytes, Heap, pattern};
use crate::{Consumer, Producer, ReserveError, View, barrier, layout};
use std::collections::VecDeque;

/// What one end does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Copy a record of this length in, in pieces of the second length.
    Push(usize, usize),
    /// Reserve the first, commit the second.
    Make(usize, usize),
    /// Reserve and think better of it.
    Forget(usize),
    /// Show what was committed.
    Publish,
    /// Read at most so many records.
    Receive(usize),
    /// Give back what was read.
    Release,
    /// The consumer asks to be rung.
    ConsumerSleeps,
    /// The producer asks to be rung.
    ProducerSleeps,
}

impl Op {
    /// The next step in a fuzzer's input.
    pub(crate) fn from_bytes(bytes: &mut Bytes<'_>, most: usize) -> Op {
        let mut len = || usize::from(bytes.half()) % (most + 2);
        match len() % 8 {
            0 => Op::Push(len(), len()),
            1 => Op::Make(len(), len()),
            2 => Op::Forget(len()),
            3 => Op::Publish,
            4 => Op::Receive(len() % 5),
            5 => Op::Release,
            6 => Op::ConsumerSleeps,
            _ => Op::ProducerSleeps,
        }
    }
}

/// A ring and its model.
pub struct Model {
    size: u64,
    producer: Producer<Heap>,
    consumer: Consumer<Heap>,
    /// Records the consumer has not read: number, length, and where each ends.
    records: VecDeque<(u64, usize, u64)>,
    made: u64,
    /// Counters in bytes, from the start of the ring's life.
    end: u64,
    published: u64,
    next: u64,
    released: u64,
    consumer_sleeps: bool,
    producer_sleeps: bool,
}

impl Model {
    /// A new ring with a data area of `size` bytes.
    ///
    /// # Panics
    /// When the ring does not come up, as all that follow do when it answers wrong.
    #[allow(clippy::unwrap_used, reason = "for tests")]
    pub fn new(size: usize) -> Model {
        let memory = Heap::new(size);
        let producer = Producer::offer(memory.clone(), size).unwrap();
        let consumer = Consumer::join(memory).unwrap();
        Model {
            size: size as u64,
            producer,
            consumer,
            records: VecDeque::new(),
            made: 0,
            end: 0,
            published: 0,
            next: 0,
            released: 0,
            consumer_sleeps: false,
            producer_sleeps: false,
        }
    }

    /// Does one step on both and compares.
    pub fn apply(&mut self, op: Op) {
        match op {
            Op::Push(len, piece) => {
                let bytes = pattern(self.made, len);
                let parts: Vec<View<'_>> = bytes.chunks(piece.max(1)).map(View::from).collect();
                let wanted = self.place(len);
                assert_eq!(self.producer.push(&parts), wanted.map(|_| ()), "{op:?}");
                if let Ok(at) = wanted {
                    self.take(at, len);
                }
            }
            Op::Make(most, used) => {
                let wanted = self.place(most);
                let got = self.producer.reserve(most).map(|mut slot| {
                    assert_eq!(slot.len(), most);
                    slot.write(0, View::from(&pattern(self.made, used.min(most))[..]));
                });
                assert_eq!(got, wanted.map(|_| ()), "{op:?}");
                let Ok(at) = wanted else { return };
                let done = self.producer.commit(used);
                if used > most {
                    assert_eq!(done, Err(ReserveError::NotReserved));
                } else {
                    assert_eq!(done, Ok(()));
                    self.take(at, used);
                }
            }
            Op::Forget(most) => {
                let wanted = self.place(most);
                assert_eq!(self.producer.reserve(most).map(|_| ()), wanted.map(|_| ()), "{op:?}");
            }
            Op::Publish => {
                assert_eq!(self.producer.unpublished() as u64, self.end - self.published);
                assert_eq!(self.producer.publish(), self.end != self.published);
                self.published = self.end;
                barrier();
                assert_eq!(self.producer.consumer_sleeps(), std::mem::take(&mut self.consumer_sleeps));
            }
            Op::Receive(most) => self.receive(most),
            Op::Release => {
                assert_eq!(self.consumer.outstanding() as u64, self.next - self.released);
                assert_eq!(self.consumer.release(), self.next != self.released);
                self.released = self.next;
                barrier();
                assert_eq!(self.consumer.producer_sleeps(), std::mem::take(&mut self.producer_sleeps));
            }
            Op::ConsumerSleeps => {
                self.consumer.sleep();
                barrier();
                assert_eq!(self.consumer.has_more(), self.ready() > 0);
                self.consumer_sleeps = true;
            }
            Op::ProducerSleeps => {
                let most = layout::record_most(self.size as usize);
                self.producer.sleep();
                barrier();
                assert_eq!(self.producer.has_room(most), self.place(most).is_ok());
                self.producer_sleeps = true;
            }
        }
    }

    /// Records published and not read.
    fn ready(&self) -> usize {
        self.records.iter().take_while(|(_, _, end)| *end <= self.published).count()
    }

    /// Where a record that may have `most` bytes starts, or what the ring must say.
    fn place(&self, most: usize) -> Result<u64, ReserveError> {
        let limit = layout::record_most(self.size as usize);
        if most > limit {
            return Err(ReserveError::TooLong(limit));
        }
        let left = self.size - self.end % self.size;
        let start = if span(most) > left { self.end + left } else { self.end };
        if start + span(most) - self.released > self.size { Err(ReserveError::Full) } else { Ok(start) }
    }

    fn take(&mut self, start: u64, len: usize) {
        self.end = start + span(len);
        self.records.push_back((self.made, len, self.end));
        self.made += 1;
    }

    fn receive(&mut self, most: usize) {
        let wanted = self.ready().min(most);
        let records = &self.records;
        let mut read = 0;
        let got = self.consumer.receive(most, |view| {
            let expected = records.get(read).map(|(number, len, _)| pattern(*number, *len));
            let mut bytes = vec![0; view.len()];
            view.copy_to(0, &mut bytes);
            assert_eq!(Some(bytes), expected);
            read += 1;
        });
        assert_eq!(got, Ok(wanted));
        for (_, _, end) in self.records.drain(..wanted) {
            self.next = end;
        }
    }
}

fn span(len: usize) -> u64 {
    ((layout::RECORD_HEADER + len) as u64).div_ceil(layout::UNIT as u64) * layout::UNIT as u64
}

/// Runs a fuzzer's input: the size of the ring, then steps.
pub fn run(input: &[u8]) {
    let mut bytes = Bytes(input);
    let size = layout::SIZE_LEAST << (bytes.byte() % 6);
    let mut model = Model::new(size);
    while !bytes.is_empty() {
        model.apply(Op::from_bytes(&mut bytes, layout::record_most(size)));
    }
}
