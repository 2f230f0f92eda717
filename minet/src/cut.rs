//! Cuts a super-frame into a run of messages, each with one complete segment.

use crate::{
    Completion, Frame, HEAD_MAX, Member, Offloads, Part, VirtioNet,
    checksum::{fold, sum},
    ethernet::be16,
    layers::Layers,
    plan::next_run,
    slicer,
};
use core::ops::Range;
use messenger_core::wire::{Flags, Header, Slice};

/// Gives the parts of one super-frame, in order.
///
/// Every part has the headers of the super-frame, with lengths, IP identification, TCP sequence number and flags as the
/// kernel's own segmentation would write them: FIN and PSH only on the last, CWR only on the first. The checksum stays
/// partial, unless the member cannot take that. Where not even one datagram fits into a message, each datagram is sent
/// in slices of its own, so that what is lost costs one datagram.
#[derive(Clone, Debug)]
pub struct Cutter {
    /// Virtio-net header (perhaps) and all headers of the segment at hand.
    body: [u8; Cutter::BODY],
    body_len: usize,
    header: Header,
    layers: Layers,
    vnet: bool,
    complete: bool,
    payload: Range<usize>,
    size: usize,
    /// Where the segment at hand starts, and how much of its body and payload is sent already (slices only).
    at: usize,
    sent: usize,
    index: usize,
    slices: Option<Slices>,
    tcp_flags: u8,
    seq: u32,
    id: u16,
    pseudo: u64,
    done: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slices {
    room: usize,
    run: u16,
}

const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

impl Cutter {
    const BODY: usize = HEAD_MAX - Slice::HEADER_LEN;

    /// `size` is the payload of each part. `None` when the headers are too long, or a part does not fit a message and
    /// cannot be sliced.
    pub(crate) fn new(
        frame: Frame<'_>,
        layers: &Layers,
        header: Header,
        member: &Member,
        size: usize,
        run: u16,
    ) -> Option<Cutter> {
        let bytes = frame.ethernet_bytes();
        let csum = member.offloads.has(Offloads::CSUM);
        let front = if csum { VirtioNet::LEN } else { 0 };
        let body_len = front + layers.data;
        let mut body = [0; Self::BODY];
        body.get_mut(front..body_len)?.copy_from_slice(bytes.get(..layers.data)?);
        if csum {
            let vnet = VirtioNet {
                flags: VirtioNet::NEEDS_CSUM,
                csum_start: u16::try_from(layers.l4).ok()?,
                csum_offset: layers.csum_offset() as u16,
                ..VirtioNet::default()
            };
            body.get_mut(..front)?.copy_from_slice(&vnet.emit());
        }
        let payload = frame.offset() + layers.data..frame.total;
        if payload.start > payload.end || size == 0 {
            return None;
        }
        let largest = body_len + size.min(payload.len());
        let slices = if Header::LEN + largest <= member.message {
            None
        } else {
            let room = member.message.checked_sub(Slice::HEADER_LEN).filter(|room| *room > body_len)?;
            if !csum || !member.offloads.has(Offloads::SLICES) || largest.div_ceil(room) > crate::reassembly::SLICES_MAX
            {
                return None;
            }
            Some(Slices { room, run })
        };
        let tcp = |n| bytes.get(layers.l4 + n..);
        let (tcp_flags, seq) =
            if layers.tcp { (*tcp(13)?.first()?, u32::from_be_bytes(*tcp(4)?.first_chunk()?)) } else { (0, 0) };
        let id = if layers.v6 { 0 } else { be16(bytes, layers.l3 + 4)? };
        let pseudo = layers.pseudo(bytes)?;
        let flags = if csum { header.flags.with(Flags::OFFLOAD) } else { header.flags };
        Some(Cutter {
            body,
            body_len,
            header: Header { flags, ..header },
            layers: *layers,
            vnet: csum,
            complete: !csum,
            at: payload.start,
            payload,
            size,
            sent: 0,
            index: 0,
            slices,
            tcp_flags,
            seq,
            id,
            pseudo,
            done: false,
        })
    }

    /// How many segments there are.
    pub fn parts(&self) -> usize {
        self.payload.len().div_ceil(self.size).max(1)
    }

    pub(crate) const fn in_slices(&self) -> bool {
        self.slices.is_some()
    }

    /// The slice run after all of this one's.
    pub(crate) fn next_run(&self) -> u16 {
        let run = self.slices.map_or(0, |s| s.run);
        (0..self.parts()).fold(run, |run, _| next_run(run))
    }

    /// The next message; its head is written into `head`.
    pub fn next(&mut self, head: &mut [u8; HEAD_MAX]) -> Option<Part> {
        if self.done {
            return None;
        }
        let end = self.payload.end.min(self.at.saturating_add(self.size));
        let last = end == self.payload.end;
        if self.sent == 0 {
            self.patch(end - self.at, last)?;
        }
        match self.slices {
            None => self.part(head, end, last),
            Some(slices) => self.slice(head, slices, end, last),
        }
    }

    fn part(&mut self, head: &mut [u8; HEAD_MAX], end: usize, last: bool) -> Option<Part> {
        let mut flags = self.header.flags.without(Flags::FIRST).without(Flags::MORE);
        if self.index == 0 {
            flags = flags.with(Flags::FIRST);
        }
        if !last {
            flags = flags.with(Flags::MORE);
        }
        Header { flags, ..self.header }.emit(head).ok()?;
        let head_len = Header::LEN + self.body_len;
        head.get_mut(Header::LEN..head_len)?.copy_from_slice(self.body.get(..self.body_len)?);
        let complete = self.complete.then(|| {
            let start = Header::LEN + self.layers.l4;
            Completion { start, field: start + self.layers.csum_offset() }
        });
        let payload = self.at..end;
        self.step(end, last);
        Some(Part { head_len, payload, complete })
    }

    fn slice(&mut self, head: &mut [u8; HEAD_MAX], slices: Slices, end: usize, last: bool) -> Option<Part> {
        let total = self.body_len + (end - self.at);
        let take = slices.room.min(total - self.sent);
        let slice = Slice {
            run: slices.run,
            part: u16::try_from(self.sent / slices.room).ok()?,
            total: u32::try_from(total).ok()?,
        };
        slicer::emit(self.header, slice, self.sent + take < total, head)?;
        let (head_len, from) = if self.sent == 0 {
            let head_len = Slice::HEADER_LEN + self.body_len;
            head.get_mut(Slice::HEADER_LEN..head_len)?.copy_from_slice(self.body.get(..self.body_len)?);
            (head_len, self.at)
        } else {
            (Slice::HEADER_LEN, self.at + self.sent - self.body_len)
        };
        self.sent += take;
        let payload = from..self.at + self.sent - self.body_len;
        if self.sent == total {
            self.sent = 0;
            self.slices = Some(Slices { run: next_run(slices.run), ..slices });
            self.step(end, last);
        }
        Some(Part { head_len, payload, complete: None })
    }

    fn step(&mut self, end: usize, last: bool) {
        self.at = end;
        self.index += 1;
        self.done = last;
    }

    /// Writes lengths, numbers, flags and sums of the segment at hand into the headers.
    fn patch(&mut self, data: usize, last: bool) -> Option<()> {
        let Layers { l3, l4, v6, tcp, .. } = self.layers;
        let offset = u32::try_from(self.at - self.payload.start).ok()?;
        let transport = self.layers.data - l4 + data;
        let front = if self.vnet { VirtioNet::LEN } else { 0 };
        let headers = self.body.get_mut(front..self.body_len)?;
        let whole = u16::try_from(self.layers.headers() + data).ok();
        if v6 {
            put16(headers, l3 + 4, whole?.checked_sub(40)?)?;
        } else {
            put16(headers, l3 + 2, whole?)?;
            put16(headers, l3 + 4, self.id.wrapping_add(self.index as u16))?;
            put16(headers, l3 + 10, 0)?;
            let check = !fold(sum(headers.get(l3..l4)?));
            put16(headers, l3 + 10, check)?;
        }
        if tcp {
            let mut flags = self.tcp_flags;
            if !last {
                flags &= !FIN_PSH;
            }
            if self.index != 0 {
                flags &= !CWR;
            }
            *headers.get_mut(l4 + 13)? = flags;
            let seq = self.seq.wrapping_add(offset).to_be_bytes();
            headers.get_mut(l4 + 4..l4 + 8)?.copy_from_slice(&seq);
        } else {
            put16(headers, l4 + 4, u16::try_from(transport).ok()?)?;
        }
        put16(headers, l4 + self.layers.csum_offset(), fold(self.pseudo + transport as u64))
    }
}

/// Writes a big-endian u16.
pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) -> Option<()> {
    *bytes.get_mut(at..)?.first_chunk_mut()? = value.to_be_bytes();
    Some(())
}
