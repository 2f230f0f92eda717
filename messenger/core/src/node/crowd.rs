//! More members than a node keeps.

use super::Node;
use crate::{LinkId, NodeId};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

impl Node {
    /// Lets records go until what is left fits, and tells whether any went. Newcomers go first, then whose record
    /// changed; the farthest of them before others. This node and whoever it has a conduit to stay.
    pub(super) fn make_room(&mut self, fresh: &BTreeSet<NodeId>, changed: &BTreeMap<NodeId, LinkId>) -> bool {
        if self.registry.fits() {
            return false;
        }
        let members = self.registry.iter().map(|e| e.record.node);
        let far = members.filter(|n| *n != self.me.node && !self.conduits.contains_key(n));
        let mut order: Vec<((bool, bool, u8), NodeId)> = far
            .map(|n| {
                let hops = self.routes.get(&n).map_or(u8::MAX, |r| r.hops);
                ((fresh.contains(&n), changed.contains_key(&n), hops), n)
            })
            .collect();
        order.sort_unstable();
        let mut any = false;
        while !self.registry.fits() {
            let Some(((newcomer, ..), node)) = order.pop() else { break };
            self.counts.no_room += 1;
            self.let_go(node, newcomer);
            if !newcomer {
                self.forget_asides();
            }
            any = true;
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{World, id};
    use crate::{
        Name, SegmentId,
        registry::{Entry, MEMBERS, RECORD_BYTES},
        wire::{Attachment, Record},
    };
    use core::time::Duration;
    use std::vec::Vec;

    /// Node 2 tells of so many members that there are not, each with interfaces of `addresses` addresses.
    fn lie(w: &mut World, members: u32, addresses: usize) {
        let all: Vec<u32> = (1000..1000 + members).collect();
        let mut own = w.nodes[1].member(id(2)).unwrap().clone();
        own.version += 1;
        own.neighbours.extend(all.iter().map(|n| id(*n)));
        own.messages.clear();
        w.announce(2, &Entry::new(own.clone()));
        for n in all {
            let attachments = (0..1.max(addresses / 255)).map(|s| Attachment {
                segment: SegmentId(s as u32),
                name: Name::new("lan").unwrap(),
                frame: 1514,
                offloads: 0,
                v4: Vec::new(),
                v6: std::vec![[7; 16]; addresses.min(255)],
            });
            let attachments = attachments.collect();
            let name = Name::new(&std::format!("p{n}")).unwrap();
            w.announce(
                2,
                &Entry::new(Record { node: id(n), name, neighbours: [id(2)].into(), attachments, ..own.clone() }),
            );
        }
        w.run(Duration::from_secs(1));
    }

    /// Node 2 lies; 1, 3 and 4 are honest, and 5 comes late: `2 -- 1 -- 3 -- 4`, `5 -- 1`. `PROTOCOL 4.9`.
    fn a_liar_fills_nothing(members: u32, addresses: usize) {
        let mut w = World::new(5);
        for (a, b) in [(1, 2), (1, 3), (3, 4)] {
            w.connect(a, b, 10);
        }
        w.run(Duration::from_secs(1));
        lie(&mut w, members, addresses);
        for n in [1, 3, 4] {
            let kept: Vec<&Record> = w.nodes[n - 1].members().collect();
            let bytes: usize = kept.iter().map(|r| Entry::new((*r).clone()).bytes.len()).sum();
            assert!(kept.len() <= MEMBERS && bytes <= RECORD_BYTES, "{n}: {} members, {bytes} bytes", kept.len());
            assert!([1, 2, 3, 4].iter().all(|m| kept.iter().any(|r| r.node == id(*m))), "{n} knows the honest ones");
        }
        assert!(w.nodes[0].counts().no_room > 0);
        // A neighbour is let in all the same.
        w.connect(1, 5, 10);
        w.run(Duration::from_secs(2));
        assert!(w.nodes[0].member(id(5)).is_some() && w.nodes[0].members().count() <= MEMBERS);
        // The liar goes, and all that it told of.
        w.cables[0].cut = true;
        w.run(Duration::from_secs(8));
        for n in [1, 3, 4, 5] {
            assert_eq!(w.members(n), [1, 3, 4, 5]);
        }
    }

    /// PROTOCOL 4.9.
    #[test]
    fn a_liar_that_tells_of_many_members_fills_nothing() {
        a_liar_fills_nothing(MEMBERS as u32 + 200, 1);
    }

    /// PROTOCOL 4.9.
    #[test]
    fn a_liar_that_tells_of_long_records_fills_nothing() {
        a_liar_fills_nothing(330, 255 * 13);
    }
}
