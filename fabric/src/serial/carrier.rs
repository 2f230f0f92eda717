//! The carrier itself.

use super::{
    device::{Flow, Line, SerialError, open_line, set_up},
    frame::{Cutter, frame_most},
    pace::Pace,
    queue::Queue,
};
use crate::{
    AttachError, BATCH, Batch, Carrier, Channel, Counts, Limits, Medium, Message, Origin, Peer, Received, SendError,
    Slot, View, bell::Bell, carrier::Address,
};
use crossbeam_queue::ArrayQueue;
use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime},
};
use std::{
    io,
    ops::Range,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Bytes read in one call.
const CHUNK: usize = 16 << 10;
/// So often it reads in one turn at the most.
const READS: u64 = 16;
/// What may wait on a line whose speed is not known, in bytes.
const QUEUE: usize = 32 << 10;
/// What may wait on a line of a given speed, beside one message.
const QUEUE_TIME: Duration = Duration::from_millis(100);
/// How often a device that is away is looked for.
const RETRY: Duration = Duration::from_millis(200);
/// Messages that other lanes may have waiting.
const SHARED: usize = 64;
/// Lengths of messages that make sense.
const MESSAGE: Range<usize> = 128..65_508;

/// Messages on a serial line. One handle has the device; those made by [`Serial::share`] send through it.
pub struct Serial {
    role: Role,
    shared: Arc<Shared>,
    channel: Option<Channel>,
    /// Peers are told apart by keys: channels that lead to the line then.
    keyed: Option<Vec<Channel>>,
    message: usize,
    counts: Counts,
}

/// What all handles of one line have.
struct Shared {
    /// Messages of handles that have no device.
    outside: ArrayQueue<(bool, Vec<u8>)>,
    bell: Bell,
    /// The device is open.
    up: AtomicBool,
}

#[allow(clippy::large_enum_variant, reason = "there is one a lane")]
enum Role {
    Owner(Owner),
    Sender(Bell),
}

/// The device and all that goes with it.
struct Owner {
    line: Line,
    device: Option<OwnedFd>,
    /// A device that was given opened cannot be opened again.
    given: bool,
    waker: OwnedFd,
    timer: OwnedFd,
    retry_at: Instant,
    turn: u32,
    pace: Pace,
    queue: Queue,
    /// Told already why it cannot be opened.
    told: bool,
    /// The tty took no more; it says when it does.
    blocked: bool,
    /// The poll set wants to know when it does.
    watched: bool,
    wanted: bool,
    cutter: Cutter,
    chunk: Box<[u8]>,
    inbox: Vec<u8>,
    ready: Vec<Range<usize>>,
    handed: usize,
}

impl Serial {
    /// A carrier on a device. It need not be there yet.
    pub fn open(line: Line) -> Result<Serial, SerialError> {
        let mut serial = Serial::with(line, None)?;
        if let Role::Owner(owner) = &mut serial.role {
            match open_line(&owner.line) {
                Ok(device) => owner.begin(device, &serial.shared).map_err(|e| owner.io(e))?,
                Err(error) if error.may_pass() => owner.complain(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(serial)
    }

    /// A carrier on a tty that is open already, the master of a pty for example. When it is gone, it is gone.
    pub fn over(device: OwnedFd, message: usize) -> Result<Serial, SerialError> {
        let line = Line { message, ..Line::new("(an open tty)") };
        let flags = rustix::fs::fcntl_getfl(&device);
        let nonblocking = flags.and_then(|f| rustix::fs::fcntl_setfl(&device, f | rustix::fs::OFlags::NONBLOCK));
        nonblocking.map_err(|source| SerialError::Io { path: line.path.clone(), source: source.into() })?;
        set_up(&device, &line.path, None, Flow::None)?;
        Serial::with(line, Some(device))
    }

    /// Another handle that sends on the same line and never receives.
    pub fn share(&self) -> io::Result<Serial> {
        Ok(Serial {
            role: Role::Sender(Bell::new()?),
            shared: self.shared.clone(),
            channel: None,
            keyed: None,
            message: self.message,
            counts: Counts::default(),
        })
    }

    fn with(mut line: Line, device: Option<OwnedFd>) -> Result<Serial, SerialError> {
        let failed = |path: &PathBuf, source: io::Error| SerialError::Io { path: path.clone(), source };
        line.message = line.message.clamp(MESSAGE.start, MESSAGE.end - 1);
        let message = line.message;
        let parts = || -> io::Result<(OwnedFd, OwnedFd, Bell)> {
            let waker = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            let bell = Bell::new()?;
            epoll::add(&waker, &timer, EventData::new_u64(0), EventFlags::IN)?;
            epoll::add(&waker, bell.as_fd(), EventData::new_u64(0), EventFlags::IN)?;
            Ok((waker, timer, bell))
        };
        let (waker, timer, bell) = parts().map_err(|e| failed(&line.path, e))?;
        let shared = Arc::new(Shared { outside: ArrayQueue::new(SHARED), bell, up: AtomicBool::new(false) });
        let pace = Pace::new(line.speed);
        let mut most = QUEUE;
        while pace.time_of(most).is_some_and(|time| time > QUEUE_TIME) && most > frame_most(message) {
            most /= 2;
        }
        let mut owner = Owner {
            device: None,
            given: device.is_some(),
            waker,
            timer,
            retry_at: Instant::now(),
            turn: 0,
            pace,
            queue: Queue::new(most),
            told: false,
            blocked: false,
            watched: false,
            wanted: false,
            cutter: Cutter::new(message),
            chunk: vec![0; CHUNK].into(),
            inbox: Vec::new(),
            ready: Vec::new(),
            handed: 0,
            line,
        };
        if let Some(device) = device {
            owner.begin(device, &shared).map_err(|e| owner.io(e))?;
        }
        Ok(Serial { role: Role::Owner(owner), shared, channel: None, keyed: None, message, counts: Counts::default() })
    }

    pub(crate) fn set_keyed(&mut self) {
        self.keyed = Some(Vec::new());
    }

    fn is_open(&self, channel: Channel) -> bool {
        match &self.keyed {
            Some(channels) => channels.contains(&channel),
            None => self.channel == Some(channel),
        }
    }

    /// Whether a message may go on this channel at all.
    fn check(&self, channel: Channel, message: &Message<'_>) -> Result<(), SendError> {
        if !self.is_open(channel) {
            return Err(SendError::NotOpen);
        }
        self.check_length(message)
    }

    fn check_length(&self, message: &Message<'_>) -> Result<(), SendError> {
        if message.len() > self.message {
            return Err(SendError::TooLong(self.message));
        }
        Ok(())
    }

    fn take(&mut self, channel: Channel, message: &Message<'_>, urgent: bool) -> Result<(), SendError> {
        self.check(channel, message)?;
        self.put(message, urgent)
    }

    fn put(&mut self, message: &Message<'_>, urgent: bool) -> Result<(), SendError> {
        let len = message.len();
        if self.shared.up.load(Ordering::Relaxed) {
            // Pieces may lie in memory that a peer can change: copied once.
            let mut bytes = vec![0; len];
            let mut at = 0;
            for part in message.parts {
                at += bytes.get_mut(at..).map_or(0, |to| part.copy_to(0, to));
            }
            let taken = match &mut self.role {
                Role::Owner(owner) => {
                    let mut taken = owner.queue.push(urgent, [&bytes[..]].into_iter());
                    if !taken {
                        // The line may have moved on since.
                        let (calls, _) = owner.pump();
                        self.counts.calls += calls;
                        taken = owner.queue.push(urgent, [&bytes[..]].into_iter());
                    }
                    owner.wanted |= !taken;
                    taken
                }
                Role::Sender(_) => {
                    let taken = self.shared.outside.push((urgent, bytes)).is_ok();
                    self.shared.bell.ring();
                    self.counts.doorbells += 1;
                    taken
                }
            };
            if !taken {
                return Err(SendError::Full);
            }
        } else {
            self.counts.send_failed += 1;
        }
        self.counts.sent += 1;
        self.counts.sent_bytes += len as u64;
        Ok(())
    }
}

impl Owner {
    fn io(&self, source: io::Error) -> SerialError {
        SerialError::Io { path: self.line.path.clone(), source }
    }

    fn complain(&mut self, error: &SerialError) {
        if !std::mem::replace(&mut self.told, true) {
            let source = std::error::Error::source(error).map_or(String::new(), |s| format!(": {s}"));
            log::warn!("serial: {error}{source}; it is tried again until it is there");
        }
        self.set_timer(RETRY);
    }

    /// Begins to use an open device.
    fn begin(&mut self, device: OwnedFd, shared: &Shared) -> io::Result<()> {
        epoll::add(&self.waker, &device, EventData::new_u64(0), EventFlags::IN)?;
        (self.blocked, self.watched, self.told) = (false, false, false);
        self.device = Some(device);
        self.turn = self.turn.wrapping_add(1);
        shared.up.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The device is gone; returns how many messages are lost with it.
    fn end(&mut self, shared: &Shared, why: &str) -> u64 {
        let Some(device) = self.device.take() else { return 0 };
        log::warn!("serial {}: {why}; it is opened again when it is back", self.line.path.display());
        // Closing would take it out of the poll set as well, were there no other descriptor of the same.
        let _ = epoll::delete(&self.waker, &device);
        shared.up.store(false, Ordering::Relaxed);
        self.cutter.reset();
        self.pace = Pace::new(self.line.speed);
        self.set_timer(RETRY);
        self.queue.clear()
    }

    /// Opens the device again when it is time to.
    fn revive(&mut self, shared: &Shared) {
        if self.device.is_some() || self.given {
            return;
        }
        let now = Instant::now();
        if now < self.retry_at {
            return;
        }
        self.retry_at = now + RETRY;
        match open_line(&self.line) {
            Ok(device) => match self.begin(device, shared) {
                Ok(()) => log::info!("serial {}: the device is there", self.line.path.display()),
                Err(error) => self.complain(&SerialError::Io { path: self.line.path.clone(), source: error }),
            },
            Err(error) => self.complain(&error),
        }
    }

    /// Makes the waker wake after this time.
    fn set_timer(&self, after: Duration) {
        let nanos = after.max(Duration::from_micros(100));
        let it_value = Timespec { tv_sec: nanos.as_secs() as i64, tv_nsec: nanos.subsec_nanos().into() };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        // The kernel refuses only what is no time.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once);
    }

    /// Writes what the line takes; returns what went wrong and how many calls it took.
    fn pump(&mut self) -> (u64, Result<(), Errno>) {
        let mut calls = 0;
        let Some(device) = &self.device else { return (0, Ok(())) };
        loop {
            let now = Instant::now();
            let allowed = self.pace.allows(now);
            let bytes = self.queue.next();
            let bytes = bytes.get(..bytes.len().min(allowed)).unwrap_or_default();
            if bytes.is_empty() {
                self.blocked = false;
                return (calls, Ok(()));
            }
            calls += 1;
            match rustix::io::write(device, bytes) {
                Ok(0) | Err(Errno::AGAIN) => {
                    self.blocked = true;
                    return (calls, Ok(()));
                }
                Ok(n) => {
                    self.queue.wrote(n);
                    self.pace.gave(now, n);
                }
                Err(Errno::INTR) => {}
                Err(error) => return (calls, Err(error)),
            }
        }
    }

    /// Reads what is there, as far as there is use for it; returns whether it came to an end, and the calls.
    fn read(&mut self) -> (u64, Result<(), Errno>) {
        let mut calls = 0;
        let Some(device) = &self.device else { return (0, Ok(())) };
        // What is no message fills no batch: a line that never falls silent must not keep the lane.
        while self.ready.len() - self.handed < BATCH && calls < READS {
            calls += 1;
            match rustix::io::read(device, &mut self.chunk[..]) {
                // The other end of a pty hung up; a device that was unplugged says so by an error.
                Ok(0) => return (calls, Err(Errno::IO)),
                Ok(n) => {
                    let ready = &mut self.ready;
                    let bytes = self.chunk.get(..n).unwrap_or_default();
                    self.cutter.push(bytes, &mut self.inbox, |range| ready.push(range));
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return (calls, Err(error)),
            }
        }
        (calls, Ok(()))
    }

    /// Has the waker wake when the device takes more, or no longer.
    fn watch(&mut self) {
        let Some(device) = &self.device else { return };
        if self.blocked != self.watched {
            let flags = if self.blocked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            // The device is in the set.
            self.watched = epoll::modify(&self.waker, device, EventData::new_u64(0), flags).is_ok() == self.blocked;
        }
        if !self.blocked && !self.queue.is_empty() {
            self.set_timer(self.pace.wait(Instant::now()));
        }
    }
}

impl Carrier for Serial {
    fn kind(&self) -> &'static str {
        "serial"
    }

    fn attach(&mut self, channel: Channel, peer: Peer) -> Result<(), AttachError> {
        let Peer::Line = peer else {
            return Err(AttachError::WrongKind(self.kind()));
        };
        if let Some(channels) = &mut self.keyed {
            if channels.contains(&channel) {
                return Err(AttachError::InUse(channel));
            }
            channels.push(channel);
            return Ok(());
        }
        match self.channel {
            Some(other) => Err(AttachError::InUse(other)),
            None => {
                self.channel = Some(channel);
                Ok(())
            }
        }
    }

    fn detach(&mut self, channel: Channel) {
        if self.is_open(channel) {
            self.flush();
            self.channel = None;
            self.keyed.iter_mut().for_each(|channels| channels.retain(|other| *other != channel));
        }
    }

    fn limits(&self, channel: Channel) -> Option<Limits> {
        self.is_open(channel).then_some(Limits { message: self.message, in_place: false })
    }

    fn reserve(&mut self, channel: Channel, _most: usize) -> Result<Slot<'_>, SendError> {
        self.limits(channel).map_or(Err(SendError::NotOpen), |_| Err(SendError::NotInPlace))
    }

    fn commit(&mut self, channel: Channel, _used: usize) -> Result<(), SendError> {
        self.limits(channel).map_or(Err(SendError::NotOpen), |_| Err(SendError::NotInPlace))
    }

    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        if messages.is_empty() {
            return (0, if self.is_open(channel) { Ok(()) } else { Err(SendError::NotOpen) });
        }
        for (count, message) in messages.iter().enumerate() {
            if let Err(error) = self.take(channel, message, false) {
                return (count, Err(error));
            }
        }
        (messages.len(), Ok(()))
    }

    fn send_urgent(&mut self, channel: Channel, message: Message<'_>) -> Result<(), SendError> {
        self.take(channel, &message, true)
    }

    fn flush(&mut self) {
        let Role::Owner(owner) = &mut self.role else { return };
        // What other lanes gave comes behind; when there is no room it waits there.
        while owner.queue.has_room()
            && let Some((urgent, bytes)) = self.shared.outside.pop()
        {
            owner.queue.push(urgent, [&bytes[..]].into_iter());
        }
        if owner.queue.is_empty() {
            return;
        }
        let (calls, done) = owner.pump();
        self.counts.calls += calls;
        if let Err(error) = done {
            self.counts.send_failed += owner.end(&self.shared, &format!("writing failed: {error}"));
        }
    }

    fn receive<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        self.flush();
        let Role::Owner(owner) = &mut self.role else { return Ok(()) };
        owner.revive(&self.shared);
        let (calls, done) = owner.read();
        self.counts.calls += calls;
        if let Err(error) = done {
            self.counts.send_failed += owner.end(&self.shared, &format!("it hung up: {error}"));
        }
        self.counts.malformed = owner.cutter.malformed;
        let origin = self.channel.map_or(Origin::Stranger(Address::Line), Origin::Channel);
        let room = batch.remaining_capacity();
        for range in owner.ready.iter().skip(owner.handed).take(room) {
            let bytes = owner.inbox.get(range.clone()).unwrap_or_default();
            self.counts.received += 1;
            self.counts.received_bytes += bytes.len() as u64;
            let _ = batch.try_push(Received { origin, bytes: View::from(bytes) });
        }
        owner.handed = (owner.handed + room).min(owner.ready.len());
        Ok(())
    }

    fn release(&mut self) {
        if let Role::Owner(owner) = &mut self.role
            && owner.handed == owner.ready.len()
        {
            owner.inbox.clear();
            owner.ready.clear();
            owner.handed = 0;
        }
    }

    fn arm(&mut self) -> bool {
        self.flush();
        let Role::Owner(owner) = &mut self.role else { return true };
        owner.watch();
        let room = owner.wanted && owner.queue.has_room();
        owner.wanted &= !room;
        owner.handed == owner.ready.len() && !room
    }

    fn disarm(&mut self) {
        if let Role::Owner(owner) = &self.role {
            // A timer that went off, and a bell that was rung, keep the waker awake.
            let _ = rustix::io::read(&owner.timer, &mut [0; 8]);
            self.shared.bell.swallow();
            self.counts.calls += 2;
            if owner.device.is_none() && !owner.given {
                owner.set_timer(owner.retry_at.saturating_duration_since(Instant::now()));
            }
        }
    }

    fn waker(&self) -> Option<BorrowedFd<'_>> {
        match &self.role {
            Role::Owner(owner) => Some(owner.waker.as_fd()),
            Role::Sender(bell) => Some(bell.as_fd()),
        }
    }

    fn send_to(&mut self, to: Address, datagram: &[u8]) -> Result<(), SendError> {
        if to != Address::Line {
            return Err(SendError::NotOpen);
        }
        let parts = [View::from(datagram)];
        let message = Message { parts: &parts };
        self.check_length(&message)?;
        self.put(&message, true)
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn medium(&self) -> Medium {
        match &self.role {
            Role::Owner(owner) if owner.device.is_some() => Medium::Up { message: self.message, turn: owner.turn },
            Role::Owner(_) => Medium::Down,
            Role::Sender(_) => Medium::Given,
        }
    }

    fn worth_waiting(&self) -> bool {
        false
    }
}
