//! What two nodes say when they meet on a unix socket: one greeting each, then one verdict each.
//!
//! Little-endian, one datagram each. A greeting: magic `MSHM`, lowest and highest version u16 each, lanes u16, length
//! of the hello u16, ring size u32, the hello. With it come the descriptors: one memory a lane, then one doorbell a
//! lane. A verdict: magic `MSHV`, code u16 (0 accepts), reserved u16. A greeting of a later version may be longer
//! behind the hello; what follows is skipped.

use fabric_ring::layout;

/// Lowest version we speak.
pub const VERSION_LOW: u16 = 1;
/// Highest version we speak.
pub const VERSION_HIGH: u16 = 1;
/// The longest hello in bytes.
pub const HELLO_MOST: usize = 256;
/// No message is longer, in bytes.
pub const MESSAGE_MOST: usize = 1024;

const GREETING: [u8; 4] = *b"MSHM";
const VERDICT: [u8; 4] = *b"MSHV";
const HEADER: usize = 16;

/// A message, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// A greeting.
    Greeting(Greeting<'a>),
    /// `None`: accepted.
    Verdict(Option<Refusal>),
}

/// What a node says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting<'a> {
    /// How many lanes it has: 1 to [`super::LANES_MOST`].
    pub lanes: u16,
    /// Bytes in the data area of each of its rings.
    pub ring_size: u32,
    /// The caller's own words, at most [`HELLO_MOST`] bytes.
    pub hello: &'a [u8],
}

/// Why a peer does not want us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It speaks other versions.
    #[error("it speaks other versions")]
    Version,
    /// It could not read our greeting.
    #[error("it could not read the greeting")]
    Malformed,
    /// Our memory or doorbells are not good enough.
    #[error("it did not like the memory or the doorbells")]
    Descriptors,
    /// Our user may not join.
    #[error("our user may not join")]
    NotAllowed,
    /// It is short of memory or descriptors.
    #[error("it is short of memory or descriptors")]
    Resources,
    /// A reason of a later version.
    #[error("reason {0}")]
    Other(u16),
}

/// Why a message makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than it says, or than any message.
    #[error("the message is cut short")]
    Truncated,
    /// Longer than any message.
    #[error("the message is too long")]
    Oversized,
    /// Not one of ours.
    #[error("the message is of another protocol")]
    Magic,
    /// The peer speaks versions from `low` to `high`.
    #[error("the peer speaks versions {low} to {high}, we speak {VERSION_LOW} to {VERSION_HIGH}")]
    Version {
        /// Its lowest.
        low: u16,
        /// Its highest.
        high: u16,
    },
    /// No lanes, or too many.
    #[error("{0} lanes are not possible")]
    Lanes(u16),
    /// Not a power of two within bounds.
    #[error("rings of {0} bytes are not possible")]
    RingSize(u32),
    /// The hello is too long.
    #[error("a hello of {0} bytes is not possible")]
    Hello(u16),
    /// A greeting where a verdict should be, or the other way round.
    #[error("the message comes out of turn")]
    OutOfTurn,
}

impl Refusal {
    const fn code(self) -> u16 {
        match self {
            Refusal::Version => 1,
            Refusal::Malformed => 2,
            Refusal::Descriptors => 3,
            Refusal::NotAllowed => 4,
            Refusal::Resources => 5,
            Refusal::Other(code) => code,
        }
    }

    const fn from_code(code: u16) -> Option<Refusal> {
        match code {
            0 => None,
            1 => Some(Refusal::Version),
            2 => Some(Refusal::Malformed),
            3 => Some(Refusal::Descriptors),
            4 => Some(Refusal::NotAllowed),
            5 => Some(Refusal::Resources),
            other => Some(Refusal::Other(other)),
        }
    }
}

impl<'a> Said<'a> {
    /// Reads a message and checks everything in it.
    pub fn parse(bytes: &'a [u8]) -> Result<Said<'a>, Malformed> {
        if bytes.len() > MESSAGE_MOST {
            return Err(Malformed::Oversized);
        }
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed::Truncated)?;
        match *magic {
            GREETING => Greeting::parse(rest).map(Said::Greeting),
            VERDICT => {
                let (code, _) = take(rest)?;
                Ok(Said::Verdict(Refusal::from_code(code)))
            }
            _ => Err(Malformed::Magic),
        }
    }

    /// The message in bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + HELLO_MOST);
        match self {
            Said::Greeting(greeting) => {
                out.extend(GREETING);
                for half in [VERSION_LOW, VERSION_HIGH, greeting.lanes, greeting.hello.len() as u16] {
                    out.extend(half.to_le_bytes());
                }
                out.extend(greeting.ring_size.to_le_bytes());
                out.extend(greeting.hello);
            }
            Said::Verdict(refusal) => {
                out.extend(VERDICT);
                out.extend(refusal.map_or(0, Refusal::code).to_le_bytes());
                out.extend([0, 0]);
            }
        }
        out
    }
}

impl<'a> Greeting<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Greeting<'a>, Malformed> {
        let (low, rest) = take(bytes)?;
        let (high, rest) = take(rest)?;
        if low > high || low > VERSION_HIGH || high < VERSION_LOW {
            return Err(Malformed::Version { low, high });
        }
        let (lanes, rest) = take(rest)?;
        if lanes == 0 || usize::from(lanes) > super::LANES_MOST {
            return Err(Malformed::Lanes(lanes));
        }
        let (hello_len, rest) = take(rest)?;
        if usize::from(hello_len) > HELLO_MOST {
            return Err(Malformed::Hello(hello_len));
        }
        let (size, rest) = rest.split_first_chunk::<4>().ok_or(Malformed::Truncated)?;
        let ring_size = u32::from_le_bytes(*size);
        if !ring_size_is_valid(ring_size as usize) {
            return Err(Malformed::RingSize(ring_size));
        }
        let hello = rest.get(..usize::from(hello_len)).ok_or(Malformed::Truncated)?;
        Ok(Greeting { lanes, ring_size, hello })
    }
}

/// Whether rings of this many bytes may be offered: a power of two, from 4 KiB to [`super::RING_MOST`].
pub fn ring_size_is_valid(size: usize) -> bool {
    layout::size_is_valid(size) && (4096..=super::RING_MOST).contains(&size)
}

fn take(bytes: &[u8]) -> Result<(u16, &[u8]), Malformed> {
    let (half, rest) = bytes.split_first_chunk::<2>().ok_or(Malformed::Truncated)?;
    Ok((u16::from_le_bytes(*half), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Said<'static> = Said::Greeting(Greeting { lanes: 2, ring_size: 1 << 20, hello: b"node a" });
    const BYTES: &[u8] = b"MSHM\x01\0\x01\0\x02\0\x06\0\0\0\x10\0node a";

    /// PROTOCOL 5.2.
    #[test]
    fn a_greeting_is_these_bytes() {
        assert_eq!(ONE.emit(), BYTES);
        assert_eq!(Said::parse(BYTES), Ok(ONE));
        assert_eq!(Said::parse(&[BYTES, b"later"].concat()), Ok(ONE));
    }

    #[test]
    fn every_verdict_survives() {
        for code in 0..=u16::MAX {
            let verdict = Said::Verdict(Refusal::from_code(code));
            assert_eq!(Said::parse(&verdict.emit()), Ok(verdict));
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        for len in 0..BYTES.len() {
            assert_eq!(Said::parse(&BYTES[..len]), Err(Malformed::Truncated), "{len}");
        }
        assert_eq!(Said::parse(&[0; MESSAGE_MOST + 1]), Err(Malformed::Oversized));
    }

    #[test]
    fn each_field_has_its_bounds() {
        let with = |at: usize, half: u16| {
            let mut bytes = BYTES.to_vec();
            bytes[at..at + 2].copy_from_slice(&half.to_le_bytes());
            Said::parse(&bytes).map(|_| ()).unwrap_err()
        };
        assert_eq!(with(0, 0), Malformed::Magic);
        assert_eq!(with(4, 2), Malformed::Version { low: 2, high: 1 });
        assert_eq!(with(6, 0), Malformed::Version { low: 1, high: 0 });
        assert_eq!(with(8, 0), Malformed::Lanes(0));
        assert_eq!(with(8, 65), Malformed::Lanes(65));
        assert_eq!(with(10, 257), Malformed::Hello(257));
        assert_eq!(with(12, 1), Malformed::RingSize((1 << 20) + 1));
        assert_eq!(with(14, 0), Malformed::RingSize(0));
        assert_eq!(with(14, 0x8000), Malformed::RingSize(1 << 31));
    }
}
