//! The ends of what a node shares with one peer: rings, or a line.

use crate::{
    board::BoardError,
    line::{self, Bytes},
};
use alloc::{boxed::Box, vec::Vec};
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

/// What carries messages to and from one peer in another way than rings.
pub(crate) trait Carry {
    /// The longest message in bytes.
    fn message_most(&self) -> usize;
    /// Whether a message of so many bytes can be sent now.
    fn has_room(&mut self, bytes: usize) -> bool;
    /// Sends a message in pieces; whether there was room.
    fn send(&mut self, parts: &[View<'_>]) -> bool;
    /// Gives on what was sent, as far as it goes.
    fn flush(&mut self);
    /// Takes messages; whether anything came.
    fn receive(&mut self, each: &mut dyn FnMut(Vec<u8>)) -> bool;
    /// Whether nothing waits to be given on.
    fn is_quiet(&mut self) -> bool;
}

/// The ends of what is shared with one peer: rings and its bell, or a line.
pub struct Ends<M, B> {
    way: Way<M, B>,
    broken: bool,
    sent: u64,
    received: u64,
}

enum Way<M, B> {
    Rings(Rings<M, B>),
    Line(Box<dyn Carry>),
}

/// One ring to send on, one or more to read, and the peer's bell.
struct Rings<M, B> {
    producer: Producer<M>,
    consumers: Vec<Consumer<M>>,
    bell: B,
    /// Which ring is read first in the next round.
    first: usize,
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

    /// The end of a serial line, for messages of at most so many bytes. Nobody rings for it: it is to be looked at.
    pub fn line(device: impl Bytes + 'static, message: usize) -> Ends<M, B> {
        Ends { way: Way::Line(line::boxed(device, message)), broken: false, sent: 0, received: 0 }
    }

    pub(crate) fn with(producer: Producer<M>, consumers: Vec<Consumer<M>>, bell: B) -> Ends<M, B> {
        let rings = Rings { producer, consumers, bell, first: 0 };
        Ends { way: Way::Rings(rings), broken: false, sent: 0, received: 0 }
    }

    /// The kind of carrier, as a node names it.
    pub const fn kind(&self) -> &'static str {
        match self.way {
            Way::Rings(_) => "shm",
            Way::Line(_) => "serial",
        }
    }

    /// The longest message that can be sent and received, in bytes.
    pub fn message_most(&self) -> usize {
        match &self.way {
            Way::Rings(rings) => {
                let theirs = rings.consumers.iter().map(Consumer::record_most);
                theirs.chain([rings.producer.record_most()]).min().unwrap_or(0)
            }
            Way::Line(line) => line.message_most(),
        }
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
        !self.broken
            && match &mut self.way {
                Way::Rings(rings) => rings.producer.has_room(bytes),
                Way::Line(line) => line.has_room(bytes),
            }
    }

    /// Sends a message in pieces; whether there was room. The peer sees it after [`Ends::flush`].
    pub fn send(&mut self, parts: &[View<'_>]) -> bool {
        let sent = match &mut self.way {
            Way::Rings(rings) => match rings.producer.push(parts) {
                Ok(()) => true,
                Err(ReserveError::Broken(_)) => {
                    self.broken = true;
                    false
                }
                Err(ReserveError::Full | ReserveError::TooLong(_) | ReserveError::NotReserved) => false,
            },
            Way::Line(line) => line.send(parts),
        };
        self.sent += u64::from(sent);
        sent
    }

    /// Shows what was sent to the peer, and wakes it if it sleeps.
    pub fn flush(&mut self) {
        match &mut self.way {
            Way::Rings(rings) => {
                if rings.producer.publish() {
                    barrier();
                    if rings.producer.consumer_sleeps() {
                        rings.bell.ring();
                    }
                }
            }
            Way::Line(line) => line.flush(),
        }
    }

    /// Takes messages, at most 16 of each ring, and gives their room back. Whether there were any.
    pub fn receive(&mut self, mut each: impl FnMut(Vec<u8>)) -> bool {
        let mut received = 0;
        let any = match &mut self.way {
            Way::Rings(rings) => match rings.receive(&mut each) {
                Ok(count) => {
                    received = count;
                    count > 0
                }
                Err(()) => {
                    self.broken = true;
                    false
                }
            },
            Way::Line(line) => line.receive(&mut |message| {
                received += 1;
                each(message);
            }),
        };
        self.received += received;
        any
    }

    /// Asks the peer to ring from now on; `false` when something is there already. `wants_room`: also when a full ring
    /// has room again.
    pub fn arm(&mut self, wants_room: bool) -> bool {
        match &mut self.way {
            Way::Rings(rings) => rings.arm(wants_room),
            Way::Line(line) => line.is_quiet(),
        }
    }

    /// The peer need not ring any more.
    pub fn disarm(&mut self) {
        if let Way::Rings(rings) = &mut self.way {
            rings.consumers.iter_mut().for_each(Consumer::wake);
            rings.producer.wake();
        }
    }
}

impl<M: Memory, B: Bell> Rings<M, B> {
    /// How many messages came; an error when a ring is broken.
    fn receive(&mut self, mut each: impl FnMut(Vec<u8>)) -> Result<u64, ()> {
        let (mut received, mut broken, count) = (0, false, self.consumers.len().max(1));
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
                    received += n as u64;
                    consumer.release();
                    barrier();
                    if consumer.producer_sleeps() {
                        self.bell.ring();
                    }
                }
                Err(Broken::Closed | Broken::Index | Broken::Record) => broken = true,
            }
        }
        if broken { Err(()) } else { Ok(received) }
    }

    fn arm(&mut self, wants_room: bool) -> bool {
        self.consumers.iter_mut().for_each(Consumer::sleep);
        if wants_room {
            self.producer.sleep();
        }
        barrier();
        !self.consumers.iter_mut().any(|c| c.has_more())
    }
}
