//! A message on its way out, and the head of each part of it.

use super::{lane, number};
use crate::{
    Incarnation, NodeId, Payload, PortId,
    limits::MESSAGE_COST,
    wire::{Again, Extension, Flags, Header, Kind, Opt, Options, Priority, Sequence, SubHeader},
};
use alloc::vec::Vec;
use core::ops::Range;

/// A message for one port of one node.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) kind: Kind,
    pub(crate) priority: Priority,
    /// [`Flags::RECEIPT`] and [`Flags::RESPONSE`], as wanted.
    pub(crate) wants: Flags,
    pub(crate) from: PortId,
    pub(crate) to: PortId,
    pub(crate) transaction: u64,
    pub(crate) slot: u16,
    pub(crate) sub: SubHeader,
    pub(crate) again: Option<Again>,
    pub(crate) payload: Payload,
}

/// Whose stream it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) me: NodeId,
    pub(crate) peer: NodeId,
    pub(crate) life: Incarnation,
    pub(crate) peer_life: Incarnation,
    pub(crate) epoch: u32,
    pub(crate) floor: u32,
}

impl Outgoing {
    /// What it counts in a queue, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.payload.len() + MESSAGE_COST
    }

    /// How many numbers of its lane it takes.
    pub(crate) fn size(&self) -> u64 {
        self.payload.len().max(1) as u64
    }

    pub(crate) fn lane(&self) -> usize {
        lane(self.kind, self.priority)
    }

    /// The head of the part that carries `range` of the payload. With a position of the whole message in its lane it is
    /// part of a stream, without one it is a datagram.
    pub(crate) fn head(&self, ends: &Ends, start: Option<u64>, range: Range<usize>) -> Vec<u8> {
        let (first, last) = (range.start == 0, range.end >= self.payload.len());
        let mut flags = self.wants.with_priority(self.priority).with_hops(Flags::MAX_HOPS);
        let sub = first && self.sub != SubHeader::default();
        let again = self.again.filter(|_| first);
        for (set, flag) in [
            (sub, Flags::SUBHEADER),
            (again.is_some(), Flags::OPTIONS),
            (start.is_some(), Flags::SEQUENCED),
            (first && !last, Flags::FIRST),
            (!last, Flags::MORE),
        ] {
            flags = if set { flags.with(flag) } else { flags };
        }
        let mut out = Vec::with_capacity(Header::MAX_LEN);
        let sequence = if start.is_some() { Sequence::LEN } else { 0 };
        out.resize(Sequence::at(flags) + sequence, 0);
        if let Some(again) = again {
            Options::emit(&mut out, Opt { code: Again::CODE, value: &again.to_bytes() });
            out.resize(out.len().next_multiple_of(8), 0);
        }
        let header = Header {
            len: out.len() as u8,
            kind: self.kind,
            flags,
            source: ends.me.get(),
            destination: ends.peer.get(),
            port: self.to.to_wire(),
        };
        let extension = Extension {
            source_port: self.from.to_wire(),
            incarnation: ends.life.get() as u16,
            slot: self.slot,
            transaction: self.transaction,
        };
        // The buffer has exactly the length that these need.
        let mut told = header.emit(&mut out).and(extension.emit(&mut out));
        if sub {
            told = told.and(self.sub.emit(&mut out));
        }
        if let Some(start) = start {
            let sequence = Sequence {
                source: ends.life,
                destination: ends.peer_life,
                epoch: ends.epoch,
                floor: ends.floor,
                number: number(start + range.start as u64),
                offset: range.start as u32,
            };
            told = told.and(sequence.emit(flags, &mut out));
        }
        debug_assert!(told.is_ok(), "a head that does not fit its own length");
        out
    }

    /// The length of the head of the part that begins at `offset`.
    pub(crate) fn head_len(&self, offset: usize) -> usize {
        let sub = if offset == 0 && self.sub != SubHeader::default() { SubHeader::LEN } else { 0 };
        let again = if offset == 0 && self.again.is_some() { 16 } else { 0 };
        Header::LEN + Extension::LEN + Sequence::LEN + sub + again
    }
}
