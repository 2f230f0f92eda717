//! What a node keeps of each other node: the stream there, the stream from there, and who waits for whom.
//!
//! | event | what follows |
//! | --- | --- |
//! | the member is there | a new epoch of the stream there; names are told |
//! | the member went, or is another life | its names go, slots that wait for it are settled, streams are dropped; the floor is its last epoch |
//! | its floor is not before our epoch: it took us for gone | slots that wait for it are settled, a new epoch, names are told |
//! | it begins a new epoch | what was held of the old one is dropped |

use super::{Exchange, Timer};
use crate::{
    Incarnation, NodeId, PortId, Time,
    limits::{DEPARTED, REMEMBERED},
    status::{Code, Status},
    stream::{Outgoing, Receiver, Sender},
    wire::{Ack, Again, Sequence},
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

/// What is kept of one life of another node.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(super) life: Incarnation,
    pub(crate) up: bool,
    pub(crate) sender: Sender,
    pub(super) epoch: u32,
    pub(super) receiver: Receiver,
    /// The epoch of its stream; 0 while none was seen.
    pub(super) its_epoch: u32,
    /// Its epochs up to this one are over; 0 for none.
    pub(crate) floor: u32,
    pub(super) ack_due: bool,
    pub(super) timer: Option<Time>,
    pub(super) datagrams: VecDeque<Outgoing>,
    pub(crate) datagrams_cost: usize,
    /// Whether a datagram had the last turn.
    pub(super) datagram_was_last: bool,
    /// Slots that wait for it.
    pub(crate) waiting: BTreeSet<(u64, u16)>,
    /// Its requests that were not answered.
    pub(crate) asks: BTreeMap<(u64, u16), PortId>,
    verdicts: Verdicts,
    /// Which version of our names it was told in this epoch.
    pub(crate) told: Option<u64>,
    /// It told us all of its names.
    pub(crate) named: bool,
    /// What it told of all its names so far, while more is to come.
    pub(crate) gathered: BTreeSet<PortId>,
    /// When it went.
    left: Time,
    /// The life before this one: a record of that life may come once more, and then this one's again.
    former: Option<Former>,
}

/// What stays of a life when another one is seen.
#[derive(Clone, Debug)]
struct Former {
    life: Incarnation,
    floor: u32,
    verdicts: Verdicts,
}

/// Verdicts on confirmed messages of one life, and their order, the oldest first.
#[derive(Clone, Debug, Default)]
struct Verdicts {
    known: BTreeMap<Again, Status>,
    order: VecDeque<Again>,
}

impl Peer {
    fn new(life: Incarnation) -> Peer {
        Peer {
            life,
            up: false,
            sender: Sender::new(),
            epoch: 0,
            receiver: Receiver::default(),
            its_epoch: 0,
            floor: 0,
            ack_due: false,
            timer: None,
            datagrams: VecDeque::new(),
            datagrams_cost: 0,
            datagram_was_last: false,
            waiting: BTreeSet::new(),
            asks: BTreeMap::new(),
            verdicts: Verdicts::default(),
            told: None,
            named: false,
            gathered: BTreeSet::new(),
            left: Time::ZERO,
            former: None,
        }
    }

    /// The verdict on a message that came before.
    pub(super) fn verdict(&self, message: Again) -> Option<Status> {
        self.verdicts.known.get(&message).copied()
    }

    pub(super) fn remember(&mut self, message: Again, verdict: Status) {
        let Verdicts { known, order } = &mut self.verdicts;
        if known.insert(message, verdict).is_none() {
            order.push_back(message);
            if order.len() > REMEMBERED
                && let Some(oldest) = order.pop_front()
            {
                known.remove(&oldest);
            }
        }
    }
}

/// Whether an epoch is later than another.
pub(super) fn is_later(epoch: u32, than: u32) -> bool {
    (epoch.wrapping_sub(than) as i32) > 0
}

impl Exchange {
    /// The measured round trip of the stream to a node.
    pub fn round_trip(&self, node: NodeId) -> Option<core::time::Duration> {
        self.peers.get(&node)?.sender.round_trip()
    }

    /// A member can be reached and is known, or its record changed.
    pub(crate) fn handle_member(&mut self, now: Time, node: NodeId, life: Incarnation) {
        self.now = self.now.max(now);
        if node == self.me || self.peers.get(&node).is_some_and(|p| p.up && p.life == life) {
            return;
        }
        self.handle_departure(now, node);
        let last = self.peers.get(&node).map_or(0, |p| p.epoch);
        let epoch = self.next_epoch(last);
        let peer = self.peers.entry(node).or_insert_with(|| Peer::new(life));
        if peer.life != life {
            let old = core::mem::replace(peer, Peer::new(life));
            if let Some(back) = old.former.filter(|former| former.life == life) {
                (peer.floor, peer.verdicts) = (back.floor, back.verdicts);
            }
            peer.former = Some(Former { life: old.life, floor: old.floor, verdicts: old.verdicts });
        }
        peer.up = true;
        peer.epoch = epoch;
        self.ready.insert(node);
        self.forget_the_departed();
    }

    /// A member cannot be reached any more.
    pub(crate) fn handle_departure(&mut self, now: Time, node: NodeId) {
        self.now = self.now.max(now);
        let Some(peer) = self.peers.get_mut(&node).filter(|p| p.up) else { return };
        self.leaving.remove(&node);
        peer.up = false;
        peer.named = false;
        peer.gathered.clear();
        peer.left = now;
        if peer.its_epoch != 0 {
            peer.floor = peer.its_epoch;
        }
        peer.its_epoch = 0;
        peer.receiver = Receiver::default();
        let asks = core::mem::take(&mut peer.asks);
        for ((transaction, slot), asked) in asks {
            self.forget_ask(asked, (node, transaction, slot));
        }
        self.drop_stream(node);
        self.ready.remove(&node);
        self.forget_names(node);
    }

    /// Drops all that is under way to a node, and settles who waits for it.
    fn drop_stream(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        self.counts.resent += peer.sender.repeated;
        peer.sender = Sender::new();
        peer.datagrams.clear();
        peer.datagrams_cost = 0;
        peer.told = None;
        if let Some(at) = peer.timer.take() {
            self.timers.remove(&(at, Timer::Stream(node)));
        }
        let waiting: Vec<(u64, u16)> = core::mem::take(&mut peer.waiting).into_iter().collect();
        for (transaction, slot) in waiting {
            self.settle(transaction, slot, Status::new(Code::NodeDown));
        }
    }

    /// A new epoch, later than the one given. Epochs of all peers are counted together, but who asks for one far ahead gets it
    /// without the others: to them it could look like one of before.
    fn next_epoch(&mut self, past: u32) -> u32 {
        // Zero is no epoch.
        self.epochs = self.epochs.wrapping_add(1).max(1);
        if past == 0 || is_later(self.epochs, past) { self.epochs } else { past.wrapping_add(1).max(1) }
    }

    /// Keeps what is known of a bounded number of nodes that left.
    fn forget_the_departed(&mut self) {
        let departed = self.peers.iter().filter(|(_, p)| !p.up);
        if departed.clone().count() > DEPARTED
            && let Some(oldest) = departed.min_by_key(|(_, p)| p.left).map(|(n, _)| *n)
        {
            self.peers.remove(&oldest);
        }
    }

    /// Compares lives and epochs of what came with what is known, and follows up. Whether it is of the present.
    fn is_present(&mut self, node: NodeId, lives: (Incarnation, Incarnation), epoch: u32, floor: u32) -> bool {
        let me = self.life;
        let Some(peer) = self.peers.get_mut(&node).filter(|p| p.up) else {
            // Not a member yet: its stream sends it again.
            return false;
        };
        if lives != (peer.life, me) || epoch == 0 {
            self.counts.stale += 1;
            return false;
        }
        if floor != 0 && !is_later(peer.epoch, floor) {
            // It took us for gone, and dropped what it had of ours.
            self.drop_stream(node);
            let epoch = self.next_epoch(floor);
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.epoch = epoch;
                self.ready.insert(node);
            }
        }
        let Some(peer) = self.peers.get_mut(&node) else { return false };
        if epoch == peer.its_epoch {
            return true;
        }
        let before = if peer.its_epoch != 0 { peer.its_epoch } else { peer.floor };
        if before != 0 && !is_later(epoch, before) {
            // Tell it the floor, unless it is a straggler.
            peer.ack_due |= peer.its_epoch == 0;
            self.ready.insert(node);
            self.counts.stale += 1;
            return false;
        }
        peer.its_epoch = epoch;
        peer.receiver = Receiver::default();
        true
    }

    pub(super) fn is_present_part(&mut self, node: NodeId, s: &Sequence) -> bool {
        self.is_present(node, (s.source, s.destination), s.epoch, s.floor)
    }

    pub(crate) fn handle_ack(&mut self, now: Time, node: NodeId, ack: &Ack) {
        self.now = self.now.max(now);
        if !self.is_present(node, (ack.source, ack.destination), ack.epoch, ack.floor) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&node).filter(|p| p.epoch == ack.of) else { return };
        peer.sender.handle_ack(self.now, &ack.lanes);
        self.ready.insert(node);
        self.set_stream_timer(node);
    }

    pub(super) fn handle_stream_timeout(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.timer = None;
        peer.sender.handle_timeout(self.now);
        self.ready.insert(node);
        self.set_stream_timer(node);
    }

    pub(super) fn set_stream_timer(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        let due = peer.sender.timeout();
        if due == peer.timer {
            return;
        }
        if let Some(old) = core::mem::replace(&mut peer.timer, due) {
            self.timers.remove(&(old, Timer::Stream(node)));
        }
        self.timers.extend(due.map(|at| (at, Timer::Stream(node))));
    }

    /// There may be something to send to anybody.
    pub(crate) fn wake_all(&mut self) {
        self.ready.extend(self.peers.iter().filter(|(_, p)| p.up).map(|(n, _)| *n));
    }
}
