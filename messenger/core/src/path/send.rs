//! Sending.

use super::{PathId, PathState, Target};
use crate::{
    NodeId, PortId, TicketId, Time,
    delivery::{Outcome, Slot},
    exchange::{Exchange, Timer},
    limits::MESSAGE_COST,
    message::{Message, Quality},
    path::target::Aim,
    status::{Code, Status},
    stream::Outgoing,
    table::Key,
    ticket::Ticket,
    wire::{Again, Flags, Kind, SubHeader},
};
use alloc::vec::Vec;

/// What became of a send at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What to wait for, if somebody asked for a receipt or a response.
    pub ticket: Option<TicketId>,
    /// How many targets there were.
    pub targets: usize,
    /// For how many of them the message was taken.
    pub taken: usize,
}

impl Exchange {
    /// Sends a message to whom a path means now. Refusals, with nothing sent: [`Code::BadHandle`], [`Code::NotFound`],
    /// [`Code::Quiesced`], [`Code::Closing`], [`Code::TooLarge`] (detail: the most bytes), [`Code::NoSpace`] (detail: how many
    /// targets there are), [`Code::Exhausted`] (tickets), [`Code::WouldBlock`] (every target's queue is full; of some
    /// only, their slots say so; [`Code::Quiesced`] likewise, see [`Exchange::quiesce_node`]).
    pub fn send(&mut self, now: Time, path: PathId, message: &Message) -> Result<Sent, Status> {
        self.send_as(now, path, message, None)
    }

    /// Sends to a name without a path of its own, from no port. Refusals as for [`Exchange::send`].
    pub fn send_to(&mut self, now: Time, target: Target, message: &Message) -> Result<Sent, Status> {
        let spec = super::PathSpec::to(target);
        let path = self.open_path(now, spec)?;
        let sent = self.send(now, path, message);
        // It closes when the ticket is settled; at once when there is none.
        self.finish_path(now, path)?;
        sent
    }

    /// Sends again to those targets of a settled ticket that gave no receipt, and to no others; one that had stored the
    /// message and whose receipt was lost knows it again. Where the first try found no port of a name on a node, the one that is there now
    /// is meant. The outcome's path may be replaced by an open one. Refusals as for [`Exchange::send`]; [`Code::NotFound`]: every
    /// target gave its receipt.
    pub fn resend(&mut self, now: Time, outcome: &Outcome, message: &Message) -> Result<Sent, Status> {
        self.at(now)?;
        let rest = outcome.slots.iter().enumerate().filter(|(_, s)| !s.receipted && s.status != Some(Status::GOOD));
        let path = self.path(outcome.path).ok_or(Status::new(Code::BadHandle))?;
        let (mut aims, mut first) = (Vec::new(), Vec::new());
        for (n, slot) in rest {
            aims.push(match (slot.port, &path.spec.to) {
                (Some(port), _) => (slot.node, Ok(port)),
                (None, Target::Nodes(_, name) | Target::Everywhere(name)) => self.aim_at_node(slot.node, name),
                (None, Target::Port(..) | Target::Name(_) | Target::Pattern(_)) => {
                    (slot.node, Err(Status::new(Code::NoPort)))
                }
            });
            first.push(outcome.identity(n));
        }
        self.send_at(outcome.path, message, &mut aims, Some(first), None)
    }

    pub(crate) fn send_as(
        &mut self,
        now: Time,
        id: PathId,
        message: &Message,
        posted: Option<Key>,
    ) -> Result<Sent, Status> {
        self.at(now)?;
        let path = self.path_mut(id)?;
        let turn = path.turn;
        path.turn = turn.wrapping_add(1);
        let path = self.path(id).ok_or(Status::new(Code::BadHandle))?;
        // One target needs no list.
        let (mut one, mut many);
        let aims: &mut [Aim] = match self.aim_at_one(&path.spec.to, path.spec.choice) {
            Some(aim) => {
                one = aim;
                one.as_mut_slice()
            }
            None => {
                many = self.aim(&path.spec.to, path.spec.choice, turn, message.priority);
                &mut many
            }
        };
        let sent = self.send_at(id, message, aims, None, posted);
        if sent.is_err()
            && let Ok(path) = self.path_mut(id)
        {
            path.counts.refused += 1;
        }
        sent
    }

    fn send_at(
        &mut self,
        id: PathId,
        message: &Message,
        aims: &mut [Aim],
        first: Option<Vec<(u64, u16)>>,
        posted: Option<Key>,
    ) -> Result<Sent, Status> {
        let path = self.path(id).ok_or(Status::new(Code::BadHandle))?;
        let refusal = match path.state {
            _ if path.closing => Some(Code::Closing),
            PathState::Quiesced => Some(Code::Quiesced),
            PathState::Opening | PathState::Failed => Some(Code::NotFound),
            PathState::Enabled if aims.is_empty() => Some(Code::NotFound),
            PathState::Enabled => None,
        };
        if let Some(refusal) = refusal {
            return Err(refusal.into());
        }
        if message.payload.len() > self.limits.message {
            return Err(Status::with(Code::TooLarge, self.limits.message));
        }
        if aims.len() > message.capacity.unwrap_or(usize::MAX).min(self.limits.targets) {
            return Err(Status::with(Code::NoSpace, aims.len()));
        }
        let (from, path_context) = (path.spec.from, path.spec.context);
        // A slot keeps its port when nothing can be sent there now: another try means the same one.
        let slot = |(node, port): &Aim| Slot { node: *node, port: port.ok(), status: None, receipted: false };
        let waits = message.receipt || message.response;
        let slots: Vec<Slot> = if waits { aims.iter().map(slot).collect() } else { Vec::new() };
        for (node, port) in &mut *aims {
            *port = port.and_then(|port| self.room(*node, message).map(|()| port));
        }
        for code in [Code::WouldBlock, Code::Quiesced] {
            if aims.iter().all(|(_, p)| p.is_err_and(|s| s.code == code)) {
                return Err(code.into());
            }
        }
        let transaction = if waits {
            if self.tickets.len() + self.untold >= self.limits.tickets {
                return Err(Status::new(Code::Exhausted));
            }
            let ticket = Ticket {
                path: id,
                path_context,
                context: message.context,
                open: aims.len(),
                unconfirmed: if message.receipt && message.response { aims.len() } else { 0 },
                since: self.now,
                slots,
                response: message.response,
                priority: message.priority,
                deadline: message.deadline.map(|d| self.now + d),
                first: first.clone(),
                posted,
            };
            let deadline = ticket.deadline;
            let key = self.tickets.insert(ticket).ok_or(Status::new(Code::Exhausted))?.to_u64();
            self.counts.tickets += 1;
            self.timers.extend(deadline.map(|at| (at, Timer::Ticket(key))));
            Some(key)
        } else {
            None
        };
        self.introduce(id, aims);
        let path = self.path_mut(id)?;
        path.tickets.extend(transaction);
        path.counts.sends += 1;
        let taken = aims.iter().filter(|(_, p)| p.is_ok()).count();
        path.counts.messages += taken as u64;
        path.counts.bytes += taken as u64 * message.payload.len() as u64;
        self.counts.sent += taken as u64;
        self.counts.sent_bytes += taken as u64 * message.payload.len() as u64;
        let targets = aims.len();
        for (n, (node, port)) in aims.iter().copied().enumerate() {
            let slot = n as u16;
            let again = first.as_ref().and_then(|f| f.get(n)).map(|(t, s)| Again { transaction: *t, slot: *s });
            match (port, transaction) {
                (Ok(port), _) => {
                    if let (Some(transaction), Some(peer)) = (transaction, self.peers.get_mut(&node)) {
                        peer.waiting.insert((transaction, slot));
                    }
                    let number = transaction.unwrap_or_else(|| self.next_number());
                    let outgoing = outgoing(message, from, port, (number, slot), targets, again);
                    self.trace_sent(Some(id), node, &outgoing);
                    self.launch(node, outgoing, message.quality);
                }
                (Err(status), Some(transaction)) => {
                    self.settle(transaction, slot, status);
                }
                (Err(_), None) => {}
            }
        }
        Ok(Sent { ticket: transaction.map(TicketId::from_u64), targets, taken })
    }

    /// Whether a node can be sent a message now.
    fn room(&self, node: NodeId, message: &Message) -> Result<(), Status> {
        if node == self.me {
            return Ok(());
        }
        if self.is_quiesced(node) {
            return Err(Status::new(Code::Quiesced));
        }
        let peer = self.peers.get(&node).filter(|p| p.up).ok_or(Status::new(Code::NodeDown))?;
        let waiting = match message.quality {
            Quality::Reliable => peer.sender.waiting(message.priority),
            Quality::Datagram => peer.datagrams_cost,
        };
        // One message always fits, however large.
        let fits = waiting == 0 || waiting + message.payload.len() + MESSAGE_COST <= self.limits.queue;
        if fits { Ok(()) } else { Err(Status::new(Code::WouldBlock)) }
    }
}

fn outgoing(
    message: &Message,
    from: PortId,
    to: PortId,
    (transaction, slot): (u64, u16),
    targets: usize,
    again: Option<Again>,
) -> Outgoing {
    let mut wants = Flags::default();
    wants = if message.receipt { wants.with(Flags::RECEIPT) } else { wants };
    wants = if message.response { wants.with(Flags::RESPONSE) } else { wants };
    let deadline = message.deadline.map_or(0, |d| u32::try_from(d.as_millis()).unwrap_or(u32::MAX).max(1));
    Outgoing {
        kind: Kind::Message,
        priority: message.priority,
        wants,
        from,
        to,
        transaction,
        slot,
        sub: SubHeader {
            opcode: message.opcode,
            status: 0,
            detail: 0,
            origin: message.origin,
            origin_flags: message.origin_flags,
            // One target needs no telling.
            targets: if targets > 1 { u16::try_from(targets).unwrap_or(u16::MAX) } else { 0 },
            origin_id: message.origin_id,
            deadline_ms: deadline,
            tag: message.tag,
        },
        again,
        payload: message.payload.clone(),
    }
}
