//! What leaves: acknowledgements, then streams and datagrams, one message of each peer in turn.

use super::Exchange;
use crate::{
    NodeId, Payload,
    status::{Code, Status},
    stream::{Ends, Outgoing},
    table::{Key, Table},
    ticket::Ticket,
    wire::{Ack, Flags, Header, Kind},
};
use alloc::vec::Vec;
use core::ops::Bound;

/// A message for a carrier: its head, and the payload behind it, which nobody copied.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) to: NodeId,
    pub(crate) head: Vec<u8>,
    pub(crate) payload: Payload,
}

/// Whether anybody still waits for a message that was not sent yet.
fn is_wanted(tickets: &Table<Ticket>, message: &Outgoing) -> bool {
    if message.kind != Kind::Message || message.wants == Flags::default() {
        return true;
    }
    let ticket = tickets.get(Key::from_u64(message.transaction));
    ticket.and_then(|t| t.slots.get(usize::from(message.slot))).is_some_and(|s| s.status.is_none())
}

impl Exchange {
    /// The next message to send; `limit` tells how many bytes the way to a node takes, `None` without a way.
    pub(crate) fn poll_packet(&mut self, limit: impl Fn(NodeId) -> Option<usize>) -> Option<Packet> {
        loop {
            let after = self.served.map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.ready.range((after, Bound::Unbounded)).next().or_else(|| self.ready.first()).copied()?;
            self.served = Some(next);
            if let Some(packet) = limit(next).and_then(|limit| self.poll_peer(next, limit)) {
                return Some(packet);
            }
            self.ready.remove(&next);
        }
    }

    fn poll_peer(&mut self, node: NodeId, limit: usize) -> Option<Packet> {
        self.refresh_names(node);
        let (me, life, now) = (self.me, self.life, self.now);
        let peer = self.peers.get_mut(&node).filter(|p| p.up)?;
        let ends = Ends { me, peer: node, life, peer_life: peer.life, epoch: peer.epoch, floor: peer.floor };
        if core::mem::take(&mut peer.ack_due) {
            let lanes = if peer.its_epoch == 0 { Vec::new() } else { peer.receiver.acks() };
            let of = peer.its_epoch;
            return Some(acknowledge(
                &ends,
                Ack { source: ends.life, destination: ends.peer_life, epoch: ends.epoch, floor: ends.floor, of, lanes },
            ));
        }
        if !peer.datagram_was_last
            && let Some(message) = peer.datagrams.pop_front()
        {
            peer.datagram_was_last = true;
            peer.datagrams_cost -= message.cost();
            let head = message.head(&ends, None, 0..message.payload.len());
            if head.len() + message.payload.len() <= limit {
                return Some(Packet { to: node, head, payload: message.payload });
            }
            self.counts.too_large += 1;
            if message.wants != Flags::default() {
                self.settle(message.transaction, message.slot, Status::with(Code::TooLarge, limit));
            }
            return self.poll_peer(node, limit);
        }
        peer.datagram_was_last = false;
        let tickets = &self.tickets;
        let part = peer.sender.poll(now, limit, &ends, |message| is_wanted(tickets, message));
        let more = !peer.datagrams.is_empty();
        self.set_stream_timer(node);
        match part {
            Some((head, payload)) => Some(Packet { to: node, head, payload }),
            None if more => self.poll_peer(node, limit),
            None => None,
        }
    }
}

fn acknowledge(ends: &Ends, ack: Ack) -> Packet {
    let header = Header {
        len: Header::LEN as u8,
        kind: Kind::Ack,
        flags: Flags::default().with_hops(Flags::MAX_HOPS),
        source: ends.me.get(),
        destination: ends.peer.get(),
        port: 0,
    };
    let mut head = Vec::from([0; Header::LEN]);
    // The buffer has the header's length.
    let _ = header.emit(&mut head);
    ack.emit(&mut head);
    Packet { to: ends.peer, head, payload: Payload::EMPTY }
}
