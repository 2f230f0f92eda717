//! What the kernel's routing side might say: datagrams of any bytes tell of the interface that was asked for and of no other.

use netif::{Change, NAME_MAX};

const INDEX: u32 = 7;

pub fn run(bytes: &[u8]) {
    let changes = Change::read(INDEX, bytes);
    // A message has 16 bytes at the least.
    assert!(changes.len() <= bytes.len() / 16 + 1);
    for change in &changes {
        match change {
            Change::Link(link) => assert!(link.index == INDEX && !link.name.is_empty()),
            Change::Gone | Change::Address(_) | Change::NoAddress(_) | Change::Lost => {}
        }
    }
    if bytes.len() < 16 {
        assert!(changes.is_empty(), "no message");
    }
    // Said twice it is heard twice, where the first time had an end.
    let whole = bytes.len() >= 16 && bytes.first_chunk().map(|n| u32::from_le_bytes(*n) as usize) == Some(bytes.len());
    if whole && bytes.len().is_multiple_of(4) && !changes.contains(&Change::Lost) {
        let twice = Change::read(INDEX, &[bytes, bytes].concat());
        assert_eq!(twice, [&changes[..], &changes[..]].concat());
    }
    const { assert!(NAME_MAX > 0) };
}
