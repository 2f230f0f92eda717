//! What becomes of a frame message that came over a link.

use crate::{Ethernet, Frame, Reason, Switch, Table, VirtioNet, layers::Layers};
use messenger_core::{
    NodeId, Time,
    wire::{Flags, Header, Kind},
};

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// To our interface.
    Deliver,
    /// A slice of a frame for us: into [`crate::Reassembly`]. The frame that comes out of it is shown here again, with
    /// its header's slice flag taken off.
    Slice,
    /// To the member at that place of the table, with [`crate::Route::Relay`].
    Relay(usize),
    /// Nowhere. Counted already.
    Drop(Reason),
}

impl Switch {
    /// Decides on a frame message from the link to `from`. `frame` is what stands behind the header; of a slice it may
    /// be anything.
    ///
    /// A message that a member made is taken from that member itself. From another node it is taken only where the
    /// member is not linked to us directly: any node we are linked to may relay, because the two ends may have chosen
    /// different ones; but nobody speaks for a neighbour of ours. A message is never sent back to where it came from,
    /// and what is for every member is never relayed: the sender addresses each one.
    pub fn inbound(&mut self, table: &Table, now: Time, from: NodeId, header: &Header, frame: Frame<'_>) -> Inbound {
        match self.decide_inbound(table, now, from, header, frame) {
            Ok(decision) => {
                if matches!(decision, Inbound::Relay(_)) {
                    self.counters.relayed += 1;
                }
                decision
            }
            Err(reason) => {
                self.counters.drop(reason);
                Inbound::Drop(reason)
            }
        }
    }

    fn decide_inbound(
        &mut self,
        table: &Table,
        now: Time,
        from: NodeId,
        header: &Header,
        frame: Frame<'_>,
    ) -> Result<Inbound, Reason> {
        if header.kind != Kind::Frame {
            return Err(Reason::Malformed);
        }
        if header.port != table.segment().0 {
            return Err(Reason::WrongSegment);
        }
        let source = header.source_node().ok_or(Reason::UnknownSource)?;
        if source == table.own() {
            return Err(Reason::Echo);
        }
        let member = table.find(source).and_then(|at| table.member(at)).ok_or(Reason::UnknownSource)?;
        if from != source && member.is_direct() && member.hop.is_some() {
            return Err(Reason::ForgedSource);
        }
        let slice = header.flags.has(Flags::SLICE);
        if header.destination != table.own().get() && header.destination != NodeId::EVERY {
            let at = self.relay(table, from, header)?;
            if !slice {
                let (_, ethernet) = open(frame)?;
                self.guard_inbound(table, now, source, &ethernet)?;
            }
            return Ok(Inbound::Relay(at));
        }
        if slice {
            return Ok(Inbound::Slice);
        }
        let (vnet, ethernet) = open(frame)?;
        self.guard_inbound(table, now, source, &ethernet)?;
        self.deliver(table, now, source, frame, &vnet, &ethernet)
    }

    fn relay(&self, table: &Table, from: NodeId, header: &Header) -> Result<usize, Reason> {
        let destination = header.destination_node().ok_or(Reason::UnknownNode)?;
        let at = table.find(destination).ok_or(Reason::UnknownNode)?;
        let to = table.member(at).ok_or(Reason::UnknownNode)?;
        if header.flags.hops() == 0 {
            return Err(Reason::HopLimit);
        }
        if to.hop.is_none() {
            return Err(Reason::NoPath);
        }
        if to.via == from || destination == from {
            return Err(Reason::Echo);
        }
        Ok(at)
    }

    fn guard_inbound(&mut self, table: &Table, now: Time, source: NodeId, e: &Ethernet) -> Result<(), Reason> {
        if e.src == table.mac() || e.src.is_group() {
            return Err(Reason::SourceGuard);
        }
        match e.src.node() {
            Some(node) if node == source => return Ok(()),
            Some(_) => return Err(Reason::SourceGuard),
            None if !table.policy().learn => return Err(Reason::SourceGuard),
            None => {}
        }
        if table.station(e.src).is_some_and(|s| s.blocked) || !self.sightings.note(now, e.src, source) {
            return Err(Reason::Loop);
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        table: &Table,
        now: Time,
        source: NodeId,
        frame: Frame<'_>,
        vnet: &VirtioNet,
        e: &Ethernet,
    ) -> Result<Inbound, Reason> {
        let unicast_to_us = e.dst == table.mac() || e.dst.node() == Some(table.own());
        if !unicast_to_us && !e.dst.is_group() && (e.dst.node().is_some() || !table.policy().learn) {
            return Err(Reason::NotForUs);
        }
        let packet = match Layers::segment(frame, vnet, e)? {
            Some(segment) => segment,
            None => frame.len().saturating_sub(e.payload),
        };
        if packet > table.largest_frame().saturating_sub(Ethernet::LEN) {
            return Err(Reason::TooLong);
        }
        let policy = table.policy();
        if !unicast_to_us
            && (e.dst.is_group() || table.station(e.dst).is_none())
            && !self.broadcasts.take(now, source, policy.broadcast_rate, policy.broadcast_burst)
        {
            return Err(Reason::BroadcastLimit);
        }
        Ok(Inbound::Deliver)
    }
}

fn open(frame: Frame<'_>) -> Result<(VirtioNet, Ethernet), Reason> {
    frame.open()
}
