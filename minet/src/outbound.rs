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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HEAD_MAX, Member, Policy, Station,
        testing::{SEGMENT, Spec, mac, member, node},
    };
    use proptest::prelude::*;
    use std::vec::Vec;

    const X: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
    const Y: Mac = Mac([0x52, 0x54, 0, 0, 0, 2]);
    const Z: Mac = Mac([0x52, 0x54, 0, 0, 0, 3]);

    /// Node 1; 2 is reachable, 3 is not. X is behind 2, Y behind us, Z flapped.
    fn table(policy: Policy) -> Table {
        let station = |mac, n| Station { mac, node: node(n), blocked: mac == Z };
        Table::builder(node(1), SEGMENT)
            .policy(policy)
            .extend([member(2), Member { hop: None, ..member(3) }], [station(X, 2), station(Y, 1), station(Z, 1)], [])
            .build()
    }

    fn learning() -> Table {
        table(Policy { learn: true, ..Policy::default() })
    }

    fn send(switch: &mut Switch, table: &Table, dst: Mac, src: Mac) -> Outbound {
        let mut f = Vec::from(dst.0);
        f.extend(src.0);
        f.extend([0x88, 0xb5]);
        f.resize(60, 0);
        let frame = Frame { head: &f, total: 60, vnet: false };
        switch.outbound(table, Time::ZERO, frame, &mut [0; ANSWER_MAX])
    }

    #[test]
    fn unicast_goes_by_its_computed_address() {
        let (table, mut s) = (table(Policy::default()), Switch::new());
        assert_eq!(send(&mut s, &table, mac(2), mac(1)), Outbound::To(0));
        assert_eq!(send(&mut s, &table, mac(3), mac(1)), Outbound::Drop(Reason::NoPath));
        assert_eq!(send(&mut s, &table, mac(9), mac(1)), Outbound::Drop(Reason::UnknownNode));
        assert_eq!(send(&mut s, &table, mac(1), mac(1)), Outbound::Drop(Reason::SameSide));
        assert_eq!(send(&mut s, &table, Mac::BROADCAST, mac(1)), Outbound::Flood);
        assert_eq!(send(&mut s, &table, Mac([0x33, 0x33, 0, 0, 0, 1]), mac(1)), Outbound::Flood);
        let c = &s.counters;
        assert_eq!((c.tx_packets, c.tx_bytes, c.flooded, c.dropped_total()), (6, 360, 2, 3));
    }

    #[test]
    fn stations_are_reached_behind_their_nodes() {
        let (learned, mut s) = (learning(), Switch::new());
        assert_eq!(send(&mut s, &learned, X, mac(1)), Outbound::To(0));
        assert_eq!(send(&mut s, &learned, Y, mac(1)), Outbound::Drop(Reason::SameSide));
        assert_eq!(send(&mut s, &learned, Mac([0x52, 1, 1, 1, 1, 1]), mac(1)), Outbound::Flood);
        let strict = table(Policy::default());
        assert_eq!(send(&mut s, &strict, Mac([0x52, 1, 1, 1, 1, 1]), mac(1)), Outbound::Drop(Reason::UnknownStation));
    }

    #[test]
    fn only_we_and_stations_behind_us_may_send() {
        let mut s = Switch::new();
        assert_eq!(send(&mut s, &table(Policy::default()), mac(2), Y), Outbound::Drop(Reason::SourceGuard));
        assert_eq!(
            send(&mut s, &table(Policy::default()), mac(2), Mac::BROADCAST),
            Outbound::Drop(Reason::SourceGuard)
        );
        assert!(s.drain_sightings().next().is_none(), "nothing is learned where learning is off");
        assert_eq!(send(&mut s, &learning(), mac(2), Y), Outbound::To(0));
        let seen: Vec<_> = s.drain_sightings().collect();
        assert_eq!(seen, [crate::Sighting { mac: Y, node: node(1) }]);
        assert_eq!(send(&mut s, &learning(), mac(2), Z), Outbound::Drop(Reason::Loop), "it flapped");
    }

    #[test]
    fn a_frame_of_another_node_has_come_round_a_loop() {
        let mut s = Switch::new();
        assert_eq!(send(&mut s, &learning(), Mac::BROADCAST, mac(2)), Outbound::Drop(Reason::Loop));
        assert_eq!(s.counters.dropped(Reason::Loop), 1);
    }

    #[test]
    fn broadcasts_are_limited() {
        let policy = Policy { broadcast_rate: 10, broadcast_burst: 5, learn: true, ..Policy::default() };
        let (table, mut s) = (table(policy), Switch::new());
        let sent = (0..100).filter(|_| send(&mut s, &table, Mac::BROADCAST, mac(1)) == Outbound::Flood).count();
        assert_eq!((sent, s.counters.dropped(Reason::BroadcastLimit)), (5, 95));
        assert_eq!(send(&mut s, &table, Mac([0x52, 1, 1, 1, 1, 1]), mac(1)), Outbound::Drop(Reason::BroadcastLimit));
        assert_eq!(send(&mut s, &table, mac(2), mac(1)), Outbound::To(0), "unicast is not");
    }

    #[test]
    fn our_interface_may_have_another_address() {
        let table = Table::builder(node(1), SEGMENT).mac(Y).member(member(2)).build();
        let mut s = Switch::new();
        assert_eq!(send(&mut s, &table, mac(2), Y), Outbound::To(0));
        assert_eq!(send(&mut s, &table, Y, Y), Outbound::Drop(Reason::SameSide));
    }

    #[test]
    fn super_frames_are_counted_once() {
        let read = Spec::default().build();
        let mut s = Switch::new();
        let decision =
            s.outbound(&table(Policy::default()), Time::ZERO, crate::testing::frame(&read), &mut [0; ANSWER_MAX]);
        assert_eq!(decision, Outbound::To(0));
        let c = &s.counters;
        assert_eq!((c.super_frames, c.tx_packets, c.tx_bytes), (1, 1, read.len() as u64 - 10));
    }

    #[test]
    fn a_million_frames_and_nothing_is_kept() {
        let (table, mut s) = (learning(), Switch::new());
        for n in 0..1_000_000_u32 {
            let [a, b, c, d] = n.to_be_bytes();
            send(&mut s, &table, mac(2), Mac([0x52, 0x54, a, b, c, d]));
        }
        assert_eq!(s.counters.tx_packets, 1_000_000);
        assert!(s.drain_sightings().count() <= 64);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            spec in Spec::any(),
            graft in 0usize..60,
            more in 0usize..70_000,
            vnet: bool,
            learn: bool,
        ) {
            let good = spec.build();
            let n = graft.min(bytes.len()).min(good.len());
            bytes[..n].copy_from_slice(&good[..n]);
            let frame = Frame { head: &bytes, total: bytes.len() + more, vnet };
            let table = table(Policy { learn, ..Policy::default() });
            let decision = Switch::new().outbound(&table, Time::ZERO, frame, &mut [0; ANSWER_MAX]);
            if more > 0 && bytes.len() < HEAD_MAX {
                prop_assert_eq!(decision, Outbound::Drop(Reason::Malformed));
            }
        }
    }
}
