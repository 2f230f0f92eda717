//! Two ends in one process, bounded. For tests, and for nodes that share a process.

use crate::{
    AttachError, Batch, Carrier, Channel, Counts, Limits, Message, Origin, Peer, Received, SendError, Slot, View,
    bell::Bell,
};
use crossbeam_queue::ArrayQueue;
use std::{
    io,
    os::fd::BorrowedFd,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering, fence},
    },
};

/// Channel numbers must be smaller.
const CHANNELS_MOST: u32 = 1 << 16;

struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
}

/// One direction: buffers go round between two queues.
struct Way {
    full: ArrayQueue<Buffer>,
    free: ArrayQueue<Buffer>,
}

/// What an end tells the other one.
#[derive(Default)]
struct Side {
    bell: OnceLock<Arc<Bell>>,
    sleeps: AtomicBool,
    gone: AtomicBool,
}

/// One end of a [`pair`], to attach to a [`Loopback`].
pub struct End {
    out: Arc<Way>,
    inn: Arc<Way>,
    own: Arc<Side>,
    peer: Arc<Side>,
    message: usize,
    depth: usize,
}

/// Two ends that hold at most `depth` messages of at most `message` bytes in each direction.
pub fn pair(depth: usize, message: usize) -> (End, End) {
    let depth = depth.max(1);
    let way = || {
        let way = Way { full: ArrayQueue::new(depth), free: ArrayQueue::new(depth) };
        for _ in 0..depth {
            let _ = way.free.push(Buffer { bytes: vec![0; message].into(), len: 0 });
        }
        Arc::new(way)
    };
    let (ab, ba) = (way(), way());
    let (a, b) = (Arc::<Side>::default(), Arc::<Side>::default());
    let end = |out: &Arc<Way>, inn: &Arc<Way>, own: &Arc<Side>, peer: &Arc<Side>| {
        let (out, inn, own, peer) = (out.clone(), inn.clone(), own.clone(), peer.clone());
        End { out, inn, own, peer, message, depth }
    };
    (end(&ab, &ba, &a, &b), end(&ba, &ab, &b, &a))
}

impl Drop for End {
    fn drop(&mut self) {
        self.own.gone.store(true, Ordering::Release);
    }
}

struct Attached {
    end: End,
    staged: Vec<Buffer>,
    reserved: Option<Buffer>,
    held: Vec<Buffer>,
    handed: usize,
    wanted: bool,
}

impl Attached {
    fn take(&mut self, len: usize) -> Result<Buffer, SendError> {
        self.forget();
        if self.end.peer.gone.load(Ordering::Acquire) {
            return Err(SendError::NotOpen);
        }
        if len > self.end.message {
            return Err(SendError::TooLong(self.end.message));
        }
        self.end.out.free.pop().ok_or_else(|| {
            self.wanted = true;
            SendError::Full
        })
    }

    fn forget(&mut self) {
        if let Some(buffer) = self.reserved.take() {
            let _ = self.end.out.free.push(buffer);
        }
    }

    /// Rings the other end if it sleeps. A fence came before.
    fn ring(&self) -> bool {
        let sleeps = self.end.peer.sleeps.load(Ordering::Relaxed);
        if sleeps {
            self.end.peer.sleeps.store(false, Ordering::Release);
            self.end.peer.bell.get().inspect(|bell| bell.ring());
        }
        sleeps
    }
}

/// The carrier of loopback ends.
pub struct Loopback {
    bell: Arc<Bell>,
    channels: Vec<Option<Attached>>,
    first: usize,
    counts: Counts,
}

impl Loopback {
    /// A carrier without peers.
    pub fn new() -> io::Result<Loopback> {
        Ok(Loopback { bell: Arc::new(Bell::new()?), channels: Vec::new(), first: 0, counts: Counts::default() })
    }

    fn open(&mut self, channel: Channel) -> Result<&mut Attached, SendError> {
        self.channels.get_mut(channel.0 as usize).and_then(Option::as_mut).ok_or(SendError::NotOpen)
    }
}

impl Carrier for Loopback {
    fn kind(&self) -> &'static str {
        "loopback"
    }

    fn attach(&mut self, channel: Channel, peer: Peer) -> Result<(), AttachError> {
        let Peer::Loop(end) = peer else {
            return Err(AttachError::WrongKind(self.kind()));
        };
        if channel.0 >= CHANNELS_MOST {
            return Err(AttachError::Io(io::ErrorKind::InvalidInput.into()));
        }
        let index = channel.0 as usize;
        if self.channels.len() <= index {
            self.channels.resize_with(index + 1, || None);
        }
        match self.channels.get_mut(index) {
            Some(place @ None) => {
                let depth = end.depth;
                let _ = end.own.bell.set(self.bell.clone());
                let (staged, held) = (Vec::with_capacity(depth), Vec::with_capacity(depth));
                *place = Some(Attached { end, staged, reserved: None, held, handed: 0, wanted: false });
                Ok(())
            }
            _ => Err(AttachError::InUse(channel)),
        }
    }

    fn detach(&mut self, channel: Channel) {
        self.flush();
        if let Some(place) = self.channels.get_mut(channel.0 as usize) {
            *place = None;
        }
    }

    fn limits(&self, channel: Channel) -> Option<Limits> {
        let attached = self.channels.get(channel.0 as usize)?.as_ref()?;
        let gone = attached.end.peer.gone.load(Ordering::Acquire);
        (!gone).then_some(Limits { message: attached.end.message, in_place: true })
    }

    fn reserve(&mut self, channel: Channel, most: usize) -> Result<Slot<'_>, SendError> {
        let attached = self.open(channel)?;
        let buffer = attached.take(most)?;
        let buffer = attached.reserved.insert(buffer);
        buffer.len = most;
        Ok(Slot::from(buffer.bytes.get_mut(..most).unwrap_or_default()))
    }

    fn commit(&mut self, channel: Channel, used: usize) -> Result<(), SendError> {
        let attached = self.open(channel)?;
        match attached.reserved.take() {
            Some(buffer) if used <= buffer.len => attached.staged.push(Buffer { len: used, ..buffer }),
            other => {
                attached.reserved = other;
                attached.forget();
                return Err(SendError::TooLong(attached.end.message));
            }
        }
        self.counts.sent += 1;
        self.counts.sent_bytes += used as u64;
        Ok(())
    }

    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        for (count, message) in messages.iter().enumerate() {
            let len = message.len();
            let attached = match self.open(channel) {
                Ok(attached) => attached,
                Err(error) => return (count, Err(error)),
            };
            let mut buffer = match attached.take(len) {
                Ok(buffer) => buffer,
                Err(error) => return (count, Err(error)),
            };
            let mut slot = Slot::from(&mut buffer.bytes[..]);
            let mut at = 0;
            for part in message.parts {
                slot.write(at, *part);
                at += part.len();
            }
            attached.staged.push(Buffer { len, ..buffer });
            self.counts.sent += 1;
            self.counts.sent_bytes += len as u64;
        }
        (messages.len(), Ok(()))
    }

    fn flush(&mut self) {
        for attached in self.channels.iter_mut().flatten() {
            attached.forget();
            if attached.staged.is_empty() {
                continue;
            }
            for buffer in attached.staged.drain(..) {
                let _ = attached.end.out.full.push(buffer);
            }
            fence(Ordering::SeqCst);
            self.counts.doorbells += u64::from(attached.ring());
        }
    }

    fn receive<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        let channels = self.channels.len();
        if channels == 0 {
            return Ok(());
        }
        self.first = (self.first + 1) % channels;
        let (before, from) = self.channels.split_at_mut(self.first);
        let numbers = (self.first..channels).chain(0..self.first);
        for (number, attached) in numbers.zip(from.iter_mut().chain(before)) {
            let Some(attached) = attached else { continue };
            let share = batch.remaining_capacity().div_ceil(channels);
            let waiting = std::iter::from_fn(|| attached.end.inn.full.pop());
            attached.held.extend(waiting.take(share));
            for buffer in attached.held.iter().skip(attached.handed) {
                let bytes = View::from(buffer.bytes.get(..buffer.len).unwrap_or_default());
                self.counts.received += 1;
                self.counts.received_bytes += buffer.len as u64;
                let _ = batch.try_push(Received { origin: Origin::Channel(Channel(number as u32)), bytes });
            }
            attached.handed = attached.held.len();
        }
        Ok(())
    }

    fn release(&mut self) {
        for attached in self.channels.iter_mut().flatten().filter(|attached| attached.handed > 0) {
            for buffer in attached.held.drain(..) {
                let _ = attached.end.inn.free.push(buffer);
            }
            attached.handed = 0;
            fence(Ordering::SeqCst);
            self.counts.doorbells += u64::from(attached.ring());
        }
    }

    fn arm(&mut self) -> bool {
        for attached in self.channels.iter().flatten() {
            attached.end.own.sleeps.store(true, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        let mut idle = true;
        for attached in self.channels.iter_mut().flatten() {
            idle &= attached.end.inn.full.is_empty();
            if attached.wanted && !attached.end.out.free.is_empty() {
                attached.wanted = false;
                idle = false;
            }
        }
        idle
    }

    fn disarm(&mut self) {
        for attached in self.channels.iter().flatten() {
            attached.end.own.sleeps.store(false, Ordering::Relaxed);
        }
        self.bell.swallow();
        self.counts.calls += 1;
    }

    fn waker(&self) -> Option<BorrowedFd<'_>> {
        Some(self.bell.as_fd())
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}
