//! What becomes of a frame that was read from our own interface.

use crate::{ANSWER_MAX, Frame, Gso, Reason, Switch, Table, neighbour};
use messenger_core::{Mac, Time};

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// To the member at that place of the table.
    To(usize),
    /// To each member of [`Table::flood`], planned one by one.
    Flood,
    /// To nobody: so many bytes of the answer buffer go back to our interface (with a virtio-net header when the frame
    /// had one).
    Answer(usize),
    /// Nowhere. Counted already.
    Drop(Reason),
}

impl Switch {
    /// Decides on a frame that was read from our interface, and counts it.
    ///
    /// Its source must be our interface, or a station behind us where learning is on. A frame with the computed address
    /// of another node has come round a bridge loop. Unicast to a node goes by its computed address, to a station by the
    /// table; a station nobody knows is flooded for where learning is on.
    pub fn outbound(&mut self, table: &Table, now: Time, frame: Frame<'_>, answer: &mut [u8; ANSWER_MAX]) -> Outbound {
        self.counters.read(frame.len());
        let decision = self.decide_outbound(table, now, frame, answer).unwrap_or_else(Outbound::Drop);
        match decision {
            Outbound::Drop(reason) => self.counters.drop(reason),
            Outbound::Flood => self.counters.flooded += 1,
            _ => {}
        }
        decision
    }

    fn decide_outbound(
        &mut self,
        table: &Table,
        now: Time,
        frame: Frame<'_>,
        answer: &mut [u8; ANSWER_MAX],
    ) -> Result<Outbound, Reason> {
        let (vnet, ethernet) = frame.open()?;
        if vnet.gso != Gso::None {
            self.counters.super_frames += 1;
        }
        self.guard_outbound(table, now, ethernet.src)?;
        if table.policy().answer
            && let Some((len, what)) = neighbour::answer(table, frame, &vnet, &ethernet, answer)
        {
            match what {
                neighbour::Asked::Arp => self.counters.arp_answers += 1,
                neighbour::Asked::Nd => self.counters.nd_answers += 1,
            }
            return Ok(Outbound::Answer(len));
        }
        if ethernet.dst.is_group() {
            return self.flood(table, now);
        }
        if ethernet.dst == table.mac() {
            return Err(Reason::SameSide);
        }
        let node = match ethernet.dst.node() {
            Some(node) => node,
            None => match table.station(ethernet.dst) {
                Some(station) => station.node,
                None if table.policy().learn => return self.flood(table, now),
                None => return Err(Reason::UnknownStation),
            },
        };
        if node == table.own() {
            return Err(Reason::SameSide);
        }
        let at = table.find(node).ok_or(Reason::UnknownNode)?;
        match table.member(at).and_then(|m| m.hop) {
            Some(_) => Ok(Outbound::To(at)),
            None => Err(Reason::NoPath),
        }
    }

    fn flood(&mut self, table: &Table, now: Time) -> Result<Outbound, Reason> {
        let policy = table.policy();
        if self.broadcasts.take(now, table.own(), policy.broadcast_rate, policy.broadcast_burst) {
            Ok(Outbound::Flood)
        } else {
            Err(Reason::BroadcastLimit)
        }
    }

    fn guard_outbound(&mut self, table: &Table, now: Time, src: Mac) -> Result<(), Reason> {
        if src == table.mac() {
            return Ok(());
        }
        if src.is_group() {
            return Err(Reason::SourceGuard);
        }
        match src.node() {
            Some(node) if node == table.own() => return Ok(()),
            Some(_) => return Err(Reason::Loop),
            None if !table.policy().learn => return Err(Reason::SourceGuard),
            None => {}
        }
        if table.station(src).is_some_and(|s| s.blocked) || !self.sightings.note(now, src, table.own()) {
            return Err(Reason::Loop);
        }
        Ok(())
    }
}
