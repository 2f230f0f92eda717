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
}

/// Finds the ways from `me`, whose conduits' active links are `neighbours`, to all members. Both ends must tell of a
/// connection for it to count; only a member that relays is passed through. Ties go to the lower node number.
pub(crate) fn routes(
    me: NodeId,
    neighbours: &BTreeMap<NodeId, LinkId>,
    registry: &Registry,
) -> BTreeMap<NodeId, Route> {
    let mut found: BTreeMap<NodeId, Route> =
        neighbours.iter().map(|(&via, &link)| (via, Route { link, via, hops: 1 })).collect();
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
            if registry.get(next).is_some_and(|e| e.record.neighbours.binary_search(&node).is_ok()) {
                found.insert(next, Route { hops: route.hops + 1, ..route });
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
            record.relay = relay(node);
            registry.insert(Entry::new(record));
        }
        registry
    }

    fn ways(registry: &Registry) -> Vec<(u32, u32, u8)> {
        let neighbours = BTreeMap::from([(id(2), LinkId(20)), (id(3), LinkId(30))]);
        routes(id(1), &neighbours, registry).iter().map(|(n, r)| (n.get(), r.via.get(), r.hops)).collect()
    }

    #[test]
    fn a_member_without_a_direct_link_is_reached_over_the_lower_neighbour() {
        let all = registry(&[(2, &[1, 3, 4]), (3, &[1, 2, 4]), (4, &[2, 3])], |_| true);
        assert_eq!(ways(&all), [(2, 2, 1), (3, 3, 1), (4, 2, 2)]);
    }

    #[test]
    fn a_member_that_does_not_relay_is_not_passed_through() {
        let all = registry(&[(2, &[1, 4]), (3, &[1, 4]), (4, &[2, 3])], |n| n != 2);
        assert_eq!(ways(&all), [(2, 2, 1), (3, 3, 1), (4, 3, 2)]);
    }

    #[test]
    fn a_connection_that_one_end_denies_does_not_count() {
        let all = registry(&[(2, &[1, 4]), (3, &[1]), (4, &[])], |_| true);
        assert_eq!(ways(&all), [(2, 2, 1), (3, 3, 1)]);
    }

    #[test]
    fn the_way_ends_where_the_hop_limit_does() {
        let line: Vec<(u32, Vec<u32>)> = (2..20).map(|n| (n, [n - 1, n + 1].into())).collect();
        let line: Vec<(u32, &[u32])> = line.iter().map(|(n, v)| (*n, &v[..])).collect();
        let farthest = ways(&registry(&line, |_| true)).iter().map(|w| w.2).max();
        assert_eq!(farthest, Some(Flags::MAX_HOPS + 1));
    }
}
