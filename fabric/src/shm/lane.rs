//! The carrier of one lane.

use super::{
    MESSAGE_MOST,
    rings::{Incoming, Outgoing, Rings},
};
use crate::{
    AttachError, Batch, Carrier, Channel, Counts, Limits, Message, Origin, Peer, Received, SendError, bell::Bell,
};
use fabric_ring::{ReserveError, Slot, View, barrier};
use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

/// As many bytes may wait for a flush; then the peer may start on them.
const EARLY: usize = 32 << 10;

/// A ring is handed out in parts, so that the peer can fill one while another is worked on.
const PARTS: usize = 4;

/// Channel numbers must be smaller.
const CHANNELS_MOST: u32 = 1 << 16;

/// Messages through shared memory: the carrier of one lane, with its doorbell.
pub struct Shm {
    bell: Bell,
    channels: Vec<Option<Peers>>,
    /// Channels with unpublished records, once each. Never grows past its capacity outside `attach`.
    unflushed: Vec<u32>,
    /// Where `receive` begins, so that nobody is always first.
    first: usize,
    counts: Counts,
}

struct Peers {
    outgoing: Outgoing,
    incoming: Vec<Incoming>,
    message: usize,
    unflushed: bool,
    /// A message of this many bytes was refused for want of room.
    wanted: Option<usize>,
    broken: bool,
}

impl Shm {
    /// A carrier without peers, and its doorbell.
    pub fn new() -> io::Result<Shm> {
        let counts = Counts::default();
        Ok(Shm { bell: Bell::new()?, channels: Vec::new(), unflushed: Vec::new(), first: 0, counts })
    }

    /// A copy of the doorbell, for [`super::Offer::doorbells`].
    pub fn doorbell(&self) -> io::Result<OwnedFd> {
        self.bell.duplicate()
    }

    fn open(&mut self, channel: Channel) -> Result<&mut Peers, SendError> {
        match self.channels.get_mut(channel.0 as usize) {
            Some(Some(peers)) if !peers.broken => Ok(peers),
            _ => Err(SendError::NotOpen),
        }
    }

    /// Takes back what `arm` asked of the peers.
    fn unarm(&mut self) {
        for peers in self.channels.iter_mut().flatten().filter(|peers| !peers.broken) {
            for incoming in &mut peers.incoming {
                incoming.consumer.wake();
            }
            if peers.wanted.is_some() {
                peers.outgoing.producer.wake();
            }
        }
    }

    /// After a message was taken: counts it, and lets the peer start when much waits.
    fn taken(&mut self, channel: Channel, bytes: usize) {
        self.counts.sent += 1;
        self.counts.sent_bytes += bytes as u64;
        let Some(Some(peers)) = self.channels.get_mut(channel.0 as usize) else { return };
        if peers.outgoing.producer.unpublished() >= EARLY {
            peers.outgoing.producer.publish();
            barrier();
            self.counts.doorbells += u64::from(peers.outgoing.ring_sleeper());
        } else if !peers.unflushed {
            peers.unflushed = true;
            self.unflushed.push(channel.0);
        }
    }
}

impl Outgoing {
    /// Rings the consumer if it sleeps; whether it did.
    fn ring_sleeper(&mut self) -> bool {
        let sleeps = self.producer.consumer_sleeps();
        if sleeps {
            self.bell.ring();
        }
        sleeps
    }
}

impl Peers {
    fn refusal(&mut self, error: ReserveError, bytes: usize) -> SendError {
        match error {
            ReserveError::Full => {
                self.wanted = Some(bytes);
                SendError::Full
            }
            ReserveError::TooLong(_) | ReserveError::NotReserved => SendError::TooLong(self.message),
            ReserveError::Broken(_) => {
                self.broken = true;
                SendError::NotOpen
            }
        }
    }
}

impl Carrier for Shm {
    fn kind(&self) -> &'static str {
        "shm"
    }

    fn attach(&mut self, channel: Channel, peer: Peer) -> Result<(), AttachError> {
        let Peer::Shm(Rings { outgoing, incoming }) = peer else {
            return Err(AttachError::WrongKind(self.kind()));
        };
        if channel.0 >= CHANNELS_MOST {
            return Err(AttachError::Io(io::ErrorKind::InvalidInput.into()));
        }
        let index = channel.0 as usize;
        if self.channels.len() <= index {
            self.channels.resize_with(index + 1, || None);
            self.unflushed.reserve(self.channels.len());
        }
        match self.channels.get_mut(index) {
            Some(place @ None) => {
                let message = outgoing.producer.record_most().min(MESSAGE_MOST);
                *place = Some(Peers { outgoing, incoming, message, unflushed: false, wanted: None, broken: false });
                Ok(())
            }
            _ => Err(AttachError::InUse(channel)),
        }
    }

    fn detach(&mut self, channel: Channel) {
        // No View can be out: each borrows the carrier. What was sent still reaches the peer.
        if let Some(Some(mut peers)) = self.channels.get_mut(channel.0 as usize).map(Option::take) {
            peers.outgoing.producer.publish();
            barrier();
            self.counts.doorbells += u64::from(peers.outgoing.ring_sleeper());
        }
        self.unflushed.retain(|index| *index != channel.0);
    }

    fn limits(&self, channel: Channel) -> Option<Limits> {
        let peers = self.channels.get(channel.0 as usize)?.as_ref()?;
        (!peers.broken).then_some(Limits { message: peers.message, in_place: true })
    }

    fn reserve(&mut self, channel: Channel, most: usize) -> Result<Slot<'_>, SendError> {
        let peers = self.open(channel)?;
        if most > peers.message {
            return Err(SendError::TooLong(peers.message));
        }
        // Asked twice because a Slot that is returned would keep `peers` borrowed in the other arm too.
        if !peers.outgoing.producer.has_room(most) {
            return Err(peers.refusal(ReserveError::Full, most));
        }
        let Peers { outgoing, broken, .. } = peers;
        outgoing.producer.reserve(most).map_err(|_| {
            *broken = true;
            SendError::NotOpen
        })
    }

    fn commit(&mut self, channel: Channel, used: usize) -> Result<(), SendError> {
        let peers = self.open(channel)?;
        peers.outgoing.producer.commit(used).map_err(|error| peers.refusal(error, used))?;
        self.taken(channel, used);
        Ok(())
    }

    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        for (count, message) in messages.iter().enumerate() {
            let len = message.len();
            let sent = match self.open(channel) {
                Ok(peers) if len > peers.message => Err(SendError::TooLong(peers.message)),
                Ok(peers) => peers.outgoing.producer.push(message.parts).map_err(|error| peers.refusal(error, len)),
                Err(error) => Err(error),
            };
            match sent {
                Ok(()) => self.taken(channel, len),
                Err(error) => return (count, Err(error)),
            }
        }
        (messages.len(), Ok(()))
    }

    fn flush(&mut self) {
        if self.unflushed.is_empty() {
            return;
        }
        for index in &self.unflushed {
            if let Some(Some(peers)) = self.channels.get_mut(*index as usize) {
                peers.outgoing.producer.publish();
            }
        }
        barrier();
        for index in self.unflushed.drain(..) {
            if let Some(Some(peers)) = self.channels.get_mut(index as usize) {
                peers.unflushed = false;
                self.counts.doorbells += u64::from(peers.outgoing.ring_sleeper());
            }
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
        let mut left = from.iter().chain(before.iter()).flatten().filter(|peers| !peers.broken).count();
        for (number, peers) in numbers.zip(from.iter_mut().chain(before)) {
            let Some(peers) = peers else { continue };
            if peers.broken {
                continue;
            }
            // Everybody gets an equal part of the room that is left.
            let mut share = batch.remaining_capacity().div_ceil(left.max(1));
            left = left.saturating_sub(1);
            let origin = Origin::Channel(Channel(number as u32));
            for incoming in &mut peers.incoming {
                let counts = &mut self.counts;
                let part = incoming.consumer.size() / PARTS;
                let got = incoming.consumer.receive_within(share, part, |bytes: View<'a>| {
                    counts.received += 1;
                    counts.received_bytes += bytes.len() as u64;
                    let _ = batch.try_push(Received { origin, bytes });
                });
                match got {
                    Ok(0) => {}
                    Ok(count) => {
                        incoming.held = true;
                        share -= count.min(share);
                    }
                    Err(fabric_ring::Broken::Closed) => peers.broken = true,
                    Err(_) => {
                        self.counts.malformed += 1;
                        peers.broken = true;
                    }
                }
            }
        }
        Ok(())
    }

    fn release(&mut self) {
        let mut any = false;
        for incoming in self.channels.iter_mut().flatten().flat_map(|peers| &mut peers.incoming) {
            if incoming.held {
                any |= incoming.consumer.release();
            }
        }
        if any {
            barrier();
        }
        for incoming in self.channels.iter_mut().flatten().flat_map(|peers| &mut peers.incoming) {
            if std::mem::take(&mut incoming.held) && incoming.consumer.producer_sleeps() {
                incoming.bell.ring();
                self.counts.doorbells += 1;
            }
        }
    }

    fn arm(&mut self) -> bool {
        for peers in self.channels.iter_mut().flatten().filter(|peers| !peers.broken) {
            for incoming in &mut peers.incoming {
                incoming.consumer.sleep();
            }
            if peers.wanted.is_some() {
                peers.outgoing.producer.sleep();
            }
        }
        barrier();
        let mut idle = true;
        for peers in self.channels.iter_mut().flatten().filter(|peers| !peers.broken) {
            for incoming in &mut peers.incoming {
                idle &= !incoming.consumer.has_more();
            }
            if let Some(bytes) = peers.wanted
                && peers.outgoing.producer.has_room(bytes)
            {
                peers.wanted = None;
                idle = false;
            }
        }
        if !idle {
            self.unarm();
        }
        idle
    }

    fn disarm(&mut self) {
        self.unarm();
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
