//! Identifiers that are unique in the cluster and across restarts.

use messenger::{NodeId, Numbers};
use std::fmt;

/// An identifier that nobody else gets: the node that gave it, its life, and a number. For transactions, clients, pairs of
/// adapters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueId {
    /// The number of the node that gave it; 0: none was given yet.
    pub node: u32,
    /// That node's life: another value at each start.
    pub life: u32,
    /// Counts up in that life.
    pub number: u64,
}

impl UniqueId {
    /// No identifier yet.
    pub const NONE: UniqueId = UniqueId { node: 0, life: 0, number: 0 };

    /// Whether none was given yet.
    pub const fn is_none(self) -> bool {
        self.node == 0
    }

    /// Who gave it.
    pub fn node_id(self) -> Option<NodeId> {
        NodeId::new(self.node)
    }

    /// All of what a node gave at once.
    pub fn all(numbers: Numbers) -> impl Iterator<Item = UniqueId> {
        let Numbers { node, life, first, count } = numbers;
        (0..u64::from(count)).map(move |n| UniqueId { node: node.get(), life, number: first.wrapping_add(n) })
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:08x}-{:016x}", self.node, self.life, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// A node that starts again counts from the beginning: its life keeps the numbers apart.
    ///
    /// Rows: VI-04.
    #[test]
    fn a_million_numbers_of_two_lives_are_all_different() {
        let lives = [0x1234_5678, 0x1234_5679];
        let node = NodeId::new(1).unwrap();
        let numbers = |life| UniqueId::all(Numbers { node, life, first: 0, count: 500_000 });
        let all: HashSet<UniqueId> = lives.into_iter().flat_map(numbers).collect();
        assert_eq!(all.len(), 1_000_000);
        let one = UniqueId { node: 1, life: 0xab, number: 0x1_0000_0000 };
        assert_eq!(one.to_string(), "00000001-000000ab-0000000100000000");
    }
}
