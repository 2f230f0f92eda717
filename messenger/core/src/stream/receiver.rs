//! The receiving end of a stream.

use super::{LANES, lane, number, position};
use crate::{
    Payload, PortId,
    limits::{HELD, RANGES, WINDOW},
    wire::{Again, Extension, Flags, Header, Kind, LaneAck, Options, SubHeader, WireError},
};
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

/// What the head of a message says to its receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    pub(crate) kind: Kind,
    pub(crate) flags: Flags,
    pub(crate) from: PortId,
    pub(crate) to: PortId,
    pub(crate) transaction: u64,
    pub(crate) slot: u16,
    pub(crate) sub: SubHeader,
    pub(crate) again: Option<Again>,
}

impl Meta {
    pub(crate) fn parse(header: &Header, message: &[u8]) -> Result<Meta, WireError> {
        let extension = Extension::parse(message)?;
        let sub = if header.flags.has(Flags::SUBHEADER) { SubHeader::parse(message)? } else { SubHeader::default() };
        let mut again = None;
        for option in Options::parse(header, message)? {
            let option = option?;
            if option.code == Again::CODE {
                again = Some(Again::parse(option.value)?);
            }
        }
        Ok(Meta {
            kind: header.kind,
            flags: header.flags,
            from: PortId::from_wire(extension.source_port),
            to: PortId::from_wire(header.port),
            transaction: extension.transaction,
            slot: extension.slot,
            sub,
            again,
        })
    }
}

/// A whole message.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) meta: Meta,
    pub(crate) payload: Payload,
    /// It had more bytes than are taken; they were not kept.
    pub(crate) too_large: bool,
}

/// A part that came before its turn.
#[derive(Clone, Debug)]
struct Held {
    meta: Meta,
    offset: u64,
    bytes: Vec<u8>,
}

impl Held {
    fn end(&self, start: u64) -> u64 {
        start + self.bytes.len().max(1) as u64
    }
}

/// The beginning of a message.
#[derive(Clone, Debug)]
struct Partial {
    meta: Meta,
    chunks: Vec<Vec<u8>>,
    len: u64,
}

#[derive(Clone, Debug, Default)]
struct Lane {
    /// The first position that is missing.
    next: u64,
    held: BTreeMap<u64, Held>,
    /// Bytes in `held`; parts that overlap count twice.
    held_bytes: u64,
    partial: Option<Partial>,
    touched: bool,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was new.
    New,
    /// It was there already.
    Old,
    /// It is not possible, or too far ahead.
    Bad,
}

/// A chunk that grows is made this large.
const CHUNK: usize = 16 << 10;
/// A held part smaller than this is copied to the chunk before it, so that small parts do not cost a chunk each.
const SMALL: usize = 64;

/// The receiving end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receiver {
    lanes: [Lane; LANES],
}

impl Receiver {
    /// Takes a part with the number of its first byte; whole messages go to `out`, in order.
    pub(crate) fn receive(
        &mut self,
        meta: Meta,
        first: u32,
        offset: u32,
        bytes: &[u8],
        most: usize,
        out: &mut VecDeque<Arrived>,
    ) -> Taken {
        let Some(lane) = self.lanes.get_mut(lane(meta.kind, meta.flags.priority())) else { return Taken::Bad };
        let offset = u64::from(offset);
        // Only a whole message may be empty.
        if bytes.is_empty() && (offset > 0 || meta.flags.has(Flags::MORE)) {
            return Taken::Bad;
        }
        lane.touched = true;
        let Some(start) = position(lane.next, first) else { return Taken::Old };
        let end = start + bytes.len().max(1) as u64;
        if end <= lane.next {
            return Taken::Old;
        }
        if start > lane.next {
            return lane.hold(start, Held { meta, offset, bytes: bytes.to_vec() });
        }
        let skip = lane.next - start;
        let fresh = bytes.get(skip as usize..).unwrap_or(&[]);
        let fits = lane.append(meta, offset + skip, fresh, None, most, out);
        lane.next = end;
        lane.drain(most, out);
        if fits { Taken::New } else { Taken::Bad }
    }

    /// What is there, of lanes that got anything.
    pub(crate) fn acks(&self) -> Vec<LaneAck> {
        let touched = self.lanes.iter().enumerate().filter(|(_, l)| l.touched);
        touched
            .map(|(lane, l)| {
                let mut ranges: Vec<(u64, u64)> = Vec::new();
                for (&start, held) in &l.held {
                    let full = ranges.len() >= RANGES;
                    match ranges.last_mut() {
                        Some(last) if start <= last.1 => last.1 = last.1.max(held.end(start)),
                        _ if full => break,
                        _ => ranges.push((start, held.end(start))),
                    }
                }
                let ranges = ranges.into_iter().map(|(a, b)| (number(a), number(b))).collect();
                LaneAck { lane: lane as u8, next: number(l.next), ranges }
            })
            .collect()
    }

    /// Bytes that wait for what is missing before them.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.lanes.iter().flat_map(|l| l.held.values()).map(|h| h.bytes.len()).sum()
    }
}

impl Lane {
    fn hold(&mut self, start: u64, held: Held) -> Taken {
        let too_far = held.end(start) > self.next + 2 * WINDOW;
        if too_far || self.held.len() >= 2 * HELD || self.held_bytes + held.bytes.len() as u64 > 2 * WINDOW {
            return Taken::Bad;
        }
        match self.held.get(&start) {
            Some(old) if old.bytes.len() >= held.bytes.len() => Taken::Old,
            _ => {
                self.held_bytes += held.bytes.len() as u64;
                if let Some(shorter) = self.held.insert(start, held) {
                    self.held_bytes -= shorter.bytes.len() as u64;
                }
                Taken::New
            }
        }
    }

    /// Takes up what was held and has its turn now.
    fn drain(&mut self, most: usize, out: &mut VecDeque<Arrived>) {
        while let Some(entry) = self.held.first_entry().filter(|e| *e.key() <= self.next) {
            let (start, held) = entry.remove_entry();
            let end = held.end(start);
            self.held_bytes -= held.bytes.len() as u64;
            if end <= self.next {
                continue;
            }
            let skip = self.next - start;
            if skip == 0 {
                self.append(held.meta, held.offset, &[], Some(held.bytes), most, out);
            } else {
                let fresh = held.bytes.get(skip as usize..).unwrap_or(&[]);
                self.append(held.meta, held.offset + skip, fresh, None, most, out);
            }
            self.next = end;
        }
    }

    /// Adds bytes (borrowed from the carrier, or owned by now) to the message they belong to. False when they belong to none.
    fn append(
        &mut self,
        meta: Meta,
        offset: u64,
        bytes: &[u8],
        owned: Option<Vec<u8>>,
        most: usize,
        out: &mut VecDeque<Arrived>,
    ) -> bool {
        let more = meta.flags.has(Flags::MORE);
        if offset == 0 {
            self.partial = Some(Partial { meta, chunks: Vec::new(), len: 0 });
        }
        let Some(partial) = self.partial.as_mut().filter(|p| p.len == offset) else {
            self.partial = None;
            return false;
        };
        let new = owned.as_ref().map_or(bytes.len(), Vec::len);
        partial.len += new as u64;
        if partial.len > most as u64 {
            partial.chunks = Vec::new();
        } else {
            match owned {
                Some(owned) if owned.len() >= SMALL || !more => partial.chunks.push(owned),
                Some(owned) => partial.add(&owned, more),
                None => partial.add(bytes, more),
            }
        }
        if !more && let Some(whole) = self.partial.take() {
            out.push_back(Arrived {
                meta: whole.meta,
                payload: Payload::gather(whole.chunks.into_iter().map(Payload::from)),
                too_large: whole.len > most as u64,
            });
        }
        true
    }
}

impl Partial {
    /// Copies bytes behind what is there. A chunk never moves: what is copied is copied once.
    fn add(&mut self, bytes: &[u8], more: bool) {
        if let Some(last) = self.chunks.last_mut().filter(|c| c.capacity() - c.len() >= bytes.len()) {
            return last.extend_from_slice(bytes);
        }
        let whole = self.chunks.is_empty() && !more;
        let mut chunk = Vec::with_capacity(if whole { bytes.len() } else { bytes.len().max(CHUNK) });
        chunk.extend_from_slice(bytes);
        self.chunks.push(chunk);
    }
}
