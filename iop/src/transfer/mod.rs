//! An image on its way to a processor that is a process: in fragments, each checked, and from where it was interrupted.
//!
//! The line is a socket that keeps message boundaries. Numbers are little-endian.
//!
//! | message | from | bytes |
//! | --- | --- | --- |
//! | 1 offer | manager | version u8, length of the image u64, its CRC-32 |
//! | 2 have | processor | bytes from the beginning that are there u64; after an offer and after each fragment |
//! | 3 fragment | manager | where it begins u64, its CRC-32, at most 32 KiB |
//! | 4 start | manager | nothing, with a descriptor: the socket of the shared memory |
//! | 5 refused | processor | why, text |
//!
//! A fragment that is altered, or does not continue what is there, is dropped, and *have* says where to go on. The manager starts the
//! image when all of it is there; the processor checks the whole before it says so, and begins anew when that fails. What is there
//! outlives the process that took it: a file, named by length and sum, to which the next one adds.

mod load;
mod send;

pub use load::{LoadError, load};
pub(crate) use send::send;

const VERSION: u8 = 1;
/// Bytes of an image in one fragment.
pub(crate) const FRAGMENT: usize = 32 << 10;
/// The longest message.
const MESSAGE: usize = FRAGMENT + 13;
/// Fragments that are under way at one time.
const WINDOW: u64 = 8;

/// What is said on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Message<'a> {
    Offer { len: u64, sum: u32 },
    Have(u64),
    Fragment { at: u64, sum: u32, bytes: &'a [u8] },
    Start,
    Refused(&'a str),
}

impl<'a> Message<'a> {
    fn emit(&self) -> Vec<u8> {
        match self {
            Message::Offer { len, sum } => [&[1, VERSION][..], &len.to_le_bytes(), &sum.to_le_bytes()].concat(),
            Message::Have(len) => [&[2][..], &len.to_le_bytes()].concat(),
            Message::Fragment { at, sum, bytes } => [&[3][..], &at.to_le_bytes(), &sum.to_le_bytes(), bytes].concat(),
            Message::Start => vec![4],
            Message::Refused(why) => [&[5][..], why.as_bytes()].concat(),
        }
    }

    /// `None` for what is none.
    fn parse(message: &'a [u8]) -> Option<Message<'a>> {
        let (kind, rest) = message.split_first()?;
        let long = |bytes: &'a [u8]| {
            let (number, rest) = bytes.split_first_chunk::<8>()?;
            Some((u64::from_le_bytes(*number), rest))
        };
        let sum = |bytes: &'a [u8]| {
            let (number, rest) = bytes.split_first_chunk::<4>()?;
            Some((u32::from_le_bytes(*number), rest))
        };
        match kind {
            1 => {
                let (version, rest) = rest.split_first()?;
                let (len, rest) = long(rest)?;
                let (sum, rest) = sum(rest)?;
                (*version == VERSION && rest.is_empty()).then_some(Message::Offer { len, sum })
            }
            2 => long(rest).filter(|(_, rest)| rest.is_empty()).map(|(len, _)| Message::Have(len)),
            3 => {
                let (at, rest) = long(rest)?;
                let (sum, bytes) = sum(rest)?;
                (!bytes.is_empty() && bytes.len() <= FRAGMENT).then_some(Message::Fragment { at, sum, bytes })
            }
            4 => rest.is_empty().then_some(Message::Start),
            5 => std::str::from_utf8(rest).ok().map(Message::Refused),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
