//! Merges the parts of a run back into one super-frame.

use crate::{
    Ethernet, Frame, Gso, HEAD_MAX, Offloads, VirtioNet,
    checksum::{fold, sum},
    cut::put16,
    ethernet::be16,
    expected::Expected,
    layers::Layers,
};
use core::ops::Range;
use messenger_core::wire::Flags;

/// How many parts one super-frame is merged from at most: with its head they fit one gathering write.
pub const RUN_MAX: usize = 120;

/// Some bytes of one received frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// The caller's number for the received message.
    pub token: usize,
    /// Where the bytes start in its frame (virtio-net header counted).
    pub start: usize,
    /// Where they end.
    pub end: usize,
}

impl Piece {
    /// The bytes.
    pub const fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// What became of a frame shown to [`Merger::push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// It cannot be merged with anything: deliver it as it is. Nothing is held.
    Alone,
    /// It is held; more may follow.
    Held,
    /// It is held and is the last of its run: take the run now.
    Complete,
    /// It does not continue what is held, and was not looked at further: take that, then push it again.
    Refused,
}

/// A super-frame (or, of one piece, an ordinary frame): the bytes of `head`, then those of each piece.
#[derive(Clone, Copy, Debug)]
pub struct Merged<'a> {
    /// Virtio-net header and all headers.
    pub head: &'a [u8],
    /// The payload, in order; at least one piece.
    pub pieces: &'a [Piece],
}

impl Merged<'_> {
    /// Length of the whole in bytes, virtio-net header counted.
    pub fn len(&self) -> usize {
        self.head.len() + self.pieces.iter().map(|p| p.end - p.start).sum::<usize>()
    }

    /// Never.
    pub const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// Holds the run at hand.
///
/// Flags only say where to try. Parts are merged when their headers are those of one flow that differ in nothing but
/// what cutting changes, their TCP sequence numbers follow each other without a gap, all but the last are of one size,
/// and each says that its checksum is partial (and holds the right pseudo-header sum). So a lost part costs one segment,
/// and a forged flag nothing.
#[derive(Clone, Debug)]
pub struct Merger {
    head: [u8; HEAD_MAX],
    head_len: usize,
    offloads: Offloads,
    layers: Layers,
    pieces: [Piece; RUN_MAX],
    count: usize,
    /// Payload of each part but the last, and of each segment in them.
    size: usize,
    unit: usize,
    payload: usize,
    last_flags: u8,
    expected: Expected,
}

const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;
/// SYN, RST, URG: never merged.
const ODD: u8 = 0x26;
const PACKET_MAX: usize = 65_535;

impl Merger {
    /// For an interface that takes all offloads. Holds nothing.
    pub fn new() -> Merger {
        Merger::with(Offloads::ALL)
    }

    /// For an interface that takes these: only super-frames that it takes are made. Holds nothing.
    pub fn with(offloads: Offloads) -> Merger {
        Merger {
            offloads,
            head: [0; HEAD_MAX],
            head_len: 0,
            layers: Layers { l3: 0, l4: 0, data: 0, v6: false, tcp: false },
            pieces: [Piece::default(); RUN_MAX],
            count: 0,
            size: 0,
            unit: 1,
            payload: 0,
            last_flags: 0,
            expected: Expected::NOTHING,
        }
    }

    /// Whether a run is held.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Shows a received frame (what stands behind the header), with the flags of its header. Messages of one link, in
    /// order; what is held must be taken before their memory is released.
    pub fn push(&mut self, token: usize, flags: Flags, frame: Frame<'_>) -> Merge {
        let otherwise = if self.is_empty() { Merge::Alone } else { Merge::Refused };
        if self.is_empty() && !flags.has(Flags::MORE) {
            return Merge::Alone;
        }
        let Some(segment) = Segment::parse(flags, frame) else { return otherwise };
        let piece = Piece { token, start: VirtioNet::LEN + segment.layers.data, end: frame.total };
        if self.is_empty() {
            // Only the last of all segments may be shorter.
            if segment.tcp_flags & FIN_PSH != 0 || !segment.data.is_multiple_of(segment.unit) {
                return Merge::Alone;
            }
            if !self.offloads.has(Offloads::wanted(&segment.super_frame())) {
                return Merge::Alone;
            }
            return self.begin(piece, &segment, frame).map_or(Merge::Alone, |()| Merge::Held);
        }
        if flags.has(Flags::FIRST) || !self.continues(&segment) {
            return Merge::Refused;
        }
        // Where the sender does not number packets there is nothing to foretell.
        if self.is_numbered(segment.bytes) {
            self.expected.follow(frame.head, &segment.layers, segment.data, self.numbers(1));
        } else {
            self.expected = Expected::NOTHING;
        }
        self.add(piece);
        self.last_flags = segment.tcp_flags;
        let short = segment.data < self.size;
        if !flags.has(Flags::MORE) || short || segment.tcp_flags & FIN_PSH != 0 || self.count == RUN_MAX {
            Merge::Complete
        } else {
            Merge::Held
        }
    }

    /// How many bytes of the next part's frame are worth showing to [`Merger::follow`], and how long that frame is then;
    /// `None` when nothing is held or nothing can be foretold.
    pub fn next(&self) -> Option<(usize, usize)> {
        if self.is_empty() || self.count + 1 >= RUN_MAX { None } else { self.expected.shape() }
    }

    /// Holds a part in the middle of a run without parsing it, if it is byte for byte what must follow what is held; if
    /// not, nothing is done, and [`Merger::push`] will say what it is. `head` is what [`Merger::next`] asked for, `total`
    /// the length of the whole frame. The caller made sure that the header in front of it is that of the part before.
    pub fn follow(&mut self, token: usize, head: &[u8], total: usize) -> bool {
        let data = total.saturating_sub(self.head_len);
        let fits = !self.is_empty()
            && self.count + 1 < RUN_MAX
            && self.layers.headers() + self.payload + data <= PACKET_MAX
            && self.expected.meets(head, total);
        if fits {
            self.add(Piece { token, start: self.head_len, end: total });
        }
        fits
    }

    /// What is held, if anything; holds nothing afterwards.
    pub fn take(&mut self) -> Option<Merged<'_>> {
        let count = core::mem::take(&mut self.count);
        if count > 1 {
            self.finish(count)?;
        }
        let pieces = self.pieces.get(..count).filter(|p| !p.is_empty())?;
        Some(Merged { head: self.head.get(..self.head_len)?, pieces })
    }

    fn begin(&mut self, piece: Piece, segment: &Segment<'_>, frame: Frame<'_>) -> Option<()> {
        let head_len = VirtioNet::LEN + segment.layers.data;
        self.head.get_mut(..head_len)?.copy_from_slice(frame.head.get(..head_len)?);
        self.head_len = head_len;
        self.layers = segment.layers;
        self.size = segment.data;
        self.unit = segment.unit;
        self.payload = 0;
        self.last_flags = segment.tcp_flags;
        self.expected.follow(frame.head, &segment.layers, segment.data, self.numbers(1));
        self.add(piece);
        Some(())
    }

    fn add(&mut self, piece: Piece) {
        if let Some(place) = self.pieces.get_mut(self.count) {
            *place = piece;
            self.count += 1;
            self.payload += piece.end - piece.start;
        }
    }

    fn continues(&self, next: &Segment<'_>) -> bool {
        self.count < RUN_MAX
            && next.layers == self.layers
            && next.data <= self.size
            && (next.unit == self.unit || next.unit == next.data && next.unit < self.unit)
            && self.layers.headers() + self.payload + next.data <= PACKET_MAX
            && self.same_headers(next.bytes).unwrap_or(false)
    }

    /// Whether `next` has the headers held but for what cutting changes, and is the one that follows.
    fn same_headers(&self, next: &[u8]) -> Option<bool> {
        let first = self.head.get(VirtioNet::LEN..self.head_len)?;
        let Layers { l3, l4, data, v6, tcp } = self.layers;
        let same = |range: Range<usize>| Some(first.get(range.clone())? == next.get(range)?);
        let ip = if v6 {
            same(0..l3 + 4)? && same(l3 + 6..l4)?
        } else {
            let (id, dont_fragment) = (be16(first, l3 + 4)?, be16(first, l3 + 6)? & 0x4000 != 0);
            let next_id = be16(next, l3 + 4)?;
            let follows = next_id == id.wrapping_add(self.numbers(self.count)) || dont_fragment && next_id == id;
            same(0..l3 + 2)? && follows && same(l3 + 6..l3 + 10)? && same(l3 + 12..l4)?
        };
        if !ip || !tcp {
            return Some(ip && same(l4..l4 + 4)?);
        }
        let (flags, next_flags) = (*first.get(l4 + 13)?, *next.get(l4 + 13)?);
        let seq = |b: &[u8]| b.get(l4 + 4..)?.first_chunk().map(|c| u32::from_be_bytes(*c));
        Some(
            seq(next)? == seq(first)?.wrapping_add(self.payload as u32)
                && next_flags & !FIN_PSH == flags & !CWR
                && same(l4..l4 + 4)?
                && same(l4 + 8..l4 + 13)?
                && same(l4 + 14..l4 + 16)?
                && same(l4 + 18..data)?,
        )
    }

    /// How many packets so many parts stand for: each has an identification of its own.
    const fn numbers(&self, parts: usize) -> u16 {
        (parts * (self.size / self.unit)) as u16
    }

    /// Whether the identification of what continues the run is the next one.
    fn is_numbered(&self, next: &[u8]) -> bool {
        let id = |bytes: &[u8]| be16(bytes, self.layers.l3 + 4);
        let first = self.head.get(VirtioNet::LEN..).and_then(id);
        self.layers.v6 || first.map(|first| first.wrapping_add(self.numbers(self.count))) == id(next)
    }

    /// Writes the headers of the whole.
    fn finish(&mut self, count: usize) -> Option<()> {
        let Layers { l3, l4, data, v6, tcp } = self.layers;
        let vnet = VirtioNet {
            flags: VirtioNet::NEEDS_CSUM,
            gso: self.layers.gso(),
            ecn: tcp && *self.head.get(VirtioNet::LEN + l4 + 13)? & CWR != 0,
            hdr_len: data as u16,
            gso_size: self.unit as u16,
            csum_start: l4 as u16,
            csum_offset: self.layers.csum_offset() as u16,
        };
        let packet = self.layers.headers() + self.payload;
        let transport = data - l4 + self.payload;
        debug_assert!(count <= RUN_MAX);
        let pseudo = self.layers.pseudo(self.head.get(VirtioNet::LEN..)?)?;
        let (front, headers) = self.head.split_at_mut_checked(VirtioNet::LEN)?;
        front.copy_from_slice(&vnet.emit());
        if v6 {
            put16(headers, l3 + 4, (packet - 40) as u16)?;
        } else {
            put16(headers, l3 + 2, packet as u16)?;
            put16(headers, l3 + 10, 0)?;
            let check = !fold(sum(headers.get(l3..l4)?));
            put16(headers, l3 + 10, check)?;
        }
        if tcp {
            *headers.get_mut(l4 + 13)? |= self.last_flags & FIN_PSH;
        } else {
            put16(headers, l4 + 4, transport as u16)?;
        }
        put16(headers, l4 + self.layers.csum_offset(), fold(pseudo + transport as u64))
    }
}

impl Default for Merger {
    fn default() -> Merger {
        Merger::new()
    }
}

/// A received part that can be merged.
struct Segment<'a> {
    bytes: &'a [u8],
    layers: Layers,
    data: usize,
    /// Payload of each of its segments.
    unit: usize,
    tcp_flags: u8,
}

impl<'a> Segment<'a> {
    /// The virtio-net header of a super-frame that begins with it; sizes are still open.
    fn super_frame(&self) -> VirtioNet {
        let Layers { tcp, .. } = self.layers;
        let gso = self.layers.gso();
        VirtioNet { flags: VirtioNet::NEEDS_CSUM, gso, ecn: tcp && self.tcp_flags & CWR != 0, ..VirtioNet::default() }
    }

    fn parse(flags: Flags, frame: Frame<'a>) -> Option<Segment<'a>> {
        if !frame.vnet || !flags.has(Flags::OFFLOAD) || flags.has(Flags::SLICE) {
            return None;
        }
        let (vnet, ethernet): (VirtioNet, Ethernet) = frame.open().ok()?;
        let bytes = frame.ethernet_bytes();
        let layers = Layers::parse(bytes, frame.len(), &ethernet)?;
        let data = frame.len().checked_sub(layers.data).filter(|n| *n > 0)?;
        if !layers.agrees(&vnet) {
            return None;
        }
        // A part of one segment is as large as that; a shorter super-frame is none.
        let unit = if vnet.gso == Gso::None { data } else { usize::from(vnet.gso_size) };
        if unit == 0 || unit > data {
            return None;
        }
        let field = be16(bytes, layers.l4 + layers.csum_offset())?;
        if field != fold(layers.pseudo(bytes)? + (frame.len() - layers.l4) as u64) {
            return None;
        }
        if !layers.v6 && fold(sum(bytes.get(layers.l3..layers.l4)?)) != 0xffff {
            return None;
        }
        let tcp_flags = if layers.tcp { *bytes.get(layers.l4 + 13)? } else { 0 };
        (tcp_flags & ODD == 0).then_some(Segment { bytes, layers, data, unit, tcp_flags })
    }
}

#[cfg(test)]
mod tests;
