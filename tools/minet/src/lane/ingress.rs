//! From the carriers to the interfaces, and from one carrier to another.
//!
//! A head is copied once into private memory, checked there and written from there; the rest goes from the carrier's
//! memory straight to the interface. Parts of a run are merged first. What is only passing through is copied, so that
//! what was checked is what is sent.

use super::{
    Inbox, Port, Report,
    dispatch::{Dispatch, Outcome, Unsent},
    egress::{frame, write, write_answer},
    outlet::Outlet,
};
use crate::snapshot::Snapshot;
use arrayvec::ArrayVec;
use fabric::{BATCH, Batch, Channel, Origin, Received, View};
use messenger_core::{
    NodeId, Time,
    wire::{Flags, Header, Kind, Slice},
};
use minet::{
    ANSWER_MAX, Frame, HEAD_MAX, Inbound, Merge, Merger, Offloads, Outbound, Plan, RUN_MAX, Reason, Reassembly, Route,
    Table, VirtioNet, tun,
};

/// Bytes of frames passing through that are held at one time.
const STASH: usize = 4 << 20;
/// Header and head of a frame.
const KNOWN: usize = Slice::HEADER_LEN + HEAD_MAX;
/// Header and foretold head of a part.
const FORETOLD: usize = 128;
/// Longest greeting.
const GREETING_MOST: usize = 512;
/// Longest message that is no frame: what the carrier with the longest ones takes.
const MESSAGE_MOST: usize = fabric::shm::MESSAGE_MOST;

/// The state of one direction.
pub(super) struct Ingress {
    /// One an interface: each makes only super-frames that its interface takes.
    mergers: Vec<Merger>,
    run: Option<Run>,
    reassembly: Reassembly,
    dispatch: Dispatch,
    stash: Vec<u8>,
    passing: ArrayVec<Passing, BATCH>,
    answer: [u8; ANSWER_MAX],
}

/// Where the run at hand goes.
#[derive(Clone, Copy, PartialEq)]
struct Run {
    port: usize,
    carrier: usize,
    channel: Channel,
    source: u32,
    /// The member it is relayed to, with its header; `None` for our own interface.
    relay: Option<(usize, Header)>,
    /// What follows need not be judged again: it is relayed, or for this node alone. Of others, each counts against a limit.
    steady: bool,
    /// The header of each part in the middle.
    middle: [u8; Header::LEN],
}

impl Run {
    /// Parts with other headers belong together when they go the same way.
    fn same_way(&self, other: &Run) -> bool {
        let way = |run: &Run| (run.port, run.carrier, run.channel, run.source, run.relay.map(|(to, _)| to));
        way(self) == way(other)
    }
}

/// A frame in the stash.
struct Passing {
    port: usize,
    start: usize,
    len: usize,
    vnet: bool,
    /// To which member, with which header; `None` for one that we made and send as if our interface had.
    relay: Option<(usize, Header)>,
}

impl Ingress {
    pub(super) fn new(reassembly: Reassembly, offloads: impl Iterator<Item = Offloads>) -> Ingress {
        Ingress {
            mergers: offloads.map(Merger::with).collect(),
            run: None,
            reassembly,
            dispatch: Dispatch::new(),
            stash: Vec::with_capacity(STASH),
            passing: ArrayVec::new(),
            answer: [0; ANSWER_MAX],
        }
    }

    /// Takes one batch of every carrier; whether there was anything.
    pub(super) fn turn(
        &mut self,
        now: Time,
        snapshot: &Snapshot,
        ports: &mut [Port],
        outlet: &mut Outlet,
        inbox: &Inbox,
    ) -> bool {
        let mut worked = false;
        for at in 0..outlet.count() {
            let mut counted: ArrayVec<(Channel, u64), 8> = ArrayVec::new();
            if let Some(carrier) = outlet.carrier(at) {
                let kind = carrier.kind();
                let mut batch = Batch::new();
                if let Err(e) = carrier.receive(&mut batch) {
                    log::error!("lane: the {kind} carrier failed for good: {e}");
                    drop(batch);
                    outlet.fail(at);
                    continue;
                }
                if batch.is_empty() {
                    continue;
                }
                worked = true;
                self.batch(now, snapshot, ports, inbox, at, &batch, &mut counted);
                drop(batch);
                if let Some(carrier) = outlet.carrier(at) {
                    carrier.release();
                    while let Some((channel, address)) = carrier.moved() {
                        inbox.push(Report::Moved { carrier: at, channel, address });
                    }
                }
            }
            for (channel, n) in counted {
                outlet.heard(at, channel, n);
            }
            self.pass_on(now, snapshot, ports, outlet);
        }
        worked
    }

    #[allow(clippy::too_many_arguments, reason = "what a lane has at hand, passed on from one step to the next")]
    fn batch(
        &mut self,
        now: Time,
        snapshot: &Snapshot,
        ports: &mut [Port],
        inbox: &Inbox,
        carrier: usize,
        batch: &Batch<'_>,
        counted: &mut ArrayVec<(Channel, u64), 8>,
    ) {
        for (token, received) in batch.iter().enumerate() {
            if self.follows(ports, token, received, counted) {
                continue;
            }
            let mut known = [0; KNOWN];
            let n = received.bytes.copy_to(0, &mut known);
            let known = known.get(..n).unwrap_or_default();
            let header = match Header::parse(known) {
                Ok(header) if header.kind == Kind::Frame => header,
                _ => {
                    report(inbox, carrier, received);
                    continue;
                }
            };
            if let Origin::Channel(channel) = received.origin {
                match counted.iter_mut().find(|(c, _)| *c == channel) {
                    Some((_, n)) => *n += 1,
                    // More peers at once than places: one more sign of life that is not noted is no harm.
                    None => drop(counted.try_push((channel, 1))),
                }
            }
            self.frame(now, snapshot, ports, carrier, batch, token, received, &header, known);
        }
        self.flush(ports, batch);
    }

    /// Whether this was the next part of the run at hand, just as foretold: then it is held already.
    fn follows(
        &mut self,
        ports: &mut [Port],
        token: usize,
        received: &Received<'_>,
        counted: &mut ArrayVec<(Channel, u64), 8>,
    ) -> bool {
        let Some(run) = self.run.as_ref().filter(|run| run.steady) else { return false };
        let Some(merger) = self.mergers.get_mut(run.port) else { return false };
        let Some((shown, total)) = merger.next() else { return false };
        if received.origin != Origin::Channel(run.channel) || received.bytes.len() != Header::LEN + total {
            return false;
        }
        let mut known = [0; FORETOLD];
        let Some(known) = known.get_mut(..Header::LEN + shown) else { return false };
        received.bytes.copy_to(0, known);
        let (header, head) = known.split_at(Header::LEN);
        if header != run.middle || !merger.follow(token, head, total) {
            return false;
        }
        if let Some((_, n)) = counted.iter_mut().find(|(c, _)| *c == run.channel) {
            *n += 1;
        }
        if let Some(port) = ports.get_mut(run.port) {
            port.switch.counters.foretold += 1;
            port.switch.counters.relayed += u64::from(run.relay.is_some());
        }
        true
    }

    #[allow(clippy::too_many_arguments, reason = "as above")]
    fn frame(
        &mut self,
        now: Time,
        snapshot: &Snapshot,
        ports: &mut [Port],
        carrier: usize,
        batch: &Batch<'_>,
        token: usize,
        received: &Received<'_>,
        header: &Header,
        known: &[u8],
    ) {
        let Some(at) = ports.iter().position(|p| p.segment.0 == header.port) else {
            return count(ports, 0, Reason::WrongSegment);
        };
        let Origin::Channel(channel) = received.origin else { return count(ports, at, Reason::UnknownSource) };
        let (Some(table), Some(from)) = (snapshot.tables.get(at), snapshot.peer(carrier, channel.0)) else {
            return count(ports, at, Reason::UnknownSource);
        };
        let Some(port) = ports.get_mut(at) else { return };
        // Of a slice, all behind the first 16 bytes is passed on as it is.
        let start = if header.flags.has(Flags::SLICE) { Header::LEN } else { usize::from(header.len) };
        let (Some(head), Some(total)) = (known.get(start..), received.bytes.len().checked_sub(start)) else {
            return port.switch.counters.drop(Reason::Malformed);
        };
        let head = head.get(..head.len().min(HEAD_MAX)).unwrap_or_default();
        let shown = Frame { head, total, vnet: header.flags.has(Flags::OFFLOAD) };
        let relay = match port.switch.inbound(table, now, from, header, shown) {
            Inbound::Deliver => None,
            Inbound::Relay(to) => Some((to, *header)),
            Inbound::Slice => {
                self.flush(ports, batch);
                return self.slice(now, table, from, ports, at, header, known, received);
            }
            Inbound::Drop(_) => return,
        };
        let mut middle = [0; Header::LEN];
        let flags = header.flags.without(Flags::FIRST).with(Flags::MORE);
        let _ = Header { flags, ..*header }.emit(&mut middle);
        let steady = relay.is_some() || shown.destination().is_some_and(|to| table.is_ours(to));
        let run = Run { port: at, carrier, channel, source: header.source, relay, steady, middle };
        if self.run.is_some_and(|held| !held.same_way(&run)) || header.flags.has(Flags::SLICE) {
            self.flush(ports, batch);
        }
        if header.flags.has(Flags::SLICE) {
            return self.alone(ports, table, run, shown, received.bytes.skip(start));
        }
        loop {
            let Some(merger) = self.mergers.get_mut(at) else { return };
            // Pieces are counted from the plain header on.
            let flags = if usize::from(header.len) == Header::LEN { header.flags } else { Flags::default() };
            match merger.push(token, flags, shown) {
                Merge::Alone => return self.alone(ports, table, run, shown, received.bytes.skip(start)),
                Merge::Held => {
                    self.run = self.run.or(Some(run));
                    return;
                }
                Merge::Complete => return self.flush(ports, batch),
                Merge::Refused => self.flush(ports, batch),
            }
        }
    }

    /// A frame that is not merged: its checked head, then the rest as the carrier has it.
    fn alone(&mut self, ports: &mut [Port], table: &Table, run: Run, shown: Frame<'_>, bytes: View<'_>) {
        let rest = bytes.skip(shown.head.len());
        match run.relay {
            Some(relay) => self.stash(ports, run.port, Some(relay), shown.vnet, &[View::from(shown.head), rest]),
            None => {
                let Some(port) = ports.get_mut(run.port) else { return };
                if port.tun {
                    return self.packet(ports, run.port, table, shown, rest);
                }
                deliver(port, shown, rest);
            }
        }
    }

    /// To a TUN interface: without Ethernet header. Requests for its addresses are answered here.
    fn packet(&mut self, ports: &mut [Port], at: usize, table: &Table, shown: Frame<'_>, rest: View<'_>) {
        let Some(port) = ports.get_mut(at) else { return };
        match tun::unwrap(shown) {
            Ok(start) => {
                let head = shown.head.get(start..).unwrap_or_default();
                write(port, &[View::from(head), rest], shown.total.saturating_sub(start));
            }
            Err(reason) => match tun::answer(table, shown, &mut self.answer) {
                Some(n) => {
                    let answer = self.answer;
                    let bytes = answer.get(..n).unwrap_or_default();
                    self.stash(ports, at, None, shown.vnet, &[View::from(bytes)]);
                }
                None => port.switch.counters.drop(reason),
            },
        }
    }

    /// Delivers or stashes the run at hand.
    fn flush(&mut self, ports: &mut [Port], batch: &Batch<'_>) {
        let Some(run) = self.run.take() else { return };
        let Some(merged) = self.mergers.get_mut(run.port).and_then(Merger::take) else { return };
        let mut head = [0; HEAD_MAX];
        let mut pieces: ArrayVec<View<'_>, { RUN_MAX + 1 }> = ArrayVec::new();
        let n = merged.head.len().min(HEAD_MAX);
        if let (Some(to), Some(from)) = (head.get_mut(..n), merged.head.get(..n)) {
            to.copy_from_slice(from);
        }
        let (len, parts) = (merged.len(), merged.pieces.len() as u64);
        pieces.push(View::from(head.get(..n).unwrap_or_default()));
        for piece in merged.pieces {
            let received = batch.get(piece.token).map_or(View::EMPTY, |r| r.bytes);
            // Parts of a run have the plain header.
            let range = Header::LEN + piece.start..Header::LEN + piece.end;
            pieces.push(received.get(range).unwrap_or(View::EMPTY));
        }
        let Some(port) = ports.get_mut(run.port) else { return };
        if parts > 1 {
            port.switch.counters.merged += 1;
            port.switch.counters.merged_parts += parts;
        }
        match run.relay {
            None => write(port, &pieces, len),
            Some((to, header)) => {
                let flags = header.flags.with(Flags::OFFLOAD).without(Flags::FIRST).without(Flags::MORE);
                self.stash(ports, run.port, Some((to, Header { flags, ..header })), true, &pieces);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "as above")]
    fn slice(
        &mut self,
        now: Time,
        table: &Table,
        from: NodeId,
        ports: &mut [Port],
        at: usize,
        header: &Header,
        known: &[u8],
        received: &Received<'_>,
    ) {
        let Some(port) = ports.get_mut(at) else { return };
        let Ok(slice) = Slice::parse(known) else { return port.switch.counters.drop(Reason::Malformed) };
        let bytes = received.bytes.skip(Slice::HEADER_LEN);
        match self.reassembly.place(now, header, slice, bytes.len()) {
            Ok(place) => drop(bytes.copy_to(0, place)),
            Err(reason) => return port.switch.counters.drop(reason),
        }
        let Some(whole) = self.reassembly.finish() else { return };
        port.switch.counters.reassembled += 1;
        let header = Header { flags: header.flags.without(Flags::SLICE), len: Header::LEN as u8, ..*header };
        let shown = frame(whole, whole.len(), header.flags.has(Flags::OFFLOAD));
        if port.switch.inbound(table, now, from, &header, shown) != Inbound::Deliver {
            return;
        }
        if port.tun {
            match tun::unwrap(shown) {
                Ok(start) => {
                    let bytes = whole.get(start..).unwrap_or_default();
                    write(port, &[View::from(bytes)], bytes.len());
                }
                Err(reason) => port.switch.counters.drop(reason),
            }
            return;
        }
        deliver(port, shown, View::from(whole.get(shown.head.len()..).unwrap_or_default()));
    }

    /// Copies a frame that passes through.
    fn stash(
        &mut self,
        ports: &mut [Port],
        port: usize,
        relay: Option<(usize, Header)>,
        vnet: bool,
        pieces: &[View<'_>],
    ) {
        let len: usize = pieces.iter().map(View::len).sum();
        let start = self.stash.len();
        if start + len > STASH || self.passing.is_full() {
            return count(ports, port, Reason::CarrierFull);
        }
        self.stash.resize(start + len, 0);
        let mut at = start;
        for piece in pieces {
            at += self.stash.get_mut(at..).map_or(0, |to| piece.copy_to(0, to));
        }
        self.passing.push(Passing { port, start, len, vnet, relay });
    }

    /// Sends what was stashed. A full carrier is not waited for.
    fn pass_on(&mut self, now: Time, snapshot: &Snapshot, ports: &mut [Port], outlet: &mut Outlet) {
        let passing = core::mem::take(&mut self.passing);
        for Passing { port: at, start, len, vnet, relay } in passing {
            let (Some(port), Some(table)) = (ports.get_mut(at), snapshot.tables.get(at)) else { continue };
            let Some(bytes) = self.stash.get_mut(start..start + len) else { continue };
            let shown = frame(bytes, len, vnet);
            let (to, plan) = match relay {
                Some((to, header)) => {
                    (to, port.switch.plan(table, to, now, shown, Route::Relay(header), &mut self.answer))
                }
                None => match port.switch.outbound(table, now, shown, &mut self.answer) {
                    Outbound::To(to) => (to, port.switch.plan(table, to, now, shown, Route::Own, &mut self.answer)),
                    _ => continue,
                },
            };
            if let Plan::TooBig(n) = plan {
                write_answer(port, self.answer.get(..n).unwrap_or_default());
                continue;
            }
            let (Some(hop), Some(unsent)) = (table.member(to).and_then(|m| m.hop), Unsent::of(plan)) else { continue };
            match self.dispatch.send(outlet, hop, bytes, unsent) {
                Outcome::Sent => {}
                Outcome::Full(_) => port.switch.counters.drop(Reason::CarrierFull),
                Outcome::Dropped(reason) => port.switch.counters.drop(reason),
            }
        }
        self.stash.clear();
    }
}

/// To our interface, with or without a virtio-net header as the interface wants it.
fn deliver(port: &mut Port, shown: Frame<'_>, rest: View<'_>) {
    const NONE: [u8; VirtioNet::LEN] = [0; VirtioNet::LEN];
    let head = View::from(shown.head);
    match (shown.vnet, port.vnet) {
        (false, true) => write(port, &[View::from(&NONE[..]), head, rest], shown.total + VirtioNet::LEN),
        (true, false) => match VirtioNet::parse(shown.head).filter(VirtioNet::is_trivial) {
            Some(_) => write(port, &[head.skip(VirtioNet::LEN), rest], shown.len()),
            None => port.switch.counters.drop(Reason::Offload),
        },
        _ => write(port, &[head, rest], shown.total),
    }
}

/// A message that is no frame, for the control thread. Of a stranger only what can be a greeting, or tells of another
/// version.
fn report(inbox: &Inbox, carrier: usize, received: &Received<'_>) {
    if let Origin::Stranger(_) = received.origin {
        let mut start = [0; 2];
        let known = received.bytes.copy_to(0, &mut start) == start.len();
        if !known || !is_greeting(start, received.bytes.len()) {
            return;
        }
    }
    let mut bytes = vec![0; received.bytes.len().min(MESSAGE_MOST)];
    received.bytes.copy_to(0, &mut bytes);
    inbox.push(Report::Message { carrier, origin: received.origin, bytes });
}

/// Whether a stranger's message is one that the control thread gets: a greeting in clear text, or part of a handshake.
pub(crate) fn may_greet(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|start| is_greeting(*start, bytes.len()))
}

fn is_greeting(start: [u8; 2], len: usize) -> bool {
    let sealed = fabric_seal::kind_of(&[start[0], start[1], 0, 0]).is_some();
    (sealed || start[1] == u8::from(Kind::Link)) && len <= GREETING_MOST
}

fn count(ports: &mut [Port], at: usize, reason: Reason) {
    if let Some(port) = ports.get_mut(at) {
        port.switch.counters.drop(reason);
    }
}
