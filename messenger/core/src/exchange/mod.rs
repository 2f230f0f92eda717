//! Everything a node does with messages: ports, paths, tickets, names and the streams that carry them.
//!
//! It is a state machine of its own inside a [`crate::Node`], which tells it of members that come and go, hands it what arrives and
//! carries what it has to send. A client gives commands and takes what [`Exchange::poll_deliver`] tells.
//!
//! The tree of objects: the node has ports; a port (or the node itself) has paths; a path has tickets. Whatever closes,
//! what is below it is settled and closed first, and told first.
//!
//! Between two nodes everything goes through one stream each way (see [`crate::stream`]); to a port of this node it goes
//! directly. A message is admitted (or refused) in one place, [`Exchange`]'s `admit`, and the receipt is made there: after the
//! port was found and the message was stored, before the client has it.

mod arrival;
mod peer;
mod trace;
mod transmit;
mod view;

use crate::{
    Incarnation, Limits, NodeId, PortId, Time,
    delivery::Delivery,
    limits::MESSAGE_COST,
    names::{Book, Watch},
    path::{Path, PathCounts},
    port::{AskKey, Mode, Port, PortCounts, cost},
    status::{Code, Status},
    stream::Arrived,
    table::{Key, Table},
    ticket::{Static, Ticket},
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use peer::Peer;
pub use trace::{TraceFilter, Traced};
pub use view::{StreamView, UnderWay};

/// What happens at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A stream waited long enough.
    Stream(NodeId),
    /// A ticket's deadline.
    Ticket(u64),
    /// The end of a port's retention.
    Port(PortId),
    /// The end of a request's time to be answered.
    Ask(PortId, AskKey),
}

/// What is to be told, in order.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// A port with a handler has a message more.
    Port(PortId),
    /// This.
    Delivery(Delivery),
}

/// What went through, and what came to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages for ports of this node that were stored.
    pub admitted: u64,
    /// Messages that were refused, whatever for.
    pub refused: u64,
    /// Of these: for a port that is not there.
    pub no_port: u64,
    /// Receipts and responses that nobody waited for any more.
    pub late: u64,
    /// Slots settled by their deadline.
    pub timed_out: u64,
    /// Repetitions of messages that were known, by their senders' clients.
    pub known: u64,
    /// What an older life or an older epoch sent, or what was for an older life of this node.
    pub stale: u64,
    /// Parts of streams that were there already.
    pub repeated: u64,
    /// Parts of streams that are not possible.
    pub impossible: u64,
    /// Parts of streams that were sent again.
    pub resent: u64,
    /// Datagrams that did not fit their way.
    pub too_large: u64,
    /// Stored messages that went with their port.
    pub dropped: u64,
    /// Tickets made.
    pub tickets: u64,
    /// Messages that were sent, one a target.
    pub sent: u64,
    /// Bytes of their payloads.
    pub sent_bytes: u64,
    /// Bytes of the payloads of stored messages.
    pub admitted_bytes: u64,
    /// Receipts that were sent, whatever they said.
    pub receipts_sent: u64,
    /// Receipts that came.
    pub receipts: u64,
    /// Responses that were sent.
    pub responses_sent: u64,
    /// Responses that came.
    pub responses: u64,
}

/// The messages of a node; see the module's comment.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub(crate) me: NodeId,
    life: Incarnation,
    pub(crate) limits: Limits,
    pub(crate) now: Time,
    closed: bool,
    /// It closes: what is below goes in the order of the whole.
    pub(crate) closing: bool,
    pub(crate) ports: Table<Port>,
    pub(crate) paths: Table<Path>,
    pub(crate) tickets: Table<Ticket>,
    pub(crate) statics: Table<Static>,
    pub(crate) watches: Table<Watch>,
    pub(crate) book: Book,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    /// Nodes that are sent nothing new.
    pub(crate) quiesced: BTreeSet<NodeId>,
    /// Members that are about to leave: they are sent nothing new either.
    pub(crate) leaving: BTreeSet<NodeId>,
    /// This node itself is about to leave, and sends nothing new.
    pub(crate) drains: bool,
    /// Peers to whom there may be something to send.
    ready: BTreeSet<NodeId>,
    /// Who was served last.
    served: Option<NodeId>,
    epochs: u32,
    /// For messages without a ticket.
    numbers: u64,
    pub(crate) timers: BTreeSet<(Time, Timer)>,
    pub(crate) told: VecDeque<Told>,
    /// Bytes that all ports hold.
    pub(crate) stored: usize,
    /// Bytes of answers in `told`.
    pub(crate) answers: usize,
    /// Settled tickets in `told`: they count as tickets until their client takes them.
    pub(crate) untold: usize,
    arrived: VecDeque<Arrived>,
    pub(crate) counts: Traffic,
    /// What ports and paths counted that are no more.
    pub(crate) gone: Gone,
    trace: Option<alloc::boxed::Box<trace::Trace>>,
}

/// What ports and paths counted that are no more: with those that are there it is what the node counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Of ports.
    pub ports: PortCounts,
    /// Of paths.
    pub paths: PathCounts,
}

/// Generations and epochs begin near their ends, so that wraps are met at once.
const NEAR_THE_END: u32 = 0xffff_fff0;

impl Exchange {
    pub(crate) fn new(me: NodeId, life: Incarnation, limits: Limits, now: Time) -> Exchange {
        let (ports, targets) = (limits.ports.min(65_535), limits.targets.min(65_536));
        let limits = Limits { ports, targets, tickets: limits.tickets.min(1 << 31), ..limits };
        Exchange {
            me,
            life,
            limits,
            now,
            closed: false,
            closing: false,
            // A number of another life of this node seldom means a port of this one.
            ports: Table::new(limits.ports, life.get(), 0xffff),
            paths: Table::new(limits.paths, NEAR_THE_END, u32::MAX),
            tickets: Table::new(limits.tickets, NEAR_THE_END, u32::MAX),
            statics: Table::new(limits.statics, NEAR_THE_END, u32::MAX),
            watches: Table::new(limits.watches, NEAR_THE_END, u32::MAX),
            book: Book::new(me),
            peers: BTreeMap::new(),
            quiesced: BTreeSet::new(),
            leaving: BTreeSet::new(),
            drains: false,
            ready: BTreeSet::new(),
            served: None,
            epochs: NEAR_THE_END,
            numbers: u64::MAX - 8,
            timers: BTreeSet::new(),
            told: VecDeque::new(),
            stored: 0,
            answers: 0,
            untold: 0,
            arrived: VecDeque::new(),
            counts: Traffic::default(),
            gone: Gone::default(),
            trace: None,
        }
    }

    /// What it holds at the most.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What went through, and what came to nothing.
    pub fn traffic(&self) -> Traffic {
        let resent: u64 = self.peers.values().map(|p| p.sender.repeated).sum();
        Traffic { resent: self.counts.resent + resent, ..self.counts }
    }

    /// Sends a node nothing new from now on: what is for it is refused with [`Code::Quiesced`], on the spot where it is for
    /// nobody else. What is under way finishes. It holds for all lives of the node, until [`Exchange::enable_node`].
    pub fn quiesce_node(&mut self, node: NodeId) {
        self.quiesced.insert(node);
    }

    /// Takes [`Exchange::quiesce_node`] back.
    pub fn enable_node(&mut self, node: NodeId) {
        self.quiesced.remove(&node);
    }

    /// Nodes that are sent nothing new.
    pub fn quiesced_nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.quiesced.iter().copied()
    }

    /// Whether a node is to be sent nothing new.
    pub(crate) fn is_quiesced(&self, node: NodeId) -> bool {
        self.drains || self.quiesced.contains(&node) || self.leaving.contains(&node)
    }

    /// A member said whether it is about to leave.
    pub(crate) fn note_leaving(&mut self, node: NodeId, leaving: bool) {
        if leaving {
            self.leaving.insert(node);
        } else {
            self.leaving.remove(&node);
        }
    }

    /// Whether nothing is under way between this node and another: nobody waits for it, it waits for nobody, and it has
    /// acknowledged all.
    pub fn is_idle(&self, node: NodeId) -> bool {
        let idle = |peer: &Peer| peer.waiting.is_empty() && peer.asks.is_empty() && (!peer.up || peer.sender.is_done());
        self.peers.get(&node).is_none_or(idle)
    }

    /// Notes the time, and refuses everything when the node is closed.
    pub(crate) fn at(&mut self, now: Time) -> Result<(), Status> {
        self.now = self.now.max(now);
        if self.closed { Err(Status::new(Code::NotOpen)) } else { Ok(()) }
    }

    /// What ports and paths counted that are no more.
    pub fn gone(&self) -> Gone {
        self.gone
    }

    /// A number for a message that nobody waits for. It is no ticket's: bit 31 is set, and no ticket has such a place.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.numbers = self.numbers.wrapping_add(1);
        self.numbers << 1 & 0xffff_ffff_0000_0000 | self.numbers & 0x7fff_ffff | 0x8000_0000
    }

    pub(crate) fn tell(&mut self, delivery: Delivery) {
        self.told.push_back(Told::Delivery(delivery));
    }

    /// The next thing to tell a client.
    pub fn poll_deliver(&mut self) -> Option<Delivery> {
        loop {
            match self.told.pop_front()? {
                Told::Delivery(delivery) => {
                    match &delivery {
                        Delivery::Response { message, .. } => {
                            self.answers = self.answers.saturating_sub(message.payload.len() + MESSAGE_COST);
                        }
                        Delivery::Settled(_) => self.untold = self.untold.saturating_sub(1),
                        _ => {}
                    }
                    return Some(delivery);
                }
                // It may be taken or gone by now.
                Told::Port(id) => {
                    let Ok(port) = self.port_mut(id) else { continue };
                    if port.spec.mode == Mode::Handler
                        && port.attached
                        && let Some(message) = port.take(|_| true)
                    {
                        let context = port.spec.context;
                        self.stored -= cost(&message);
                        return Some(Delivery::Message { context, message });
                    }
                }
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.now = self.now.max(now);
        while let Some((_, timer)) = self.timers.first().filter(|(at, _)| *at <= now).copied() {
            self.timers.pop_first();
            match timer {
                Timer::Stream(node) => self.handle_stream_timeout(node),
                Timer::Ticket(ticket) => self.settle_all(ticket, Status::new(Code::TimedOut)),
                Timer::Ask(port, ask) => drop(self.forget_ask(port, ask)),
                Timer::Port(port) => {
                    if let Ok(port) = self.port_mut(port) {
                        port.until = None;
                    }
                    self.end_port(port);
                }
            }
        }
    }

    /// Closes everything: first all tickets are settled, then all paths close, then all ports, then the node is told
    /// closed. What comes after that is refused.
    pub fn close(&mut self, now: Time) {
        if self.at(now).is_err() {
            return;
        }
        self.closing = true;
        let tickets: Vec<u64> = self.tickets.keys().into_iter().map(Key::to_u64).collect();
        for ticket in tickets {
            self.settle_all(ticket, Status::new(Code::Closed));
        }
        let paths: Vec<_> = self.paths().map(|(id, _)| id).collect();
        for path in paths {
            self.end_path(path);
        }
        let ports: Vec<PortId> = self.ports().map(Port::id).collect();
        for port in ports {
            self.end_port(port);
        }
        self.tell(Delivery::NodeClosed);
        self.closed = true;
    }
}

#[cfg(test)]
mod tests;
