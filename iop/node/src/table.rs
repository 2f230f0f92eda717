//! The system table: who else is on the memory that I/O processors share, told by their manager on each one's board.
//!
//! Words of the board's first page, u32:
//!
//! | offset | word | written by | is |
//! | --- | --- | --- | --- |
//! | 24 | seen | processor | version of the table that it acted on last |
//! | 512 | version | host | one more at each change; 0: there is no table |
//! | 516 | check | host | the `check` of version and entries: a table that is being written is not taken |
//! | 520 | count | host | entries, at most [`ENTRIES_MOST`] |
//! | 524 | entries | host | three words each: node, life, slot in the low byte with [`ENABLED`] and [`GOING`] |

use crate::board::Page;
use alloc::vec::Vec;
use messenger_core::NodeId;

/// Entries of a table at the most.
pub const ENTRIES_MOST: usize = 16;
/// Others may send the processor new messages.
pub const ENABLED: u32 = 1 << 8;
/// The processor is to finish what is under way, and to take nothing new.
pub const GOING: u32 = 1 << 9;

const SEEN_AT: usize = 24;
const VERSION_AT: usize = 512;
const CHECK_AT: usize = 516;
const COUNT_AT: usize = 520;
const ENTRIES_AT: usize = 524;

// The pulse stands behind it.
const _: () = assert!(ENTRIES_AT + 12 * ENTRIES_MOST <= crate::board::PULSE_AT);

/// One processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its node.
    pub node: NodeId,
    /// Which life of it, counted by the manager; not 0.
    pub life: u32,
    /// Its number on the shared memory, below [`ENTRIES_MOST`].
    pub slot: u8,
    /// Others may send it new messages.
    pub enabled: bool,
    /// It is to finish what is under way, and to take nothing new.
    pub going: bool,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Counts up at each change; 0 for none.
    pub version: u32,
    /// In no order.
    pub entries: Vec<Entry>,
}

/// FNV-1a over words.
fn check(words: impl IntoIterator<Item = u32>) -> u32 {
    let bytes = words.into_iter().flat_map(u32::to_le_bytes);
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl Entry {
    const fn words(&self) -> [u32; 3] {
        let enabled = if self.enabled { ENABLED } else { 0 };
        [self.node.get(), self.life, self.slot as u32 | enabled | if self.going { GOING } else { 0 }]
    }

    fn of([node, life, bits]: [u32; 3]) -> Option<Entry> {
        let (slot, enabled, going) = (bits as u8, bits & ENABLED != 0, bits & GOING != 0);
        let right = life != 0 && usize::from(slot) < ENTRIES_MOST;
        NodeId::new(node).filter(|_| right).map(|node| Entry { node, life, slot, enabled, going })
    }
}

impl Table {
    /// The host's part: writes it on a board. Entries beyond [`ENTRIES_MOST`] are left out.
    pub fn write(&self, page: &impl Page) {
        let entries: Vec<u32> = self.entries.iter().take(ENTRIES_MOST).flat_map(Entry::words).collect();
        page.write(CHECK_AT, 0);
        page.write(COUNT_AT, (entries.len() / 3) as u32);
        for (n, word) in entries.iter().enumerate() {
            page.write(ENTRIES_AT + 4 * n, *word);
        }
        page.write(VERSION_AT, self.version);
        page.write(CHECK_AT, check([self.version].into_iter().chain(entries)));
    }

    /// The processor's part: the table, if there is one of another version than `known` and it is whole.
    pub fn read(page: &impl Page, known: u32) -> Option<Table> {
        let version = page.read(VERSION_AT);
        let count = page.read(COUNT_AT) as usize;
        if version == known || version == 0 || count > ENTRIES_MOST {
            return None;
        }
        let words: Vec<u32> = (0..3 * count).map(|n| page.read(ENTRIES_AT + 4 * n)).collect();
        if page.read(CHECK_AT) != check([version].into_iter().chain(words.iter().copied())) {
            return None;
        }
        let entries = words.chunks_exact(3).filter_map(|entry| Entry::of(*entry.first_chunk()?)).collect();
        Some(Table { version, entries })
    }

    /// The entry of a node.
    pub fn entry(&self, node: NodeId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.node == node)
    }
}

/// The processor says which version it acted on.
pub fn set_seen(page: &impl Page, version: u32) {
    page.write(SEEN_AT, version);
}

/// Which version the processor says it acted on.
pub fn seen(page: &impl Page) -> u32 {
    page.read(SEEN_AT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::tests::Sheet;

    fn table(version: u32, count: u32) -> Table {
        let entry = |n: u32| Entry {
            node: NodeId::new(n + 9).unwrap(),
            life: n + 1,
            slot: n as u8,
            enabled: n.is_multiple_of(2),
            going: n.is_multiple_of(3),
        };
        Table { version, entries: (0..count).map(entry).collect() }
    }

    /// PROTOCOL 9.8.
    #[test]
    fn what_is_written_is_read_once() {
        let sheet = Sheet::new(0);
        assert_eq!(Table::read(&sheet, 0), None);
        for count in 0..=16 {
            let table = table(count + 1, count);
            table.write(&sheet);
            assert_eq!(Table::read(&sheet, count), Some(table));
            assert_eq!(Table::read(&sheet, count + 1), None, "it is known");
        }
        set_seen(&sheet, 7);
        assert_eq!(seen(&sheet), 7);
    }

    /// The other side may write at any time, and anything.
    #[test]
    fn half_a_table_and_garbage_are_not_taken() {
        let sheet = Sheet::new(0);
        table(1, 5).write(&sheet);
        let whole = sheet.0.borrow().clone();
        for at in (VERSION_AT..ENTRIES_AT + 4 * 15).step_by(4) {
            sheet.write(at, sheet.read(at) ^ 0x10);
            assert_eq!(Table::read(&sheet, 0), None, "{at}");
            sheet.0.replace(whole.clone());
        }
        for fill in [1, 0xa5a5_a5a5, u32::MAX] {
            assert_eq!(Table::read(&Sheet::new(fill), 0), None);
        }
        let wrong = [[0, 1, 0], [u32::MAX, 1, 0], [9, 0, 0], [9, 1, 16], [9, 1, 255]];
        assert!(wrong.into_iter().all(|words| Entry::of(words).is_none()));
    }
}
