//! Between the control thread and a lane: bounded queues without locks, and plain numbers that the lane alone writes.

use super::{Outlet, Port};
use crossbeam_queue::ArrayQueue;
use fabric::{Address, Amend, Channel, Counts, Medium, Origin, Peer};
use minet::{Counters, Sighting};
use rustix::event::{EventfdFlags, eventfd};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// Commands that may wait for a lane; the control thread makes room by waiting for the lane.
const COMMANDS: usize = 4096;
/// Reports that may wait for the control thread; more are dropped and counted.
const REPORTS: usize = 4096;

/// What the control thread wants of a lane.
pub(crate) enum Command {
    /// Carry a peer.
    Attach { carrier: usize, channel: Channel, peer: Box<Peer>, activity: Arc<Activity> },
    /// Carry it no more.
    Detach { carrier: usize, channel: Channel },
    /// Send a message that is no frame.
    Send { carrier: usize, channel: Channel, bytes: Vec<u8> },
    /// Change keys or address of a sealed channel.
    Amend { carrier: usize, channel: Channel, amend: Box<Amend> },
    /// Send part of a handshake, or a word that seeks.
    SendTo { carrier: usize, to: Address, bytes: Vec<u8> },
    /// A channel's path takes messages of so many bytes now.
    Resize { carrier: usize, channel: Channel, message: usize },
    /// Say that the lane turns.
    Probe(Arc<AtomicBool>),
    /// End.
    Stop,
}

/// Bytes of messages that may wait for the control thread.
const REPORT_BYTES: usize = 4 << 20;

/// What a lane tells the control thread.
pub(crate) enum Report {
    /// A message that is no frame.
    Message { carrier: usize, origin: Origin, bytes: Vec<u8> },
    /// A channel does not carry anything any more: its ring is broken, or it could not be attached.
    Broken { carrier: usize, channel: Channel },
    /// What a carrier stands on came, went, or is another one.
    Medium { carrier: usize, medium: Medium },
    /// The peer of a sealed channel is at another address.
    Moved { carrier: usize, channel: Channel, address: Address },
    /// A message was too long for its channel: a path became narrower than the control thread knows.
    TooLong,
    /// A station was seen.
    Sighting { segment: usize, sighting: Sighting },
}

impl Report {
    /// Bytes of the message in it.
    fn len(&self) -> usize {
        match self {
            Report::Message { bytes, .. } => bytes.len(),
            Report::Broken { .. } | Report::Medium { .. } | Report::TooLong | Report::Moved { .. } => 0,
            Report::Sighting { .. } => 0,
        }
    }
}

/// Messages on one channel, as one lane counts them: signs of life for the control thread. Only the lane writes.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

impl Activity {
    pub(crate) fn note_sent(&self, n: u64) {
        self.sent.store(self.sent.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn note_received(&self, n: u64) {
        self.received.store(self.received.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }
}

/// What all lanes tell the control thread.
pub(crate) struct Inbox {
    reports: ArrayQueue<Report>,
    bytes: AtomicUsize,
    waker: mio::Waker,
    dropped: AtomicU64,
}

impl Inbox {
    pub(crate) fn new(waker: mio::Waker) -> Inbox {
        Inbox { reports: ArrayQueue::new(REPORTS), bytes: AtomicUsize::new(0), waker, dropped: AtomicU64::new(0) }
    }

    /// Tells; a full queue drops and counts.
    pub(crate) fn push(&self, report: Report) {
        let len = report.len();
        let fits = self.bytes.fetch_add(len, Ordering::Relaxed) + len <= REPORT_BYTES;
        if !fits || self.reports.push(report).is_err() {
            self.bytes.fetch_sub(len, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        // The only possible failure is that the control thread is gone.
        let _ = self.waker.wake();
    }

    /// Has the control thread look again.
    pub(crate) fn wake(&self) {
        let _ = self.waker.wake();
    }

    pub(crate) fn next(&self) -> Option<Report> {
        let report = self.reports.pop()?;
        self.bytes.fetch_sub(report.len(), Ordering::Relaxed);
        Some(report)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// One lane's end of it, as the control thread holds it.
pub(crate) struct Mailbox {
    commands: ArrayQueue<Command>,
    bell: OwnedFd,
    sleeps: AtomicBool,
    numbers: Vec<AtomicU64>,
}

impl Mailbox {
    /// For a lane with so many interfaces and carriers.
    pub(crate) fn new(ports: usize, carriers: usize) -> io::Result<Mailbox> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let numbers = (0..ports * port_numbers() + carriers * CARRIER_NUMBERS).map(|_| AtomicU64::new(0)).collect();
        Ok(Mailbox { commands: ArrayQueue::new(COMMANDS), bell, sleeps: AtomicBool::new(false), numbers })
    }

    /// Gives a command to the lane. Waits for room while the lane lives, which is as long as its thread runs.
    pub(crate) fn give(&self, command: Command) {
        let mut command = command;
        while let Err(back) = self.commands.push(command) {
            command = back;
            self.ring();
            std::thread::yield_now();
        }
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.sleeps.swap(false, Ordering::Relaxed) {
            self.ring();
        }
    }

    fn ring(&self) {
        // A full counter is a rung bell.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    pub(crate) fn next(&self) -> Option<Command> {
        self.commands.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    pub(super) fn arm(&self) {
        self.sleeps.store(true, Ordering::Relaxed);
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    pub(super) fn disarm(&self) {
        self.sleeps.store(false, Ordering::Relaxed);
        // Always: whoever took `sleeps` from us may ring only now, and a bell that stays rung keeps the lane awake.
        let _ = rustix::io::read(&self.bell, &mut [0u8; 8]);
    }

    pub(super) fn waker(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// What the lane last published of an interface: the counters' numbers in the order of [`Counters::iter`], then
    /// those of [`Counters::drops`].
    pub(crate) fn port_numbers(&self, port: usize) -> Vec<u64> {
        self.read(port * port_numbers(), port_numbers())
    }

    /// What the lane last published of a carrier.
    pub(crate) fn carrier_counts(&self, ports: usize, carrier: usize) -> Counts {
        let n = self.read(ports * port_numbers() + carrier * CARRIER_NUMBERS, CARRIER_NUMBERS);
        let at = |i: usize| n.get(i).copied().unwrap_or(0);
        Counts {
            sent: at(0),
            sent_bytes: at(1),
            received: at(2),
            received_bytes: at(3),
            send_failed: at(4),
            malformed: at(5),
            doorbells: at(6),
            calls: at(7),
        }
    }

    fn read(&self, from: usize, count: usize) -> Vec<u64> {
        self.numbers.iter().skip(from).take(count).map(|n| n.load(Ordering::Relaxed)).collect()
    }
}

const CARRIER_NUMBERS: usize = 8;

fn port_numbers() -> usize {
    Counters::default().iter().count() + minet::Reason::COUNT
}

/// Publishes a lane's numbers from time to time.
#[derive(Default)]
pub(super) struct Sharing {
    rounds: u32,
}

impl Sharing {
    /// Publishes every so many rounds, or now; whether it did.
    pub(super) fn due(&mut self, mailbox: &Mailbox, ports: &[Port], outlet: &Outlet, now: bool) -> bool {
        self.rounds += 1;
        if !now && self.rounds < 4096 {
            return false;
        }
        self.rounds = 0;
        let mut places = mailbox.numbers.iter();
        let mut put = |n: u64| {
            if let Some(place) = places.next() {
                place.store(n, Ordering::Relaxed);
            }
        };
        for port in ports {
            port.switch.counters.iter().for_each(|(_, n)| put(n));
            port.switch.counters.drops().for_each(|(_, n)| put(n));
        }
        for counts in outlet.counts() {
            let Counts { sent, sent_bytes, received, received_bytes, send_failed, malformed, doorbells, calls } =
                counts;
            let numbers = [sent, sent_bytes, received, received_bytes, send_failed, malformed, doorbells, calls];
            numbers.into_iter().for_each(&mut put);
        }
        true
    }
}
