//! Whom a path means, and which of them gets a message.

use crate::{
    Name, NodeId, Pattern, PortId,
    exchange::Exchange,
    status::{Code, Status},
    wire::{Entry, Priority},
};
use alloc::vec::Vec;

/// Whom a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One port by its number.
    Port(NodeId, PortId),
    /// Ports of one name: the one of the fabric, and those of nodes.
    Name(Name),
    /// All ports a pattern matches.
    Pattern(Pattern),
    /// The ports of one name on each of some nodes.
    Nodes(Vec<NodeId>, Name),
    /// The ports of one name on every other node that can be reached.
    Everywhere(Name),
}

impl Target {
    /// Whether names decide who is meant.
    pub(crate) fn is_found_by_name(&self) -> bool {
        matches!(self, Target::Name(_) | Target::Pattern(_))
    }

    pub(crate) fn means(&self, entry: &Entry) -> bool {
        match self {
            Target::Name(name) => *name == entry.name,
            Target::Pattern(pattern) => pattern.matches(entry),
            Target::Port(..) | Target::Nodes(..) | Target::Everywhere(_) => false,
        }
    }
}

/// Which of those meant by name or pattern gets a message. Lists of nodes and everywhere mean all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The first by name, node and port: the same one from every node.
    #[default]
    First,
    /// Each in turn.
    RoundRobin,
    /// Each of this node's own in turn; of all when there is none.
    LocalRoundRobin,
    /// This node's own with the most room; of all in turn when there is none.
    LocalBest,
    /// All of them.
    All,
}

/// One target: its node, and its port or why there is none.
pub(crate) type Aim = (NodeId, Result<PortId, Status>);

/// A target with its port.
pub(crate) type Known = (NodeId, PortId);

impl Exchange {
    /// Whom a target means now.
    pub(crate) fn means(&self, target: &Target) -> Vec<(NodeId, PortId)> {
        match target {
            Target::Name(name) => self.book.exact(name),
            Target::Pattern(pattern) => self.book.matching(pattern),
            Target::Port(node, port) => [(*node, *port)].into(),
            Target::Nodes(..) | Target::Everywhere(_) => Vec::new(),
        }
    }

    /// Whom the next message goes to, where that is one or nobody whose turn ever it is; `None`: not such a target.
    pub(crate) fn aim_at_one(&self, target: &Target, choice: Choice) -> Option<Option<Aim>> {
        match (target, choice) {
            (Target::Port(node, port), _) => Some(Some((*node, Ok(*port)))),
            // While somebody is about to leave, there is something to choose.
            (Target::Name(name), Choice::First) if self.leaving.is_empty() => {
                Some(self.book.first(name).map(|(node, port)| (node, Ok(port))))
            }
            _ => None,
        }
    }

    /// Whom the next message goes to.
    pub(crate) fn aim(&self, target: &Target, choice: Choice, turn: usize, priority: Priority) -> Vec<Aim> {
        let found = match target {
            Target::Nodes(nodes, name) => return nodes.iter().map(|n| self.aim_at_node(*n, name)).collect(),
            Target::Everywhere(name) => {
                let there = self.peers.iter().filter(|(_, p)| p.up);
                return there.map(|(n, _)| self.aim_at_node(*n, name)).collect();
            }
            Target::Port(..) | Target::Name(_) | Target::Pattern(_) => self.means(target),
        };
        // Who is about to leave is not chosen while another would do.
        let stays = |(node, _): &(NodeId, PortId)| !self.leaving.contains(node);
        let some_stay = choice != Choice::All && found.iter().any(stays);
        let found: Vec<_> = found.into_iter().filter(|known| !some_stay || stays(known)).collect();
        let local: Vec<_> = found.iter().copied().filter(|(node, _)| *node == self.me).collect();
        let in_turn = |all: &[(NodeId, PortId)]| turn.checked_rem(all.len()).and_then(|n| all.get(n).copied());
        let chosen = match choice {
            Choice::All => return found.into_iter().map(|(n, p)| (n, Ok(p))).collect(),
            Choice::First => found.first().copied(),
            Choice::LocalRoundRobin if !local.is_empty() => in_turn(&local),
            Choice::LocalBest if !local.is_empty() => {
                let free = |port| self.port(port).map_or(0, |p| p.free(priority));
                // The first of equal ones.
                local.iter().rev().copied().max_by_key(|(_, port)| free(*port))
            }
            Choice::RoundRobin | Choice::LocalRoundRobin | Choice::LocalBest => in_turn(&found),
        };
        chosen.into_iter().map(|(n, p)| (n, Ok(p))).collect()
    }

    pub(super) fn aim_at_node(&self, node: NodeId, name: &str) -> Aim {
        let there = node == self.me || self.peers.get(&node).is_some_and(|p| p.up);
        let port = self.book.on_node(node, name).filter(|_| there);
        (node, port.ok_or(Status::new(if there { Code::NoPort } else { Code::NodeDown })))
    }
}
