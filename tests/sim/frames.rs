//! Frames: from one station's interface to another's.

use crate::{
    station::{FRAME, Got, relays, segment},
    world::World,
};
use messenger_core::{
    LinkId, Mac,
    wire::{Flags, Header, Slice},
};
use minet::{ANSWER_MAX, Frame, HEAD_MAX, Inbound, Outbound, Part, Plan, Reason, Route, Table};

/// Ethernet header, ethertype and tag.
const LEAST: usize = 60;

/// The frame of that number, with a virtio-net header: its bytes tell whether it is whole.
fn build(dst: Mac, src: Mac, tag: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; 10];
    bytes.extend(dst.0);
    bytes.extend(src.0);
    bytes.extend([0x88, 0xb5]);
    bytes.extend(tag.to_le_bytes());
    bytes.resize(10 + len.clamp(LEAST, FRAME), tag as u8);
    bytes
}

impl World {
    /// Gives a frame of `len` bytes to a station's interface; returns its number, or why it went nowhere.
    pub fn send(&mut self, from: usize, to: Mac, len: usize) -> Result<u64, Reason> {
        self.tags += 1;
        let (tag, src) = (self.tags, Mac::of(self.stations[from].id()));
        let mut bytes = build(to, src, tag, len);
        let station = &mut self.stations[from];
        let table = station.table(from, &self.cables);
        let frame = Frame { head: &bytes[..bytes.len().min(HEAD_MAX)], total: bytes.len(), vnet: true };
        let mut answer = [0; ANSWER_MAX];
        match station.switch.outbound(&table, self.now + station.skew, frame, &mut answer) {
            Outbound::To(at) => self.dispatch(from, &table, at, &mut bytes, true, Route::Own)?,
            Outbound::Flood => {
                for at in table.flood() {
                    self.dispatch(from, &table, at, &mut bytes, true, Route::Own)?;
                }
            }
            Outbound::Answer(_) => self.wrong.push(format!("station {from} answers what is no question")),
            Outbound::Drop(reason) => return Err(reason),
        }
        Ok(tag)
    }

    /// Sends to another station's node.
    pub fn send_to(&mut self, from: usize, to: usize, len: usize) -> Result<u64, Reason> {
        self.send(from, Mac::of(self.stations[to].id()), len)
    }

    /// How often a frame came out of a station's interface.
    pub fn times(&self, place: usize, tag: u64) -> usize {
        self.stations[place].got.iter().filter(|g| g.tag == tag).count()
    }

    fn dispatch(
        &mut self,
        from: usize,
        table: &Table,
        to: usize,
        bytes: &mut [u8],
        vnet: bool,
        route: Route,
    ) -> Result<(), Reason> {
        let hop = table.member(to).and_then(|m| m.hop).ok_or(Reason::NoPath)?;
        let at = hop.channel as usize;
        let station = &mut self.stations[from];
        let frame = Frame { head: &bytes[..bytes.len().min(HEAD_MAX)], total: bytes.len(), vnet };
        let mut answer = [0; ANSWER_MAX];
        let mut head = [0; HEAD_MAX];
        let mut messages = Vec::new();
        let mut add = |head: &[u8], payload| messages.push([head, &bytes[payload]].concat());
        match station.switch.plan(table, to, self.now + station.skew, frame, route, &mut answer) {
            Plan::Whole(whole) => add(whole.head(), whole.payload.clone()),
            Plan::Slices(mut slicer) => {
                while let Some(Part { head_len, payload, .. }) = slicer.next(&mut head) {
                    add(&head[..head_len], payload);
                }
            }
            Plan::Drop(reason) => return Err(reason),
            plan => self.wrong.push(format!("station {from} made {plan:?} of a plain frame")),
        }
        if let Some(link) = self.link_at(at, from) {
            self.stations[from].traffic.entry(link).or_default().1 = true;
        }
        messages.into_iter().for_each(|m| self.post(at, from, m));
        Ok(())
    }

    fn link_at(&self, at: usize, place: usize) -> Option<LinkId> {
        self.cables[at].links[self.cables[at].end_of(place)?]
    }

    /// A frame message came over a cable.
    pub fn take_frame(&mut self, at: usize, place: usize, header: &Header, message: &[u8]) {
        let Some(link) = self.link_at(at, place) else { return };
        let station = &mut self.stations[place];
        let live = station.node.link(link).filter(|l| l.is_live()).and_then(|l| l.peer()).map(|p| p.node);
        let Some(from) = live else { return station.switch.counters.drop(Reason::UnknownSource) };
        station.traffic.entry(link).or_default().0 = true;
        let start = if header.flags.has(Flags::SLICE) { Header::LEN } else { usize::from(header.len) };
        let Some(body) = message.get(start..) else { return };
        let table = station.table(place, &self.cables);
        let vnet = header.flags.has(Flags::OFFLOAD);
        let now = self.now + station.skew;
        let shown = |bytes| Frame { head: bytes, total: body.len(), vnet };
        match station.switch.inbound(&table, now, from, header, shown(&body[..body.len().min(HEAD_MAX)])) {
            Inbound::Deliver => self.get(place, header, body, vnet),
            Inbound::Relay(to) => {
                let mut body = body.to_vec();
                if let Err(reason) = self.dispatch(place, &table, to, &mut body, vnet, Route::Relay(*header)) {
                    self.stations[place].switch.counters.drop(reason);
                }
            }
            Inbound::Slice => self.take_slice(place, &table, from, header, message),
            Inbound::Drop(_) => {}
        }
    }

    fn take_slice(&mut self, place: usize, table: &Table, from: messenger_core::NodeId, h: &Header, message: &[u8]) {
        let station = &mut self.stations[place];
        let now = self.now + station.skew;
        let (Ok(slice), Some(part)) = (Slice::parse(message), message.get(Slice::HEADER_LEN..)) else { return };
        match station.reassembly.place(now, h, slice, part.len()) {
            Ok(room) => room.copy_from_slice(part),
            Err(reason) => return station.switch.counters.drop(reason),
        }
        let Some(whole) = station.reassembly.finish().map(|w| w.to_vec()) else { return };
        let whole_header = Header { len: Header::LEN as u8, flags: h.flags.without(Flags::SLICE), ..*h };
        let vnet = h.flags.has(Flags::OFFLOAD);
        let shown = Frame { head: &whole[..whole.len().min(HEAD_MAX)], total: whole.len(), vnet };
        if station.switch.inbound(table, now, from, &whole_header, shown) == Inbound::Deliver {
            self.get(place, h, &whole, vnet);
        }
    }

    fn get(&mut self, place: usize, header: &Header, frame: &[u8], vnet: bool) {
        let ethernet = &frame[if vnet { 10 } else { 0 }..];
        let tag = ethernet.get(14..22).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
        if header.port != segment().0 || ethernet.get(22..).is_none_or(|rest| rest.iter().any(|b| *b != tag as u8)) {
            self.wrong.push(format!("station {place} got a frame that nobody sent"));
        }
        if header.source == self.stations[place].id().get() {
            self.wrong.push(format!("station {place} got back what it sent"));
        }
        self.stations[place].got.push(Got { tag, relays: relays(header.flags) });
    }
}
