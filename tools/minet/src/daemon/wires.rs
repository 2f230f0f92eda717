//! Which link of the core is which channel of which carrier.

use super::Lanes;
use crate::lane::{Activity, Command};
use fabric::{Address, Channel, Peer};
use messenger_core::LinkId;
use mio::Token;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// Channels of one carrier at one time.
const CHANNELS: u32 = 4096;

/// A link's other side.
pub(super) struct Wire {
    pub(super) carrier: usize,
    pub(super) channel: u32,
    /// For people.
    pub(super) address: String,
    /// Where a UDP peer is.
    pub(super) socket: Option<SocketAddr>,
    /// Where the carrier says that its messages come from before it is attached.
    pub(super) origin: Option<Address>,
    /// The token of a local peer's lifeline.
    pub(super) life: Option<Token>,
    /// One a lane.
    activity: Vec<Arc<Activity>>,
    seen: (u64, u64),
    /// When people were last told of another size of message.
    told: Option<Instant>,
}

/// People are told of another size of message so often at the most.
const TELL_EVERY: Duration = Duration::from_secs(60);

impl Wire {
    /// Whether people are to be told that messages are of another size now: of one link once a minute.
    pub(super) fn tells_size(&mut self, now: Instant) -> bool {
        let tells = self.told.is_none_or(|at| now.duration_since(at) >= TELL_EVERY);
        if tells {
            self.told = Some(now);
        }
        tells
    }

    /// Frames sent and received.
    pub(super) fn traffic(&self) -> (u64, u64) {
        self.activity
            .iter()
            .fold((0, 0), |(s, r), a| (s + a.sent.load(Ordering::Relaxed), r + a.received.load(Ordering::Relaxed)))
    }

    /// Whether there were frames received, and sent, since the last look.
    pub(super) fn news(&mut self) -> (bool, bool) {
        let (sent, received) = self.traffic();
        let (old_sent, old_received) = std::mem::replace(&mut self.seen, (sent, received));
        (received != old_received, sent != old_sent)
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Wires {
    by_link: BTreeMap<LinkId, Wire>,
    by_channel: HashMap<(usize, u32), LinkId>,
    by_origin: HashMap<(usize, Address), LinkId>,
    /// Channel numbers that were used and are free, by carrier; the longest free first.
    free: HashMap<usize, VecDeque<u32>>,
    used: HashMap<usize, u32>,
}

impl Wires {
    pub(super) fn get(&self, link: LinkId) -> Option<&Wire> {
        self.by_link.get(&link)
    }

    pub(super) fn get_mut(&mut self, link: LinkId) -> Option<&mut Wire> {
        self.by_link.get_mut(&link)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Wire)> {
        self.by_link.iter().map(|(l, w)| (*l, w))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (LinkId, &mut Wire)> {
        self.by_link.iter_mut().map(|(l, w)| (*l, w))
    }

    pub(super) fn of_channel(&self, carrier: usize, channel: u32) -> Option<LinkId> {
        self.by_channel.get(&(carrier, channel)).copied()
    }

    pub(super) fn of_origin(&self, carrier: usize, origin: Address) -> Option<LinkId> {
        self.by_origin.get(&(carrier, origin)).copied()
    }

    pub(super) fn of_life(&self, token: Token) -> Option<LinkId> {
        self.by_link.iter().find(|(_, w)| w.life == Some(token)).map(|(l, _)| *l)
    }

    /// A channel number for a new wire.
    pub(super) fn channel(&mut self, carrier: usize) -> Option<u32> {
        let used = self.used.entry(carrier).or_default();
        if *used < CHANNELS / 2 {
            *used += 1;
            return Some(*used - 1);
        }
        self.free.entry(carrier).or_default().pop_front().or_else(|| {
            (*used < CHANNELS).then(|| {
                *used += 1;
                *used - 1
            })
        })
    }

    /// Attaches a peer, one end of it a lane, and notes the link that uses it.
    pub(super) fn attach(&mut self, lanes: &Lanes, link: LinkId, mut wire: Wire, peers: Vec<Peer>) {
        for (mailbox, peer) in lanes.mailboxes.iter().zip(peers) {
            let activity = Arc::new(Activity::default());
            wire.activity.push(activity.clone());
            let channel = Channel(wire.channel);
            mailbox.give(Command::Attach { carrier: wire.carrier, channel, peer: Box::new(peer), activity });
        }
        self.by_channel.insert((wire.carrier, wire.channel), link);
        if let Some(origin) = wire.origin {
            self.by_origin.insert((wire.carrier, origin), link);
        }
        self.by_link.insert(link, wire);
    }

    /// Detaches a link's peer.
    pub(super) fn detach(&mut self, lanes: &Lanes, link: LinkId) -> Option<Wire> {
        let wire = self.by_link.remove(&link)?;
        for mailbox in &lanes.mailboxes {
            mailbox.give(Command::Detach { carrier: wire.carrier, channel: Channel(wire.channel) });
        }
        self.by_channel.remove(&(wire.carrier, wire.channel));
        if let Some(origin) = wire.origin {
            self.by_origin.remove(&(wire.carrier, origin));
        }
        self.free.entry(wire.carrier).or_default().push_back(wire.channel);
        Some(wire)
    }

    /// The peer of a sealed channel, which its datagrams name, is somewhere else now.
    pub(super) fn move_to(&mut self, carrier: usize, channel: u32, address: SocketAddr) {
        let Some(link) = self.of_channel(carrier, channel) else { return };
        let Some(wire) = self.by_link.get_mut(&link) else { return };
        if let Some(old) = wire.socket.replace(address) {
            wire.address = wire.address.replace(&old.to_string(), &address.to_string());
        }
    }

    /// The same on another carrier, for people.
    pub(super) fn rename(&mut self, carrier: usize, channel: u32, address: String) {
        let Some(link) = self.of_channel(carrier, channel) else { return };
        if let Some(wire) = self.by_link.get_mut(&link) {
            let cipher = wire.address.split_once(", ").map_or("", |(_, cipher)| cipher);
            wire.address = if cipher.is_empty() { address } else { format!("{address}, {cipher}") };
        }
    }

    pub(super) fn new_wire(carrier: usize, channel: u32, address: String) -> Wire {
        Wire {
            carrier,
            channel,
            address,
            socket: None,
            origin: None,
            life: None,
            activity: Vec::new(),
            seen: (0, 0),
            told: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_size_is_told_once_a_minute() {
        let (mut wire, start) = (Wires::new_wire(0, 0, String::new()), Instant::now());
        let told: Vec<u64> = (0..150).filter(|s| wire.tells_size(start + Duration::from_secs(*s))).collect();
        assert_eq!(told, [0, 60, 120]);
    }
}
