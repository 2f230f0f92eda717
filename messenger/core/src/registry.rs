//! The records of all members this node can reach, kept equal with the neighbours'.

use crate::{LinkId, NodeId, wire::Announce, wire::Record};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

/// A record and the bytes it came as.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    pub(crate) bytes: Arc<[u8]>,
}

impl Entry {
    pub(crate) fn new(record: Record) -> Entry {
        let mut bytes = Vec::new();
        record.emit(&mut bytes);
        Entry { record, bytes: bytes.into() }
    }

    fn weight(&self) -> usize {
        self.bytes.len().max(SHARE)
    }
}

/// The highest version there is.
pub(crate) const VERSION_MOST: u64 = 1 << 63;
/// Who finds another record of its number writes one of a version so much higher: more than one life uses up.
pub(crate) const LEAP: u64 = 1 << 20;
/// Versions beyond this are taken from the member's own side alone: whatever another tells, the member can write a newer one.
pub(crate) const VERSION_TOLD: u64 = VERSION_MOST - 2 * LEAP;

/// Most members that a node keeps.
pub(crate) const MEMBERS: usize = 4096;
/// Most bytes that their records take together.
pub(crate) const RECORD_BYTES: usize = 16 << 20;
/// What every record counts for at the least: who stays below it changes its record whatever others took.
const SHARE: usize = 2048;

/// A record on its way in.
#[derive(Clone, Debug)]
struct Partial {
    node: NodeId,
    version: u64,
    bytes: Vec<u8>,
}

/// All records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    entries: BTreeMap<NodeId, Entry>,
    partials: BTreeMap<LinkId, Partial>,
    digest: u64,
    /// What the records count for together, in bytes.
    weight: usize,
}

impl Registry {
    /// Equal on two nodes that hold the same versions of the same records.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<&Entry> {
        self.entries.get(&node)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Whether there are not more records than a node keeps.
    pub(crate) fn fits(&self) -> bool {
        self.entries.len() <= MEMBERS && self.weight <= RECORD_BYTES
    }

    /// Keeps a record if it is newer than what is there.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        let (node, edition) = (entry.record.node, Edition::of(&entry.record));
        if self.entries.get(&node).is_some_and(|old| Edition::of(&old.record) >= edition) {
            return false;
        }
        self.remove(node);
        self.weight += entry.weight();
        self.entries.insert(node, entry);
        self.digest ^= mix(node, edition);
        true
    }

    pub(crate) fn remove(&mut self, node: NodeId) -> Option<Entry> {
        let old = self.entries.remove(&node)?;
        self.weight -= old.weight();
        self.digest ^= mix(node, Edition::of(&old.record));
        Some(old)
    }

    /// Takes a part of a record; returns the record when it is whole and right. Parts come in order or are of no use:
    /// what was lost is sent again when digests are compared.
    pub(crate) fn assemble(&mut self, link: LinkId, part: &Announce<'_>) -> Option<Entry> {
        let total = part.total as usize;
        if total > Record::MAX_LEN || part.bytes.len() > total {
            return None;
        }
        if part.offset == 0 {
            let partial = Partial { node: part.node, version: part.version, bytes: part.bytes.to_vec() };
            self.partials.insert(link, partial);
        } else {
            let partial = self.partials.get_mut(&link)?;
            let fits = partial.bytes.len() == part.offset as usize && partial.bytes.len() + part.bytes.len() <= total;
            if partial.node != part.node || partial.version != part.version || !fits {
                self.partials.remove(&link);
                return None;
            }
            partial.bytes.extend_from_slice(part.bytes);
        }
        if self.partials.get(&link)?.bytes.len() < total {
            return None;
        }
        let partial = self.partials.remove(&link)?;
        let record = Record::parse(&partial.bytes).ok()?;
        let right = record.node == partial.node && record.version == partial.version && is_ordered(&record.neighbours);
        right.then(|| Entry { record, bytes: partial.bytes.into() })
    }

    pub(crate) fn forget_link(&mut self, link: LinkId) {
        self.partials.remove(&link);
    }
}

/// Most records that are set aside for one neighbour.
const ASIDE: usize = 4096;

/// Records that a neighbour has and this node does not keep, since no way leads from here to their members. They count in
/// what is compared with that neighbour, so that two nodes that reach different members agree nonetheless.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aside {
    /// By member: which edition, and whether it was told since the last sweep.
    editions: BTreeMap<NodeId, (Edition, bool)>,
    digest: u64,
}

impl Aside {
    /// To be combined with the registry's by exclusive or.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn note(&mut self, node: NodeId, edition: Edition) {
        if self.editions.len() >= ASIDE && !self.editions.contains_key(&node) {
            return;
        }
        if let Some((old, _)) = self.editions.insert(node, (edition, true)) {
            self.digest ^= mix(node, old);
        }
        self.digest ^= mix(node, edition);
    }

    /// Forgets what was not told since the last sweep: the neighbour told all it has, and has these no more.
    pub(crate) fn sweep(&mut self) {
        let mut digest = 0;
        self.editions.retain(|node, (edition, told)| {
            let keep = core::mem::take(told);
            digest ^= if keep { mix(*node, *edition) } else { 0 };
            keep
        });
        self.digest = digest;
    }

    pub(crate) fn clear(&mut self) {
        *self = Aside::default();
    }
}

/// Cuts a record into announcements of at most `room` bytes each.
pub(crate) fn parts(entry: &Entry, room: usize) -> impl Iterator<Item = Announce<'_>> {
    let (node, version, total) = (entry.record.node, entry.record.version, entry.bytes.len() as u32);
    entry.bytes.chunks(room.max(1)).scan(0, move |offset, bytes| {
        let part = Announce { node, version, offset: *offset, total, bytes };
        *offset += bytes.len() as u32;
        Some(part)
    })
}

fn is_ordered(nodes: &[NodeId]) -> bool {
    nodes.is_sorted_by(|a, b| a < b)
}

/// What tells one record of a member from another, in order: of one version, that of the higher incarnation counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edition {
    version: u64,
    incarnation: u32,
}

impl Edition {
    pub(crate) fn of(record: &Record) -> Edition {
        Edition { version: record.version, incarnation: record.incarnation.get() }
    }
}

/// A well-spread number for an edition of a record (the finalizer of SplitMix64, twice).
fn mix(node: NodeId, edition: Edition) -> u64 {
    let who = u64::from(node.get()) << 32 | u64::from(edition.incarnation);
    spread(edition.version ^ spread(who.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

fn spread(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sample_record;

    fn entry(node: u32, version: u64) -> Entry {
        Entry::new(sample_record(node, version))
    }

    /// PROTOCOL 4.2.
    #[test]
    fn the_newest_version_counts_and_the_digest_follows() {
        let (mut a, mut b) = (Registry::default(), Registry::default());
        assert!(a.insert(entry(1, 1)) && a.insert(entry(2, 5)) && a.insert(entry(1, 2)));
        assert!(!a.insert(entry(1, 2)) && !a.insert(entry(1, 1)));
        assert!(b.insert(entry(2, 5)) && b.insert(entry(1, 2)));
        assert_eq!(a.digest(), b.digest());
        b.remove(NodeId::new(2).unwrap());
        assert_ne!(a.digest(), b.digest());
        a.remove(NodeId::new(2).unwrap());
        assert_eq!(a.digest(), b.digest());
    }

    #[test]
    fn records_weigh_what_they_take_and_no_less_than_a_share() {
        let mut registry = Registry::default();
        let long = |version| {
            let mut record = sample_record(1, version);
            record.neighbours = (1..10_000).map(|n| NodeId::new(n).unwrap()).collect();
            Entry::new(record)
        };
        assert!(registry.insert(entry(2, 1)) && registry.insert(long(1)) && registry.insert(long(2)));
        assert_eq!(registry.weight, SHARE + long(1).bytes.len());
        assert!(registry.insert(entry(1, 3)));
        assert_eq!(registry.weight, 2 * SHARE);
        registry.remove(NodeId::new(1).unwrap());
        registry.remove(NodeId::new(2).unwrap());
        assert_eq!(registry.weight, 0);
    }

    /// PROTOCOL 4.5.
    #[test]
    fn what_is_set_aside_counts_once() {
        let (mut here, mut there, mut aside) = (Registry::default(), Registry::default(), Aside::default());
        assert!(there.insert(entry(1, 1)) && there.insert(entry(2, 5)) && here.insert(entry(1, 1)));
        for version in [3, 5, 5] {
            aside.note(NodeId::new(2).unwrap(), Edition::of(&entry(2, version).record));
        }
        assert_eq!(here.digest() ^ aside.digest(), there.digest());
        aside.sweep();
        assert_eq!(here.digest() ^ aside.digest(), there.digest(), "told since the last sweep");
        aside.sweep();
        assert_eq!(aside.digest(), 0);
    }

    /// PROTOCOL 4.3.
    #[test]
    fn a_record_in_parts_is_whole_only_in_order() {
        let (mut registry, whole) = (Registry::default(), entry(7, 3));
        let all: Vec<_> = parts(&whole, 10).collect();
        assert!(all.len() > 3);
        let mut got = None;
        for part in &all {
            got = registry.assemble(LinkId(1), part);
        }
        assert_eq!(got.map(|e| e.record), Some(whole.record.clone()));
        // One part lost: nothing comes of it, and nothing stays.
        for part in all.iter().skip(1) {
            assert!(registry.assemble(LinkId(1), part).is_none());
        }
        assert!(registry.partials.is_empty());
    }

    /// PROTOCOL 4.3.
    #[test]
    fn lies_about_lengths_are_nothing() {
        let mut registry = Registry::default();
        let node = NodeId::new(1).unwrap();
        for (offset, total) in [(0, u32::MAX), (0, 1), (u32::MAX, 4), (4, 4)] {
            let part = Announce { node, version: 1, offset, total, bytes: b"abcd" };
            assert!(registry.assemble(LinkId(1), &part).is_none());
        }
    }
}
