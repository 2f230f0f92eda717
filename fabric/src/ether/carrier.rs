//! The carrier itself.

use super::{
    header,
    interface::{Bound, EtherError, Keeper},
};
use crate::{
    AttachError, BATCH, Batch, Carrier, Channel, Counts, Limits, Medium, Message, Origin, Peer, Received, SendError,
    Slot, View,
    bell::Bell,
    carrier::Address,
    sys::{HEAD, PacketReceiver, PacketSender},
};
use pnet_base::MacAddr;
use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

/// Channel numbers must be smaller.
const CHANNELS_MOST: u32 = 1 << 16;
/// How many slots a call asks for after a quiet time.
const ASK_LEAST: usize = 8;
/// A slot is never smaller: an interface's usual MTU with headers and a tag.
const SLOT_LEAST: usize = 2048;
/// Calls that found frames between two looks at the interface.
const LOOK_EVERY: u32 = 1024;

/// Messages in Ethernet frames. One handle receives; those made by [`Ether::share`] send on the same interface.
pub struct Ether {
    bound: Arc<Bound>,
    inbox: Inbox,
    sender: PacketSender,
    peers: Vec<Option<Peering>>,
    by_mac: HashMap<MacAddr, Channel>,
    /// Peers are told apart by keys, not by their addresses.
    keyed: bool,
    /// The last source that was looked up, and who it is.
    last: Option<(MacAddr, Origin)>,
    counts: Counts,
}

struct Peering {
    mac: MacAddr,
    /// A message was refused because the socket was full.
    wanted: bool,
}

/// Where received frames lie.
#[allow(clippy::large_enum_variant, reason = "there is one a lane")]
enum Inbox {
    Slots(Slots),
    /// This handle does not receive: a waker that never wakes.
    None(Bell),
}

struct Slots {
    keeper: Keeper,
    receiver: PacketReceiver,
    /// Slots `0..filled` hold frames.
    filled: usize,
    /// Next to hand out.
    next: usize,
    /// How many slots the next call asks for.
    ask: usize,
    /// Calls since the interface was looked at.
    calls: u32,
    /// It slept: what woke it may have been a change of an interface.
    slept: bool,
}

impl Ether {
    /// A carrier on the interface of this name. It need not be there, or up, yet.
    pub fn open(interface: &str) -> Result<Ether, EtherError> {
        let (bound, keeper) = Keeper::open(interface)?;
        let slots = Slots {
            keeper,
            receiver: PacketReceiver::new(BATCH, slot_size(&bound)),
            filled: 0,
            next: 0,
            ask: ASK_LEAST,
            calls: 0,
            slept: false,
        };
        Ok(Ether::with(Arc::new(bound), Inbox::Slots(slots)))
    }

    /// Another handle that sends on the same interface and never receives. It has channels of its own.
    pub fn share(&self) -> io::Result<Ether> {
        Ok(Ether::with(self.bound.clone(), Inbox::None(Bell::new()?)))
    }

    /// The interface's own address; zeros while it was never there.
    pub fn local(&self) -> MacAddr {
        self.bound.mac()
    }

    /// The interface's name now; empty for a handle that only sends.
    pub fn interface(&self) -> &str {
        match &self.inbox {
            Inbox::Slots(slots) => slots.keeper.called(),
            Inbox::None(_) => "",
        }
    }

    fn with(bound: Arc<Bound>, inbox: Inbox) -> Ether {
        Ether {
            bound,
            inbox,
            sender: PacketSender::new(),
            peers: Vec::new(),
            by_mac: HashMap::new(),
            keyed: false,
            last: None,
            counts: Counts::default(),
        }
    }

    pub(crate) fn set_keyed(&mut self) {
        self.keyed = true;
    }

    fn look(&mut self) {
        if let Inbox::Slots(slots) = &mut self.inbox
            && let Err(error) = slots.keeper.look(&self.bound)
        {
            log::warn!("ether: {error}");
        }
    }
}

/// Room for the longest frame.
fn slot_size(bound: &Bound) -> usize {
    (bound.message() + HEAD + 4).next_multiple_of(64).max(SLOT_LEAST)
}

impl Carrier for Ether {
    fn kind(&self) -> &'static str {
        "ether"
    }

    fn attach(&mut self, channel: Channel, peer: Peer) -> Result<(), AttachError> {
        let Peer::Ether(mac) = peer else {
            return Err(AttachError::WrongKind(self.kind()));
        };
        if channel.0 >= CHANNELS_MOST || mac.is_zero() || (mac.is_multicast() && !mac.is_broadcast()) {
            return Err(AttachError::Io(io::ErrorKind::InvalidInput.into()));
        }
        if let Some(other) = self.by_mac.get(&mac).filter(|_| !self.keyed) {
            return Err(AttachError::InUse(*other));
        }
        let index = channel.0 as usize;
        if self.peers.len() <= index {
            self.peers.resize_with(index + 1, || None);
        }
        match self.peers.get_mut(index) {
            Some(place @ None) => {
                *place = Some(Peering { mac, wanted: false });
                if !self.keyed {
                    self.by_mac.insert(mac, channel);
                }
                self.last = None;
                Ok(())
            }
            _ => Err(AttachError::InUse(channel)),
        }
    }

    fn detach(&mut self, channel: Channel) {
        if let Some(peering) = self.peers.get_mut(channel.0 as usize).and_then(Option::take) {
            if !self.keyed {
                self.by_mac.remove(&peering.mac);
            }
            self.last = None;
        }
    }

    fn limits(&self, channel: Channel) -> Option<Limits> {
        self.peers.get(channel.0 as usize)?.as_ref()?;
        Some(Limits { message: self.bound.message(), in_place: false })
    }

    fn reserve(&mut self, channel: Channel, _most: usize) -> Result<Slot<'_>, SendError> {
        self.limits(channel).map_or(Err(SendError::NotOpen), |_| Err(SendError::NotInPlace))
    }

    fn commit(&mut self, channel: Channel, _used: usize) -> Result<(), SendError> {
        self.limits(channel).map_or(Err(SendError::NotOpen), |_| Err(SendError::NotInPlace))
    }

    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        let Some(Some(peering)) = self.peers.get_mut(channel.0 as usize) else {
            return (0, Err(SendError::NotOpen));
        };
        let most = self.bound.message();
        let fits = |m: &&Message<'_>| m.len() <= most && m.parts.len() <= PacketSender::PIECES_MOST;
        let good = messages.iter().take_while(fits).count();
        let end = if good < messages.len() { Err(SendError::TooLong(most)) } else { Ok(()) };
        let (to, from) = (peering.mac, self.bound.mac());
        let mut done = 0;
        while let Some(rest @ [_, ..]) = messages.get(done..good) {
            let bytes = |count: usize| rest.iter().take(count).map(Message::len).sum::<usize>() as u64;
            let gone = if self.bound.is_up() {
                self.counts.calls += 1;
                self.sender.send(self.bound.as_fd(), rest, |len| header::emit(to, from, len))
            } else {
                Err(io::Error::from_raw_os_error(libc::ENETDOWN))
            };
            let (count, lost) = match gone {
                Ok(count) => (count.max(1), 0),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN | libc::ENOBUFS | libc::EINTR) => {
                        peering.wanted = true;
                        return (done, Err(SendError::Full));
                    }
                    // The interface is away: what is sent meanwhile is lost, as it is on a cable that is cut.
                    Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => (rest.len(), rest.len()),
                    _ => (1, 1),
                },
            };
            self.counts.sent += count as u64;
            self.counts.sent_bytes += bytes(count);
            self.counts.send_failed += lost as u64;
            done += count;
        }
        (done, end)
    }

    fn flush(&mut self) {}

    fn receive<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        let (mut away, mut idle) = (false, false);
        if let Inbox::Slots(slots) = &mut self.inbox
            && slots.next == slots.filled
        {
            self.counts.calls += 1;
            let first = slots.filled;
            match slots.receiver.receive(self.bound.as_fd(), first, slots.ask) {
                Ok(got) => {
                    slots.filled += got;
                    slots.ask = if got == slots.ask { 2 * got } else { (2 * got).max(ASK_LEAST) }.min(BATCH);
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN | libc::EINTR) => (slots.ask, idle) = (ASK_LEAST, true),
                    Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => away = true,
                    Some(libc::ENOMEM | libc::ENOBUFS) => {}
                    _ => return Err(error),
                },
            }
            slots.calls = slots.calls.wrapping_add(1);
            if (idle && std::mem::take(&mut slots.slept)) || slots.calls >= LOOK_EVERY {
                slots.calls = 0;
                slots.keeper.follow(&self.bound);
            }
        }
        if away {
            self.look();
        }
        let own = self.bound.mac();
        let Inbox::Slots(slots) = &mut self.inbox else { return Ok(()) };
        while slots.next < slots.filled && !batch.is_full() {
            let frame = slots.receiver.frame(slots.next).and_then(header::parse);
            slots.next += 1;
            let Some((source, message)) = frame.filter(|(source, _)| *source != own && !source.is_multicast()) else {
                self.counts.malformed += 1;
                continue;
            };
            let origin = match self.last {
                Some((last, origin)) if last == source => origin,
                _ => {
                    let known = self.by_mac.get(&source);
                    let origin = known.map_or(Origin::Stranger(Address::Ether(source)), |c| Origin::Channel(*c));
                    self.last = Some((source, origin));
                    origin
                }
            };
            self.counts.received += 1;
            self.counts.received_bytes += message.len() as u64;
            let _ = batch.try_push(Received { origin, bytes: View::from(message) });
        }
        Ok(())
    }

    fn release(&mut self) {
        if let Inbox::Slots(slots) = &mut self.inbox
            && slots.next == slots.filled
        {
            (slots.next, slots.filled) = (0, 0);
            // The MTU grew: longer frames may come.
            if slots.receiver.size() < slot_size(&self.bound) {
                slots.receiver = PacketReceiver::new(BATCH, slot_size(&self.bound));
            }
        }
    }

    fn arm(&mut self) -> bool {
        let mut idle = match &self.inbox {
            Inbox::Slots(slots) => slots.next == slots.filled,
            Inbox::None(_) => true,
        };
        for peering in self.peers.iter_mut().flatten() {
            // The waker does not tell of room; sending empties by itself and soon.
            idle &= !std::mem::take(&mut peering.wanted);
        }
        idle
    }

    fn disarm(&mut self) {
        if let Inbox::Slots(slots) = &mut self.inbox {
            slots.slept = true;
        }
    }

    fn waker(&self) -> Option<BorrowedFd<'_>> {
        match &self.inbox {
            Inbox::Slots(slots) => Some(slots.keeper.waker()),
            Inbox::None(bell) => Some(bell.as_fd()),
        }
    }

    fn send_to(&mut self, to: Address, datagram: &[u8]) -> Result<(), SendError> {
        let Address::Ether(to) = to else { return Err(SendError::NotOpen) };
        let (from, most, parts) = (self.bound.mac(), self.bound.message(), [View::from(datagram)]);
        if datagram.len() > most {
            return Err(SendError::TooLong(most));
        }
        self.counts.calls += 1;
        let message = Message { parts: &parts };
        if self.sender.send(self.bound.as_fd(), &[message], |len| header::emit(to, from, len)).is_err() {
            self.counts.send_failed += 1;
        }
        Ok(())
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn medium(&self) -> Medium {
        match &self.inbox {
            Inbox::Slots(slots) => slots.keeper.medium(&self.bound),
            Inbox::None(_) => Medium::Given,
        }
    }
}
