//! In which messages a frame travels to one member.

use crate::{
    ANSWER_MAX, Completion, Cutter, Ethernet, Frame, Gso, HEAD_MAX, Member, Offloads, Reason, Slicer, Switch, Table,
    VirtioNet, layers::Layers, too_big,
};
use core::ops::Range;
use messenger_core::{
    Time,
    wire::{Flags, Header, Slice},
};

/// Whose frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Read from our own interface.
    Own,
    /// Received with that header, and passed on. Its frame is what stands behind the header; of a slice, all that
    /// stands behind the first 16 bytes.
    Relay(Header),
}

/// What to do.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one lives at a time, on the stack; a box would be an allocation a frame"
)]
pub enum Plan {
    /// One message.
    Whole(Whole),
    /// A run of messages, each with one complete segment.
    Cut(Cutter),
    /// Slices.
    Slices(Slicer),
    /// Nothing is sent: so many bytes of the answer buffer go back to our interface. Its sender is told to send less.
    TooBig(usize),
    /// Nothing is sent. Counted already.
    Drop(Reason),
}

/// A frame in one message: the bytes of `head`, then those of the frame in `payload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    head: [u8; Whole::HEAD],
    head_len: usize,
    /// Which bytes of the frame (virtio-net header counted) follow the head.
    pub payload: Range<usize>,
    /// When set, the bytes of the frame must be in private memory, and [`crate::complete_checksum`] done on all of them,
    /// before they are sent. The offsets are the frame's.
    pub complete: Option<Completion>,
}

impl Whole {
    const HEAD: usize = Header::LEN + VirtioNet::LEN;

    fn new(header: Header, vnet: Option<VirtioNet>, payload: Range<usize>, complete: Option<Completion>) -> Whole {
        let mut head = [0; Self::HEAD];
        // The array is long enough, so that neither can fail.
        let _ = header.emit(&mut head);
        let mut head_len = Header::LEN;
        if let (Some(vnet), Some(place)) = (vnet, head.last_chunk_mut()) {
            *place = vnet.emit();
            head_len = Self::HEAD;
        }
        Whole { head, head_len, payload, complete }
    }

    /// What stands in front of the payload: the wire header, and a virtio-net header when it is not the one that was
    /// read.
    pub fn head(&self) -> &[u8] {
        self.head.get(..self.head_len).unwrap_or(&[])
    }

    /// Length of the message in bytes.
    pub fn len(&self) -> usize {
        self.head_len + self.payload.len()
    }

    /// Never: there is always a header.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// When the frame was read to just behind the room for a wire header, the message is made by writing the head over
    /// the start of that room: nothing moves.
    pub const fn in_place(&self) -> bool {
        self.payload.start + Header::LEN == self.head_len && self.complete.is_none()
    }
}

/// One message of several: `head_len` bytes of the head, then bytes of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many bytes of the head there are.
    pub head_len: usize,
    /// Which bytes of the frame (virtio-net header counted) follow them.
    pub payload: Range<usize>,
    /// When set, the message must be put together in private memory, and [`crate::complete_checksum`] done on it, before
    /// it is sent. The offsets are the message's.
    pub complete: Option<Completion>,
}

impl Part {
    /// Length of the message in bytes.
    pub fn len(&self) -> usize {
        self.head_len + self.payload.len()
    }

    /// Never: there is always a header.
    pub const fn is_empty(&self) -> bool {
        self.head_len == 0
    }
}

/// The smallest payload a TCP segment is cut down to. A path or an MTU that does not carry this is not fit for IP.
const SEGMENT_MIN: usize = 64;

impl Switch {
    /// Says how a frame travels to the member at `to`.
    ///
    /// Whole, where the path and the member take it so. TCP that is too large for either, or whose member takes no
    /// super-frames, is cut into segments that fit. UDP super-frames are cut into their datagrams; frames that cannot be
    /// cut travel in slices. What is larger than the member's interface takes and cannot be cut is answered as a router
    /// would, unless it is another node's.
    pub fn plan(
        &mut self,
        table: &Table,
        to: usize,
        now: Time,
        frame: Frame<'_>,
        route: Route,
        answer: &mut [u8; ANSWER_MAX],
    ) -> Plan {
        let plan = self.make_plan(table, to, now, frame, route, answer).unwrap_or_else(Plan::Drop);
        match &plan {
            Plan::Cut(cutter) => {
                self.counters.cut += 1;
                self.counters.cut_parts += cutter.parts() as u64;
            }
            Plan::Slices(_) => self.counters.sliced += 1,
            Plan::Drop(reason) => self.counters.drop(*reason),
            Plan::TooBig(_) => {
                self.counters.icmp_answers += 1;
                self.counters.drop(Reason::TooLong);
            }
            Plan::Whole(_) => {}
        }
        plan
    }

    fn make_plan(
        &mut self,
        table: &Table,
        to: usize,
        now: Time,
        frame: Frame<'_>,
        route: Route,
        answer: &mut [u8; ANSWER_MAX],
    ) -> Result<Plan, Reason> {
        let member = table.member(to).ok_or(Reason::UnknownNode)?;
        let header = match route {
            Route::Own => Header::frame(table.own(), member.node, table.segment().0),
            Route::Relay(header) => {
                let hops = header.flags.hops().checked_sub(1).ok_or(Reason::HopLimit)?;
                Header { flags: header.flags.with_hops(hops), ..header }
            }
        };
        if header.flags.has(Flags::SLICE) {
            let fits = Header::LEN + frame.total <= member.message;
            return if fits {
                Ok(Plan::Whole(Whole::new(header, None, 0..frame.total, None)))
            } else {
                Err(Reason::TooLong)
            };
        }
        let header = Header { len: Header::LEN as u8, flags: header.flags.without(Flags::OFFLOAD), ..header };
        let (vnet, ethernet) = frame.open()?;
        let layers = Layers::parse(frame.ethernet_bytes(), frame.len(), &ethernet).filter(|l| l.agrees(&vnet));
        let job = Job { frame, vnet, ethernet, header, member };
        let attempt = match layers {
            Some(layers) if vnet.gso != Gso::None => self.plan_super(&job, &layers),
            None if vnet.gso != Gso::None => return Err(Reason::Malformed),
            layers => self.plan_plain(&job, layers.as_ref()),
        };
        match attempt {
            Err(Refusal::TooBig) if route == Route::Own => {
                too_big::answer(self, now, table.policy().icmp_rate, member.mtu(), frame, &ethernet, answer)
                    .map(Plan::TooBig)
                    .ok_or(Reason::TooLong)
            }
            Err(Refusal::TooBig) => Err(Reason::TooLong),
            Err(Refusal::Drop(reason)) => Err(reason),
            Ok(plan) => Ok(plan),
        }
    }

    /// A frame that is no super-frame.
    fn plan_plain(&mut self, job: &Job<'_>, layers: Option<&Layers>) -> Result<Plan, Refusal> {
        let Job { frame, vnet, member, .. } = job;
        let cuttable = layers.filter(|l| l.tcp && job.only_data_flags(l));
        let packet = frame.len().saturating_sub(job.ethernet.payload);
        if packet > member.mtu() {
            // A TCP segment whose checksum is still open can be cut like a super-frame of one segment.
            return match cuttable {
                Some(layers) => self.plan_tcp(job, layers, packet),
                None => Err(Refusal::TooBig),
            };
        }
        let whole = job.whole();
        if whole.len() <= member.message {
            return Ok(Plan::Whole(whole));
        }
        if vnet.is_trivial() {
            let bare = job.bare();
            if bare.len() <= member.message {
                return Ok(Plan::Whole(bare));
            }
        }
        match cuttable {
            Some(layers) => self.plan_tcp(job, layers, packet),
            None => self.slices(job),
        }
    }

    fn plan_super(&mut self, job: &Job<'_>, layers: &Layers) -> Result<Plan, Refusal> {
        let size = usize::from(job.vnet.gso_size);
        if layers.tcp {
            return self.plan_tcp(job, layers, size);
        }
        let member = job.member;
        if layers.headers() + size.min(job.frame.len() - layers.data) > member.mtu() {
            return Err(Refusal::TooBig);
        }
        if member.offloads.has(Offloads::wanted(&job.vnet)) && Header::LEN + job.frame.total <= member.message {
            return Ok(Plan::Whole(job.whole()));
        }
        let cutter =
            Cutter::new(job.frame, layers, job.header, member, size, self.run).ok_or(Refusal::Drop(Reason::TooLong))?;
        if cutter.in_slices() {
            self.run = cutter.next_run();
        }
        Ok(Plan::Cut(cutter))
    }

    /// TCP: as it is, as a super-frame of smaller segments, or cut.
    fn plan_tcp(&mut self, job: &Job<'_>, layers: &Layers, size: usize) -> Result<Plan, Refusal> {
        let Job { frame, vnet, member, .. } = job;
        // A segment that is too large becomes a super-frame, if it is not one already.
        let wanted = Offloads::wanted(&VirtioNet { gso: if layers.v6 { Gso::Tcp6 } else { Gso::Tcp4 }, ..*vnet });
        let size = size.min(frame.len() - layers.data);
        let fitting = member.mtu().checked_sub(layers.headers()).filter(|n| *n >= SEGMENT_MIN.min(size));
        let fitting = size.min(fitting.ok_or(Refusal::TooBig)?);
        if member.offloads.has(wanted) && Header::LEN + frame.total <= member.message {
            return Ok(Plan::Whole(if fitting == size { job.whole() } else { job.smaller(layers, fitting) }));
        }
        let front = Header::LEN + layers.data + if job.takes_vnet() { VirtioNet::LEN } else { 0 };
        let fitting = match member.message.checked_sub(front) {
            Some(room) if room >= SEGMENT_MIN.min(fitting) => fitting.min(room),
            // Not even a small segment: a path of tiny messages.
            _ => return self.slices(job),
        };
        Cutter::new(job.frame, layers, job.header, member, fitting, 0)
            .map(Plan::Cut)
            .ok_or(Refusal::Drop(Reason::TooLong))
    }

    fn slices(&mut self, job: &Job<'_>) -> Result<Plan, Refusal> {
        let member = job.member;
        if job.vnet.gso != Gso::None && !member.offloads.has(Offloads::wanted(&job.vnet)) {
            return Err(Refusal::Drop(Reason::Offload));
        }
        let whole = job.whole();
        let slicer = Some(member.offloads.has(Offloads::SLICES))
            .filter(|takes| *takes)
            .and_then(|_| {
                Slicer::new(job.flagged(&whole), whole.payload, member.slice_most(), self.run, whole.complete)
            })
            .ok_or(Refusal::Drop(Reason::TooLong))?;
        self.run = next_run(self.run);
        Ok(Plan::Slices(slicer))
    }
}

/// The number of the next frame sent in slices. The upper four bits are the lane's.
pub(crate) const fn next_run(run: u16) -> u16 {
    run & 0xf000 | run.wrapping_add(1) & 0x0fff
}

enum Refusal {
    TooBig,
    Drop(Reason),
}

struct Job<'a> {
    frame: Frame<'a>,
    vnet: VirtioNet,
    ethernet: Ethernet,
    header: Header,
    member: &'a Member,
}

impl Job<'_> {
    /// The message carries a virtio-net header.
    fn takes_vnet(&self) -> bool {
        self.frame.vnet && self.member.offloads.has(Offloads::CSUM)
    }

    fn offload(&self) -> Header {
        Header { flags: self.header.flags.with(Flags::OFFLOAD), ..self.header }
    }

    /// The header that goes with the payload of `whole`.
    fn flagged(&self, whole: &Whole) -> Header {
        if self.takes_vnet() && whole.payload.start == 0 { self.offload() } else { self.header }
    }

    fn whole(&self) -> Whole {
        if self.takes_vnet() { Whole::new(self.offload(), None, 0..self.frame.total, None) } else { self.bare() }
    }

    /// Without virtio-net header; the checksum must be completed where it is open.
    fn bare(&self) -> Whole {
        let at = self.frame.offset();
        let complete = self.vnet.needs_csum().then(|| {
            let start = at + usize::from(self.vnet.csum_start);
            Completion { start, field: start + usize::from(self.vnet.csum_offset) }
        });
        Whole::new(self.header, None, at..self.frame.total, complete)
    }

    /// The same super-frame, to be cut into smaller segments by the one who receives it.
    fn smaller(&self, layers: &Layers, size: usize) -> Whole {
        let vnet = VirtioNet {
            gso: if layers.v6 { Gso::Tcp6 } else { Gso::Tcp4 },
            gso_size: u16::try_from(size).unwrap_or(u16::MAX),
            hdr_len: u16::try_from(layers.data).unwrap_or(u16::MAX),
            ..self.vnet
        };
        Whole::new(self.offload(), Some(vnet), self.frame.offset()..self.frame.total, None)
    }

    /// A TCP segment with nothing but data in it: no SYN, RST or URG.
    fn only_data_flags(&self, layers: &Layers) -> bool {
        self.frame.ethernet_bytes().get(layers.l4 + 13).is_some_and(|flags| flags & 0x26 == 0)
    }
}

const _: () = assert!(Slice::HEADER_LEN + VirtioNet::LEN + 22 + 60 + 60 <= HEAD_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SEGMENT, Spec, check, frame, member, messages, node, plan, received, table_with, unslice};
    use messenger_core::NodeId;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn whole(table: &Table, read: &[u8]) -> Whole {
        match plan(table, read) {
            Plan::Whole(whole) => whole,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_super_frame_travels_whole_and_in_place_where_the_path_takes_it() {
        let read = Spec::default().build();
        let w = whole(&table_with(member(2)), &read);
        assert!(w.in_place() && w.len() == 16 + read.len());
        let header = Header::parse(w.head()).unwrap();
        assert_eq!((header.source, header.destination, header.port), (1, 2, SEGMENT.0));
        assert_eq!(header.flags, Header::frame(node(1), node(2), 0).flags.with(Flags::OFFLOAD));
    }

    #[test]
    fn a_smaller_interface_changes_one_number_of_a_super_frame() {
        let read = Spec::default().build();
        let w = whole(&table_with(Member { largest_frame: 1014, ..member(2) }), &read);
        assert!(w.in_place());
        let message = messages(Plan::Whole(w), &read).remove(0);
        let vnet = VirtioNet::parse(&message[16..]).unwrap();
        assert_eq!((vnet.gso, vnet.gso_size), (Gso::Tcp4, 1000 - 20 - 32));
        assert_eq!(message[26..], read[10..]);
        // The same for one TCP segment that is too large.
        let read = Spec { payload: 1400, ..Spec::default() }.build();
        let message = messages(plan(&table_with(Member { largest_frame: 1014, ..member(2) }), &read), &read).remove(0);
        let vnet = VirtioNet::parse(&message[16..]).unwrap();
        assert!(vnet.check(message.len() - 26, message.len() - 26));
        assert_eq!((vnet.gso, vnet.gso_size), (Gso::Tcp4, 1000 - 20 - 32));
    }

    /// PROTOCOL 2.7.
    #[test]
    fn a_member_without_offloads_gets_a_bare_frame_with_a_complete_sum() {
        let table = table_with(Member { offloads: Offloads::NONE, ..member(2) });
        for (tcp, v6) in [(true, false), (false, true)] {
            let spec = Spec { tcp, v6, payload: 700, ..Spec::default() };
            let read = spec.build();
            let out = messages(plan(&table, &read), &read);
            assert_eq!(out.len(), 1);
            assert!(!Header::parse(&out[0]).unwrap().flags.has(Flags::OFFLOAD));
            assert_eq!(check(&out[0]).payload.len(), 700);
        }
    }

    #[test]
    fn the_virtio_header_is_left_out_where_only_that_fits() {
        let mut read = Spec { tcp: false, payload: 1400, ..Spec::default() }.build();
        read[..10].fill(0);
        let w = whole(&table_with(Member { message: read.len() + 15, ..member(2) }), &read);
        assert_eq!((w.payload.clone(), w.head().len(), w.in_place()), (10..read.len(), 16, false));
    }

    /// Frames of interfaces with MTU 1500, 9000 and 65000 over paths of many sizes, down to 512 bytes a message.
    ///
    /// Rows: MN-10.
    #[test]
    fn frames_of_every_size_travel_over_paths_of_every_size() {
        for mtu in [1500, 9000, 65_000] {
            for message in [512, 1472, 9000, 70_000] {
                let table = table_with(Member { message, largest_frame: mtu + 14, ..member(2) });
                for (tcp, v6) in [(true, false), (true, true), (false, false), (false, true)] {
                    let spec = Spec { tcp, v6, gso: u16::MAX, ..Spec::default() };
                    let spec = Spec { payload: mtu + 14 - spec.headers(), ..spec };
                    let read = spec.build();
                    let out = messages(plan(&table, &read), &read);
                    assert!(out.iter().all(|m| m.len() <= message));
                    assert_eq!(out.len() == 1, 16 + read.len() <= message, "{mtu} {message}");
                    let whole: Vec<_> = unslice(&out).iter().map(|m| check(m)).collect();
                    assert_eq!(whole.iter().map(|c| c.payload.len()).sum::<usize>(), spec.payload);
                    assert_eq!(tcp && out.len() > 1, whole.len() > 1, "TCP is cut, all else is sliced");
                }
            }
        }
    }

    /// PROTOCOL 2.6.
    #[test]
    fn what_carries_no_data_alone_is_sliced_not_cut() {
        let table = table_with(Member { message: 700, ..member(2) });
        let mut read = Spec { payload: 1000, ..Spec::default() }.build();
        assert!(matches!(plan(&table, &read), Plan::Cut(_)));
        read[10 + 34 + 13] |= 0x02;
        assert!(matches!(plan(&table, &read), Plan::Slices(_)), "SYN");
    }

    #[test]
    fn every_slice_run_has_its_own_number_and_the_lane_its_own_numbers() {
        let table = table_with(Member { message: 700, ..member(2) });
        let read = Spec { tcp: false, payload: 1000, ..Spec::default() }.build();
        let (mut a, mut b) = (Switch::for_lane(0), Switch::for_lane(1));
        let run = |switch: &mut Switch| {
            let plan = switch.plan(&table, 0, Time::ZERO, frame(&read), Route::Own, &mut [0; ANSWER_MAX]);
            Slice::parse(&messages(plan, &read)[0]).unwrap().run
        };
        let numbers: Vec<u16> = (0..4096).map(|_| run(&mut a)).collect();
        assert!(numbers.windows(2).all(|w| w[0] != w[1]) && numbers.iter().all(|n| n >> 12 == 0));
        assert!((0..5000).all(|_| run(&mut b) >> 12 == 1));
        assert_eq!((a.counters.iter().find(|(n, _)| *n == "sliced")).unwrap().1, 4096);
    }

    /// PROTOCOL 2.10.
    #[test]
    fn a_relay_keeps_the_origin_takes_a_hop_and_never_answers() {
        let table = table_with(Member { message: 1600, largest_frame: 1514, ..member(2) });
        let read = Spec::default().build();
        let origin = NodeId::new(9).unwrap();
        let header = Header::frame(origin, node(2), SEGMENT.0);
        let header = Header { flags: header.flags.with(Flags::OFFLOAD).with_hops(3), ..header };
        let mut switch = Switch::new();
        let mut go = |header, read: &[u8]| {
            switch.plan(&table, 0, Time::ZERO, frame(read), Route::Relay(header), &mut [0; ANSWER_MAX])
        };
        let out = messages(go(header, &read), &read);
        let first = Header::parse(&out[0]).unwrap();
        assert!(out.len() > 40);
        assert_eq!((first.source_node(), first.destination, first.flags.hops()), (Some(origin), 2, 2));
        let none_left = Header { flags: header.flags.with_hops(0), ..header };
        assert!(matches!(go(none_left, &read), Plan::Drop(Reason::HopLimit)));
        let large = Spec { tcp: false, payload: 3000, gso: u16::MAX, ..Spec::default() }.build();
        assert!(matches!(go(header, &large), Plan::Drop(Reason::TooLong)));
        // A slice is passed on as it is.
        let slice = Header { flags: header.flags.with(Flags::SLICE), len: 24, ..header };
        let Plan::Whole(w) = go(slice, &[7; 1000]) else { panic!() };
        assert_eq!((w.payload.clone(), w.len()), (0..1000, 1016));
        assert_eq!(Header::parse(w.head()).unwrap(), Header { flags: slice.flags.with_hops(2), ..slice });
        assert!(matches!(go(slice, &[7; 2000]), Plan::Drop(Reason::TooLong)));
    }

    #[test]
    fn what_cannot_be_sent_is_counted() {
        let table = table_with(Member { message: 100, offloads: Offloads::NONE, ..member(2) });
        let mut switch = Switch::new();
        let mut go = |read: &[u8], to| {
            switch.plan(&table, to, Time::ZERO, frame(read), Route::Own, &mut [0; ANSWER_MAX]);
            switch.counters.clone()
        };
        let read = Spec { tcp: false, payload: 1000, ..Spec::default() }.build();
        assert_eq!(go(&read, 0).dropped(Reason::TooLong), 1);
        assert_eq!(go(&read, 7).dropped(Reason::UnknownNode), 1);
        assert_eq!(go(&read[..12], 0).dropped(Reason::Malformed), 1);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic_and_never_leave_the_frame(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            spec in Spec::any(),
            graft in 0usize..200,
            more in 0usize..70_000,
            limits in (0usize..3000, 0usize..3000, any::<u32>()),
            vnet: bool,
            relay in any::<Option<[u8; 16]>>(),
        ) {
            // Sensible headers with random tails get further than noise.
            let good = spec.build();
            let n = graft.min(good.len()).min(bytes.len());
            bytes[..n].copy_from_slice(&good[..n]);
            let total = bytes.len() + if bytes.len() >= HEAD_MAX { more } else { 0 };
            let frame = Frame { head: &bytes, total, vnet };
            let (message, largest_frame, offloads) = limits;
            let offloads = Offloads::from_bits(offloads);
            let table = table_with(Member { message, largest_frame, offloads, ..member(2) });
            let route = relay.and_then(|h| Header::parse(&h).ok()).map_or(Route::Own, Route::Relay);
            let mut answer = [0; ANSWER_MAX];
            let mut head = [0; HEAD_MAX];
            let mut parts = Vec::new();
            match Switch::new().plan(&table, 0, Time::ZERO, frame, route, &mut answer) {
                Plan::Whole(w) => parts.push(Part { head_len: w.head().len(), payload: w.payload, complete: None }),
                Plan::Cut(mut c) => while let Some(p) = c.next(&mut head) { parts.push(p) },
                Plan::Slices(mut s) => while let Some(p) = s.next(&mut head) { parts.push(p) },
                Plan::TooBig(n) => prop_assert!(n <= ANSWER_MAX),
                Plan::Drop(_) => {}
            }
            for p in parts {
                prop_assert!(p.len() <= message && p.payload.start <= p.payload.end && p.payload.end <= total);
            }
        }
    }

    #[test]
    fn a_received_plain_frame_is_planned_again_as_it_came() {
        let read = Spec { payload: 500, ..Spec::default() }.build();
        let bare =
            messages(plan(&table_with(Member { offloads: Offloads::NONE, ..member(2) }), &read), &read).remove(0);
        let (header, frame) = received(&bare);
        let table = table_with(member(2));
        let plan = Switch::new().plan(&table, 0, Time::ZERO, frame, Route::Relay(header), &mut [0; ANSWER_MAX]);
        let Plan::Whole(w) = plan else { panic!("{plan:?}") };
        assert!(w.in_place() && w.payload == (0..frame.total));
    }
}
