//! Ports: named, bounded mailboxes with at most one receiver.
//!
//! A port has four areas, one a priority, each with a bound in bytes. A message is admitted when its area has room for it, else
//! refused with [`Code::Full`]; the receipt says which. What is admitted waits to be taken: with
//! [`Mode::Handler`] it comes out of [`crate::Exchange::poll_deliver`] by itself, with [`Mode::Held`] the receiver asks for
//! it. The most urgent area is emptied first. What is taken *held* keeps its room until it is released, or its receiver
//! leaves: a receiver that holds all makes senders wait.
//!
//! | from \ event | receiver attaches | receiver detaches | time is over | closed |
//! | --- | --- | --- | --- | --- |
//! | with a receiver | *refused: busy* | without, or closed by [`Life::Receiver`] | – | closed |
//! | without one | with a receiver | *refused* | closed by [`Life::Retained`] | closed |

mod commands;

use crate::{
    Name, NodeId, PathId, PortId, Time,
    delivery::Received,
    limits::{AREA, GIVEN_UP, MESSAGE_COST},
    status::{Code, Status},
    wire::{Priority, Scope},
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use core::time::Duration;

/// How long a port lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// As long as its receiver.
    #[default]
    Receiver,
    /// So much longer than its last receiver; another one may come meanwhile.
    Retained(Duration),
    /// Until it is closed.
    Persistent,
}

/// How messages leave a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By themselves, as [`crate::Delivery::Message`].
    #[default]
    Handler,
    /// When they are asked for with [`crate::Exchange::receive`].
    Held,
}

/// What a port is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// Its name; a port without one is reached by its number only.
    pub name: Option<Name>,
    /// Where the name is unique.
    pub scope: Scope,
    /// What kind of thing it is.
    pub kind: Option<Name>,
    /// Properties: key and value, at most [`crate::PROPERTIES`].
    pub properties: Vec<(Name, Name)>,
    /// What each area holds, in bytes, by priority. A message counts its payload and [`MESSAGE_COST`].
    pub areas: [usize; 4],
    /// How long it lives.
    pub life: Life,
    /// How messages leave it.
    pub mode: Mode,
    /// Whose it is; the client's own number.
    pub owner: u64,
    /// Told with everything that concerns the port; the client's own number.
    pub context: u64,
}

impl Default for PortSpec {
    fn default() -> PortSpec {
        PortSpec {
            name: None,
            scope: Scope::Node,
            kind: None,
            properties: Vec::new(),
            areas: [AREA; 4],
            life: Life::default(),
            mode: Mode::default(),
            owner: 0,
            context: 0,
        }
    }
}

impl PortSpec {
    /// A port with a name that is unique on its node.
    pub fn named(name: Name) -> PortSpec {
        PortSpec { name: Some(name), ..PortSpec::default() }
    }
}

/// What went through a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounts {
    /// Messages stored.
    pub admitted: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Messages refused.
    pub refused: u64,
    /// Messages that the receiver took.
    pub taken: u64,
    /// Messages gone with the port.
    pub dropped: u64,
}

impl PortCounts {
    /// Adds what another port counted.
    pub fn add(&mut self, other: PortCounts) {
        self.admitted += other.admitted;
        self.bytes += other.bytes;
        self.refused += other.refused;
        self.taken += other.taken;
        self.dropped += other.dropped;
    }
}

#[derive(Clone, Debug, Default)]
struct Area {
    messages: VecDeque<Received>,
    used: usize,
}

/// A request that was not answered yet: who asks, and the slot of its ticket.
pub(crate) type AskKey = (NodeId, u64, u16);

/// What a receiver holds of a port: a message that it took and whose room is still taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(u64);

impl HoldId {
    /// As a number.
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// From a number.
    pub const fn from_u64(n: u64) -> HoldId {
        HoldId(n)
    }
}

/// A port.
#[derive(Clone, Debug)]
pub struct Port {
    pub(crate) id: PortId,
    pub(crate) spec: PortSpec,
    areas: [Area; 4],
    pub(crate) attached: bool,
    /// It lost its name to another node's port.
    pub(crate) nameless: bool,
    /// Takes nothing new and closes when its paths' tickets are settled.
    pub(crate) closing: bool,
    pub(crate) paths: BTreeSet<PathId>,
    /// Requests without an answer, and until when somebody waits for one.
    pub(crate) asks: BTreeMap<AskKey, Option<Time>>,
    /// What its receiver took and holds: which area, and how much of its room.
    holds: BTreeMap<u64, (Priority, usize)>,
    next_hold: u64,
    /// A receive found nothing that it wanted since the last message came.
    passed: bool,
    /// The end of its retention.
    pub(crate) until: Option<Time>,
    pub(crate) counts: PortCounts,
}

impl Port {
    pub(crate) fn new(spec: PortSpec) -> Port {
        Port {
            id: PortId::NODE,
            spec,
            areas: Default::default(),
            attached: true,
            nameless: false,
            closing: false,
            paths: BTreeSet::new(),
            asks: BTreeMap::new(),
            holds: BTreeMap::new(),
            next_hold: 0,
            passed: false,
            until: None,
            counts: PortCounts::default(),
        }
    }

    /// Its number.
    pub fn id(&self) -> PortId {
        self.id
    }

    /// What it was made from.
    pub fn spec(&self) -> &PortSpec {
        &self.spec
    }

    /// Its name, unless it has none or lost it.
    pub fn name(&self) -> Option<&Name> {
        self.spec.name.as_ref().filter(|_| !self.nameless)
    }

    /// It has a receiver.
    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// Messages that wait, by priority.
    pub fn depth(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|n| self.areas.get(n).map_or(0, |a| a.messages.len()))
    }

    /// Bytes used of an area.
    pub fn used(&self, priority: Priority) -> usize {
        self.areas.get(priority as usize).map_or(0, |a| a.used)
    }

    /// Bytes free in an area.
    pub fn free(&self, priority: Priority) -> usize {
        self.spec.areas.get(priority as usize).map_or(0, |bound| bound.saturating_sub(self.used(priority)))
    }

    /// Messages that its receiver took and holds: their room is still taken.
    pub fn held(&self) -> usize {
        self.holds.len()
    }

    /// Requests that its receiver did not answer yet.
    pub fn unanswered(&self) -> usize {
        self.asks.len()
    }

    /// What went through it.
    pub fn counts(&self) -> PortCounts {
        self.counts
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.areas.iter().all(|a| a.messages.is_empty())
    }

    /// Bytes used of all areas.
    pub(crate) fn used_of_all(&self) -> usize {
        self.areas.iter().map(|area| area.used).sum()
    }

    /// Stores a message if there is room: in its area, for `asks` requests, and for `room` bytes in all. Returns what it counts.
    pub(crate) fn admit(&mut self, message: Received, asks: usize, room: usize, now: Time) -> Result<usize, Status> {
        let (free, cost) = (self.free(message.priority).min(room), cost(&message));
        let refusal = if self.closing {
            Some(Status::new(Code::PortClosed))
        } else if cost > free || self.asks.len() >= asks {
            Some(Status::with(Code::Full, free))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.counts.refused += 1;
            return Err(refusal);
        }
        let Some(area) = self.areas.get_mut(message.priority as usize) else {
            return Err(Status::new(Code::Invalid));
        };
        area.used += cost;
        self.counts.admitted += 1;
        self.counts.bytes += message.payload.len() as u64;
        if let Some(ask) = message.ask {
            let deadline = Duration::from_millis(message.deadline_ms.into());
            self.asks.insert(ask.key(), (!deadline.is_zero()).then(|| now + deadline + GIVEN_UP));
        }
        area.messages.push_back(message);
        Ok(cost)
    }

    /// Takes the first message that is wanted, the most urgent area first.
    pub(crate) fn take(&mut self, wanted: impl FnMut(&Received) -> bool) -> Option<Received> {
        let message = self.find(wanted)?;
        self.free_room(message.priority, cost(&message));
        Some(message)
    }

    /// As [`Port::take`], but the message's room stays taken until it is released.
    pub(crate) fn take_held(&mut self, wanted: impl FnMut(&Received) -> bool) -> Option<(Received, HoldId)> {
        let message = self.find(wanted)?;
        self.next_hold += 1;
        self.holds.insert(self.next_hold, (message.priority, cost(&message)));
        Some((message, HoldId(self.next_hold)))
    }

    /// Gives back the room of a message, in bytes; `None` when it was given back before.
    pub(crate) fn release(&mut self, hold: HoldId) -> Option<usize> {
        let (priority, cost) = self.holds.remove(&hold.0)?;
        self.free_room(priority, cost);
        Some(cost)
    }

    /// Gives back all that a receiver held, in bytes.
    pub(crate) fn release_all(&mut self) -> usize {
        let holds = core::mem::take(&mut self.holds);
        holds.into_values().map(|(priority, cost)| (self.free_room(priority, cost), cost).1).sum()
    }

    /// Whether a receiver is to be told of a message that came into a port that was empty or not.
    pub(crate) fn is_news(&mut self, was_empty: bool) -> bool {
        core::mem::take(&mut self.passed) || was_empty
    }

    fn find(&mut self, mut wanted: impl FnMut(&Received) -> bool) -> Option<Received> {
        for area in &mut self.areas {
            let Some(at) = area.messages.iter().position(&mut wanted) else { continue };
            let message = area.messages.remove(at)?;
            self.counts.taken += 1;
            return Some(message);
        }
        self.passed = true;
        None
    }

    fn free_room(&mut self, priority: Priority, cost: usize) {
        if let Some(area) = self.areas.get_mut(priority as usize) {
            area.used -= cost;
        }
    }
}

/// What a stored message counts, in bytes.
pub(crate) fn cost(message: &Received) -> usize {
    message.payload.len() + MESSAGE_COST
}
