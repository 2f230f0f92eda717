//! What the core tells, to the guest it belongs to.

use super::{Guests, guest::Guest};
use messenger::protocol::{self, Head, Origin, Path, Slot, Ticket, Told, Watch};
use messenger_core::{Delivery, Node, NodeId, Outcome, Payload, PortId, Received, Status, Time};
use std::time::Instant;

/// Tickets of one guest that ended without all receipts and may be sent again.
const ENDED: usize = 64;
/// Their slots, all together.
const ENDED_SLOTS: usize = 16_384;

impl Guests {
    /// Tells everybody what the core has for them.
    pub(in crate::daemon) fn deliver(&mut self, node: &mut Node, now: Time) {
        while let Some(delivery) = node.exchange_mut().poll_deliver() {
            self.hand_on(delivery, node, now);
        }
        self.take_back();
        for number in std::mem::take(&mut self.told) {
            if let Some(guest) = self.guests.get_mut(&number) {
                guest.give_places(Instant::now());
                guest.flush(Instant::now());
            }
        }
    }

    /// Tells one guest something; one that let too much wait is ended.
    pub(super) fn tell(&mut self, number: usize, told: &Told, payload: &Payload, node: &mut Node, now: Time) {
        let Some(guest) = self.guests.get_mut(&number) else { return };
        self.told.insert(number);
        if !guest.push(told, payload, Instant::now()) {
            self.counts.slow += 1;
            self.end(number, "it does not read what it is told", node, now);
        }
    }

    fn hand_on(&mut self, delivery: Delivery, node: &mut Node, now: Time) {
        // The context of a message is its guest's number; that of a watch is the watch's own.
        let (number, told, payload) = match delivery {
            Delivery::Ready { port, .. } => (self.receivers.get(&port).copied(), Told::Ready { port }, None),
            Delivery::NameLost { port, .. } => (self.receivers.get(&port).copied(), Told::NameLost { port }, None),
            Delivery::PortClosed { port, .. } => {
                self.lasting.remove(&port);
                let number = self.receivers.remove(&port);
                if let Some(guest) = number.and_then(|number| self.guests.get_mut(&number)) {
                    guest.forget_port(port);
                }
                (number, Told::Closed { port }, None)
            }
            Delivery::Response { ticket, slot, context, message } => {
                let told = Told::Answer { ticket: Ticket(ticket.to_u64()), slot, head: head(node, &message, None) };
                (usize::try_from(context).ok(), told, Some(message.payload))
            }
            Delivery::Settled(outcome) => {
                let number = usize::try_from(outcome.context).ok();
                let ticket = outcome.ticket.to_u64();
                if let Some(guest) = number.and_then(|number| self.guests.get_mut(&number)) {
                    guest.tickets.remove(&ticket);
                }
                let slots = outcome.slots.iter().map(|s| slot(node, s)).collect();
                if let Some(guest) = number.and_then(|number| self.guests.get_mut(&number)) {
                    guest.remember(outcome);
                }
                (number, Told::Settled { ticket: Ticket(ticket), slots }, None)
            }
            Delivery::Confirmed { ticket, context } => {
                (usize::try_from(context).ok(), Told::Confirmed { ticket: Ticket(ticket.to_u64()) }, None)
            }
            Delivery::Watch { context, change, .. } => {
                let Some(number) = self.watchers.get(&context).copied() else { return };
                let entry = &change.entry;
                let seen = protocol::Change {
                    node: change.node,
                    node_name: called(node, change.node),
                    port: change.port,
                    name: entry.name.to_string(),
                    kind: entry.kind.as_ref().map(ToString::to_string),
                    properties: entry.properties.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
                    up: change.up,
                    edge: change.edge,
                };
                let told = Told::Seen { watch: Watch(context), change: seen };
                (Some(number), told, None)
            }
            // Guests' messages are held by their ports: this is one for the daemon itself.
            Delivery::Message { message, .. } => {
                self.asked.push_back(message);
                return;
            }
            // A path that lasts for one send has no number, and is nobody's.
            Delivery::Path { context, to, .. } => {
                (self.path_owners.get(&context).copied(), Told::PathChanged { path: Path(context), state: to }, None)
            }
            Delivery::PathClosed { context, .. } => {
                let number = self.path_owners.remove(&context);
                if let Some(guest) = number.and_then(|number| self.guests.get_mut(&number)) {
                    guest.paths.remove(&context);
                }
                (number, Told::PathClosed { path: Path(context) }, None)
            }
            Delivery::NodeClosed => return,
        };
        if let Some(number) = number {
            self.tell(number, &told, &payload.unwrap_or_default(), node, now);
        }
    }
}

impl Guest {
    /// Lets go of a port that is no more, and of what was to be answered through it.
    pub(super) fn forget_port(&mut self, port: PortId) {
        self.ports.remove(&port);
        self.asks.retain(|_, ask| ask.asked != port);
    }

    /// Keeps a settled ticket that may be sent again, for the last ones that ended so.
    fn remember(&mut self, outcome: Outcome) {
        if outcome.slots.iter().all(|slot| slot.receipted || slot.status == Some(Status::GOOD)) {
            return;
        }
        self.ended.push_back(outcome);
        while self.ended.len() > ENDED || self.ended.iter().map(|o| o.slots.len()).sum::<usize>() > ENDED_SLOTS {
            self.ended.pop_front();
        }
    }
}

/// Everything about a message but its payload.
pub(super) fn head(node: &Node, message: &Received, ask: Option<u64>) -> Head {
    Head {
        node: message.node,
        node_name: called(node, message.node),
        from: message.from,
        priority: message.priority,
        opcode: message.opcode,
        tag: message.tag,
        origin: Origin { agent: message.origin, flags: message.origin_flags, id: message.origin_id },
        transaction: message.transaction,
        receipt: message.receipt,
        targets: message.targets,
        deadline_ms: message.deadline_ms,
        ask,
        status: message.status,
    }
}

/// A slot as guests are told of it.
pub(super) fn slot(node: &Node, slot: &messenger_core::Slot) -> Slot {
    Slot {
        node: slot.node,
        node_name: called(node, slot.node),
        port: slot.port,
        status: slot.status.unwrap_or(Status::GOOD),
        stored: slot.receipted,
        settled: slot.status.is_some(),
    }
}

/// A node's name, also of one that is gone; its number where none is known.
fn called(node: &Node, id: NodeId) -> String {
    let record = node.member(id).or_else(|| node.departed().find(|record| record.node == id));
    record.map_or_else(|| id.to_string(), |record| record.name.to_string())
}
