//! Keys of the channels, and memory for what is sealed and what was opened.

use super::route::Route;
use crate::{Amend, BATCH, Channel, Message, Origin, SendError};
use arrayvec::ArrayVec;
use fabric_seal::{HEAD, OVERHEAD, Opener, Sealer, TAG, index_of, is_of_gate, kind_of};
use std::{collections::HashMap, net::SocketAddr};

/// Datagrams sealed at once: a run.
pub(super) const CHUNK: usize = 64;
/// Bytes of a run.
const RUN: usize = 65_000;
/// Bytes sealed at once: one run, or one datagram of the greatest length.
const ROOM: usize = 66 << 10;
/// Moves of peers that wait to be told.
const MOVES: usize = 16;

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
    sealing: Vec<Option<Sealing>>,
    openers: Vec<Held>,
    places: HashMap<u32, usize>,
    /// The place that was used last.
    last: usize,
    room: Box<[u8]>,
    taken: Vec<Taken>,
    next: usize,
    moves: ArrayVec<(Channel, SocketAddr), MOVES>,
}

/// What seals for one channel.
#[derive(Default)]
struct Sealing {
    current: Option<(u32, Sealer)>,
    /// For when something was opened under this index.
    later: Option<(u32, Sealer)>,
}

struct Held {
    channel: Channel,
    opener: Opener,
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
            sealing: Vec::new(),
            openers: Vec::new(),
            places: HashMap::new(),
            last: 0,
            room: vec![0; ROOM].into_boxed_slice(),
            taken: Vec::with_capacity(2 * BATCH),
            next: 0,
            moves: ArrayVec::new(),
        }
    }

    pub(super) fn amend(&mut self, channel: Channel, amend: Amend) {
        let at = channel.0 as usize;
        if self.sealing.len() <= at {
            self.sealing.resize_with(at + 1, || None);
        }
        let Some(place) = self.sealing.get_mut(at) else { return };
        let sealing = place.get_or_insert_with(Sealing::default);
        match amend {
            Amend::Keys { index, sealer, opener, now } => {
                if now {
                    sealing.current = Some((index, sealer));
                } else {
                    sealing.later = Some((index, sealer));
                }
                if let Some(opener) = opener {
                    self.hold(Held { channel, opener });
                }
            }
            Amend::Switch { index } => sealing.switch(index),
            Amend::Forget { index } => {
                sealing.current.take_if(|(i, _)| *i == index);
                sealing.later.take_if(|(i, _)| *i == index);
                self.forget(|held| held.opener.index() == index);
            }
            Amend::Move { .. } => {}
        }
    }

    pub(super) fn detach(&mut self, channel: Channel) {
        if let Some(place) = self.sealing.get_mut(channel.0 as usize) {
            *place = None;
        }
        self.forget(|held| held.channel == channel);
        self.moves.retain(|(c, _)| *c != channel);
    }

    fn hold(&mut self, held: Held) {
        let index = held.opener.index();
        self.forget(|old| old.opener.index() == index);
        self.places.insert(index, self.openers.len());
        self.openers.push(held);
    }

    fn forget(&mut self, over: impl Fn(&Held) -> bool) {
        self.openers.retain(|held| !over(held));
        self.places = self.openers.iter().enumerate().map(|(at, held)| (held.opener.index(), at)).collect();
        self.last = 0;
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
        let sealing = self.sealing.get_mut(channel.0 as usize).and_then(Option::as_mut);
        let sealer = sealing.and_then(|s| s.current.as_mut()).map(|(_, sealer)| sealer);
        let first = messages.first().map_or(0, Message::len);
        if let Some(sealer) = sealer {
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

    pub(super) fn moved(&mut self) -> Option<(Channel, SocketAddr)> {
        self.moves.pop()
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
        routes: &mut [Option<Route>],
    ) -> (usize, u64) {
        let mut refused = 0;
        let Some(source) = source else { return (bytes.len(), 1) };
        while at < bytes.len() && self.has_room() {
            let len = segment.max(1).min(bytes.len() - at);
            let datagram = bytes.get_mut(at..at + len).unwrap_or_default();
            match self.open_one(datagram, source, routes) {
                Opened::Message(channel) => self.taken.push(Taken {
                    slot,
                    at: at + HEAD,
                    len: len - OVERHEAD,
                    origin: Origin::Channel(channel),
                }),
                Opened::Nothing => {}
                Opened::Stranger => self.taken.push(Taken { slot, at, len, origin: Origin::Stranger(source.into()) }),
                Opened::Refused => refused += 1,
            }
            at += len;
        }
        (at, refused)
    }

    #[inline]
    fn open_one(&mut self, datagram: &mut [u8], source: SocketAddr, routes: &mut [Option<Route>]) -> Opened {
        let place = index_of(datagram).and_then(|index| match self.openers.get(self.last) {
            Some(held) if held.opener.index() == index => Some(self.last),
            _ => self.places.get(&index).copied(),
        });
        let Some((at, held)) = place.and_then(|at| Some((at, self.openers.get_mut(at)?))) else {
            return if kind_of(datagram).is_some() { Opened::Stranger } else { Opened::Refused };
        };
        self.last = at;
        let of_gate = is_of_gate(datagram);
        if held.opener.open_in_place(datagram).is_err() {
            return Opened::Refused;
        }
        let (channel, index) = (held.channel, held.opener.index());
        let number = channel.0 as usize;
        if let Some(Some(sealing)) = self.sealing.get_mut(number)
            && sealing.later.is_some()
        {
            sealing.switch(index);
        }
        if let Some(Some(route)) = routes.get(number)
            && route.address != source
            && !self.moves.iter().any(|(c, _)| *c == channel)
        {
            let _ = self.moves.try_push((channel, source));
        }
        if of_gate { Opened::Nothing } else { Opened::Message(channel) }
    }
}

enum Opened {
    Message(Channel),
    Nothing,
    Stranger,
    Refused,
}

impl Sealing {
    fn switch(&mut self, index: u32) {
        if let Some(later) = self.later.take_if(|(i, _)| *i == index) {
            self.current = Some(later);
        }
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
        assert_eq!(sealed.open(0, &mut first, 0, len, Some(source), &mut []), (len, 0));
        assert_eq!(sealed.newest(0), Some(Origin::Stranger(source.into())));
        assert_eq!(sealed.open(1, &mut [7; 64], 0, 64, Some(source), &mut []), (64, 1));
        assert_eq!(sealed.newest(1), None, "the one before it lies in another slot");
    }
}
