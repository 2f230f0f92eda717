//! What becomes of a frame message that came over a link.

use crate::{Ethernet, Frame, Offloads, Reason, Switch, Table, VirtioNet, layers::Layers};
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
        let unicast_to_us = table.is_ours(e.dst);
        if !unicast_to_us && !e.dst.is_group() && (e.dst.node().is_some() || !table.policy().learn) {
            return Err(Reason::NotForUs);
        }
        if !table.offloads().has(Offloads::wanted(vnet)) {
            return Err(Reason::Offload);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ANSWER_MAX, Member, Outbound, Policy, Station,
        testing::{SEGMENT, Spec, frame, mac, member, node},
    };
    use messenger_core::Mac;
    use proptest::prelude::*;
    use std::vec::Vec;

    const X: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
    const Z: Mac = Mac([0x52, 0x54, 0, 0, 0, 3]);

    /// Node 1; 2 and 3 are linked directly, 4 is behind 3, 5 cannot be reached. Z flapped.
    fn table(policy: Policy) -> Table {
        let members = [member(2), member(3), Member { via: node(3), ..member(4) }, Member { hop: None, ..member(5) }];
        let z = Station { mac: Z, node: node(2), blocked: true };
        Table::builder(node(1), SEGMENT).policy(policy).extend(members, [z], []).build()
    }

    fn learning() -> Table {
        table(Policy { learn: true, ..Policy::default() })
    }

    fn bytes(dst: Mac, src: Mac) -> Vec<u8> {
        let mut f = Vec::from(dst.0);
        f.extend(src.0);
        f.extend([0x88, 0xb5]);
        f.resize(60, 0);
        f
    }

    fn come(s: &mut Switch, table: &Table, from: u32, header: Header, dst: Mac, src: Mac) -> Inbound {
        let f = bytes(dst, src);
        let frame = Frame { head: &f, total: f.len(), vnet: false };
        s.inbound(table, Time::ZERO, node(from), &header, frame)
    }

    fn header(source: u32, destination: u32) -> Header {
        Header::frame(node(source), node(destination), SEGMENT.0)
    }

    /// A plain frame from that node's interface, over the link to `from`.
    fn simple(from: u32, source: u32) -> Inbound {
        come(&mut Switch::new(), &table(Policy::default()), from, header(source, 1), mac(1), mac(source))
    }

    #[test]
    fn a_frame_from_its_owner_is_delivered() {
        assert_eq!(simple(2, 2), Inbound::Deliver);
        let mut s = Switch::new();
        let broadcast = come(&mut s, &table(Policy::default()), 2, header(2, 1), Mac::BROADCAST, mac(2));
        assert_eq!(broadcast, Inbound::Deliver);
        let every = Header { destination: NodeId::EVERY, ..header(2, 1) };
        assert_eq!(come(&mut s, &table(Policy::default()), 2, every, Mac::BROADCAST, mac(2)), Inbound::Deliver);
    }

    /// PROTOCOL 2.4.
    #[test]
    fn nobody_speaks_for_a_neighbour_and_any_link_may_relay_for_others() {
        assert_eq!(simple(3, 2), Inbound::Drop(Reason::ForgedSource));
        assert_eq!(simple(3, 4), Inbound::Deliver);
        assert_eq!(simple(2, 4), Inbound::Deliver, "the other end may have chosen another relay");
        assert_eq!(simple(2, 5), Inbound::Deliver, "its way to us may be there before ours to it");
        assert_eq!(simple(2, 9), Inbound::Drop(Reason::UnknownSource));
        assert_eq!(simple(2, 1), Inbound::Drop(Reason::Echo));
    }

    /// PROTOCOL 2.3.
    #[test]
    fn a_frame_must_come_from_its_owner() {
        let strict = |src| come(&mut Switch::new(), &table(Policy::default()), 2, header(2, 1), mac(1), src);
        assert_eq!(strict(mac(3)), Inbound::Drop(Reason::SourceGuard), "another node's");
        assert_eq!(strict(mac(1)), Inbound::Drop(Reason::SourceGuard), "our own");
        assert_eq!(strict(X), Inbound::Drop(Reason::SourceGuard), "a station, without learning");
        assert_eq!(strict(Mac::BROADCAST), Inbound::Drop(Reason::SourceGuard));
        let mut s = Switch::new();
        assert_eq!(come(&mut s, &learning(), 2, header(2, 1), mac(1), X), Inbound::Deliver);
        assert_eq!(s.drain_sightings().collect::<Vec<_>>(), [crate::Sighting { mac: X, node: node(2) }]);
        assert_eq!(come(&mut s, &learning(), 2, header(2, 1), mac(1), mac(3)), Inbound::Drop(Reason::SourceGuard));
        assert_eq!(come(&mut s, &learning(), 2, header(2, 1), mac(1), Z), Inbound::Drop(Reason::Loop));
    }

    #[test]
    fn a_loop_through_bridges_is_cut_in_both_directions() {
        let (table, mut s) = (learning(), Switch::new());
        let mut answer = [0; ANSWER_MAX];
        let f = bytes(Mac::BROADCAST, X);
        let out = Frame { head: &f, total: f.len(), vnet: false };
        // A station behind us sends; another node's bridge sends it back.
        assert_eq!(s.outbound(&table, Time::ZERO, out, &mut answer), Outbound::Flood);
        let back = come(&mut s, &table, 2, header(2, 1), Mac::BROADCAST, X);
        assert_eq!(back, Inbound::Drop(Reason::Loop));
        // A station behind another node sends; our own bridge sends it back.
        let mut s = Switch::new();
        assert_eq!(come(&mut s, &table, 2, header(2, 1), Mac::BROADCAST, X), Inbound::Deliver);
        assert_eq!(s.outbound(&table, Time::ZERO, out, &mut answer), Outbound::Drop(Reason::Loop));
        assert_eq!(s.counters.dropped(Reason::Loop), 1);
    }

    #[test]
    fn what_is_for_others_is_not_delivered() {
        let mut s = Switch::new();
        let go = |s: &mut Switch, table: &Table, dst| come(s, table, 2, header(2, 1), dst, mac(2));
        assert_eq!(go(&mut s, &table(Policy::default()), mac(3)), Inbound::Drop(Reason::NotForUs));
        assert_eq!(go(&mut s, &table(Policy::default()), X), Inbound::Drop(Reason::NotForUs));
        assert_eq!(go(&mut s, &learning(), X), Inbound::Deliver, "it may be behind us");
        assert_eq!(go(&mut s, &learning(), mac(3)), Inbound::Drop(Reason::NotForUs));
    }

    #[test]
    fn segments_do_not_mix() {
        let other = Header { port: SEGMENT.0 + 1, ..header(2, 1) };
        let mut s = Switch::new();
        let got = come(&mut s, &table(Policy::default()), 2, other, mac(1), mac(2));
        assert_eq!(got, Inbound::Drop(Reason::WrongSegment));
        let message = Header { kind: Kind::Message, ..header(2, 1) };
        let got = come(&mut s, &table(Policy::default()), 2, message, mac(1), mac(2));
        assert_eq!(got, Inbound::Drop(Reason::Malformed));
    }

    /// PROTOCOL 2.9.
    #[test]
    fn relaying_goes_on_only_where_it_leads_away() {
        let (table, mut s) = (table(Policy::default()), Switch::new());
        let mut go = |from, h: Header| come(&mut s, &table, from, h, Mac::BROADCAST, mac(h.source));
        assert_eq!(go(2, header(2, 3)), Inbound::Relay(1));
        assert_eq!(go(2, header(2, 4)), Inbound::Relay(2));
        assert_eq!(go(3, header(3, 4)), Inbound::Drop(Reason::Echo), "back to where it came from");
        assert_eq!(go(2, header(2, 2)), Inbound::Drop(Reason::Echo));
        assert_eq!(go(2, header(2, 5)), Inbound::Drop(Reason::NoPath));
        assert_eq!(go(2, header(2, 9)), Inbound::Drop(Reason::UnknownNode));
        let last = Header { flags: header(2, 3).flags.with_hops(0), ..header(2, 3) };
        assert_eq!(go(2, last), Inbound::Drop(Reason::HopLimit));
        assert_eq!(go(2, Header { destination: 0, ..header(2, 3) }), Inbound::Drop(Reason::UnknownNode));
        assert_eq!(s.counters.relayed, 2);
    }

    #[test]
    fn a_relay_guards_as_a_receiver_does() {
        let mut s = Switch::new();
        let got = come(&mut s, &table(Policy::default()), 2, header(2, 3), mac(3), mac(9));
        assert_eq!(got, Inbound::Drop(Reason::SourceGuard));
    }

    #[test]
    fn slices_are_told_apart() {
        let mut s = Switch::new();
        let slice = |h: Header| Header { flags: h.flags.with(Flags::SLICE), len: 24, ..h };
        let none = Frame { head: &[], total: 0, vnet: false };
        let mut go = |h| s.inbound(&table(Policy::default()), Time::ZERO, node(2), &slice(h), none);
        assert_eq!(go(header(2, 1)), Inbound::Slice);
        assert_eq!(go(header(2, 3)), Inbound::Relay(1));
        assert_eq!(go(header(3, 1)), Inbound::Drop(Reason::ForgedSource));
    }

    #[test]
    fn broadcasts_are_limited_per_source() {
        let policy = Policy { broadcast_rate: 10, broadcast_burst: 5, ..Policy::default() };
        let (table, mut s) = (table(policy), Switch::new());
        let mut flood = |n: u32| {
            (0..100)
                .filter(|_| come(&mut s, &table, n, header(n, 1), Mac::BROADCAST, mac(n)) == Inbound::Deliver)
                .count()
        };
        assert_eq!((flood(2), flood(3)), (5, 5));
        assert_eq!(come(&mut s, &table, 2, header(2, 1), mac(1), mac(2)), Inbound::Deliver, "unicast is not");
    }

    #[test]
    fn super_frames_are_taken_by_the_size_of_their_segments() {
        let spec = Spec::default();
        let go = |spec: &Spec, change: &dyn Fn(&mut Vec<u8>)| {
            let mut read = spec.build();
            read[10..16].copy_from_slice(&mac(1).0);
            read[16..22].copy_from_slice(&mac(2).0);
            change(&mut read);
            Switch::new().inbound(&table(Policy::default()), Time::ZERO, node(2), &header(2, 1), frame(&read))
        };
        assert_eq!(go(&spec, &|_| {}), Inbound::Deliver);
        assert_eq!(go(&Spec { gso: 1449, ..spec.clone() }, &|_| {}), Inbound::Drop(Reason::TooLong));
        assert_eq!(go(&Spec { payload: 1449, gso: u16::MAX, ..spec.clone() }, &|_| {}), Inbound::Drop(Reason::TooLong));
        assert_eq!(go(&spec, &|r| r[1] = 4), Inbound::Drop(Reason::Malformed), "says IPv6, is IPv4");
        assert_eq!(go(&spec, &|r| r[6] = 200), Inbound::Drop(Reason::Malformed), "sum starts elsewhere");
        assert_eq!(go(&spec, &|r| r[24 + 9] = 1), Inbound::Drop(Reason::Malformed), "no TCP");
        assert_eq!(go(&spec, &|r| r.truncate(20)), Inbound::Drop(Reason::Malformed));
    }

    #[test]
    fn what_our_interface_cannot_take_is_not_delivered() {
        let go = |offloads, read: &[u8]| {
            let table = Table::builder(node(1), SEGMENT).offloads(offloads).member(member(2)).build();
            Switch::new().inbound(&table, Time::ZERO, node(2), &header(2, 1), frame(read))
        };
        let refused = Inbound::Drop(Reason::Offload);
        let to_us = |spec: Spec| {
            let mut read = spec.build();
            read[10..16].copy_from_slice(&mac(1).0);
            read[16..22].copy_from_slice(&mac(2).0);
            read
        };
        let mut read = to_us(Spec::default());
        assert_eq!(go(Offloads::CSUM.with(Offloads::TSO4), &read), Inbound::Deliver);
        assert_eq!(go(Offloads::CSUM.with(Offloads::TSO6), &read), refused);
        assert_eq!(go(Offloads::CSUM, &to_us(Spec { tcp: false, gso: 1400, ..Spec::default() })), refused);
        read = to_us(Spec { payload: 100, ..Spec::default() });
        assert_eq!(go(Offloads::CSUM, &read), Inbound::Deliver);
        assert_eq!(go(Offloads::NONE, &read), refused);
        read[..10].fill(0);
        assert_eq!(go(Offloads::NONE, &read), Inbound::Deliver);
    }

    proptest! {
        #[test]
        fn random_messages_never_panic(
            header_bytes: [u8; 16],
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            spec in Spec::any(),
            (graft, more, from) in (0usize..80, 0usize..70_000, 1u32..7),
            (vnet, learn, good_header) in any::<(bool, bool, bool)>(),
        ) {
            let good = spec.build();
            let n = graft.min(bytes.len()).min(good.len());
            bytes[..n].copy_from_slice(&good[..n]);
            let frame = Frame { head: &bytes, total: bytes.len() + more, vnet };
            let h = if good_header { Ok(header(2, 1)) } else { Header::parse(&header_bytes) };
            if let Ok(h) = h {
                let table = table(Policy { learn, ..Policy::default() });
                let _ = Switch::new().inbound(&table, Time::ZERO, node(from), &h, frame);
            }
        }
    }
}
