//! The Carrier contract: what a lane asks of any way to move messages.
//!
//! A carrier belongs to one thread and holds many *channels*, one a peer. It keeps message boundaries and may lose,
//! but never alters, cuts or joins messages. It works on batches: nothing need have left until [`Carrier::flush`],
//! nothing received is given back until [`Carrier::release`]. It never blocks.

use arrayvec::ArrayVec;
use fabric_ring::{Slot, View};
use fabric_seal::{Opener, Sealer};
use pnet_base::MacAddr;
use std::{fmt, io, net::SocketAddr, os::fd::BorrowedFd};

/// A peer on a carrier. The caller chooses the number; it is small, and used again only after a detach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub u32);

/// What a channel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message in bytes.
    pub message: usize,
    /// [`Carrier::reserve`] works on it: messages can be made in place.
    pub in_place: bool,
}

/// One message to send, in pieces that are joined on the way.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The pieces, in order.
    pub parts: &'a [View<'a>],
}

impl Message<'_> {
    /// Length of all pieces together.
    pub fn len(&self) -> usize {
        self.parts.iter().map(View::len).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a peer is on its carrier, as far as the carrier can tell it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// On UDP.
    Udp(SocketAddr),
    /// On the carrier's Ethernet.
    Ether(MacAddr),
    /// At the other end of the carrier's line: there is only one.
    Line,
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Udp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Udp(address) => address.fmt(f),
            Address::Ether(mac) => mac.fmt(f),
            Address::Line => f.pad("the line"),
        }
    }
}

/// Who a received message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A peer that was attached.
    Channel(Channel),
    /// An address nobody attached: a peer that greets first.
    Stranger(Address),
}

/// Whether what a carrier stands on is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// As far as the carrier knows, always.
    Given,
    /// An interface that is up and has a cable, a device that is open.
    Up {
        /// The largest message that it takes now, in bytes.
        message: usize,
        /// How often it was taken up; another number says that it was away in between.
        turn: u32,
    },
    /// It is not there. The carrier waits for it and takes it up again by itself; what is sent meanwhile is lost.
    Down,
}

/// One received message. It lies in the carrier's memory until [`Carrier::release`].
#[derive(Clone, Copy)]
pub struct Received<'a> {
    /// Who sent it.
    pub origin: Origin,
    /// The message.
    pub bytes: View<'a>,
}

/// What one [`Carrier::receive`] hands out at most.
pub const BATCH: usize = 128;

/// Received messages, in order per channel.
pub type Batch<'a> = ArrayVec<Received<'a>, BATCH>;

/// Why a message was not taken. It was not sent, not in part either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No room now. The carrier asks the peer to ring when there is (where it can), and [`Carrier::arm`] honours it.
    #[error("no room for another message now")]
    Full,
    /// Longer than [`Limits::message`].
    #[error("message too long, at most {0} bytes are allowed")]
    TooLong(usize),
    /// No such channel, or its peer is gone.
    #[error("channel is not open")]
    NotOpen,
    /// Messages cannot be made in place on this channel.
    #[error("channel cannot make messages in place")]
    NotInPlace,
}

/// Why a channel was not attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The number is in use.
    #[error("channel {0:?} is in use")]
    InUse(Channel),
    /// This carrier has no peers of that kind.
    #[error("the {0} carrier cannot hold such a peer")]
    WrongKind(&'static str),
    /// The system refused.
    #[error("cannot attach the peer")]
    Io(#[from] io::Error),
}

/// What a carrier needs to know of a peer.
#[non_exhaustive]
pub enum Peer {
    /// A peer of [`crate::loopback`].
    Loop(crate::loopback::End),
    /// A peer of [`crate::shm`]: mapped rings and its doorbell.
    Shm(crate::shm::Rings),
    /// A peer of [`crate::udp`].
    Address(SocketAddr),
    /// A peer of [`crate::ether`]; the broadcast address stands for whoever is there.
    Ether(MacAddr),
    /// The peer of [`crate::serial`].
    Line,
}

/// Counts since the carrier was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages sent.
    pub sent: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Messages received.
    pub received: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Messages refused by the system after they were taken.
    pub send_failed: u64,
    /// Received bytes that were no message: torn, oversized, from a broken ring.
    pub malformed: u64,
    /// Doorbells rung.
    pub doorbells: u64,
    /// System calls made to send and receive.
    pub calls: u64,
}

/// A change to a sealed channel. The keys come from the gate that shook hands with the peer.
#[non_exhaustive]
pub enum Amend {
    /// New keys: to seal with, now or when something was opened under them first; and to open with, where this handle
    /// receives.
    Keys {
        /// What the keys are called.
        index: u32,
        /// What seals.
        sealer: Sealer,
        /// What opens.
        opener: Option<Opener>,
        /// To seal with from now on; otherwise when heard.
        now: bool,
    },
    /// Keys that were for later: seal with them now.
    Switch {
        /// What they are called.
        index: u32,
    },
    /// These keys are over.
    Forget {
        /// What they are called.
        index: u32,
    },
    /// The peer is somewhere else now.
    Move {
        /// Where.
        address: Address,
    },
}

/// A way to move messages, as one thread owns it.
pub trait Carrier: Send {
    /// `loopback`, `shm`, `udp`, `ether`, `serial`.
    fn kind(&self) -> &'static str;

    /// Adds a peer under a number of the caller's.
    fn attach(&mut self, channel: Channel, peer: Peer) -> Result<(), AttachError>;

    /// Forgets a peer. What was received from it and not released stays readable until released.
    fn detach(&mut self, channel: Channel);

    /// What the channel takes; `None` when it is not open.
    fn limits(&self, channel: Channel) -> Option<Limits>;

    /// Says what the path of a channel takes now, in bytes, where that can change. A carrier whose memory decides it
    /// does nothing.
    fn resize(&mut self, _channel: Channel, _message: usize) {}

    /// Room to make one message of at most `most` bytes in place. Nothing is sent unless [`Carrier::commit`] follows;
    /// the next `reserve`, `send` or `flush` forgets it.
    fn reserve(&mut self, channel: Channel, most: usize) -> Result<Slot<'_>, SendError>;

    /// Sends the first `used` bytes of what was last reserved on this channel.
    fn commit(&mut self, channel: Channel, used: usize) -> Result<(), SendError>;

    /// Sends whole messages in order; returns how many were taken before the first that was not, and why it was not.
    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>);

    /// Makes what was sent visible to the peers; wakes those that sleep, once each.
    fn flush(&mut self);

    /// Adds received messages to `batch`; not always all that wait, but some when any do, the batch has room and all
    /// that was handed out before is released. An error ends the carrier.
    fn receive<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()>;

    /// Gives back what [`Carrier::receive`] handed out.
    fn release(&mut self);

    /// Asks peers to ring from now on; `false` when something is there already (the caller must not sleep).
    fn arm(&mut self) -> bool;

    /// After a sleep: peers need not ring any more; swallows the ring.
    fn disarm(&mut self);

    /// Readable while a peer has rung or a message waits; `None` when polling is all there is.
    fn waker(&self) -> Option<BorrowedFd<'_>>;

    /// The counts.
    fn counts(&self) -> Counts;

    /// Whether what it stands on is there. Looked at by [`Carrier::receive`]; the waker wakes for a change.
    fn medium(&self) -> Medium {
        Medium::Given
    }

    /// Sends one message ahead of what waits, where the carrier has a queue of its own.
    fn send_urgent(&mut self, channel: Channel, message: Message<'_>) -> Result<(), SendError> {
        self.send(channel, &[message]).1
    }

    /// Whether it pays to wait for room when a channel is full. A slow line is full most of the time: who waits for it
    /// keeps others waiting.
    fn worth_waiting(&self) -> bool {
        true
    }

    /// Changes keys or address of a sealed channel. Carriers that seal nothing refuse.
    fn amend(&mut self, channel: Channel, amend: Amend) -> Result<(), AttachError> {
        let _ = (channel, amend);
        Err(AttachError::WrongKind(self.kind()))
    }

    /// Sends a datagram to an address as it is, past all channels: part of a handshake, or a word in clear text that seeks.
    fn send_to(&mut self, to: Address, datagram: &[u8]) -> Result<(), SendError> {
        let _ = (to, datagram);
        Err(SendError::NotOpen)
    }

    /// A sealed channel whose peer proved to be at another address; each move is told once.
    fn moved(&mut self) -> Option<(Channel, Address)> {
        None
    }
}

/// So that middleware can stand around a carrier that is only known at run time.
impl<C: Carrier + ?Sized> Carrier for Box<C> {
    fn kind(&self) -> &'static str {
        (**self).kind()
    }

    fn attach(&mut self, channel: Channel, peer: Peer) -> Result<(), AttachError> {
        (**self).attach(channel, peer)
    }

    fn detach(&mut self, channel: Channel) {
        (**self).detach(channel);
    }

    fn limits(&self, channel: Channel) -> Option<Limits> {
        (**self).limits(channel)
    }

    fn resize(&mut self, channel: Channel, message: usize) {
        (**self).resize(channel, message);
    }

    fn reserve(&mut self, channel: Channel, most: usize) -> Result<Slot<'_>, SendError> {
        (**self).reserve(channel, most)
    }

    fn commit(&mut self, channel: Channel, used: usize) -> Result<(), SendError> {
        (**self).commit(channel, used)
    }

    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        (**self).send(channel, messages)
    }

    fn flush(&mut self) {
        (**self).flush();
    }

    fn receive<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        (**self).receive(batch)
    }

    fn release(&mut self) {
        (**self).release();
    }

    fn arm(&mut self) -> bool {
        (**self).arm()
    }

    fn disarm(&mut self) {
        (**self).disarm();
    }

    fn waker(&self) -> Option<BorrowedFd<'_>> {
        (**self).waker()
    }

    fn counts(&self) -> Counts {
        (**self).counts()
    }

    fn medium(&self) -> Medium {
        (**self).medium()
    }

    fn send_urgent(&mut self, channel: Channel, message: Message<'_>) -> Result<(), SendError> {
        (**self).send_urgent(channel, message)
    }

    fn worth_waiting(&self) -> bool {
        (**self).worth_waiting()
    }

    fn amend(&mut self, channel: Channel, amend: Amend) -> Result<(), AttachError> {
        (**self).amend(channel, amend)
    }

    fn send_to(&mut self, to: Address, datagram: &[u8]) -> Result<(), SendError> {
        (**self).send_to(to, datagram)
    }

    fn moved(&mut self) -> Option<(Channel, Address)> {
        (**self).moved()
    }
}
