//! What goes through, for who wants to look on: off unless somebody does, filtered, and bounded.

use super::Exchange;
use crate::{
    Incarnation, Name, NodeId, PathId, Payload, PortId, Target, Time,
    stream::{Ends, Meta, Outgoing},
    wire::{Flags, Kind, Priority, SubHeader},
};
use alloc::{boxed::Box, collections::VecDeque, string::String, string::ToString, vec::Vec};

/// Messages that are kept until somebody takes them; the oldest ones go first.
const KEPT: usize = 4_096;
/// Bytes of a payload that are kept at the most.
const SNAP: usize = 512;

/// Which messages are traced. What is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceFilter {
    /// To or from this node.
    pub node: Option<NodeId>,
    /// To or from a port of this name, here or there.
    pub port: Option<Name>,
    /// Sent on a path that means this name or pattern.
    pub path: Option<String>,
    /// Of this opcode.
    pub opcode: Option<u16>,
    /// So many bytes of payloads are kept, at most 512.
    pub snap: usize,
}

/// A message that went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Counts up, from 0.
    pub number: u64,
    /// When.
    pub at: Time,
    /// It was sent; otherwise it came.
    pub sent: bool,
    /// To or from whom.
    pub node: NodeId,
    /// Whom its path means, if it was sent on one.
    pub path: Option<String>,
    /// Message, receipt or response.
    pub kind: Kind,
    /// Its priority.
    pub priority: Priority,
    /// [`Flags::RECEIPT`] and [`Flags::RESPONSE`], as wanted.
    pub wants: Flags,
    /// From which port.
    pub from: PortId,
    /// To which port.
    pub to: PortId,
    /// Its transaction.
    pub transaction: u64,
    /// Its slot.
    pub slot: u16,
    /// What else is said of it.
    pub sub: SubHeader,
    /// Bytes of its payload.
    pub length: usize,
    /// Its bytes as a datagram of the wire format, with as much of its payload as is kept.
    pub wire: Vec<u8>,
}

/// A trace that is on.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    filter: TraceFilter,
    kept: VecDeque<Traced>,
    next: u64,
}

impl Exchange {
    /// Traces what passes this filter from now on, instead of what was traced before; `None`: nothing.
    pub fn set_trace(&mut self, filter: Option<TraceFilter>) {
        let filter = filter.map(|filter| TraceFilter { snap: filter.snap.min(SNAP), ..filter });
        self.trace = filter.map(|filter| Box::new(Trace { filter, kept: VecDeque::new(), next: 0 }));
    }

    /// Something is traced.
    pub fn is_tracing(&self) -> bool {
        self.trace.is_some()
    }

    /// Takes what was traced, at most so much. Numbers that are left out were more than is kept.
    pub fn take_traced(&mut self, most: usize) -> Vec<Traced> {
        self.trace.as_mut().map_or(Vec::new(), |trace| {
            let most = most.min(trace.kept.len());
            trace.kept.drain(..most).collect()
        })
    }

    /// Notes what is sent.
    #[inline]
    pub(crate) fn trace_sent(&mut self, path: Option<PathId>, node: NodeId, outgoing: &Outgoing) {
        if self.trace.is_some() {
            self.note(true, path, node, outgoing);
        }
    }

    /// Notes what came.
    #[inline]
    pub(crate) fn trace_received(&mut self, node: NodeId, meta: &Meta, payload: &Payload) {
        let own = meta.to == PortId::NODE && meta.kind == Kind::Message;
        if self.trace.is_none() || own {
            return;
        }
        let outgoing = Outgoing {
            kind: meta.kind,
            priority: meta.flags.priority(),
            wants: Flags(meta.flags.0 & (Flags::RECEIPT.0 | Flags::RESPONSE.0)),
            from: meta.from,
            to: meta.to,
            transaction: meta.transaction,
            slot: meta.slot,
            sub: meta.sub,
            again: meta.again,
            payload: payload.clone(),
        };
        self.note(false, None, node, &outgoing);
    }

    #[cold]
    fn note(&mut self, sent: bool, path: Option<PathId>, node: NodeId, message: &Outgoing) {
        let Some(mut trace) = self.trace.take() else { return };
        let path = path.and_then(|path| self.path(path)).map(|path| path.spec.to.text());
        if self.passes(&trace.filter, sent, path.as_deref(), node, message) {
            if trace.kept.len() >= KEPT {
                trace.kept.pop_front();
            }
            trace.kept.push_back(Traced {
                number: trace.next,
                at: self.now,
                sent,
                node,
                path,
                kind: message.kind,
                priority: message.priority,
                wants: message.wants,
                from: message.from,
                to: message.to,
                transaction: message.transaction,
                slot: message.slot,
                sub: message.sub,
                length: message.payload.len(),
                wire: self.wire(sent, node, message, trace.filter.snap),
            });
            trace.next += 1;
        }
        self.trace = Some(trace);
    }

    fn passes(&self, f: &TraceFilter, sent: bool, path: Option<&str>, node: NodeId, message: &Outgoing) -> bool {
        let ends = if sent {
            [(self.me, message.from), (node, message.to)]
        } else {
            [(node, message.from), (self.me, message.to)]
        };
        let named = |name: &Name| ends.iter().any(|end| self.book.get(*end).is_some_and(|entry| entry.name == *name));
        f.node.is_none_or(|wanted| wanted == node)
            && f.opcode.is_none_or(|wanted| wanted == message.sub.opcode)
            && f.path.as_deref().is_none_or(|wanted| Some(wanted) == path)
            && f.port.as_ref().is_none_or(named)
    }

    fn wire(&self, sent: bool, node: NodeId, message: &Outgoing, snap: usize) -> Vec<u8> {
        let life = self.peers.get(&node).map_or(self.life, |peer| peer.life);
        let ends = |me, peer, life, peer_life: Incarnation| Ends { me, peer, life, peer_life, epoch: 0, floor: 0 };
        let ends = if sent { ends(self.me, node, self.life, life) } else { ends(node, self.me, life, self.life) };
        let mut bytes = message.head(&ends, None, 0..message.payload.len());
        let start = bytes.len();
        bytes.extend(message.payload.slice(0..message.payload.len().min(snap)).to_vec());
        bytes.truncate(start + snap);
        bytes
    }
}

impl Target {
    /// The name, pattern or port that is meant, for people.
    pub fn text(&self) -> String {
        match self {
            Target::Port(node, port) => alloc::format!("{node}:{port}"),
            Target::Name(name) | Target::Nodes(_, name) | Target::Everywhere(name) => name.to_string(),
            Target::Pattern(pattern) => pattern.to_string(),
        }
    }
}
