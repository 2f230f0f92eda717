//! The port that answers for the node itself ([`PortId::NODE`]), and the way of messages that are for other nodes.

use super::{Event, Node};
use crate::{
    NodeId, PortId, Time,
    link::Transmit,
    wire::{Ack, Extension, Flags, Header, Kind, Priority, SubHeader},
};
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

/// Opcodes of the node's port.
const ECHO: u16 = 1;
const ECHO_ANSWER: u16 = 2;
const NOT_SUPPORTED: u16 = 3;
/// Statuses of a response.
const STATUS_OK: u16 = 0;
const STATUS_NOT_SUPPORTED: u16 = 1;

/// How many pings are remembered; the oldest is forgotten.
const PINGS: usize = 1024;

/// An answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// Who answered.
    pub node: NodeId,
    /// What [`Node::ping`] returned.
    pub token: u64,
    /// From request to answer.
    pub round_trip: Duration,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Pings {
    next: u64,
    open: BTreeMap<u64, (NodeId, Time)>,
}

impl Node {
    /// Sends an echo request with `size` bytes of payload to a member's node port. Returns a token that its
    /// [`Event::Pong`] carries, or `None` when no way leads there.
    pub fn ping(&mut self, now: Time, node: NodeId, size: usize) -> Option<u64> {
        self.pings.next += 1;
        let token = self.pings.next;
        let header = self.header(Kind::Message, node, PortId::NODE);
        let extension = Extension {
            source_port: PortId::NODE.to_wire(),
            incarnation: self.me.incarnation.get() as u16,
            slot: 0,
            transaction: token,
        };
        let message = compose(header, extension, ECHO, STATUS_OK, &alloc::vec![0; size]);
        if node == self.me.node {
            self.events.push_back(Event::Pong(Pong { node, token, round_trip: Duration::ZERO }));
            return Some(token);
        }
        self.send_on(node, message).then(|| {
            while self.pings.open.len() >= PINGS {
                self.pings.open.pop_first();
            }
            self.pings.open.insert(token, (node, now));
            token
        })
    }

    fn header(&self, kind: Kind, to: NodeId, port: PortId) -> Header {
        Header {
            len: (Header::LEN + Extension::LEN + SubHeader::LEN) as u8,
            kind,
            flags: Flags::default().with(Flags::SUBHEADER).with_priority(Priority::Normal).with_hops(Flags::MAX_HOPS),
            source: self.me.node.get(),
            destination: to.get(),
            port: port.to_wire(),
        }
    }

    fn send_on(&mut self, to: NodeId, bytes: Vec<u8>) -> bool {
        match self.routes.get(&to) {
            Some(route) => {
                self.out.push_back(Transmit { link: route.link, bytes });
                true
            }
            None => {
                self.counts.no_route += 1;
                false
            }
        }
    }

    /// Whether a message of that source may come from that neighbour: it is its own, or the neighbour relays for a member to whom
    /// there is no link. Nobody speaks for a neighbour or for this node; a link that the other end has lost is none, which is known by
    /// its record before it is silent for long enough.
    pub(super) fn may_speak_for(&self, neighbour: NodeId, source: NodeId) -> bool {
        let relays = || self.member(neighbour).is_none_or(|record| record.relay || record.leaving);
        let sees_us = || self.member(source).is_none_or(|record| record.neighbours.contains(&self.me.node));
        let is_linked = || self.conduits.contains_key(&source) && sees_us();
        neighbour == source || source != self.me.node && !is_linked() && relays()
    }

    pub(super) fn handle_or_relay(&mut self, now: Time, header: Header, message: &[u8]) {
        match header.destination_node() {
            Some(to) if to == self.me.node => self.handle_own(now, &header, message),
            Some(to) => self.relay(header, to, message),
            None => self.counts.malformed += 1,
        }
    }

    fn relay(&mut self, mut header: Header, to: NodeId, message: &[u8]) {
        if header.flags.hops() == 0 || !self.relay || header.source == self.me.node.get() {
            self.counts.hop_limit += 1;
            return;
        }
        header.flags = header.flags.with_hops(header.flags.hops() - 1);
        let next = self.routes.get(&to).and_then(|route| self.links.get(&route.link)?.peer());
        if next.is_some_and(|peer| (peer.message as usize) < message.len()) {
            self.counts.too_large += 1;
            return;
        }
        let mut bytes = message.to_vec();
        if header.emit(&mut bytes).is_ok() && self.send_on(to, bytes) {
            self.counts.relayed += 1;
        }
    }

    fn handle_own(&mut self, now: Time, header: &Header, message: &[u8]) {
        let (Ok(body), Some(source)) = (header.body(message), header.source_node()) else {
            self.counts.malformed += 1;
            return;
        };
        let for_a_port = header.kind == Kind::Message && PortId::from_wire(header.port) != PortId::NODE;
        let told = match header.kind {
            Kind::Ack => Ack::parse(body).map(|ack| self.exchange.handle_ack(now, source, &ack)),
            _ if for_a_port || header.flags.has(Flags::SEQUENCED) => {
                self.exchange.handle_message(now, source, header, message)
            }
            _ => return self.handle_echo(now, header, message, source, body),
        };
        self.counts.malformed += u64::from(told.is_err());
    }

    /// Echoes: requests and answers of [`Node::ping`], outside of all streams.
    fn handle_echo(&mut self, now: Time, header: &Header, message: &[u8], source: NodeId, body: &[u8]) {
        let (Ok(extension), Ok(sub)) = (Extension::parse(message), SubHeader::parse(message)) else {
            self.counts.malformed += 1;
            return;
        };
        match header.kind {
            Kind::Message if sub.opcode == ECHO => self.answer(source, extension, ECHO_ANSWER, STATUS_OK, body),
            Kind::Message => self.answer(source, extension, NOT_SUPPORTED, STATUS_NOT_SUPPORTED, &[]),
            Kind::Response if sub.opcode == ECHO_ANSWER => match self.pings.open.remove(&extension.transaction) {
                Some((node, sent)) if node == source => {
                    let pong = Pong { node, token: extension.transaction, round_trip: now.since(sent) };
                    self.events.push_back(Event::Pong(pong));
                }
                _ => self.counts.stale_response(),
            },
            _ => self.counts.unknown_kind += 1,
        }
    }

    fn answer(&mut self, to: NodeId, extension: Extension, opcode: u16, status: u16, body: &[u8]) {
        let header = self.header(Kind::Response, to, PortId::from_wire(extension.source_port));
        let own = Extension { source_port: PortId::NODE.to_wire(), ..extension };
        self.send_on(to, compose(header, own, opcode, status, body));
    }
}

impl super::Counts {
    /// A response nobody waits for: late, second or made up.
    fn stale_response(&mut self) {
        self.malformed += 1;
    }
}

fn compose(header: Header, extension: Extension, opcode: u16, status: u16, body: &[u8]) -> Vec<u8> {
    let mut message = alloc::vec![0; usize::from(header.len)];
    let sub = SubHeader { opcode, status, ..SubHeader::default() };
    // The buffer has exactly the length that these three need.
    let _ = header.emit(&mut message).and(extension.emit(&mut message)).and(sub.emit(&mut message));
    message.extend_from_slice(body);
    message
}
