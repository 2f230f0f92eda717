//! The keys of a handle's channels.

use crate::{Address, Amend, Channel};
use arrayvec::ArrayVec;
use fabric_seal::{Opener, Sealer, index_of, is_of_gate, kind_of};
use std::collections::HashMap;

/// Moves of peers that wait to be told.
const MOVES: usize = 16;

/// All keys of one handle.
#[derive(Default)]
pub(crate) struct Keyring {
    sealing: Vec<Option<Sealing>>,
    openers: Vec<Held>,
    places: HashMap<u32, usize>,
    /// The place that was used last.
    last: usize,
    moves: ArrayVec<(Channel, Address), MOVES>,
}

/// What seals for one channel.
#[derive(Default)]
struct Sealing {
    current: Option<(u32, Sealer)>,
    /// For when something was opened under this index.
    later: Option<(u32, Sealer)>,
}

impl Sealing {
    fn switch(&mut self, index: u32) {
        if let Some(later) = self.later.take_if(|(i, _)| *i == index) {
            self.current = Some(later);
        }
    }
}

struct Held {
    channel: Channel,
    opener: Opener,
}

/// What a datagram turned out to be.
pub(crate) enum Opened {
    /// A message of this channel's peer; it lies behind the head.
    Message(Channel),
    /// Genuine, without a message.
    Nothing,
    /// Part of a handshake, or for keys that are not here.
    Stranger,
    /// Nothing sealed.
    Plain,
    /// Forged, altered or repeated.
    Refused,
}

impl Keyring {
    pub(crate) fn amend(&mut self, channel: Channel, amend: Amend) {
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

    pub(crate) fn detach(&mut self, channel: Channel) {
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

    /// What seals for a channel now.
    pub(crate) fn sealer(&mut self, channel: Channel) -> Option<&mut Sealer> {
        let sealing = self.sealing.get_mut(channel.0 as usize)?.as_mut()?;
        sealing.current.as_mut().map(|(_, sealer)| sealer)
    }

    /// A peer that proved to be somewhere else; each move is told once.
    pub(crate) fn moved(&mut self) -> Option<(Channel, Address)> {
        self.moves.pop()
    }

    /// Opens a datagram in place. `is_there` tells whether a channel's peer is where this came from, and `from` where that is.
    #[inline]
    pub(crate) fn open(
        &mut self,
        datagram: &mut [u8],
        is_there: impl FnOnce(Channel) -> bool,
        from: impl FnOnce() -> Address,
    ) -> Opened {
        let place = index_of(datagram).and_then(|index| match self.openers.get(self.last) {
            Some(held) if held.opener.index() == index => Some(self.last),
            _ => self.places.get(&index).copied(),
        });
        let Some((at, held)) = place.and_then(|at| Some((at, self.openers.get_mut(at)?))) else {
            return if kind_of(datagram).is_some() { Opened::Stranger } else { Opened::Plain };
        };
        self.last = at;
        let of_gate = is_of_gate(datagram);
        if held.opener.open_in_place(datagram).is_err() {
            return Opened::Refused;
        }
        let (channel, index) = (held.channel, held.opener.index());
        if let Some(Some(sealing)) = self.sealing.get_mut(channel.0 as usize)
            && sealing.later.is_some()
        {
            sealing.switch(index);
        }
        if !is_there(channel) && !self.moves.iter().any(|(c, _)| *c == channel) {
            let _ = self.moves.try_push((channel, from()));
        }
        if of_gate { Opened::Nothing } else { Opened::Message(channel) }
    }
}
