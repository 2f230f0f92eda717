//! How slots are settled: here and nowhere else.

use super::TicketId;
use crate::{
    NodeId, Payload, PortId,
    delivery::{Delivery, Outcome, Received},
    exchange::{Exchange, Timer},
    limits::MESSAGE_COST,
    message::Quality,
    status::{Code, Status},
    stream::Outgoing,
    table::Key,
    wire::{Flags, Kind, Priority, SubHeader, WITHDRAWN},
};
use alloc::vec::Vec;

impl Exchange {
    /// Settles one slot. False, and counted as late, when it is not open.
    pub(crate) fn settle(&mut self, transaction: u64, slot: u16, status: Status) -> bool {
        let key = Key::from_u64(transaction);
        let Some(ticket) = self.tickets.get_mut(key) else {
            self.counts.late += 1;
            return false;
        };
        let Some(open) = ticket.slots.get_mut(usize::from(slot)).filter(|s| s.status.is_none()) else {
            self.counts.late += 1;
            return false;
        };
        open.status = Some(status);
        let (node, port, receipted) = (open.node, open.port, open.receipted);
        let given_up = matches!(status.code, Code::Canceled | Code::Reset | Code::Closed);
        let withdrawn = port.filter(|_| ticket.response && given_up).map(|port| (port, ticket.priority));
        ticket.open -= 1;
        let done = ticket.open == 0;
        if status.code == Code::TimedOut {
            self.counts.timed_out += 1;
        }
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.waiting.remove(&(transaction, slot));
        }
        if let Some((port, priority)) = withdrawn {
            self.withdraw(node, port, (transaction, slot), priority);
        }
        if !receipted {
            self.count_verdict(key);
        }
        if done {
            self.finish(key);
        }
        true
    }

    /// Nobody waits for the answer of a port any more: the place that is kept there for it is free. A deadline is known there
    /// already.
    fn withdraw(&mut self, node: NodeId, port: PortId, (transaction, slot): (u64, u16), priority: Priority) {
        if node == self.me {
            self.forget_ask(port, (node, transaction, slot));
            return;
        }
        let withdrawal = Outgoing {
            kind: Kind::Message,
            // It comes after what it withdraws.
            priority,
            wants: Flags::default(),
            from: PortId::NODE,
            to: PortId::NODE,
            transaction,
            slot,
            sub: SubHeader { opcode: WITHDRAWN, ..SubHeader::default() },
            again: None,
            payload: Payload::EMPTY,
        };
        self.launch(node, withdrawal, Quality::Reliable);
    }

    /// A slot has its node's verdict, or waits for none any more; of a message that wants an answer, too, the last one is told.
    fn count_verdict(&mut self, key: Key) {
        let Some(ticket) = self.tickets.get_mut(key).filter(|t| t.unconfirmed > 0) else { return };
        ticket.unconfirmed -= 1;
        let (last, context) = (ticket.unconfirmed == 0 && ticket.open > 0, ticket.context);
        if last {
            self.tell(Delivery::Confirmed { ticket: TicketId(key.to_u64()), context });
        }
    }

    /// Notes that a slot's node has the message.
    fn note_receipt(&mut self, key: Key, slot: u16) {
        let slots = self.tickets.get_mut(key).map(|t| &mut t.slots);
        let Some(slot) = slots.and_then(|slots| slots.get_mut(usize::from(slot))) else { return };
        if !core::mem::replace(&mut slot.receipted, true) {
            self.count_verdict(key);
        }
    }

    /// Settles every open slot of a ticket.
    pub(crate) fn settle_all(&mut self, transaction: u64, status: Status) {
        let Some(ticket) = self.tickets.get(Key::from_u64(transaction)) else { return };
        let slots = ticket.slots.iter().enumerate().filter(|(_, s)| s.status.is_none());
        let slots: Vec<u16> = slots.map(|(n, _)| n as u16).collect();
        for slot in slots {
            self.settle(transaction, slot, status);
        }
    }

    /// Takes a settled ticket away and tells of it.
    fn finish(&mut self, key: Key) {
        let Some(ticket) = self.tickets.remove(key) else { return };
        let transaction = key.to_u64();
        if let Some(at) = ticket.deadline {
            self.timers.remove(&(at, Timer::Ticket(transaction)));
        }
        if let Some(posted) = ticket.posted {
            self.post_is_done(posted);
        }
        if let Some(path) = self.paths.get_mut(ticket.path.key()) {
            path.tickets.remove(&transaction);
        }
        self.untold += 1;
        self.tell(Delivery::Settled(Outcome {
            ticket: TicketId(transaction),
            path: ticket.path,
            path_context: ticket.path_context,
            context: ticket.context,
            slots: ticket.slots,
            first: ticket.first,
        }));
        self.end_path_if_done(ticket.path);
    }

    /// Takes a node's verdict on a message.
    pub(crate) fn handle_receipt(&mut self, node: NodeId, transaction: u64, slot: u16, status: Status) {
        let key = Key::from_u64(transaction);
        let Some(ticket) = self.tickets.get(key) else {
            self.counts.late += 1;
            return;
        };
        let open = |s: &&crate::Slot| s.status.is_none() && s.node == node;
        if ticket.slots.get(usize::from(slot)).filter(open).is_none() {
            self.counts.late += 1;
            return;
        }
        let response = ticket.response;
        if status.is_good() || status.code == Code::Repeated {
            self.note_receipt(key, slot);
        }
        if status.is_good() && response {
            return;
        }
        self.settle(transaction, slot, status);
    }

    /// Takes an answer.
    pub(crate) fn handle_response(&mut self, node: NodeId, slot: u16, message: Received) {
        let transaction = message.transaction;
        let ticket = self.tickets.get(Key::from_u64(transaction)).filter(|t| t.response);
        let fits = |s: &&crate::Slot| s.status.is_none() && s.node == node;
        let Some((context, open)) =
            ticket.and_then(|t| Some((t.context, t.slots.get(usize::from(slot)).filter(fits)?)))
        else {
            self.counts.late += 1;
            return;
        };
        // Whoever answers for the port that was asked; a closing port's node answers for it too.
        if open.port.is_some_and(|port| port != message.from) {
            self.counts.late += 1;
            return;
        }
        // Who answers has it.
        self.note_receipt(Key::from_u64(transaction), slot);
        let mut status = message.status;
        let cost = message.payload.len() + MESSAGE_COST;
        if self.answers > 0 && self.answers + cost > self.limits.answers {
            status = Status::with(Code::NoRoom, message.payload.len());
        } else {
            self.answers += cost;
            self.tell(Delivery::Response { ticket: TicketId(transaction), slot, context, message });
        }
        self.settle(transaction, slot, status);
    }
}
