//! Sealing around carriers that do not seal by themselves: raw Ethernet and serial lines.
//!
//! [`Sealed`] stands around a [`Keyed`] carrier. Its channels take messages when they have keys ([`Amend`]); what
//! comes is known by the keys that its datagram names, wherever it came from. Parts of handshakes come out as a stranger's and
//! go out by [`Carrier::send_to`]. It is the sealed channel of UDP, which seals by itself for the sake of its runs of datagrams.
//!
//! A datagram that came is copied once, out of the carrier's memory, and opened where it lies then.

mod keyring;

use crate::{
    Address, Amend, AttachError, BATCH, Batch, Carrier, Channel, Counts, Limits, Medium, Message, Origin, Peer,
    Received, SendError, Slot, View, ether::Ether, serial::Serial,
};
use arrayvec::ArrayVec;
use fabric_seal::{HEAD, OVERHEAD, TAG};
pub(crate) use keyring::{Keyring, Opened};
use std::{io, os::fd::BorrowedFd};

/// Channel numbers must be smaller.
const CHANNELS_MOST: u32 = 1 << 16;
/// Datagrams sealed at once.
const CHUNK: usize = 32;
/// Bytes sealed at once: one datagram of the greatest length, or many short ones.
const ROOM: usize = 68 << 10;

/// A carrier that can leave it to keys to tell peers apart: many channels may lead to one address then, and whatever comes is a
/// stranger's.
pub trait Keyed: Carrier + Sized {
    /// Peers are told apart by keys from now on, before any is attached.
    fn set_keyed(&mut self);

    /// Another handle that sends the same way and never receives.
    fn share(&self) -> io::Result<Self>;
}

impl Keyed for Ether {
    fn set_keyed(&mut self) {
        Ether::set_keyed(self);
    }

    fn share(&self) -> io::Result<Ether> {
        Ether::share(self)
    }
}

impl Keyed for Serial {
    fn set_keyed(&mut self) {
        Serial::set_keyed(self);
    }

    fn share(&self) -> io::Result<Serial> {
        Serial::share(self)
    }
}

/// A carrier whose messages are sealed.
pub struct Sealed<C> {
    inner: C,
    keys: Keyring,
    /// Where the peer of each channel is.
    places: Vec<Option<Address>>,
    room: Box<[u8]>,
    inbox: Inbox,
    counts: Counts,
}

/// What was opened and is not handed out yet.
#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
    taken: Vec<Taken>,
    next: usize,
}

#[derive(Clone, Copy)]
struct Taken {
    at: usize,
    len: usize,
    origin: Origin,
}

impl<C: Keyed> Sealed<C> {
    /// Seals what goes over a carrier that has no peers yet.
    pub fn new(mut inner: C) -> Sealed<C> {
        inner.set_keyed();
        Sealed {
            inner,
            keys: Keyring::default(),
            places: Vec::new(),
            room: vec![0; ROOM].into_boxed_slice(),
            inbox: Inbox { taken: Vec::with_capacity(BATCH), ..Inbox::default() },
            counts: Counts::default(),
        }
    }

    /// Another handle that sends the same way and never receives. It has channels and keys of its own.
    pub fn share(&self) -> io::Result<Sealed<C>> {
        self.inner.share().map(Sealed::new)
    }

    /// The carrier in the middle.
    pub fn inner(&self) -> &C {
        &self.inner
    }

    fn place(&self, channel: Channel) -> Option<Address> {
        *self.places.get(channel.0 as usize)?
    }

    fn set_place(&mut self, channel: Channel, place: Option<Address>) {
        let at = channel.0 as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, None);
        }
        if let Some(slot) = self.places.get_mut(at) {
            *slot = place;
        }
    }

    /// Seals some messages and hands them on; how many were taken, and why not more.
    fn send_some(
        &mut self,
        channel: Channel,
        messages: &[Message<'_>],
        mut give: impl FnMut(&mut C, &[Message<'_>]) -> (usize, Result<(), SendError>),
    ) -> (usize, Result<(), SendError>) {
        let Some(limits) = self.limits(channel) else { return (0, Err(SendError::NotOpen)) };
        let mut done = 0;
        while let Some(rest @ [first, ..]) = messages.get(done..) {
            if first.len() > limits.message {
                return (done, Err(SendError::TooLong(limits.message)));
            }
            let Some(sealer) = self.keys.sealer(channel) else {
                // Without keys a message is lost, as a datagram may be.
                self.counts.send_failed += rest.len() as u64;
                return (messages.len(), Ok(()));
            };
            let mut datagrams: ArrayVec<[View<'_>; 1], CHUNK> = ArrayVec::new();
            let (mut room, mut bytes) = (&mut *self.room, ArrayVec::<u64, CHUNK>::new());
            for message in rest.iter().take(CHUNK).take_while(|message| message.len() <= limits.message) {
                let len = message.len();
                let Some((datagram, others)) = room.split_at_mut_checked(len + OVERHEAD) else { break };
                room = others;
                let mut at = HEAD;
                for part in message.parts {
                    at += part.copy_to(0, datagram.get_mut(at..).unwrap_or_default());
                }
                // Keys that are used up seal nothing: what would have been sent is lost.
                if at + TAG != datagram.len() || sealer.seal_in_place(datagram).is_err() {
                    break;
                }
                datagrams.push([View::from(&*datagram)]);
                bytes.push(len as u64);
            }
            if datagrams.is_empty() {
                self.counts.send_failed += rest.len() as u64;
                return (messages.len(), Ok(()));
            }
            let list: ArrayVec<Message<'_>, CHUNK> = datagrams.iter().map(|parts| Message { parts }).collect();
            let (taken, result) = give(&mut self.inner, &list);
            done += taken;
            self.counts.sent += taken as u64;
            self.counts.sent_bytes += bytes.iter().take(taken).sum::<u64>();
            if let Err(error) = result {
                return (done, Err(shorter(error)));
            }
        }
        (done, Ok(()))
    }
}

/// An error as it is for what is sealed.
fn shorter(error: SendError) -> SendError {
    match error {
        SendError::TooLong(most) => SendError::TooLong(most.saturating_sub(OVERHEAD)),
        other => other,
    }
}

impl<C: Keyed> Carrier for Sealed<C> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn attach(&mut self, channel: Channel, peer: Peer) -> Result<(), AttachError> {
        let place = match &peer {
            Peer::Ether(mac) => Some(Address::Ether(*mac)),
            Peer::Line => Some(Address::Line),
            _ => None,
        };
        if channel.0 >= CHANNELS_MOST {
            return Err(AttachError::Io(io::ErrorKind::InvalidInput.into()));
        }
        self.inner.attach(channel, peer)?;
        self.set_place(channel, place);
        Ok(())
    }

    fn detach(&mut self, channel: Channel) {
        self.inner.detach(channel);
        if self.place(channel).is_some() {
            self.set_place(channel, None);
        }
        self.keys.detach(channel);
    }

    fn limits(&self, channel: Channel) -> Option<Limits> {
        let limits = self.inner.limits(channel)?;
        Some(Limits { message: limits.message.saturating_sub(OVERHEAD), in_place: false })
    }

    fn resize(&mut self, channel: Channel, message: usize) {
        self.inner.resize(channel, message.saturating_add(OVERHEAD));
    }

    fn reserve(&mut self, channel: Channel, _most: usize) -> Result<Slot<'_>, SendError> {
        self.limits(channel).map_or(Err(SendError::NotOpen), |_| Err(SendError::NotInPlace))
    }

    fn commit(&mut self, channel: Channel, _used: usize) -> Result<(), SendError> {
        self.limits(channel).map_or(Err(SendError::NotOpen), |_| Err(SendError::NotInPlace))
    }

    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        self.send_some(channel, messages, |inner, list| inner.send(channel, list))
    }

    fn send_urgent(&mut self, channel: Channel, message: Message<'_>) -> Result<(), SendError> {
        let give = |inner: &mut C, list: &[Message<'_>]| match list.first() {
            Some(one) => match inner.send_urgent(channel, *one) {
                Ok(()) => (1, Ok(())),
                Err(error) => (0, Err(error)),
            },
            None => (0, Ok(())),
        };
        self.send_some(channel, &[message], give).1
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    fn receive<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        let Sealed { inner, keys, places, inbox, counts, .. } = self;
        if inbox.next == inbox.taken.len() {
            inbox.bytes.clear();
            inbox.taken.clear();
            inbox.next = 0;
            let mut came = Batch::new();
            inner.receive(&mut came)?;
            for received in &came {
                inbox.take(keys, places, counts, received);
            }
            drop(came);
            inner.release();
        }
        while !batch.is_full()
            && let Some(taken) = inbox.taken.get(inbox.next)
        {
            inbox.next += 1;
            let bytes = inbox.bytes.get(taken.at..taken.at + taken.len).unwrap_or_default();
            counts.received += 1;
            counts.received_bytes += bytes.len() as u64;
            batch.push(Received { origin: taken.origin, bytes: View::from(bytes) });
        }
        Ok(())
    }

    /// What came was copied: the carrier in the middle has its memory back already.
    fn release(&mut self) {}

    fn arm(&mut self) -> bool {
        self.inner.arm() && self.inbox.next == self.inbox.taken.len()
    }

    fn disarm(&mut self) {
        self.inner.disarm();
    }

    fn waker(&self) -> Option<BorrowedFd<'_>> {
        self.inner.waker()
    }

    fn counts(&self) -> Counts {
        let inner = self.inner.counts();
        let Counts { sent, sent_bytes, received, received_bytes, send_failed, malformed, .. } = self.counts;
        Counts {
            sent,
            sent_bytes,
            received,
            received_bytes,
            send_failed: send_failed + inner.send_failed,
            malformed: malformed + inner.malformed,
            ..inner
        }
    }

    fn medium(&self) -> Medium {
        match self.inner.medium() {
            Medium::Up { message, turn } => Medium::Up { message: message.saturating_sub(OVERHEAD), turn },
            other => other,
        }
    }

    fn worth_waiting(&self) -> bool {
        self.inner.worth_waiting()
    }

    fn amend(&mut self, channel: Channel, amend: Amend) -> Result<(), AttachError> {
        if self.place(channel).is_none() {
            return Err(AttachError::WrongKind("sealed"));
        }
        let Amend::Move { address } = amend else {
            self.keys.amend(channel, amend);
            return Ok(());
        };
        let peer = match address {
            Address::Ether(mac) => Peer::Ether(mac),
            Address::Line => Peer::Line,
            Address::Udp(_) => return Err(AttachError::WrongKind(self.kind())),
        };
        // The keys stay with the channel.
        self.inner.detach(channel);
        self.inner.attach(channel, peer)?;
        self.set_place(channel, Some(address));
        Ok(())
    }

    fn send_to(&mut self, to: Address, datagram: &[u8]) -> Result<(), SendError> {
        self.inner.send_to(to, datagram)
    }

    fn moved(&mut self) -> Option<(Channel, Address)> {
        let (channel, address) = self.keys.moved()?;
        self.amend(channel, Amend::Move { address }).ok()?;
        Some((channel, address))
    }
}

impl Inbox {
    /// Copies what came and opens it.
    fn take(&mut self, keys: &mut Keyring, places: &[Option<Address>], counts: &mut Counts, received: &Received<'_>) {
        let Origin::Stranger(from) = received.origin else { return counts.malformed += 1 };
        let (start, len) = (self.bytes.len(), received.bytes.len());
        self.bytes.resize(start + len, 0);
        let Some(datagram) = self.bytes.get_mut(start..) else { return };
        received.bytes.copy_to(0, datagram);
        let is_there = |channel: Channel| places.get(channel.0 as usize).is_some_and(|place| *place == Some(from));
        match keys.open(datagram, is_there, || from) {
            Opened::Message(channel) => {
                self.taken.push(Taken { at: start + HEAD, len: len - OVERHEAD, origin: Origin::Channel(channel) });
            }
            Opened::Nothing => {}
            // Of what is in clear text nothing is believed: it may be a word that seeks.
            Opened::Stranger | Opened::Plain => {
                self.taken.push(Taken { at: start, len, origin: Origin::Stranger(from) });
            }
            Opened::Refused => counts.malformed += 1,
        }
    }
}
