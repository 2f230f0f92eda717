//! What the machine was given when it was started: a text under one name in QEMU's firmware configuration.

use super::port::{read8, write16};
use alloc::{string::String, vec::Vec};

const SELECT: u16 = 0x510;
const DATA: u16 = 0x511;
const DIRECTORY: u16 = 0x19;
const NAME: &[u8] = b"opt/minet/config";
/// Entries that are looked at, and the longest text in bytes.
const ENTRIES: u32 = 256;
const LONGEST: u32 = 4096;

/// The text, if there is one.
pub fn settings() -> Option<String> {
    write16(SELECT, DIRECTORY);
    let count = u32::from_be_bytes(bytes());
    for _ in 0..count.min(ENTRIES) {
        let (len, select) = (u32::from_be_bytes(bytes()), u16::from_be_bytes(bytes()));
        let _: [u8; 2] = bytes();
        let name: [u8; 56] = bytes();
        if name.split(|byte| *byte == 0).next() == Some(NAME) && len <= LONGEST {
            write16(SELECT, select);
            let text: Vec<u8> = (0..len).map(|_| read8(DATA)).collect();
            return String::from_utf8(text).ok();
        }
    }
    None
}

fn bytes<const N: usize>() -> [u8; N] {
    core::array::from_fn(|_| read8(DATA))
}
