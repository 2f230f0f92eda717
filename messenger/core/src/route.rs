//! Which link leads to which member: shortest paths over the neighbours that the records tell.

use crate::{LinkId, NodeId, registry::Registry, wire::Flags};
use alloc::collections::{BTreeMap, VecDeque};

/// The way to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The link to send on.
    pub link: LinkId,
    /// The node at its other end; the member itself when it is a neighbour.
    pub via: NodeId,
    /// How many links the way has; 1 for a neighbour.
    pub hops: u8,
    /// The largest message that every link of the way takes, in bytes.
    pub message: u32,
}

/// Finds the ways from `me`, whose conduits' active links and their largest messages are `neighbours`, to all members. Both
/// ends must tell of a connection for it to count; only a member that relays is passed through. Ties go to the lower node
/// number.
pub(crate) fn routes(
    me: NodeId,
    neighbours: &BTreeMap<NodeId, (LinkId, u32)>,
    registry: &Registry,
) -> BTreeMap<NodeId, Route> {
    let mut found: BTreeMap<NodeId, Route> =
        neighbours.iter().map(|(&via, &(link, message))| (via, Route { link, via, hops: 1, message })).collect();
    let mut queue: VecDeque<NodeId> = neighbours.keys().copied().collect();
    while let Some(node) = queue.pop_front() {
        let Some(route) = found.get(&node).copied() else { continue };
        let Some(entry) = registry.get(node).filter(|e| e.record.relay) else { continue };
        if route.hops > Flags::MAX_HOPS {
            continue;
        }
        for &next in &entry.record.neighbours {
            if next == me || found.contains_key(&next) {
                continue;
            }
            let there = registry.get(next).filter(|e| e.record.neighbours.binary_search(&node).is_ok());
            if let Some(there) = there {
                let message = route.message.min(entry.record.message_to(next)).min(there.record.message_to(node));
                found.insert(next, Route { hops: route.hops + 1, message, ..route });
                queue.push_back(next);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{registry::Entry, wire::sample_record};
    use std::vec::Vec;

    fn id(n: u32) -> NodeId {
        NodeId::new(n).unwrap()
    }

    fn registry(edges: &[(u32, &[u32])], relay: impl Fn(u32) -> bool) -> Registry {
        let mut registry = Registry::default();
        for &(node, neighbours) in edges {
            let mut record = sample_record(node, 1);
            record.neighbours = neighbours.iter().map(|&n| id(n)).collect();
            record.messages.clear();
            record.relay = relay(node);
            registry.insert(Entry::new(record));
        }
        registry
    }

    fn ways(registry: &Registry) -> Vec<(u32, u32, u8)> {
        found(registry).iter().map(|(n, r)| (n.get(), r.via.get(), r.hops)).collect()
    }

    fn found(registry: &Registry) -> BTreeMap<NodeId, Route> {
        let neighbours = BTreeMap::from([(id(2), (LinkId(20), 9_000)), (id(3), (LinkId(30), 1_472))]);
        routes(id(1), &neighbours, registry)
    }

    /// What one end of a link tells is enough, and who tells nothing sets no limit.
    ///
    /// PROTOCOL 4.6.
    #[test]
    fn the_narrowest_link_of_a_way_limits_its_messages() {
        let mut all = registry(&[(2, &[1, 4]), (3, &[1]), (4, &[2, 5]), (5, &[4])], |_| true);
        let messages = |r: &Registry| [3, 4, 5].map(|n| found(r)[&id(n)].message);
        assert_eq!(messages(&all), [1_472, 9_000, 9_000]);
        for (node, told, expected) in [(2, [9_000, 5_000], [5_000, 5_000]), (5, [600, 0], [5_000, 600])] {
            let mut record = all.get(id(node)).unwrap().record.clone();
            record.version += 1;
            record.messages = told[..record.neighbours.len()].to_vec();
            all.insert(Entry::new(record));
            assert_eq!(messages(&all)[1..], expected);
        }
    }

    #[test]
    fn a_member_without_a_direct_link_is_reached_over_the_lower_neighbour() {
        let all = registry(&[(2, &[1, 3, 4]), (3, &[1, 2, 4]), (4, &[2, 3])], |_| true);
        assert_eq!(ways(&all), [(2, 2, 1), (3, 3, 1), (4, 2, 2)]);
    }

    /// PROTOCOL 4.6.
    #[test]
    fn a_member_that_does_not_relay_is_not_passed_through() {
        let all = registry(&[(2, &[1, 4]), (3, &[1, 4]), (4, &[2, 3])], |n| n != 2);
        assert_eq!(ways(&all), [(2, 2, 1), (3, 3, 1), (4, 3, 2)]);
    }

    /// PROTOCOL 4.6.
    #[test]
    fn a_connection_that_one_end_denies_does_not_count() {
        let all = registry(&[(2, &[1, 4]), (3, &[1]), (4, &[])], |_| true);
        assert_eq!(ways(&all), [(2, 2, 1), (3, 3, 1)]);
    }

    /// PROTOCOL 4.6.
    #[test]
    fn the_way_ends_where_the_hop_limit_does() {
        let line: Vec<(u32, Vec<u32>)> = (2..20).map(|n| (n, [n - 1, n + 1].into())).collect();
        let line: Vec<(u32, &[u32])> = line.iter().map(|(n, v)| (*n, &v[..])).collect();
        let farthest = ways(&registry(&line, |_| true)).iter().map(|w| w.2).max();
        assert_eq!(farthest, Some(Flags::MAX_HOPS + 1));
    }
}
