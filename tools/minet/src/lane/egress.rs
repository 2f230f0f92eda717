//! From the interfaces to the carriers.
//!
//! Where the last frames all went to one peer in memory, the next is read straight into its ring (the *guess*): then
//! nothing is copied at all. A wrong guess is copied to private memory once; without a guess a frame is read there.
//!
//! A full carrier holds up the lane's reading for a bounded time, so that a sender is slowed down instead of losing
//! frames. A peer that makes no room in that time has stalled: from then on what is for it is dropped at once, until it
//! takes something again. So a peer that does not read stalls only itself.

use super::{
    FRAME_MOST, Port,
    dispatch::{Dispatch, Outcome, Unsent},
    outlet::Outlet,
};
use crate::snapshot::Snapshot;
use arrayvec::ArrayVec;
use fabric::{SendError, Slot, View, io};
use messenger_core::{Time, wire::Header};
use minet::{ANSWER_MAX, Ethernet, Frame, HEAD_MAX, Hop, Outbound, Plan, Reason, Route, Table, VirtioNet, tun};
use std::{io::ErrorKind, os::fd::AsFd, time::Duration};

/// How long a full carrier may hold up reading: longer than a busy machine lets a living peer wait for a processor.
const PATIENCE: Duration = Duration::from_millis(200);
/// How soon a full carrier is tried again: well before a peer that is at work has emptied a ring.
const RETRY: Duration = Duration::from_micros(200);
/// So many frames in a row to one peer make a guess.
const STREAK: u32 = 2;
/// Peers that may be remembered as stalled.
const STALLED: usize = 64;
/// Room in front of a frame for its message header.
const ROOM: usize = Header::LEN;
/// Longest frame as read, virtio-net header included.
const READ_MOST: usize = VirtioNet::LEN + FRAME_MOST;

/// The state of one direction.
pub(super) struct Egress {
    guesses: Vec<Guess>,
    parked: Option<Parked>,
    stalled: ArrayVec<Hop, STALLED>,
    dispatch: Dispatch,
    /// One frame, private.
    buffer: Box<[u8]>,
    answer: [u8; ANSWER_MAX],
}

#[derive(Clone, Copy, Default)]
struct Guess {
    hop: Option<Hop>,
    streak: u32,
}

/// A frame in the buffer that waits for room.
struct Parked {
    port: usize,
    len: usize,
    hop: Hop,
    since: Time,
    unsent: Unsent,
}

/// How one attempt to read ended.
enum Read {
    /// A frame was dealt with.
    Done,
    /// There was none.
    Empty,
}

impl Egress {
    pub(super) fn new(ports: usize) -> Egress {
        Egress {
            guesses: vec![Guess::default(); ports],
            parked: None,
            stalled: ArrayVec::new(),
            dispatch: Dispatch::new(),
            buffer: vec![0; READ_MOST + Ethernet::LEN].into_boxed_slice(),
            answer: [0; ANSWER_MAX],
        }
    }

    /// When a sleeping lane must look again though nobody rings.
    pub(super) fn retry_in(&self) -> Option<Duration> {
        self.parked.as_ref().map(|_| RETRY)
    }

    /// Takes up to `burst` frames; whether there was any.
    pub(super) fn turn(
        &mut self,
        now: Time,
        snapshot: &Snapshot,
        ports: &mut [Port],
        outlet: &mut Outlet,
        burst: usize,
    ) -> bool {
        let mut worked = false;
        if let Some(parked) = self.parked.take() {
            worked = self.retry(now, ports, outlet, parked);
        }
        for (at, port) in ports.iter_mut().enumerate() {
            let Some(table) = snapshot.tables.get(at) else { continue };
            for _ in 0..burst {
                if self.parked.is_some() {
                    return worked;
                }
                match self.one(now, table, at, port, outlet) {
                    Read::Done => worked = true,
                    Read::Empty => break,
                }
            }
        }
        worked
    }

    fn one(&mut self, now: Time, table: &Table, at: usize, port: &mut Port, outlet: &mut Outlet) -> Read {
        if port.tun {
            return self.one_packet(now, table, at, port, outlet);
        }
        let guess = self.guesses.get(at).copied().unwrap_or_default();
        if let (Some(hop), true) = (guess.hop, guess.streak >= STREAK)
            && let Ok(mut slot) = outlet.reserve(hop, ROOM + READ_MOST)
        {
            let Some(len) = read(port, &mut slot, ROOM) else { return Read::Empty };
            let mut head = [0; HEAD_MAX];
            let view = slot.view().get(ROOM..ROOM + len).unwrap_or(View::EMPTY);
            let known = view.copy_to(0, &mut head);
            let frame = Frame { head: head.get(..known).unwrap_or_default(), total: len, vnet: port.vnet };
            let decision = port.switch.outbound(table, now, frame, &mut self.answer);
            if let Outbound::To(to) = decision {
                let plan = port.switch.plan(table, to, now, frame, Route::Own, &mut self.answer);
                if let Plan::Whole(whole) = &plan
                    && whole.in_place()
                    && table.member(to).and_then(|m| m.hop) == Some(hop)
                {
                    slot.write(0, View::from(whole.head()));
                    port.switch.counters.guess_right += 1;
                    match outlet.commit(hop, whole.len()) {
                        Ok(()) if self.stalled.is_empty() => {}
                        Ok(()) => self.stalled.retain(|h| *h != hop),
                        Err(SendError::Full) => port.switch.counters.drop(Reason::CarrierFull),
                        Err(_) => port.switch.counters.drop(Reason::NoPath),
                    }
                    return Read::Done;
                }
                port.switch.counters.guess_wrong += 1;
                self.keep(view, &head, known);
                self.follow(now, table, at, port, outlet, to, len, plan);
                return Read::Done;
            }
            self.keep(view, &head, known);
            self.act(now, table, at, port, outlet, len, decision);
            return Read::Done;
        }
        let Some(len) = read(port, &mut Slot::from(&mut self.buffer[..READ_MOST]), 0) else { return Read::Empty };
        let decision = {
            let frame = frame(&self.buffer, len, port.vnet);
            port.switch.outbound(table, now, frame, &mut self.answer)
        };
        self.act(now, table, at, port, outlet, len, decision);
        Read::Done
    }

    /// An IP packet of a TUN interface: an Ethernet header goes in front.
    fn one_packet(&mut self, now: Time, table: &Table, at: usize, port: &mut Port, outlet: &mut Outlet) -> Read {
        let mut slot = Slot::from(&mut self.buffer[..READ_MOST]);
        let Some(len) = read(port, &mut slot, Ethernet::LEN) else { return Read::Empty };
        let packet = self.buffer.get(Ethernet::LEN..Ethernet::LEN + len).unwrap_or_default();
        match tun::wrap(table, packet, None) {
            Ok(header) => {
                if let Some(front) = self.buffer.first_chunk_mut() {
                    *front = header;
                }
                let len = len + Ethernet::LEN;
                let frame = frame(&self.buffer, len, false);
                let decision = port.switch.outbound(table, now, frame, &mut self.answer);
                // The kernel counts the packet alone.
                port.switch.counters.tx_bytes -= Ethernet::LEN as u64;
                self.act(now, table, at, port, outlet, len, decision);
            }
            Err(reason) => {
                port.switch.counters.read(len);
                port.switch.counters.drop(reason);
            }
        }
        Read::Done
    }

    /// Copies a frame that was read into the wrong ring; its head is the one that was checked.
    fn keep(&mut self, view: View<'_>, head: &[u8], known: usize) {
        let n = view.copy_to(0, &mut self.buffer);
        let known = known.min(n);
        if let (Some(to), Some(from)) = (self.buffer.get_mut(..known), head.get(..known)) {
            to.copy_from_slice(from);
        }
    }

    /// Does what was decided on the frame in the buffer.
    #[allow(clippy::too_many_arguments, reason = "what a lane has at hand, passed on from one step to the next")]
    fn act(
        &mut self,
        now: Time,
        table: &Table,
        at: usize,
        port: &mut Port,
        outlet: &mut Outlet,
        len: usize,
        decision: Outbound,
    ) {
        match decision {
            Outbound::To(to) => {
                let frame = frame(&self.buffer, len, port.vnet);
                let plan = port.switch.plan(table, to, now, frame, Route::Own, &mut self.answer);
                self.follow(now, table, at, port, outlet, to, len, plan);
            }
            Outbound::Flood => self.flood(now, table, port, outlet, len),
            Outbound::Answer(n) => write_answer(port, self.answer.get(..n).unwrap_or_default()),
            Outbound::Drop(_) => {}
        }
    }

    /// Follows the plan for the frame in the buffer.
    #[allow(clippy::too_many_arguments, reason = "as above")]
    fn follow(
        &mut self,
        now: Time,
        table: &Table,
        at: usize,
        port: &mut Port,
        outlet: &mut Outlet,
        to: usize,
        len: usize,
        plan: Plan,
    ) {
        if let Plan::TooBig(n) = plan {
            return write_answer(port, self.answer.get(..n).unwrap_or_default());
        }
        let Some(hop) = table.member(to).and_then(|m| m.hop) else { return };
        let whole = matches!(&plan, Plan::Whole(w) if w.in_place());
        let Some(unsent) = Unsent::of(plan) else { return };
        if let Some(guess) = self.guesses.get_mut(at) {
            let same = guess.hop == Some(hop) && whole;
            *guess = Guess { hop: Some(hop), streak: if same { guess.streak.saturating_add(1) } else { 0 } };
        }
        let bytes = self.buffer.get_mut(..len).unwrap_or_default();
        match self.dispatch.send(outlet, hop, bytes, unsent) {
            Outcome::Sent => self.stalled.retain(|h| *h != hop),
            Outcome::Full(_) if self.stalled.contains(&hop) || !outlet.worth_waiting(hop) => {
                port.switch.counters.drop(Reason::CarrierFull)
            }
            Outcome::Full(unsent) => {
                port.switch.counters.held_up += 1;
                self.parked = Some(Parked { port: at, len, hop, since: now, unsent });
            }
            Outcome::Dropped(reason) => port.switch.counters.drop(reason),
        }
    }

    /// To every member; nobody is waited for.
    fn flood(&mut self, now: Time, table: &Table, port: &mut Port, outlet: &mut Outlet, len: usize) {
        for to in table.flood() {
            let frame = frame(&self.buffer, len, port.vnet);
            let plan = port.switch.plan(table, to, now, frame, Route::Own, &mut self.answer);
            let Some(hop) = table.member(to).and_then(|m| m.hop) else { continue };
            let Some(unsent) = Unsent::of(plan) else { continue };
            // Completing a checksum changes the frame; the next member may take it as it was.
            let open = unsent.open_checksum();
            let bytes = self.buffer.get_mut(..len).unwrap_or_default();
            let kept = open.and_then(|at| bytes.get(at..at + 2)?.first_chunk::<2>().copied());
            let outcome = self.dispatch.send(outlet, hop, bytes, unsent);
            if let (Some(at), Some(kept)) = (open, kept)
                && let Some(field) = self.buffer.get_mut(at..at + 2)
            {
                field.copy_from_slice(&kept);
            }
            match outcome {
                Outcome::Sent => {}
                Outcome::Full(_) => port.switch.counters.drop(Reason::CarrierFull),
                Outcome::Dropped(reason) => port.switch.counters.drop(reason),
            }
        }
    }

    /// Tries the parked frame again; whether it is out of the way.
    fn retry(&mut self, now: Time, ports: &mut [Port], outlet: &mut Outlet, parked: Parked) -> bool {
        let Parked { port: at, len, hop, since, unsent } = parked;
        let Some(port) = ports.get_mut(at) else { return true };
        let bytes = self.buffer.get_mut(..len).unwrap_or_default();
        match self.dispatch.send(outlet, hop, bytes, unsent) {
            Outcome::Sent => {}
            Outcome::Full(unsent) if now.since(since) < PATIENCE => {
                self.parked = Some(Parked { port: at, len, hop, since, unsent });
                return false;
            }
            Outcome::Full(_) => {
                port.switch.counters.drop(Reason::CarrierFull);
                if !self.stalled.contains(&hop) && self.stalled.try_push(hop).is_err() {
                    self.stalled.clear();
                }
            }
            Outcome::Dropped(reason) => port.switch.counters.drop(reason),
        }
        true
    }
}

/// The frame of `len` bytes at the start of a buffer.
pub(super) fn frame(buffer: &[u8], len: usize, vnet: bool) -> Frame<'_> {
    Frame { head: buffer.get(..len.min(HEAD_MAX)).unwrap_or_default(), total: len, vnet }
}

/// One read of an interface; `None` when there is nothing.
fn read(port: &mut Port, slot: &mut Slot<'_>, at: usize) -> Option<usize> {
    match io::read_into(port.fd.as_fd(), slot, at) {
        Ok(0) => None,
        Ok(n) => Some(n),
        Err(e) => {
            // A reader of an interface that is down gets an error; so does one whose interface was removed.
            if e.kind() != ErrorKind::WouldBlock && e.kind() != ErrorKind::Interrupted {
                log::trace!("lane: reading the interface: {e}");
            }
            None
        }
    }
}

/// Gives a frame made here to our own interface.
pub(super) fn write_answer(port: &mut Port, answer: &[u8]) {
    write(port, &[View::from(answer)], answer.len());
}

/// Gives a frame to our own interface, with its virtio-net header where the interface has one.
pub(super) fn write(port: &mut Port, pieces: &[View<'_>], len: usize) {
    let front = if port.vnet { VirtioNet::LEN } else { 0 };
    match io::write_from(port.fd.as_fd(), pieces) {
        Ok(_) => port.switch.counters.wrote(len.saturating_sub(front)),
        Err(_) => port.switch.counters.drop(Reason::Interface),
    }
}
