//! A lane: one thread that carries frames in both directions between one queue of every interface and its carriers.
//!
//! It runs to completion: what came in on the carriers goes to the interfaces, what the interfaces have goes out, then
//! doorbells are rung; when there was nothing it looks again for a while and sleeps ([`rest`]). It takes no lock and
//! allocates nothing for a frame: its buffers are its own, its tables are a snapshot, its counters are published as
//! plain numbers. Messages that are no frames go to the control thread and come from it through the [`mailbox`].

mod dispatch;
mod egress;
mod ingress;
mod mailbox;
mod outlet;
mod rest;
#[cfg(test)]
mod tests;

pub(crate) use ingress::may_greet;
pub(crate) use mailbox::{Activity, Command, Inbox, Mailbox, Report};

use crate::{clock::Clock, snapshot::Snapshot};
use arc_swap::{ArcSwap, Cache};
use egress::Egress;
use fabric::{Carrier, SendError};
use ingress::Ingress;
use mailbox::Sharing;
use messenger_core::SegmentId;
use minet::{Offloads, Reassembly, Switch};
use outlet::Outlet;
use rest::Rest;
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// What a lane holds of an interface: one queue.
pub(crate) struct Port {
    pub(crate) segment: SegmentId,
    pub(crate) fd: OwnedFd,
    /// Frames have a virtio-net header in front.
    pub(crate) vnet: bool,
    /// IP packets without an Ethernet header.
    pub(crate) tun: bool,
    /// What it takes.
    pub(crate) offloads: Offloads,
    pub(crate) switch: Switch,
}

/// What a lane is made from.
pub(crate) struct Parts {
    pub(crate) ports: Vec<Port>,
    pub(crate) carriers: Vec<Box<dyn Carrier>>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) clock: Clock,
    pub(crate) spin: Duration,
}

/// The thread's state.
pub(crate) struct Lane {
    ports: Vec<Port>,
    outlet: Outlet,
    egress: Egress,
    ingress: Ingress,
    snapshot: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    mailbox: Arc<Mailbox>,
    sharing: Sharing,
    inbox: Arc<Inbox>,
    clock: Clock,
    rest: Rest,
}

/// Frames of an interface taken in one round.
const BURST: usize = 32;

impl Lane {
    pub(crate) fn new(parts: Parts) -> Lane {
        let largest = minet_largest();
        Lane {
            outlet: Outlet::new(parts.carriers),
            egress: Egress::new(parts.ports.len()),
            ingress: Ingress::new(
                Reassembly::new(Reassembly::FRAMES * 2, largest),
                parts.ports.iter().map(|p| p.offloads),
            ),
            snapshot: Cache::new(parts.snapshot),
            sharing: Sharing::default(),
            rest: Rest::new(parts.spin),
            ports: parts.ports,
            mailbox: parts.mailbox,
            inbox: parts.inbox,
            clock: parts.clock,
        }
    }

    /// Works until the control thread says stop, or a carrier fails for good.
    pub(crate) fn run(mut self) {
        loop {
            let stop = self.obey();
            if stop {
                break;
            }
            let worked = self.turn();
            if worked {
                self.rest.worked();
                if self.sharing.due(&self.mailbox, &self.ports, &self.outlet, false) {
                    self.tell_sightings();
                }
                continue;
            }
            if self.rest.look_again() {
                continue;
            }
            self.sharing.due(&self.mailbox, &self.ports, &self.outlet, true);
            self.tell_sightings();
            self.sleep();
        }
        self.outlet.flush();
        self.sharing.due(&self.mailbox, &self.ports, &self.outlet, true);
    }

    /// One round; whether there was anything to do.
    fn turn(&mut self) -> bool {
        let now = self.clock.now();
        let snapshot = self.snapshot.load();
        let mut went = false;
        // A bridge gives a frame to all its ports at once: what another node read there and sent on is here already, and
        // has to be seen first, or the station would seem to be behind that node.
        let learns = snapshot.tables.iter().any(|table| table.policy().learn);
        if learns {
            went = self.egress.turn(now, snapshot, &mut self.ports, &mut self.outlet, BURST);
        }
        let came = self.ingress.turn(now, snapshot, &mut self.ports, &mut self.outlet, &self.inbox);
        if !learns {
            went = self.egress.turn(now, snapshot, &mut self.ports, &mut self.outlet, BURST);
        }
        self.outlet.flush();
        for (carrier, medium) in self.outlet.changed_media() {
            self.inbox.push(Report::Medium { carrier, medium });
        }
        if self.outlet.take_narrow() {
            self.inbox.push(Report::TooLong);
        }
        came || went
    }

    /// Does what the control thread wants; whether that is to stop.
    fn obey(&mut self) -> bool {
        while let Some(command) = self.mailbox.next() {
            match command {
                Command::Attach { carrier, channel, peer, activity } => {
                    if let Err(e) = self.outlet.attach(carrier, channel, *peer, activity) {
                        log::error!(
                            "lane: {e}{}",
                            std::error::Error::source(&e).map_or(String::new(), |s| format!(": {s}"))
                        );
                        self.inbox.push(Report::Broken { carrier, channel });
                    }
                }
                Command::Detach { carrier, channel } => self.outlet.detach(carrier, channel),
                Command::Send { carrier, channel, bytes } => {
                    let part = [fabric::View::from(&bytes[..])];
                    match self.outlet.send_one(carrier, channel, &part) {
                        Ok(()) => {}
                        Err(SendError::NotOpen) => self.inbox.push(Report::Broken { carrier, channel }),
                        Err(e) => log::debug!("lane: a control message of {} bytes: {e}", bytes.len()),
                    }
                }
                Command::Amend { carrier, channel, amend } => {
                    if let Err(e) = self.outlet.amend(carrier, channel, *amend) {
                        log::error!("lane: keys of channel {}: {e}", channel.0);
                    }
                }
                Command::SendTo { carrier, to, bytes } => {
                    if let Err(e) = self.outlet.send_to(carrier, to, &bytes) {
                        log::debug!("lane: a handshake to {to}: {e}");
                    }
                }
                Command::Resize { carrier, channel, message } => self.outlet.resize(carrier, channel, message),
                Command::Probe(answered) => answered.store(true, Ordering::Relaxed),
                Command::Stop => return true,
            }
        }
        false
    }

    fn tell_sightings(&mut self) {
        for (segment, port) in self.ports.iter_mut().enumerate() {
            for sighting in port.switch.drain_sightings() {
                self.inbox.push(Report::Sighting { segment, sighting });
            }
        }
    }

    fn sleep(&mut self) {
        self.mailbox.arm();
        if self.outlet.arm() && self.mailbox.is_empty() {
            let patience = self.egress.retry_in();
            // What waits in the interfaces is no reason to look while nothing of it can be sent.
            let ports = self.ports.iter().map(|p| p.fd.as_fd()).filter(|_| patience.is_none());
            let fds: arrayvec::ArrayVec<BorrowedFd<'_>, 32> =
                ports.chain([self.mailbox.waker()]).chain(self.outlet.wakers()).take(32).collect();
            self.rest.sleep(&fds, patience);
        }
        self.outlet.disarm();
        self.mailbox.disarm();
    }
}

/// Longest frame with its virtio-net header.
fn minet_largest() -> usize {
    minet::VirtioNet::LEN + FRAME_MOST
}

/// Longest Ethernet frame that an interface gives in one read: a super-frame of 64 KiB with its headers and tags.
const FRAME_MOST: usize = 65_535 + 14 + 8;
