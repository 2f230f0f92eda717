//! Cuts a super-frame into a run of messages, each with one complete segment, or with as many as fit: a smaller super-frame.

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
/// partial, unless the member cannot take that. Where several segments fit into a message and the member takes super-frames,
/// each part is one, of as many whole segments as fit; the last has what is left. Where not even one datagram fits into a message, each datagram is sent
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
    /// Payload of a segment, and of a part: a multiple of it.
    size: usize,
    stride: usize,
    /// Segments of a part.
    per: usize,
    /// Where the segment at hand starts, and how much of its body and payload is sent already (slices only).
    at: usize,
    sent: usize,
    index: usize,
    slices: Option<Slices>,
    tcp_flags: u8,
    seq: u32,
    id: u16,
    pseudo: u64,
    /// Sum of the IP header of a full part without identification and checksum.
    ip_sum: u64,
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
            body.get_mut(..front)?.copy_from_slice(&open_checksum(layers).emit());
        }
        let payload = frame.offset() + layers.data..frame.total;
        if payload.start > payload.end || size == 0 {
            return None;
        }
        let largest = body_len + size.min(payload.len());
        let slices = if Header::LEN + largest <= member.message {
            None
        } else {
            let room = member.slice_most().checked_sub(Slice::HEADER_LEN).filter(|room| *room > body_len)?;
            if !csum || !member.offloads.has(Offloads::SLICES) || largest.div_ceil(room) > crate::reassembly::SLICES_MAX
            {
                return None;
            }
            Some(Slices { room, run })
        };
        let per = if slices.is_none() && csum { segments_in(layers, member, body_len, size, payload.len()) } else { 1 };
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
            stride: per * size,
            per,
            sent: 0,
            index: 0,
            slices,
            tcp_flags,
            seq,
            id,
            pseudo,
            ip_sum: 0,
            done: false,
        })
    }

    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.payload.len().div_ceil(self.stride).max(1)
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
        let end = self.payload.end.min(self.at.saturating_add(self.stride));
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

    /// The virtio-net header of a part with so much payload.
    fn front(&self, data: usize) -> VirtioNet {
        let plain = open_checksum(&self.layers);
        if data <= self.size {
            return plain;
        }
        VirtioNet {
            gso: self.layers.gso(),
            ecn: self.index == 0 && self.layers.tcp && self.tcp_flags & CWR != 0,
            hdr_len: self.layers.data as u16,
            gso_size: self.size as u16,
            ..plain
        }
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
        // Each segment of the parts before has a number.
        let id = self.id.wrapping_add((self.index * self.per) as u16);
        if self.per > 1 && (self.index < 2 || last) {
            let vnet = self.front(data);
            self.body.get_mut(..front)?.copy_from_slice(&vnet.emit());
        }
        let headers = self.body.get_mut(front..self.body_len)?;
        if self.index >= 2 && !last {
            // A part in the middle differs from the one before in its numbers only.
            if !v6 {
                put16(headers, l3 + 4, id)?;
                put16(headers, l3 + 10, !fold(self.ip_sum + u64::from(id)))?;
            }
            if tcp {
                put32(headers, l4 + 4, self.seq.wrapping_add(offset))?;
            }
            return Some(());
        }
        let whole = u16::try_from(self.layers.headers() + data).ok();
        if v6 {
            put16(headers, l3 + 4, whole?.checked_sub(40)?)?;
        } else {
            put16(headers, l3 + 2, whole?)?;
            put16(headers, l3 + 4, 0)?;
            put16(headers, l3 + 10, 0)?;
            self.ip_sum = sum(headers.get(l3..l4)?);
            put16(headers, l3 + 4, id)?;
            put16(headers, l3 + 10, !fold(self.ip_sum + u64::from(id)))?;
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
            put32(headers, l4 + 4, self.seq.wrapping_add(offset))?;
        } else {
            put16(headers, l4 + 4, u16::try_from(transport).ok()?)?;
        }
        put16(headers, l4 + self.layers.csum_offset(), fold(self.pseudo + transport as u64))
    }
}

/// The virtio-net header of a frame whose checksum is open.
fn open_checksum(layers: &Layers) -> VirtioNet {
    VirtioNet {
        flags: VirtioNet::NEEDS_CSUM,
        csum_start: layers.l4 as u16,
        csum_offset: layers.csum_offset() as u16,
        ..VirtioNet::default()
    }
}

/// How many segments of `size` bytes a part has: as many as fit a message, where the member takes super-frames.
fn segments_in(layers: &Layers, member: &Member, body_len: usize, size: usize, payload: usize) -> usize {
    let super_frame = VirtioNet { gso: layers.gso(), ecn: layers.tcp, ..open_checksum(layers) };
    if size >= payload || size > usize::from(u16::MAX) || !member.offloads.has(Offloads::wanted(&super_frame)) {
        return 1;
    }
    (member.message.saturating_sub(Header::LEN + body_len) / size).max(1)
}

/// Writes a big-endian u16.
pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) -> Option<()> {
    *bytes.get_mut(at..)?.first_chunk_mut()? = value.to_be_bytes();
    Some(())
}

/// Writes a big-endian u32.
pub(crate) fn put32(bytes: &mut [u8], at: usize, value: u32) -> Option<()> {
    *bytes.get_mut(at..)?.first_chunk_mut()? = value.to_be_bytes();
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::{
        Gso, Member, Offloads, Plan,
        testing::{Checked, Spec, check, member, messages, plan, received, table_with, unslice},
    };
    use messenger_core::wire::{Flags, Header};
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    /// What a kernel would make of the frame: segments of `size` bytes.
    fn expected(spec: &Spec, size: usize) -> Vec<Checked> {
        let bytes: Vec<u8> = (0..spec.payload).map(|i| (i ^ i >> 8) as u8).collect();
        let count = spec.payload.div_ceil(size);
        bytes
            .chunks(size)
            .enumerate()
            .map(|(i, chunk)| Checked {
                payload: chunk.into(),
                seq: if spec.tcp { spec.seq.wrapping_add((i * size) as u32) } else { 0 },
                fin: spec.tcp && spec.fin && i + 1 == count,
                psh: spec.tcp && spec.psh && i + 1 == count,
                cwr: spec.cwr && i == 0,
                id: if spec.v6 { 0 } else { spec.id.wrapping_add(i as u16) },
                tags: spec.tags,
            })
            .collect()
    }

    fn cut(spec: &Spec, to: Member) -> Vec<Vec<u8>> {
        let read = spec.build();
        let plan = plan(&table_with(to), &read);
        assert!(matches!(plan, Plan::Cut(_)), "{plan:?}");
        messages(plan, &read)
    }

    /// PROTOCOL 2.5.
    #[test]
    fn each_message_of_a_run_is_one_complete_segment() {
        let spec = Spec::default();
        let run = cut(&spec, Member { message: 1600, ..member(2) });
        assert_eq!(run.iter().map(|m| check(m)).collect::<Vec<_>>(), expected(&spec, 1448));
        let flags: Vec<Flags> = run.iter().map(|m| Header::parse(m).unwrap().flags).collect();
        assert!(flags.iter().all(|f| f.has(Flags::OFFLOAD) && f.hops() == 7 && !f.has(Flags::SLICE)));
        assert!(flags.iter().enumerate().all(|(i, f)| f.has(Flags::FIRST) == (i == 0)));
        assert!(flags.iter().enumerate().all(|(i, f)| f.has(Flags::MORE) == (i + 1 < run.len())));
    }

    #[test]
    fn tcp_is_cut_smaller_for_a_small_message_and_for_a_small_interface() {
        let spec = Spec::default();
        let run = cut(&spec, Member { message: 1472, ..member(2) });
        assert!(run.iter().all(|m| m.len() <= 1472) && run[0].len() == 1472);
        assert_eq!(run.iter().map(|m| check(m)).collect::<Vec<_>>(), expected(&spec, 1472 - 26 - spec.headers()));
        let run = cut(&spec, Member { message: 512, ..member(2) });
        assert!(run.iter().all(|m| m.len() <= 512));
        assert_eq!(run.iter().map(|m| check(m)).collect::<Vec<_>>(), expected(&spec, 512 - 26 - spec.headers()));
        let small = Member { message: 9000, largest_frame: 600, offloads: Offloads::CSUM, ..member(2) };
        let run = cut(&spec, small);
        assert!(run.iter().all(|m| m.len() <= 626));
        assert_eq!(run.iter().map(|m| check(m)).collect::<Vec<_>>(), expected(&spec, 600 - spec.headers()));
    }

    /// PROTOCOL 2.7.
    #[test]
    fn checksums_are_complete_for_a_member_without_offloads() {
        for (v6, tcp) in [(false, true), (true, true), (false, false), (true, false)] {
            let spec = Spec { v6, tcp, gso: 1400, ..Spec::default() };
            let run = cut(&spec, Member { offloads: Offloads::NONE, ..member(2) });
            assert!(run.iter().all(|m| !Header::parse(m).unwrap().flags.has(Flags::OFFLOAD)));
            assert_eq!(run.iter().map(|m| check(m)).collect::<Vec<_>>(), expected(&spec, 1400));
        }
    }

    #[test]
    fn datagrams_too_large_for_a_message_go_in_slices_of_their_own() {
        let spec = Spec { tcp: false, gso: 1448, payload: 14_000, ..Spec::default() };
        let run = cut(&spec, Member { message: 1472, ..member(2) });
        assert!(run.iter().all(|m| m.len() <= 1472 && Header::parse(m).unwrap().flags.has(Flags::SLICE)));
        let whole = unslice(&run);
        assert_eq!(whole.iter().map(|m| check(m)).collect::<Vec<_>>(), expected(&spec, 1448));
        // A lost slice costs one datagram.
        let mut lossy = run.clone();
        lossy.remove(4);
        assert_eq!(unslice(&lossy).len(), whole.len() - 1);
    }

    #[test]
    fn datagrams_that_nothing_carries_are_dropped() {
        let spec = Spec { tcp: false, gso: 1448, payload: 14_000, ..Spec::default() };
        let read = spec.build();
        let no_slices = Offloads::ALL.without(Offloads::SLICES);
        for offloads in [no_slices, Offloads::NONE] {
            let plan = plan(&table_with(Member { message: 1472, offloads, ..member(2) }), &read);
            assert!(matches!(plan, Plan::Drop(crate::Reason::TooLong)), "{plan:?}");
        }
    }

    proptest! {
        #[test]
        fn any_super_frame_comes_out_as_the_kernel_would_cut_it(spec in Spec::any(), csum: bool) {
            prop_assume!(spec.payload > usize::from(spec.gso));
            let offloads = if csum { Offloads::CSUM } else { Offloads::NONE };
            let run = cut(&spec, Member { largest_frame: 65_600, offloads, ..member(2) });
            let got: Vec<Checked> = run.iter().map(|m| check(m)).collect();
            prop_assert_eq!(got, expected(&spec, usize::from(spec.gso)));
        }

        /// Each part of several segments is what the kernel would cut into just these.
        #[test]
        fn a_part_of_several_segments_is_a_super_frame(spec in Spec::any(), per in 2usize..9) {
            prop_assume!(spec.payload > per * usize::from(spec.gso));
            let message = 26 + spec.headers() + per * usize::from(spec.gso);
            let run = cut(&spec, Member { largest_frame: 65_600, message, ..member(2) });
            prop_assert_eq!(run.len(), spec.payload.div_ceil(per * usize::from(spec.gso)));
            let one_by_one = table_with(Member { largest_frame: 65_600, offloads: Offloads::CSUM, ..member(2) });
            let segments: Vec<Checked> = run
                .iter()
                .flat_map(|part| messages(plan(&one_by_one, &part[16..]), &part[16..]))
                .map(|m| check(&m))
                .collect();
            prop_assert_eq!(segments, expected(&spec, usize::from(spec.gso)));
            let marks = |m: &Vec<u8>| received(m).1.open().unwrap().0;
            prop_assert!(run.iter().enumerate().all(|(i, m)| marks(m).ecn == (spec.cwr && i == 0)));
        }

        #[test]
        fn no_message_is_larger_than_the_path_takes(spec in Spec::any(), message in 0usize..9000, mtu in 0usize..9000) {
            let read = spec.build();
            let to = Member { message, largest_frame: mtu, ..member(2) };
            let plan = plan(&table_with(to), &read);
            if matches!(plan, Plan::Whole(_) | Plan::Cut(_) | Plan::Slices(_)) {
                let out = messages(plan, &read);
                prop_assert!(out.iter().all(|m| m.len() <= message));
                let whole = unslice(&out);
                let bytes: usize = whole
                    .iter()
                    .map(|m| match received(m).1.open().unwrap().0.gso {
                        Gso::None => check(m).payload.len(),
                        _ => received(m).1.len() - spec.headers(),
                    })
                    .sum();
                prop_assert_eq!(bytes, spec.payload);
            }
        }
    }

    #[test]
    fn heads_are_written_over_old_bytes_only() {
        let read = Spec::default().build();
        let Plan::Cut(mut cutter) = plan(&table_with(Member { message: 1600, ..member(2) }), &read) else { panic!() };
        let (mut a, mut b) = ([0; crate::HEAD_MAX], [0xa5; crate::HEAD_MAX]);
        let mut twin = cutter.clone();
        let mut parts = vec![];
        while let (Some(x), Some(y)) = (cutter.next(&mut a), twin.next(&mut b)) {
            assert_eq!((&a[..x.head_len], &x), (&b[..y.head_len], &y));
            parts.push(x);
        }
        assert_eq!(parts.len(), cutter.parts());
        assert!(cutter.next(&mut a).is_none());
    }
}
