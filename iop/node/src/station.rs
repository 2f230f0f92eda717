//! The node: core, data link and ring ends joined. On its one side are peers' rings, on the other whole Ethernet frames.

use crate::{
    Config,
    device::Frames,
    ends::{Bell, Ends},
    introductions::Introductions,
};
use alloc::{boxed::Box, collections::VecDeque, vec, vec::Vec};
use core::net::IpAddr;
use fabric_ring::{Memory, View};
use messenger_core::{
    Event, Exchange, Limits, LinkId, LinkSpec, Node, NodeId, SegmentId, Time,
    wire::{Attachment, Flags, Header, Kind, Slice},
};
use minet::{
    ANSWER_MAX, Counters, Frame, HEAD_MAX, Hop, Inbound, Member, Offloads, Outbound, Part, Plan, Reason, Reassembly,
    Route, Switch, Table, VirtioNet, complete_checksum,
};

/// Frames that may wait for the network stack; what is more stays in the rings.
const FRAMES: usize = 64;
/// What the stack takes: it does not check sums that memory cannot break, and takes long TCP segments.
const OFFLOADS: Offloads = Offloads::CSUM.with(Offloads::TSO4).with(Offloads::TSO6).with(Offloads::SLICES);
/// As the daemon's links over shared memory.
const PRIORITY: u8 = 10;
/// As its links over serial lines.
const LINE_PRIORITY: u8 = 50;
/// The longest message, as on the daemon's side.
const MESSAGE_MOST: usize = 72 << 10;

/// What the node holds at the most: it has a few MiB of memory.
const LIMITS: Limits = Limits {
    ports: 64,
    paths: 128,
    tickets: 512,
    watches: 16,
    statics: 16,
    targets: 64,
    message: 128 << 10,
    queue: 512 << 10,
    stored: 2 << 20,
    answers: 512 << 10,
    asks: 512,
};

/// A node with its interface.
pub struct Station<M, B> {
    config: Config,
    node: Node,
    ways: Vec<Way<M, B>>,
    table: Table,
    switch: Switch,
    reassembly: Reassembly,
    frames: VecDeque<Vec<u8>>,
    introductions: Introductions,
    /// A frame did not leave for want of room.
    wants_room: bool,
    scratch: Box<[u8]>,
}

/// Rings and the link over them. Its place is the channel.
struct Way<M, B> {
    ends: Ends<M, B>,
    link: LinkId,
    /// What the ends counted when the core was last told.
    told: (u64, u64),
}

impl<M: Memory, B: Bell> Station<M, B> {
    /// A node without peers.
    pub fn new(config: Config, now: Time) -> Station<M, B> {
        let mut node = Node::with_limits(config.node(OFFLOADS.bits()), LIMITS, now);
        let segment = SegmentId::from_name(&config.segment);
        node.set_attachments(now, vec![attachment(&config, segment)]);
        let largest = VirtioNet::LEN + config.frame() as usize;
        let mut station = Station {
            table: Table::builder(config.id, segment).build(),
            reassembly: Reassembly::new(Reassembly::FRAMES, largest),
            scratch: vec![0; HEAD_MAX + largest].into_boxed_slice(),
            config,
            node,
            ways: Vec::new(),
            switch: Switch::new(),
            frames: VecDeque::new(),
            introductions: Introductions::default(),
            wants_room: false,
        };
        station.publish();
        station
    }

    /// Links up with a peer; the link's number.
    pub fn join(&mut self, now: Time, ends: Ends<M, B>) -> LinkId {
        let message = ends.message_most().min(MESSAGE_MOST) as u32;
        let carrier = ends.kind();
        let priority = if carrier == "shm" { PRIORITY } else { LINE_PRIORITY };
        let spec = LinkSpec { carrier, priority, message, expect: None, miss_limit: None, lasting: true };
        let link = self.node.open_link(now, spec);
        self.ways.push(Way { ends, link, told: (0, 0) });
        self.follow_up();
        link
    }

    /// Ends the link with a peer that is gone, or whose rings are broken.
    pub fn leave(&mut self, now: Time, link: LinkId) {
        self.node.close_link(now, link, messenger_core::Reason::CarrierLost);
        self.ways.retain(|way| way.link != link);
        self.follow_up();
        self.publish();
    }

    /// Ends all links.
    pub fn leave_all(&mut self, now: Time) {
        let links: Vec<LinkId> = self.ways.iter().map(|way| way.link).collect();
        links.into_iter().for_each(|link| self.leave(now, link));
    }

    /// Whether a link's rings are broken.
    pub fn is_broken(&self, link: LinkId) -> bool {
        self.ways.iter().any(|way| way.link == link && way.ends.is_broken())
    }

    /// Whether a member is sent new messages; it is unless somebody says otherwise.
    pub fn set_enabled(&mut self, member: NodeId, enabled: bool) {
        match enabled {
            true => self.exchange().enable_node(member),
            false => self.exchange().quiesce_node(member),
        }
    }

    /// What it was told.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Its core.
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// Its ports, for commands; what follows from them is sent by [`Station::follow_up`].
    pub(crate) fn exchange(&mut self) -> &mut Exchange {
        self.node.exchange_mut()
    }

    /// What it counted.
    pub const fn counters(&self) -> &Counters {
        &self.switch.counters
    }

    /// Whether no peer can be reached any more: a ring is broken.
    pub fn is_lost(&self) -> bool {
        self.ways.iter().all(|w| w.ends.is_broken())
    }

    /// Whether a member of its segment can be reached.
    pub fn reaches_somebody(&self) -> bool {
        self.table.members().iter().any(|member| member.hop.is_some())
    }

    /// Takes what the peers sent and runs what is due; whether there was anything.
    pub fn handle(&mut self, now: Time) -> bool {
        let mut worked = false;
        for at in 0..self.ways.len() {
            if self.frames.len() >= FRAMES {
                break;
            }
            let mut came = Vec::new();
            if let Some(way) = self.ways.get_mut(at) {
                worked |= way.ends.receive(|message| came.push(message));
            }
            for message in came {
                self.message(now, at, message);
            }
        }
        if self.node.poll_timeout().is_some_and(|due| due <= now) {
            for way in &mut self.ways {
                let counts = way.ends.counts();
                self.node.handle_traffic(now, way.link, counts.1 != way.told.1, counts.0 != way.told.0);
                way.told = counts;
            }
            self.node.handle_timeout(now);
        }
        self.follow_up();
        worked
    }

    /// When [`Station::handle`] is to be called though nobody rings.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.node.poll_timeout()
    }

    /// Asks the peers to ring from now on; `false` when there is something to do already.
    pub fn arm(&mut self) -> bool {
        let wants_room = self.wants_room;
        let mut quiet = true;
        for way in &mut self.ways {
            quiet &= way.ends.arm(wants_room);
        }
        quiet && self.frames.is_empty() && (!wants_room || !self.has_room())
    }

    /// The peers need not ring any more.
    pub fn disarm(&mut self) {
        self.wants_room = false;
        self.ways.iter_mut().for_each(|w| w.ends.disarm());
    }

    /// Shows what was sent to the peers.
    pub fn flush(&mut self) {
        self.ways.iter_mut().for_each(|w| w.ends.flush());
    }

    fn message(&mut self, now: Time, at: usize, mut message: Vec<u8>) {
        let Some(link) = self.ways.get(at).map(|w| w.link) else { return };
        match Header::parse(&message) {
            Ok(header) if header.kind == Kind::Frame => {
                let from = self.node.link(link).filter(|l| l.is_live()).and_then(|l| l.peer()).map(|p| p.node);
                match from {
                    Some(from) => self.frame(now, from, &header, &mut message),
                    None => self.switch.counters.drop(Reason::UnknownSource),
                }
            }
            _ => self.node.handle_message(now, link, &message),
        }
    }

    fn frame(&mut self, now: Time, from: NodeId, header: &Header, message: &mut Vec<u8>) {
        let start = if header.flags.has(Flags::SLICE) { Header::LEN } else { usize::from(header.len) };
        let vnet = header.flags.has(Flags::OFFLOAD);
        let Some(frame) = message.get(start..) else { return self.switch.counters.drop(Reason::Malformed) };
        match self.switch.inbound(&self.table, now, from, header, Frame { vnet, ..shown(frame) }) {
            Inbound::Deliver => {
                message.drain(..start + if vnet { VirtioNet::LEN } else { 0 });
                self.deliver(now, core::mem::take(message));
            }
            Inbound::Slice => self.slice(now, from, header, message),
            // It relays for nobody: the node says so in its record.
            Inbound::Relay(_) => self.switch.counters.drop(Reason::NoPath),
            Inbound::Drop(_) => {}
        }
    }

    fn slice(&mut self, now: Time, from: NodeId, header: &Header, message: &[u8]) {
        let (Ok(slice), Some(bytes)) = (Slice::parse(message), message.get(Slice::HEADER_LEN..)) else {
            return self.switch.counters.drop(Reason::Malformed);
        };
        match self.reassembly.place(now, header, slice, bytes.len()) {
            Ok(place) => place.copy_from_slice(bytes),
            Err(reason) => return self.switch.counters.drop(reason),
        }
        let Some(whole) = self.reassembly.finish() else { return };
        self.switch.counters.reassembled += 1;
        let header = Header { flags: header.flags.without(Flags::SLICE), len: Header::LEN as u8, ..*header };
        let vnet = header.flags.has(Flags::OFFLOAD);
        let skip = if vnet { VirtioNet::LEN } else { 0 };
        let frame = Frame { vnet, ..shown(whole) };
        if self.switch.inbound(&self.table, now, from, &header, frame) == Inbound::Deliver {
            let bytes = whole.get(skip..).unwrap_or_default().to_vec();
            self.deliver(now, bytes);
        }
    }

    fn deliver(&mut self, now: Time, frame: Vec<u8>) {
        self.frames.extend(self.introductions.before(now, &frame));
        self.switch.counters.wrote(frame.len());
        self.frames.push_back(frame);
    }

    fn send_to(&mut self, now: Time, to: usize, bytes: &mut [u8]) {
        let mut answer = [0; ANSWER_MAX];
        let plan = self.switch.plan(&self.table, to, now, shown(bytes), Route::Own, &mut answer);
        let hop = self.table.member(to).and_then(|m| m.hop);
        let Some(way) = hop.and_then(|h| self.ways.get_mut(h.channel as usize)) else {
            return self.switch.counters.drop(Reason::NoPath);
        };
        let sent = match plan {
            Plan::Whole(whole) => {
                if whole.complete.is_some_and(|c| !complete_checksum(bytes, c)) {
                    return self.switch.counters.drop(Reason::Malformed);
                }
                let payload = bytes.get(whole.payload.clone()).unwrap_or_default();
                way.ends.send(&[View::from(whole.head()), View::from(payload)])
            }
            Plan::Cut(mut cutter) => parts(way, &mut self.scratch, bytes, |head| cutter.next(head)),
            Plan::Slices(mut slicer) => {
                if slicer.complete.take().is_some_and(|c| !complete_checksum(bytes, c)) {
                    return self.switch.counters.drop(Reason::Malformed);
                }
                parts(way, &mut self.scratch, bytes, |head| slicer.next(head))
            }
            Plan::TooBig(len) => return self.frames.extend(answer.get(..len).map(<[u8]>::to_vec)),
            Plan::Drop(_) => return,
        };
        if !sent {
            self.switch.counters.drop(Reason::CarrierFull);
        }
    }

    /// Sends what the core has to say, and publishes what changed.
    pub(crate) fn follow_up(&mut self) {
        while let Some((head, payload)) = self.node.poll_gather() {
            if let Some(way) = self.ways.iter_mut().find(|w| w.link == head.link) {
                let pieces = payload.chunks();
                let views: Vec<View<'_>> = [&head.bytes[..]].into_iter().chain(pieces).map(View::from).collect();
                // What does not fit is lost, as on any carrier; the core says it again.
                way.ends.send(&views);
            }
        }
        let mut changed = false;
        while let Some(event) = self.node.poll_event() {
            changed |= !matches!(event, Event::Pong(_));
        }
        if changed {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let segment = SegmentId::from_name(&self.config.segment);
        let mut table = Table::builder(self.config.id, segment)
            .largest_frame(self.config.frame() as usize)
            .offloads(OFFLOADS)
            .extend([], [], self.config.addresses.iter().map(|(ip, _)| (*ip, self.config.id)));
        for record in self.node.members().filter(|r| r.node != self.config.id) {
            let Some(there) = record.attachments.iter().find(|a| a.segment == segment) else { continue };
            let route = self.node.route(record.node);
            let way = route.and_then(|r| {
                let channel = self.ways.iter().position(|w| w.link == r.link)?;
                Some((r, channel as u32, self.node.link(r.link)?.peer()?.message as usize))
            });
            table = table.member(Member {
                node: record.node,
                via: route.map_or(record.node, |r| r.via),
                hop: way.map(|(_, channel, _)| Hop { carrier: 0, channel }),
                message: way.map_or(0, |(.., message)| message),
                slice: way.map_or(0, |(route, ..)| route.message as usize),
                largest_frame: there.frame as usize,
                offloads: Offloads::from_bits(there.offloads),
            });
            let v4 = there.v4.iter().map(|ip| IpAddr::from(*ip));
            let v6 = there.v6.iter().map(|ip| IpAddr::from(*ip));
            table = table.extend([], [], v4.chain(v6).map(|ip| (ip, record.node)));
        }
        self.table = table.build();
    }
}

impl<M: Memory, B: Bell> Frames for Station<M, B> {
    fn frame_most(&self) -> usize {
        self.config.frame() as usize
    }

    fn has_room(&mut self) -> bool {
        let most = self.config.frame() as usize + Header::LEN + VirtioNet::LEN;
        let room = self.ways.iter_mut().all(|w| w.ends.is_broken() || w.ends.has_room(most));
        self.wants_room |= !room;
        room
    }

    fn poll_frame(&mut self, _now: Time) -> Option<Vec<u8>> {
        self.frames.pop_front()
    }

    /// The peers see it after [`Station::flush`].
    fn send_frame(&mut self, now: Time, bytes: &mut [u8]) {
        let mut answer = [0; ANSWER_MAX];
        let decision = self.switch.outbound(&self.table, now, shown(bytes), &mut answer);
        match decision {
            Outbound::To(to) => self.send_to(now, to, bytes),
            Outbound::Flood => {
                let all: Vec<usize> = self.table.flood().collect();
                all.into_iter().for_each(|to| self.send_to(now, to, bytes));
            }
            Outbound::Answer(len) => self.frames.extend(answer.get(..len).map(<[u8]>::to_vec)),
            Outbound::Drop(_) => {}
        }
    }
}

fn attachment(config: &Config, segment: SegmentId) -> Attachment {
    let own = || config.addresses.iter().map(|(ip, _)| *ip);
    Attachment {
        segment,
        name: config.segment.clone(),
        frame: config.frame(),
        offloads: OFFLOADS.bits(),
        v4: own().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(ip.octets()) } else { None }).collect(),
        v6: own().filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(ip.octets()) } else { None }).collect(),
    }
}

fn shown(bytes: &[u8]) -> Frame<'_> {
    Frame { head: bytes.get(..HEAD_MAX).unwrap_or(bytes), total: bytes.len(), vnet: false }
}

/// Sends the messages of a frame that travels in several; whether all found room.
fn parts<M: Memory, B: Bell>(
    way: &mut Way<M, B>,
    scratch: &mut [u8],
    bytes: &[u8],
    mut next: impl FnMut(&mut [u8; HEAD_MAX]) -> Option<Part>,
) -> bool {
    let mut head = [0; HEAD_MAX];
    while let Some(Part { head_len, payload, complete }) = next(&mut head) {
        let (Some(front), Some(back)) = (head.get(..head_len), bytes.get(payload)) else { return false };
        let sent = match complete {
            None => way.ends.send(&[View::from(front), View::from(back)]),
            Some(complete) => {
                let Some(message) = scratch.get_mut(..front.len() + back.len()) else { return false };
                let (to_front, to_back) = message.split_at_mut(front.len());
                to_front.copy_from_slice(front);
                to_back.copy_from_slice(back);
                complete_checksum(message, complete) && way.ends.send(&[View::from(&*message)])
            }
        };
        if !sent {
            return false;
        }
    }
    true
}
