//! All known names, and what of this node's own changed of late.

use super::Pattern;
use crate::{
    Name, NodeId, PortId,
    limits::CHANGES,
    wire::{Entry, Names, Scope},
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::{cmp::Reverse, ops::Bound};

/// A port somewhere.
pub(crate) type Place = (NodeId, PortId);

/// The names.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    me: NodeId,
    entries: BTreeMap<Place, Arc<Entry>>,
    names: BTreeMap<Name, BTreeSet<Place>>,
    /// How many names each node has.
    counts: BTreeMap<NodeId, usize>,
    /// This node's own changes, the last one of version `version`.
    changes: VecDeque<(PortId, Option<Arc<Entry>>)>,
    version: u64,
    /// The highest claim seen.
    claims: u64,
}

impl Book {
    pub(crate) fn new(me: NodeId) -> Book {
        Book {
            me,
            entries: BTreeMap::new(),
            names: BTreeMap::new(),
            counts: BTreeMap::new(),
            changes: VecDeque::new(),
            version: 0,
            claims: 0,
        }
    }

    /// Raised at each change of this node's own names.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn next_claim(&mut self) -> u64 {
        self.claims = self.claims.saturating_add(1);
        self.claims
    }

    pub(crate) fn get(&self, place: Place) -> Option<&Arc<Entry>> {
        self.entries.get(&place)
    }

    /// How many names a node has.
    pub(crate) fn count(&self, node: NodeId) -> usize {
        self.counts.get(&node).copied().unwrap_or(0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, &Arc<Entry>)> {
        self.entries.iter().map(|(place, entry)| (*place, entry))
    }

    pub(crate) fn of(&self, node: NodeId) -> impl Iterator<Item = (PortId, &Arc<Entry>)> {
        let from = Bound::Included((node, PortId { index: 0, generation: 0 }));
        let to = Bound::Included((node, PortId { index: u16::MAX, generation: u16::MAX }));
        self.entries.range((from, to)).map(|((_, port), entry)| (*port, entry))
    }

    /// Writes an entry; what it replaces is returned.
    pub(crate) fn insert(&mut self, place: Place, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let old = self.remove(place);
        self.claims = self.claims.max(entry.claim);
        self.names.entry(entry.name.clone()).or_default().insert(place);
        if place.0 == self.me {
            self.note(place.1, Some(entry.clone()));
        }
        self.entries.insert(place, entry);
        *self.counts.entry(place.0).or_default() += 1;
        old
    }

    pub(crate) fn remove(&mut self, place: Place) -> Option<Arc<Entry>> {
        let old = self.entries.remove(&place)?;
        if let Some(count) = self.counts.get_mut(&place.0) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&place.0);
            }
        }
        if let Some(places) = self.names.get_mut(&old.name) {
            places.remove(&place);
            if places.is_empty() {
                self.names.remove(&old.name);
            }
        }
        if place.0 == self.me {
            self.note(place.1, None);
        }
        Some(old)
    }

    fn note(&mut self, port: PortId, entry: Option<Arc<Entry>>) {
        self.version += 1;
        self.changes.push_back((port, entry));
        if self.changes.len() > CHANGES {
            self.changes.pop_front();
        }
    }

    /// What somebody who knows this node's names as of `version` has to be told; all for `None` or when it is too long ago.
    pub(crate) fn since(&self, version: Option<u64>) -> Names {
        let lag = version.map(|v| self.version.saturating_sub(v)).filter(|lag| *lag <= self.changes.len() as u64);
        match lag {
            Some(lag) => {
                let skip = self.changes.len() - lag as usize;
                Names { all: false, more: false, changes: self.changes.iter().skip(skip).cloned().collect() }
            }
            None => {
                let changes = self.of(self.me).map(|(port, entry)| (port, Some(entry.clone()))).collect();
                Names { all: true, more: false, changes }
            }
        }
    }

    /// Who has a name: of claims to a name of the fabric only the best, then names of nodes; by node and port.
    pub(crate) fn exact(&self, name: &str) -> Vec<Place> {
        let mut all: Vec<Place> = self.each(name).collect();
        all.sort_unstable();
        all
    }

    /// The first of [`Book::exact`].
    pub(crate) fn first(&self, name: &str) -> Option<Place> {
        self.each(name).min()
    }

    fn each(&self, name: &str) -> impl Iterator<Item = Place> {
        let owner = self.owner(name);
        let local = |p: &&Place| self.get(**p).is_some_and(|e| e.scope == Scope::Node);
        self.names.get(name).into_iter().flatten().filter(local).copied().chain(owner)
    }

    /// Who has a name of the fabric.
    pub(crate) fn owner(&self, name: &str) -> Option<Place> {
        let claims = self.names.get(name)?.iter().filter_map(|place| Some((*place, self.get(*place)?)));
        let claims = claims.filter(|(_, e)| e.scope == Scope::Fabric);
        claims.min_by_key(|(place, e)| (Reverse(e.claim), *place)).map(|(place, _)| place)
    }

    /// The port of this name on one node.
    pub(crate) fn on_node(&self, node: NodeId, name: &str) -> Option<PortId> {
        self.names.get(name)?.iter().find(|(n, _)| *n == node).map(|(_, port)| *port)
    }

    /// Whom a pattern means: by name, then node, then port, which is the same order on every node.
    pub(crate) fn matching(&self, pattern: &Pattern) -> Vec<Place> {
        let prefix = pattern.prefix();
        let range = self.names.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let mut found = Vec::new();
        for (_, places) in range.take_while(|(name, _)| name.starts_with(prefix)) {
            found.extend(places.iter().filter(|p| self.get(**p).is_some_and(|e| pattern.matches(e))));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn entry(name: &str, scope: Scope, claim: u64) -> Arc<Entry> {
        Arc::new(Entry { name: Name::new(name).unwrap(), scope, claim, kind: None, properties: vec![] })
    }

    fn place(node: u32, index: u16) -> Place {
        (NodeId::new(node).unwrap(), PortId { index, generation: 0 })
    }

    /// Rows: PP-5.
    #[test]
    fn the_order_of_a_pattern_does_not_depend_on_the_order_of_news() {
        let all: Vec<(Place, &str)> =
            (0..50).map(|n| (place(1 + n % 7, n as u16), ["b", "a", "c/x"][n as usize % 3])).collect();
        let (mut a, mut b) = (Book::new(NodeId::new(1).unwrap()), Book::new(NodeId::new(2).unwrap()));
        for (at, name) in &all {
            a.insert(*at, entry(name, Scope::Node, 1));
        }
        for (at, name) in all.iter().rev() {
            b.insert(*at, entry(name, Scope::Node, 1));
        }
        let pattern = Pattern::parse("*").unwrap();
        assert_eq!(a.matching(&pattern), b.matching(&pattern));
        assert_eq!(a.matching(&pattern).len(), 50);
        assert!(a.matching(&pattern).iter().map(|p| &a.get(*p).unwrap().name).is_sorted());
    }

    /// PROTOCOL 8.3.
    #[test]
    fn the_highest_claim_has_the_name_then_the_lowest_node() {
        let mut book = Book::new(NodeId::new(9).unwrap());
        book.insert(place(3, 1), entry("x", Scope::Fabric, 5));
        book.insert(place(2, 1), entry("x", Scope::Fabric, 5));
        assert_eq!((book.exact("x"), book.first("x")), (vec![place(2, 1)], Some(place(2, 1))));
        book.insert(place(4, 1), entry("x", Scope::Fabric, 6));
        book.insert(place(5, 1), entry("x", Scope::Node, 7));
        assert_eq!(book.exact("x"), [place(4, 1), place(5, 1)]);
        assert_eq!((book.first("x"), book.first("z")), (Some(place(4, 1)), None));
        assert_eq!((book.owner("x"), book.next_claim()), (Some(place(4, 1)), 8));
        assert_eq!(book.on_node(NodeId::new(5).unwrap(), "x"), Some(place(5, 1).1));
    }

    /// PROTOCOL 8.2.
    #[test]
    fn who_lags_gets_changes_and_who_lags_too_far_all() {
        let mut book = Book::new(NodeId::new(1).unwrap());
        for n in 0..10 {
            book.insert(place(1, n), entry("x", Scope::Node, 1));
        }
        let known = book.version();
        book.remove(place(1, 3));
        book.insert(place(2, 3), entry("not mine".split(' ').next().unwrap(), Scope::Node, 1));
        assert_eq!(book.since(Some(known)), Names { all: false, more: false, changes: vec![(place(1, 3).1, None)] });
        assert_eq!(book.since(Some(book.version())).changes, []);
        assert_eq!(book.since(None).changes.len(), 9);
        for _ in 0..CHANGES {
            book.insert(place(1, 99), entry("y", Scope::Node, 1));
        }
        assert!(book.since(Some(known)).all);
    }
}
