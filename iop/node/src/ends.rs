//! The ends of the rings that a node shares with one peer.

use crate::board::BoardError;
use alloc::vec::Vec;
use fabric_ring::{Broken, Consumer, JoinError, Memory, Producer, ReserveError, View, barrier};

/// How a peer is woken.
pub trait Bell {
    /// Wakes it.
    fn ring(&mut self);
}

impl<F: FnMut()> Bell for F {
    fn ring(&mut self) {
        self();
    }
}

/// One ring to send on, one or more to read, and the peer's bell.
pub struct Ends<M, B> {
    producer: Producer<M>,
    consumers: Vec<Consumer<M>>,
    bell: B,
    /// Which ring is read first in the next round.
    first: usize,
    broken: bool,
    sent: u64,
    received: u64,
}

/// A ring hands out so much at once, so that the peer can fill the rest meanwhile.
const AT_ONCE: usize = 16;

impl<M: Memory, B: Bell> Ends<M, B> {
    /// Joins the rings that the peer offers and offers one of its own, as large as its memory allows.
    pub fn new(own: M, theirs: impl IntoIterator<Item = M>, bell: B) -> Result<Ends<M, B>, BoardError> {
        let data = own.len().saturating_sub(fabric_ring::layout::DATA_AT);
        let size = 1 << data.checked_ilog2().ok_or(BoardError::Rings)?;
        let consumers: Result<Vec<_>, JoinError> = theirs.into_iter().map(Consumer::join).collect();
        let consumers = consumers.map_err(|_| BoardError::Rings)?;
        let producer = Producer::offer(own, size).map_err(|_| BoardError::Rings)?;
        Ok(Ends::with(producer, consumers, bell))
    }

    pub(crate) fn with(producer: Producer<M>, consumers: Vec<Consumer<M>>, bell: B) -> Ends<M, B> {
        Ends { producer, consumers, bell, first: 0, broken: false, sent: 0, received: 0 }
    }

    /// The longest message that can be sent and received, in bytes.
    pub fn message_most(&self) -> usize {
        self.consumers.iter().map(Consumer::record_most).chain([self.producer.record_most()]).min().unwrap_or(0)
    }

    /// Messages sent and received.
    pub const fn counts(&self) -> (u64, u64) {
        (self.sent, self.received)
    }

    /// Whether a ring is of no use any more.
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether a message of so many bytes can be sent now.
    pub fn has_room(&mut self, bytes: usize) -> bool {
        !self.broken && self.producer.has_room(bytes)
    }

    /// Sends a message in pieces; whether there was room. The peer sees it after [`Ends::flush`].
    pub fn send(&mut self, parts: &[View<'_>]) -> bool {
        match self.producer.push(parts) {
            Ok(()) => {
                self.sent += 1;
                true
            }
            Err(ReserveError::Broken(_)) => {
                self.broken = true;
                false
            }
            Err(ReserveError::Full | ReserveError::TooLong(_) | ReserveError::NotReserved) => false,
        }
    }

    /// Shows what was sent to the peer, and wakes it if it sleeps.
    pub fn flush(&mut self) {
        if self.producer.publish() {
            barrier();
            if self.producer.consumer_sleeps() {
                self.bell.ring();
            }
        }
    }

    /// Takes messages, at most 16 of each ring, and gives their room back. Whether there were any.
    pub fn receive(&mut self, mut each: impl FnMut(Vec<u8>)) -> bool {
        let (mut any, count) = (false, self.consumers.len().max(1));
        self.first = (self.first + 1) % count;
        let (front, back) = self.consumers.split_at_mut(self.first.min(count - 1));
        for consumer in back.iter_mut().chain(front) {
            let got = consumer.receive(AT_ONCE, |record| {
                let mut bytes = alloc::vec![0; record.len()];
                record.copy_to(0, &mut bytes);
                each(bytes);
            });
            match got {
                Ok(0) => {}
                Ok(n) => {
                    any = true;
                    self.received += n as u64;
                    consumer.release();
                    barrier();
                    if consumer.producer_sleeps() {
                        self.bell.ring();
                    }
                }
                Err(Broken::Closed | Broken::Index | Broken::Record) => self.broken = true,
            }
        }
        any
    }

    /// Asks the peer to ring from now on; `false` when something is there already. `wants_room`: also when a full ring
    /// has room again.
    pub fn arm(&mut self, wants_room: bool) -> bool {
        self.consumers.iter_mut().for_each(Consumer::sleep);
        if wants_room {
            self.producer.sleep();
        }
        barrier();
        !self.consumers.iter_mut().any(|c| c.has_more())
    }

    /// The peer need not ring any more.
    pub fn disarm(&mut self) {
        self.consumers.iter_mut().for_each(Consumer::wake);
        self.producer.wake();
    }
}
