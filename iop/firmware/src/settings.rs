//! What the machine was given when it was started: a text under one name in QEMU's firmware configuration.

use crate::arch::SETTINGS;
use alloc::{string::String, vec::Vec};

const DIRECTORY: u16 = 0x19;
const NAME: &[u8] = b"opt/minet/config";
/// Entries that are looked at, and the longest text in bytes.
const ENTRIES: u32 = 256;
const LONGEST: u32 = 4096;

/// How a machine's configuration is read: an item is selected, then its bytes come one by one.
pub struct Items {
    /// Selects an item.
    pub select: fn(u16),
    /// Its next byte.
    pub next: fn() -> u8,
}

impl Items {
    fn bytes<const N: usize>(&self) -> [u8; N] {
        core::array::from_fn(|_| (self.next)())
    }
}

/// The text, if there is one.
pub fn settings() -> Option<String> {
    let items = SETTINGS?;
    (items.select)(DIRECTORY);
    let count = u32::from_be_bytes(items.bytes());
    for _ in 0..count.min(ENTRIES) {
        let (len, select) = (u32::from_be_bytes(items.bytes()), u16::from_be_bytes(items.bytes()));
        let _: [u8; 2] = items.bytes();
        let name: [u8; 56] = items.bytes();
        if name.split(|byte| *byte == 0).next() == Some(NAME) && len <= LONGEST {
            (items.select)(select);
            let text: Vec<u8> = (0..len).map(|_| (items.next)()).collect();
            return String::from_utf8(text).ok();
        }
    }
    None
}
