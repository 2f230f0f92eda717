//! The carrier itself.

use super::{
    route::Route,
    sealed::{self, Sealed, Taken},
    socket::{Bound, UdpError},
    source::Own,
};
use crate::{
    Address, Amend, AttachError, BATCH, Batch, Carrier, Channel, Counts, Limits, Message, Origin, Peer, Received,
    SendError, Slot, View,
    bell::Bell,
    sys::{self, Receiver, Sender, Sent},
};
use arrayvec::ArrayVec;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

/// How many slots a call asks for after a quiet time.
const ASK_LEAST: usize = 8;

/// Channel numbers must be smaller.
const CHANNELS_MOST: u32 = 1 << 16;

/// Messages over UDP. One handle receives; those made by [`Udp::share`] send on the same socket.
pub struct Udp {
    socket: Arc<Bound>,
    inbox: Inbox,
    sender: Sender,
    routes: Vec<Option<Route>>,
    by_address: HashMap<SocketAddr, Channel>,
    /// The last source that was looked up, and who it is.
    last: Option<(SocketAddr, Origin)>,
    counts: Counts,
    /// Whether a stranger's message can be one that is answered.
    greets: Option<fn(&[u8]) -> bool>,
    /// Keys of the channels, when everything is sealed.
    sealed: Option<Box<Sealed>>,
}

/// Where received datagrams lie.
enum Inbox {
    Slots(Slots),
    /// This handle does not receive: a waker that never wakes.
    None(Bell),
}

struct Slots {
    receiver: Receiver,
    cursor: Cursor,
}

/// Which slots are filled, and which of them are handed out.
struct Cursor {
    /// Slots `0..filled` hold datagrams.
    filled: usize,
    /// Next to hand out: slot and byte.
    slot: usize,
    at: usize,
    /// How many slots the next call asks for.
    ask: usize,
}

impl Udp {
    /// A carrier on this address and port; port 0 takes a free one. On the unspecified address of version 6 it reaches
    /// both versions.
    pub fn bind(address: SocketAddr) -> Result<Udp, UdpError> {
        let cursor = Cursor { filled: 0, slot: 0, at: 0, ask: ASK_LEAST };
        let bound = Bound::new(address)?;
        let slots = Slots { receiver: Receiver::new(BATCH, bound.sources().is_some()), cursor };
        Ok(Udp::with(Arc::new(bound), Inbox::Slots(slots)))
    }

    /// As [`Udp::bind`], but nothing passes that is not sealed: a channel takes messages when it has keys
    /// ([`Carrier::amend`]).
    pub fn bind_sealed(address: SocketAddr) -> Result<Udp, UdpError> {
        let mut udp = Udp::bind(address)?;
        udp.sealed = Some(Box::new(Sealed::new()));
        Ok(udp)
    }

    /// Another handle that sends on the same socket and never receives. It has channels of its own.
    pub fn share(&self) -> io::Result<Udp> {
        let mut shared = Udp::with(self.socket.clone(), Inbox::None(Bell::new()?));
        shared.sealed = self.sealed.as_ref().map(|_| Box::new(Sealed::new()));
        Ok(shared)
    }

    /// The address it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.socket.local()
    }

    /// Sets the longest message of a channel in bytes, instead of what the path's MTU allows.
    pub fn set_message_most(&mut self, channel: Channel, bytes: usize) {
        if let Some(Some(route)) = self.routes.get_mut(channel.0 as usize) {
            route.message = bytes.min(65_507);
            route.fixed = true;
        }
    }

    /// Which messages of strangers can lead to an answer: of others it is not noted where they were sent to. Without
    /// this, all can.
    pub fn set_greets(&mut self, greets: fn(&[u8]) -> bool) {
        self.greets = Some(greets);
    }

    fn with(socket: Arc<Bound>, inbox: Inbox) -> Udp {
        Udp {
            socket,
            inbox,
            sender: Sender::new(),
            routes: Vec::new(),
            by_address: HashMap::new(),
            last: None,
            counts: Counts::default(),
            greets: None,
            sealed: None,
        }
    }
}

/// What an error of a send says.
enum Verdict {
    /// The socket is full.
    Full,
    /// The kernel or the device does not send runs on this path.
    NoRuns,
    /// The datagrams are lost.
    Lost,
}

fn judge(error: &io::Error, route: &mut Route, messages: usize) -> Verdict {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS) => Verdict::Full,
        Some(libc::EINTR) => Verdict::Full,
        Some(libc::EINVAL | libc::EMSGSIZE) => {
            // A run of parts that the path does not take any more is refused as well: then the path changed.
            let shrunk = route.probe();
            if messages > 1 && !shrunk { Verdict::NoRuns } else { Verdict::Lost }
        }
        Some(libc::EIO | libc::EOPNOTSUPP | libc::ENOPROTOOPT) if messages > 1 => Verdict::NoRuns,
        _ => Verdict::Lost,
    }
}

/// Whether an error may come from an address that the host had and has no more.
fn is_of_address(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EADDRNOTAVAIL | libc::ENETUNREACH))
}

/// Notes where a datagram was sent to, so that answers leave from there.
fn note_local(socket: &Bound, routes: &mut [Option<Route>], origin: Origin, from: SocketAddr, local: IpAddr) {
    let news = match origin {
        Origin::Channel(channel) => match routes.get_mut(channel.0 as usize) {
            Some(Some(route)) => route.own.set(local, socket.local().is_ipv6()),
            _ => false,
        },
        Origin::Stranger(_) => true,
    };
    if let (Some(sources), true) = (socket.sources(), news) {
        sources.note(from, local);
    }
}

impl Carrier for Udp {
    fn kind(&self) -> &'static str {
        "udp"
    }

    fn attach(&mut self, channel: Channel, peer: Peer) -> Result<(), AttachError> {
        let Peer::Address(address) = peer else {
            return Err(AttachError::WrongKind(self.kind()));
        };
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let name = self.socket.reach(address).filter(|_| channel.0 < CHANNELS_MOST && address.port() != 0);
        let name = name.ok_or(AttachError::Io(io::ErrorKind::InvalidInput.into()))?;
        // A sealed peer is known by its keys, wherever it is.
        let known = self.by_address.get(&address).filter(|_| self.sealed.is_none());
        if let Some(other) = known {
            return Err(AttachError::InUse(*other));
        }
        let index = channel.0 as usize;
        if self.routes.len() <= index {
            self.routes.resize_with(index + 1, || None);
        }
        match self.routes.get_mut(index) {
            Some(place @ None) => {
                *place = Some(Route::new(address, name));
                if let Some(sources) = self.socket.sources() {
                    sources.hold(address);
                }
                self.by_address.insert(address, channel);
                self.last = None;
                Ok(())
            }
            _ => Err(AttachError::InUse(channel)),
        }
    }

    fn detach(&mut self, channel: Channel) {
        if let Some(Some(route)) = self.routes.get_mut(channel.0 as usize).map(Option::take) {
            self.by_address.remove(&route.address);
            self.last = None;
            if let Some(sources) = self.socket.sources() {
                sources.release(route.address);
            }
        }
        if let Some(sealed) = &mut self.sealed {
            sealed.detach(channel);
        }
    }

    fn limits(&self, channel: Channel) -> Option<Limits> {
        let route = self.routes.get(channel.0 as usize)?.as_ref()?;
        let overhead = if self.sealed.is_some() { fabric_seal::OVERHEAD } else { 0 };
        Some(Limits { message: route.message.saturating_sub(overhead), in_place: false })
    }

    fn resize(&mut self, channel: Channel, message: usize) {
        if let Some(Some(route)) = self.routes.get_mut(channel.0 as usize) {
            let overhead = if self.sealed.is_some() { fabric_seal::OVERHEAD } else { 0 };
            route.resize(message.saturating_add(overhead));
        }
    }

    fn reserve(&mut self, channel: Channel, _most: usize) -> Result<Slot<'_>, SendError> {
        self.limits(channel).map_or(Err(SendError::NotOpen), |_| Err(SendError::NotInPlace))
    }

    fn commit(&mut self, channel: Channel, _used: usize) -> Result<(), SendError> {
        self.limits(channel).map_or(Err(SendError::NotOpen), |_| Err(SendError::NotInPlace))
    }

    fn send(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        let Some(mut sealed) = self.sealed.take() else { return self.send_plain(channel, messages) };
        let sent = self.send_sealed(&mut sealed, channel, messages);
        self.sealed = Some(sealed);
        sent
    }

    fn flush(&mut self) {}

    fn receive<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        if self.sealed.is_some() { self.receive_sealed(batch) } else { self.receive_plain(batch) }
    }

    fn release(&mut self) {
        if let Inbox::Slots(slots) = &mut self.inbox
            && slots.cursor.slot == slots.cursor.filled
            && self.sealed.as_ref().is_none_or(|sealed| sealed.is_handed_out())
        {
            (slots.cursor.slot, slots.cursor.filled) = (0, 0);
        }
    }

    fn arm(&mut self) -> bool {
        let mut idle = match &self.inbox {
            Inbox::Slots(Slots { cursor, .. }) => {
                cursor.slot == cursor.filled && self.sealed.as_ref().is_none_or(|sealed| sealed.is_handed_out())
            }
            Inbox::None(_) => true,
        };
        for route in self.routes.iter_mut().flatten() {
            // The waker does not tell of room; sending empties by itself and soon.
            idle &= !std::mem::take(&mut route.wanted);
        }
        idle
    }

    fn disarm(&mut self) {}

    fn waker(&self) -> Option<BorrowedFd<'_>> {
        match &self.inbox {
            Inbox::Slots(_) => Some(self.socket.as_fd()),
            Inbox::None(bell) => Some(bell.as_fd()),
        }
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn amend(&mut self, channel: Channel, amend: Amend) -> Result<(), AttachError> {
        let (Some(sealed), Some(Some(route))) = (&mut self.sealed, self.routes.get_mut(channel.0 as usize)) else {
            return Err(AttachError::WrongKind("udp in clear text"));
        };
        if let Amend::Move { address } = amend {
            let Address::Udp(address) = address else { return Err(AttachError::WrongKind("udp")) };
            let name = self.socket.reach(address).ok_or(AttachError::Io(io::ErrorKind::InvalidInput.into()))?;
            if let Some(sources) = self.socket.sources() {
                sources.hold(address);
                sources.release(route.address);
            }
            route.move_to(address, name);
            return Ok(());
        }
        sealed.amend(channel, amend);
        Ok(())
    }

    fn send_to(&mut self, to: Address, datagram: &[u8]) -> Result<(), SendError> {
        let Address::Udp(to) = to else { return Err(SendError::NotOpen) };
        let name = self.socket.reach(to).ok_or(SendError::NotOpen)?;
        self.counts.calls += 1;
        let parts = [View::from(datagram)];
        let mut own = Own::default();
        let sources = self.socket.sources();
        let source = sources.and_then(|s| own.source(s, to, self.socket.local().is_ipv6()));
        match self.sender.send(self.socket.as_fd(), &name, &[Message { parts: &parts }], false, source) {
            Sent::Messages(_) => {}
            Sent::Failed { .. } => self.counts.send_failed += 1,
        }
        Ok(())
    }

    fn moved(&mut self) -> Option<(Channel, Address)> {
        let (channel, address) = self.sealed.as_mut()?.moved()?;
        self.amend(channel, Amend::Move { address }).ok()?;
        Some((channel, address))
    }
}

impl Udp {
    /// One call when nothing is left to hand out.
    fn fill(&mut self) -> io::Result<()> {
        let Inbox::Slots(slots) = &mut self.inbox else { return Ok(()) };
        if slots.cursor.slot != slots.cursor.filled {
            return Ok(());
        }
        self.counts.calls += 1;
        let Err(error) = slots.fill(self.socket.as_fd()) else { return Ok(()) };
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => slots.cursor.ask = ASK_LEAST,
            // What an earlier datagram of ours met on its way.
            Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::ENOMEM | libc::ENOBUFS) => {
                self.counts.send_failed += 1;
            }
            _ => return Err(error),
        }
        Ok(())
    }

    fn send_plain(&mut self, channel: Channel, messages: &[Message<'_>]) -> (usize, Result<(), SendError>) {
        let Some(Some(route)) = self.routes.get_mut(channel.0 as usize) else {
            return (0, Err(SendError::NotOpen));
        };
        let fits =
            |message: &&Message<'_>| message.len() <= route.message && message.parts.len() <= sys::PIECES_PER_GROUP;
        let good = messages.iter().take_while(fits).count();
        let end = if good < messages.len() { Err(SendError::TooLong(route.message)) } else { Ok(()) };
        let mut done = 0;
        while let Some(rest @ [_, ..]) = messages.get(done..good) {
            self.counts.calls += 1;
            let bytes = |count: usize| rest.iter().take(count).map(Message::len).sum::<usize>() as u64;
            let source = match self.socket.sources() {
                Some(sources) => route.own.source(sources, route.address, self.socket.local().is_ipv6()),
                None => None,
            };
            match self.sender.send(self.socket.as_fd(), &route.name, rest, route.segment, source) {
                Sent::Messages(count) => {
                    self.counts.sent += count as u64;
                    self.counts.sent_bytes += bytes(count);
                    done += count.max(1);
                }
                Sent::Failed { error, .. } if is_of_address(&error) && route.own.forget() => {}
                Sent::Failed { messages: count, error } => match judge(&error, route, count) {
                    Verdict::Full => {
                        route.wanted = true;
                        return (done, Err(SendError::Full));
                    }
                    Verdict::NoRuns => {
                        log::info!("udp {}: no runs of datagrams on this path: {error}", route.address);
                        route.segment = false;
                    }
                    Verdict::Lost => {
                        self.counts.sent += count as u64;
                        self.counts.sent_bytes += bytes(count);
                        self.counts.send_failed += count as u64;
                        done += count;
                    }
                },
            }
        }
        (done, end)
    }

    fn receive_plain<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        self.fill()?;
        let Inbox::Slots(slots) = &mut self.inbox else { return Ok(()) };
        let Slots { receiver, cursor } = slots;
        while cursor.slot < cursor.filled
            && !batch.is_full()
            && let Some(datagram) = receiver.datagram(cursor.slot)
        {
            let origin = match (datagram.source, self.last) {
                (Some(source), Some((last, origin))) if source == last => Some(origin),
                (Some(source), _) => {
                    let origin =
                        self.by_address.get(&source).map_or(Origin::Stranger(source.into()), |c| Origin::Channel(*c));
                    self.last = Some((source, origin));
                    Some(origin)
                }
                (None, _) => None,
            };
            let first = || receiver.bytes(cursor.slot, 0, datagram.len.min(datagram.segment));
            if let (Some(origin), Some(from), Some(local)) = (origin, datagram.source, datagram.local)
                && (matches!(origin, Origin::Channel(_)) || self.greets.is_none_or(|greets| greets(first())))
            {
                note_local(&self.socket, &mut self.routes, origin, from, local);
            }
            let Some(origin) = origin.filter(|_| !datagram.truncated) else {
                self.counts.malformed += 1;
                (cursor.slot, cursor.at) = (cursor.slot + 1, 0);
                continue;
            };
            let rest = receiver.bytes(cursor.slot, cursor.at, datagram.len - cursor.at);
            let room = batch.remaining_capacity();
            if rest.is_empty() {
                batch.push(Received { origin, bytes: View::EMPTY });
                self.counts.received += 1;
            }
            for bytes in rest.chunks(datagram.segment.max(1)).take(room) {
                batch.push(Received { origin, bytes: View::from(bytes) });
                cursor.at += bytes.len();
                self.counts.received += 1;
                self.counts.received_bytes += bytes.len() as u64;
            }
            if cursor.at >= datagram.len {
                (cursor.slot, cursor.at) = (cursor.slot + 1, 0);
            }
        }
        Ok(())
    }

    /// Seals as many messages as there is room for, sends them, and goes on with the next.
    fn send_sealed(
        &mut self,
        sealed: &mut Sealed,
        channel: Channel,
        messages: &[Message<'_>],
    ) -> (usize, Result<(), SendError>) {
        let Some(limits) = self.limits_sealed(channel) else { return (0, Err(SendError::NotOpen)) };
        let mut done = 0;
        while let Some(rest @ [_, ..]) = messages.get(done..) {
            let (datagrams, end) = sealed.seal(channel, limits, rest);
            if datagrams.is_empty() {
                match end {
                    Ok(()) => {
                        // Without keys a message is lost, as a datagram may be.
                        self.counts.send_failed += rest.len() as u64;
                        return (messages.len(), Ok(()));
                    }
                    Err(error) => return (done, Err(error)),
                }
            }
            let parts: ArrayVec<[View<'_>; 1], { sealed::CHUNK }> = datagrams.map(|d| [View::from(d)]).collect();
            let list: ArrayVec<Message<'_>, { sealed::CHUNK }> = parts.iter().map(|parts| Message { parts }).collect();
            let (taken, sent) = self.send_plain(channel, &list);
            done += taken;
            // Counted is what was asked to be sent, as where it is received.
            self.counts.sent_bytes = self.counts.sent_bytes.saturating_sub((taken * fabric_seal::OVERHEAD) as u64);
            let sent = sent.map_err(|error| match error {
                // The path takes less than it did.
                SendError::TooLong(most) => SendError::TooLong(most.saturating_sub(fabric_seal::OVERHEAD)),
                other => other,
            });
            if let Err(error) = sent.and(end) {
                return (done, Err(error));
            }
        }
        (done, Ok(()))
    }

    fn limits_sealed(&self, channel: Channel) -> Option<usize> {
        let route = self.routes.get(channel.0 as usize)?.as_ref()?;
        Some(route.message.saturating_sub(fabric_seal::OVERHEAD))
    }

    /// Opens what came where it lies, then hands it out.
    fn receive_sealed<'a>(&'a mut self, batch: &mut Batch<'a>) -> io::Result<()> {
        self.fill()?;
        let (Inbox::Slots(slots), Some(sealed)) = (&mut self.inbox, &mut self.sealed) else { return Ok(()) };
        let Slots { receiver, cursor } = slots;
        let counts = &mut self.counts;
        if sealed.is_handed_out() {
            sealed.clear();
            while cursor.slot < cursor.filled
                && sealed.has_room()
                && let Some(datagram) = receiver.datagram(cursor.slot)
            {
                let len = if datagram.truncated { 0 } else { datagram.len };
                let bytes = receiver.bytes_mut(cursor.slot, len);
                let (at, source) = (cursor.at, datagram.source);
                let (next, refused) = sealed.open(cursor.slot, bytes, at, datagram.segment, source, &self.routes);
                counts.malformed += refused + u64::from(datagram.truncated);
                // What was refused says nothing, behind something genuine neither.
                if let (Some(origin), Some(from), Some(local)) = (sealed.newest(cursor.slot), source, datagram.local) {
                    note_local(&self.socket, &mut self.routes, origin, from, local);
                }
                cursor.at = next;
                if cursor.at >= len {
                    (cursor.slot, cursor.at) = (cursor.slot + 1, 0);
                }
            }
        }
        while !batch.is_full()
            && let Some(Taken { slot, at, len, origin }) = sealed.next()
        {
            let bytes = receiver.bytes(slot, at, len);
            counts.received += 1;
            counts.received_bytes += bytes.len() as u64;
            batch.push(Received { origin, bytes: View::from(bytes) });
        }
        Ok(())
    }
}

impl Slots {
    /// One call, into slots that are not handed out.
    fn fill(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let Slots { receiver, cursor } = self;
        let got = receiver.receive(socket, cursor.filled, cursor.ask)?;
        // A run holds many messages: then fewer slots make a batch, and the same memory is used again while it is warm.
        let datagrams = (cursor.filled..cursor.filled + got).filter_map(|slot| receiver.datagram(slot));
        let messages: usize = datagrams.map(|datagram| datagram.len.div_ceil(datagram.segment.max(1)).max(1)).sum();
        let batch = if got == 0 { BATCH } else { (BATCH * got).div_ceil(messages).clamp(2, BATCH) };
        // Each slot costs something to prepare: no more than lately came, and room to grow.
        let wished = if got == cursor.ask { 2 * got } else { (2 * got).max(ASK_LEAST) };
        cursor.ask = wished.min(batch);
        cursor.filled += got;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
