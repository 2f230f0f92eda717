//! Whole segments of switches on any graph of links: who gets what, and how often.

use crate::{
    ANSWER_MAX, Inbound, Member, Outbound, Plan, Route, Switch, Table,
    testing::{SEGMENT, Spec, frame, mac, member, messages, node, received},
};
use messenger_core::{Mac, Time};
use proptest::prelude::*;
use std::{collections::VecDeque, vec, vec::Vec};

/// Nodes 1 to n with links between some of them.
struct Net {
    links: Vec<(u32, u32)>,
    nodes: Vec<(Table, Switch)>,
    delivered: Vec<usize>,
    messages: usize,
}

impl Net {
    fn new(n: u32, links: &[(u32, u32)]) -> Net {
        let links: Vec<_> = links.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect();
        let nodes = (1..=n).map(|own| (Self::table(own, n, &links), Switch::new())).collect();
        Net { links, nodes, delivered: vec![0; n as usize], messages: 0 }
    }

    /// Routes by the fewest hops; of equal ones that over the highest node, so that the two ends of a way often choose
    /// different ones.
    fn table(own: u32, n: u32, links: &[(u32, u32)]) -> Table {
        let mut via = vec![None; n as usize + 1];
        let mut queue = VecDeque::new();
        let neighbours = |a: u32| (1..=n).rev().filter(move |b| links.contains(&(a, *b)));
        for b in neighbours(own) {
            via[b as usize] = Some(b);
            queue.push_back(b);
        }
        while let Some(a) = queue.pop_front() {
            for b in neighbours(a).filter(|b| *b != own) {
                if via[b as usize].is_none() {
                    via[b as usize] = via[a as usize];
                    queue.push_back(b);
                }
            }
        }
        let members = (1..=n).filter(|m| *m != own).map(|m| match via[m as usize] {
            Some(v) => Member { via: node(v), ..member(m) },
            None => Member { hop: None, ..member(m) },
        });
        Table::builder(node(own), SEGMENT).extend(members, [], []).build()
    }

    /// Sends a frame from a node's interface and carries messages until there are none.
    fn send(&mut self, from: u32, dst: Mac) {
        self.delivered.fill(0);
        self.messages = 0;
        let mut read = Spec { payload: 200, ..Spec::default() }.build();
        read[10..16].copy_from_slice(&dst.0);
        read[16..22].copy_from_slice(&mac(from).0);
        let mut wire: VecDeque<(u32, u32, Vec<u8>)> = VecDeque::new();
        let (table, switch) = &mut self.nodes[from as usize - 1];
        let to: Vec<usize> = match switch.outbound(table, Time::ZERO, frame(&read), &mut [0; ANSWER_MAX]) {
            Outbound::To(at) => vec![at],
            Outbound::Flood => table.flood().collect(),
            _ => vec![],
        };
        for at in to {
            wire.extend(Self::plan(table, switch, at, &read, Route::Own));
        }
        while let Some((sender, receiver, message)) = wire.pop_front() {
            assert!(self.links.contains(&(sender, receiver)));
            self.messages += 1;
            assert!(self.messages < 1000, "a loop");
            let (table, switch) = &mut self.nodes[receiver as usize - 1];
            let (header, shown) = received(&message);
            match switch.inbound(table, Time::ZERO, node(sender), &header, shown) {
                Inbound::Deliver => self.delivered[receiver as usize - 1] += 1,
                Inbound::Relay(at) => {
                    let body = header.body(&message).unwrap();
                    wire.extend(Self::plan(table, switch, at, body, Route::Relay(header)));
                }
                other => assert!(matches!(other, Inbound::Drop(_))),
            }
        }
    }

    fn plan(table: &Table, switch: &mut Switch, at: usize, read: &[u8], route: Route) -> Vec<(u32, u32, Vec<u8>)> {
        let plan = switch.plan(table, at, Time::ZERO, frame(read), route, &mut [0; ANSWER_MAX]);
        if matches!(plan, Plan::Drop(_)) {
            return vec![];
        }
        let via = table.member(at).unwrap().via.get();
        messages(plan, read).into_iter().map(|m| (table.own().get(), via, m)).collect()
    }

    /// Nodes with a way from `from`, itself not among them, and the hops to them: at most `most`.
    fn reach(&self, from: u32, most: usize) -> Vec<u32> {
        let mut seen = vec![from];
        let mut edge = vec![from];
        for _ in 0..most {
            edge = self.links.iter().filter(|(a, b)| edge.contains(a) && !seen.contains(b)).map(|(_, b)| *b).collect();
            edge.sort_unstable();
            edge.dedup();
            seen.extend(&edge);
        }
        seen.remove(0);
        seen
    }
}

/// Each of three nodes in a ring gets exactly one copy of a broadcast, and the sender none.
///
/// PROTOCOL 2.9.
/// Rows: MN-11.
#[test]
fn a_broadcast_in_a_ring_reaches_each_node_once() {
    let mut net = Net::new(3, &[(1, 2), (2, 3), (3, 1)]);
    for from in 1..=3 {
        net.send(from, Mac::BROADCAST);
        let expected: Vec<usize> = (1..=3).map(|n| usize::from(n != from)).collect();
        assert_eq!((&net.delivered, net.messages), (&expected, 2));
    }
}

#[test]
fn without_a_direct_link_one_node_relays() {
    let mut net = Net::new(3, &[(1, 2), (2, 3)]);
    net.send(1, mac(3));
    assert_eq!((net.delivered.as_slice(), net.messages), ([0, 0, 1].as_slice(), 2));
    assert_eq!(net.nodes[1].1.counters.relayed, 1);
    assert_eq!(net.nodes[1].1.counters.rx_packets, 0);
}

/// The tables do not change while messages travel, so that routes agree; a way has at most eight links.
const FAR: usize = 8;

proptest! {
    #[test]
    fn on_any_graph_each_reachable_node_gets_one_copy(
        n in 2u32..8,
        links in proptest::collection::vec((1u32..8, 1u32..8), 0..20),
        from in 1u32..8,
        to in 1u32..8,
    ) {
        let (from, to) = (1 + from % n, 1 + to % n);
        let links: Vec<_> = links.into_iter().filter(|(a, b)| a != b && *a <= n && *b <= n).collect();
        let mut net = Net::new(n, &links);
        let reach = net.reach(from, FAR);
        net.send(from, Mac::BROADCAST);
        for m in 1..=n {
            prop_assert_eq!(net.delivered[m as usize - 1], usize::from(reach.contains(&m)), "node {}", m);
        }
        net.send(from, mac(to));
        for m in 1..=n {
            prop_assert_eq!(net.delivered[m as usize - 1], usize::from(m == to && reach.contains(&m)), "node {}", m);
        }
    }
}
