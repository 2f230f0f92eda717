//! What arrives: parts of streams, datagrams, and what a node sends itself.

use super::{Exchange, Timer, Told};
use crate::{
    NodeId, Payload, PortId, Time,
    delivery::{Delivery, Received},
    message::Quality,
    port::Mode,
    status::{Code, Status},
    stream::{Arrived, Meta, Outgoing},
    wire::{Again, Extension, Flags, Header, Kind, Names, Priority, Sequence, SubHeader, WITHDRAWN, WireError},
};

impl Exchange {
    /// Takes a message, receipt or response of another node.
    pub(crate) fn handle_message(
        &mut self,
        now: Time,
        node: NodeId,
        header: &Header,
        message: &[u8],
    ) -> Result<(), WireError> {
        self.now = self.now.max(now);
        let (meta, body) = (Meta::parse(header, message)?, header.body(message)?);
        if !header.flags.has(Flags::SEQUENCED) {
            self.handle_datagram(node, Extension::parse(message)?, meta, body);
            return Ok(());
        }
        let at = Sequence::parse(header, message)?;
        if !self.is_present_part(node, &at) {
            return Ok(());
        }
        let mut arrived = core::mem::take(&mut self.arrived);
        if let Some(peer) = self.peers.get_mut(&node) {
            let most = self.limits.message;
            match peer.receiver.receive(meta, at.number, at.offset, body, most, &mut arrived) {
                crate::stream::Taken::New => {}
                crate::stream::Taken::Old => self.counts.repeated += 1,
                crate::stream::Taken::Bad => self.counts.impossible += 1,
            }
            peer.ack_due = true;
            self.ready.insert(node);
        }
        while let Some(whole) = arrived.pop_front() {
            self.handle_whole(node, whole);
        }
        self.arrived = arrived;
        Ok(())
    }

    fn handle_datagram(&mut self, node: NodeId, extension: Extension, meta: Meta, body: &[u8]) {
        let present = |p: &&super::Peer| p.up && p.life.get() as u16 == extension.incarnation;
        if self.peers.get(&node).filter(present).is_none() {
            self.counts.stale += 1;
            return;
        }
        let whole = !meta.flags.has(Flags::MORE) && meta.kind == Kind::Message;
        if whole {
            self.handle_whole(node, Arrived { meta, payload: Payload::from(body), too_large: false });
        } else {
            self.counts.impossible += 1;
        }
    }

    /// A whole message, of another node or this one.
    fn handle_whole(&mut self, node: NodeId, arrived: Arrived) {
        let Arrived { meta, payload, too_large } = arrived;
        self.trace_received(node, &meta, &payload);
        match meta.kind {
            Kind::Message if meta.to == PortId::NODE => self.serve(node, &meta, payload),
            Kind::Message => {
                let verdict = self.judge(node, &meta, payload, too_large);
                self.confirm(node, &meta, verdict);
            }
            Kind::Receipt => {
                self.counts.receipts += 1;
                let status = Status { code: Code::from_number(meta.sub.status), detail: meta.sub.detail };
                self.handle_receipt(node, meta.transaction, meta.slot, status);
            }
            Kind::Response => {
                self.counts.responses += 1;
                let mut message = Received::new(node, &meta, payload);
                // An answer is not answered, and not confirmed.
                (message.ask, message.receipt) = (None, false);
                if too_large {
                    message.status = Status::with(Code::NoRoom, self.limits.message);
                }
                self.handle_response(node, meta.slot, message);
            }
            Kind::Link | Kind::Frame | Kind::Ack | Kind::Other(_) => self.counts.impossible += 1,
        }
    }

    /// The verdict on a message: looked up, and stored or refused.
    fn judge(&mut self, node: NodeId, meta: &Meta, payload: Payload, too_large: bool) -> Result<(), Status> {
        let confirmed = meta.flags.has(Flags::RECEIPT) || meta.flags.has(Flags::RESPONSE);
        let identity = meta.again.unwrap_or(Again { transaction: meta.transaction, slot: meta.slot });
        if meta.again.is_some()
            && let Some(known) = self.peers.get(&node).and_then(|p| p.verdict(identity))
            && known.is_good()
        {
            self.counts.known += 1;
            // Its client has the request of the first try, and answers that one.
            let asks = meta.flags.has(Flags::RESPONSE);
            return if asks { Err(Status::new(Code::Repeated)) } else { Ok(()) };
        }
        let length = payload.len() as u64;
        let verdict = if too_large {
            Err(Status::with(Code::TooLarge, self.limits.message))
        } else {
            self.admit(node, meta, payload)
        };
        match verdict {
            Ok(()) => {
                self.counts.admitted += 1;
                self.counts.admitted_bytes += length;
            }
            Err(_) => self.counts.refused += 1,
        }
        if confirmed && let Some(peer) = self.peers.get_mut(&node) {
            peer.remember(identity, verdict.err().unwrap_or(Status::GOOD));
        }
        verdict
    }

    fn admit(&mut self, node: NodeId, meta: &Meta, payload: Payload) -> Result<(), Status> {
        let (asks, now) = (self.limits.asks, self.now);
        let room = self.limits.stored.saturating_sub(self.stored);
        let Ok(port) = self.port_mut(meta.to) else {
            self.counts.no_port += 1;
            return Err(Status::new(Code::NoPort));
        };
        let message = Received::new(node, meta, payload);
        let (was_empty, ask) = (port.is_empty(), message.ask);
        let cost = port.admit(message, asks, room, now)?;
        let until = ask.and_then(|ask| *port.asks.get(&ask.key())?);
        let (id, context, mode, attached) = (port.id, port.spec.context, port.spec.mode, port.attached);
        let news = port.is_news(was_empty);
        self.stored += cost;
        if let (Some(ask), Some(until)) = (ask, until) {
            self.timers.insert((until, Timer::Ask(id, ask.key())));
        }
        if let Some(ask) = ask
            && let Some(peer) = self.peers.get_mut(&node)
        {
            peer.asks.insert((ask.transaction, ask.slot), id);
        }
        match mode {
            Mode::Handler if attached => self.told.push_back(Told::Port(id)),
            Mode::Held if attached && news => self.tell(Delivery::Ready { port: id, context }),
            Mode::Handler | Mode::Held => {}
        }
        Ok(())
    }

    /// Tells the sender the verdict if it asked: that it is stored, and that it is not if it waits for anything.
    fn confirm(&mut self, node: NodeId, meta: &Meta, verdict: Result<(), Status>) {
        let (receipt, response) = (meta.flags.has(Flags::RECEIPT), meta.flags.has(Flags::RESPONSE));
        let sub = match verdict {
            // Whoever sends to its own node knows that it is stored without asking.
            Ok(()) if receipt || (response && node == self.me) => SubHeader::default(),
            Err(why) if receipt || response => {
                SubHeader { status: why.code.number(), detail: why.detail, ..SubHeader::default() }
            }
            _ => return,
        };
        self.refuse(node, meta.transaction, meta.slot, meta.to, sub);
    }

    /// Sends a receipt with the status of `sub`.
    pub(crate) fn refuse(&mut self, node: NodeId, transaction: u64, slot: u16, from: PortId, sub: SubHeader) {
        let receipt = Outgoing {
            kind: Kind::Receipt,
            priority: Priority::Urgent,
            wants: Flags::default(),
            from,
            to: PortId::NODE,
            transaction,
            slot,
            sub,
            again: None,
            payload: Payload::EMPTY,
        };
        self.dispatch(node, receipt);
    }

    /// What is for the node itself.
    fn serve(&mut self, node: NodeId, meta: &Meta, payload: Payload) {
        let known = match meta.sub.opcode {
            Names::OPCODE if node != self.me => self.handle_names(node, &payload),
            WITHDRAWN if node != self.me => {
                let asked = self.peers.get(&node).and_then(|peer| peer.asks.get(&(meta.transaction, meta.slot)));
                if let Some(port) = asked.copied() {
                    self.forget_ask(port, (node, meta.transaction, meta.slot));
                }
                true
            }
            _ => false,
        };
        if !known {
            self.counts.refused += 1;
            self.confirm(node, meta, Err(Status::new(Code::NotSupported)));
        }
    }

    /// Brings a message to its node's stream, or to this node at once.
    pub(crate) fn dispatch(&mut self, node: NodeId, outgoing: Outgoing) {
        match outgoing.kind {
            Kind::Receipt => self.counts.receipts_sent += 1,
            Kind::Response => self.counts.responses_sent += 1,
            _ => {}
        }
        self.trace_sent(None, node, &outgoing);
        self.launch(node, outgoing, Quality::Reliable);
    }

    pub(crate) fn launch(&mut self, node: NodeId, outgoing: Outgoing, quality: Quality) {
        if node == self.me {
            return self.handle_whole(node, at_home(outgoing));
        }
        let Some(peer) = self.peers.get_mut(&node).filter(|p| p.up) else { return };
        match quality {
            Quality::Reliable => peer.sender.push(outgoing),
            Quality::Datagram => {
                peer.datagrams_cost += outgoing.cost();
                peer.datagrams.push_back(outgoing);
            }
        }
        self.ready.insert(node);
    }
}

/// A message to this node itself, as if it had arrived.
fn at_home(outgoing: Outgoing) -> Arrived {
    let meta = Meta {
        kind: outgoing.kind,
        flags: outgoing.wants.with_priority(outgoing.priority),
        from: outgoing.from,
        to: outgoing.to,
        transaction: outgoing.transaction,
        slot: outgoing.slot,
        sub: outgoing.sub,
        again: outgoing.again,
    };
    Arrived { meta, payload: outgoing.payload, too_large: false }
}
