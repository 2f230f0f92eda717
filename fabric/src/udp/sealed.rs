//! Keys of the channels, and memory for what is sealed and what was opened.

use super::route::Route;
use crate::{
    Address, Amend, BATCH, Channel, Message, Origin, SendError,
    sealed::{Keyring, Opened},
};
use arrayvec::ArrayVec;
use fabric_seal::{HEAD, OVERHEAD, TAG};
use std::net::SocketAddr;

/// Datagrams sealed at once: a run.
pub(super) const CHUNK: usize = 64;
/// Bytes of a run.
const RUN: usize = 65_000;
/// Bytes sealed at once: one run, or one datagram of the greatest length.
const ROOM: usize = 66 << 10;
/// What a datagram turned out to be.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) slot: usize,
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) origin: Origin,
}

/// All keys of one handle.
pub(super) struct Sealed {
    keys: Keyring,
    room: Box<[u8]>,
    taken: Vec<Taken>,
    next: usize,
}

/// Sealed datagrams of one length but the last, one behind the other.
pub(super) struct Run<'a> {
    bytes: &'a [u8],
    lens: ArrayVec<usize, CHUNK>,
    next: usize,
}

impl Run<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }
}

impl<'a> Iterator for Run<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let len = *self.lens.get(self.next)?;
        let (datagram, rest) = self.bytes.split_at_checked(len)?;
        (self.bytes, self.next) = (rest, self.next + 1);
        Some(datagram)
    }
}

impl Sealed {
    pub(super) fn new() -> Sealed {
        Sealed {
            keys: Keyring::default(),
            room: vec![0; ROOM].into_boxed_slice(),
            taken: Vec::with_capacity(2 * BATCH),
            next: 0,
        }
    }

    pub(super) fn amend(&mut self, channel: Channel, amend: Amend) {
        self.keys.amend(channel, amend);
    }

    pub(super) fn detach(&mut self, channel: Channel) {
        self.keys.detach(channel);
    }

    /// Seals the first messages: those that make one run, in one piece of memory. None when there are no keys; an error
    /// when the message behind them is too long.
    pub(super) fn seal(
        &mut self,
        channel: Channel,
        most: usize,
        messages: &[Message<'_>],
    ) -> (Run<'_>, Result<(), SendError>) {
        let mut lens = ArrayVec::new();
        let mut end = Ok(());
        let mut room = &mut *self.room;
        let mut used = 0;
        let first = messages.first().map_or(0, Message::len);
        if let Some(sealer) = self.keys.sealer(channel) {
            for message in messages.iter().take(CHUNK) {
                let len = message.len();
                if len > most {
                    end = Err(SendError::TooLong(most));
                    break;
                }
                let fits = len <= first && (used == 0 || used + len + OVERHEAD <= RUN);
                let Some((datagram, rest)) = room.split_at_mut_checked(len + OVERHEAD).filter(|_| fits) else { break };
                let mut at = HEAD;
                for part in message.parts {
                    at += part.copy_to(0, datagram.get_mut(at..).unwrap_or_default());
                }
                // Keys that are used up seal nothing: what would have been sent is lost.
                if at + TAG != datagram.len() || sealer.seal_in_place(datagram).is_err() {
                    break;
                }
                used += datagram.len();
                lens.push(len + OVERHEAD);
                room = rest;
                if len < first {
                    break;
                }
            }
        } else if first > most {
            end = Err(SendError::TooLong(most));
        }
        (Run { bytes: self.room.get(..used).unwrap_or_default(), lens, next: 0 }, end)
    }

    /// Whether all that was opened was handed out.
    pub(super) fn is_handed_out(&self) -> bool {
        self.next == self.taken.len()
    }

    pub(super) fn clear(&mut self) {
        self.taken.clear();
        self.next = 0;
    }

    /// Whether another datagram may be opened: no more than one batch is opened ahead.
    pub(super) fn has_room(&self) -> bool {
        self.taken.len() < BATCH
    }

    /// Who sent what was taken last, when it lies in this slot.
    pub(super) fn newest(&self, slot: usize) -> Option<Origin> {
        self.taken.last().filter(|taken| taken.slot == slot).map(|taken| taken.origin)
    }

    /// The next that was opened.
    pub(super) fn next(&mut self) -> Option<Taken> {
        let taken = self.taken.get(self.next)?;
        self.next += 1;
        Some(*taken)
    }

    pub(super) fn moved(&mut self) -> Option<(Channel, Address)> {
        self.keys.moved()
    }

    /// Opens the datagrams of a slot from byte `at` on, as far as there is room; where it stopped, and how many were
    /// refused.
    pub(super) fn open(
        &mut self,
        slot: usize,
        bytes: &mut [u8],
        mut at: usize,
        segment: usize,
        source: Option<SocketAddr>,
        routes: &[Option<Route>],
    ) -> (usize, u64) {
        let mut refused = 0;
        let Some(source) = source else { return (bytes.len(), 1) };
        while at < bytes.len() && self.has_room() {
            let len = segment.max(1).min(bytes.len() - at);
            let datagram = bytes.get_mut(at..at + len).unwrap_or_default();
            let is_there = |channel: Channel| {
                routes.get(channel.0 as usize).is_none_or(|route| route.as_ref().is_none_or(|r| r.address == source))
            };
            match self.keys.open(datagram, is_there, || source.into()) {
                Opened::Message(channel) => self.taken.push(Taken {
                    slot,
                    at: at + HEAD,
                    len: len - OVERHEAD,
                    origin: Origin::Channel(channel),
                }),
                Opened::Nothing => {}
                Opened::Stranger => self.taken.push(Taken { slot, at, len, origin: Origin::Stranger(source.into()) }),
                // In clear text nothing passes.
                Opened::Refused | Opened::Plain => refused += 1,
            }
            at += len;
        }
        (at, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_seal::{Address, Gate, GateConfig, Identity, Secret};
    use std::time::Duration;

    fn gate(n: u8) -> Gate {
        Gate::new(Identity::from_secret(Secret::new([n; 32])).unwrap(), GateConfig::default()).unwrap()
    }

    #[test]
    fn what_was_refused_is_not_the_newest() {
        let mut sealed = Sealed::new();
        let source: SocketAddr = "192.0.2.7:7400".parse().unwrap();
        let (mut caller, called) = (gate(1), gate(2));
        caller.open(Duration::from_secs(1), called.public(), Address::from([9; 6])).unwrap();
        let mut first = caller.poll_transmit().unwrap().bytes;
        let len = first.len();
        assert_eq!(sealed.open(0, &mut first, 0, len, Some(source), &[]), (len, 0));
        assert_eq!(sealed.newest(0), Some(Origin::Stranger(source.into())));
        assert_eq!(sealed.open(1, &mut [7; 64], 0, 64, Some(source), &[]), (64, 1));
        assert_eq!(sealed.newest(1), None, "the one before it lies in another slot");
    }
}
