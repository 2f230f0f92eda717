//! The datagrams of a sealed channel. All numbers are little-endian; every datagram begins with its kind, the version
//! of the sealed channel, and two bytes of zero.
//!
//! | kind | then |
//! | --- | --- |
//! | knock, 24 bytes | nonce u32, MAC 16 |
//! | cookie, 24 | nonce u32, cookie 16 |
//! | init, 144 | sender's index u32, cookie 16, Noise message 1: ephemeral 32, static 48, payload 24 + 16 |
//! | response, 96 | receiver's index u32, Noise message 2: ephemeral 32, payload 40 + 16 |
//! | denial, 64 | receiver's index u32, Noise message 2 without pre-shared key: ephemeral 32, payload 8 + 16 |
//! | lost, 8 | the index that nobody knows u32 |
//! | data | receiver's index u32, counter u64, the message sealed, tag 16 |
//!
//! No answer is longer than what it answers, so that nobody is flooded by way of us.

/// Bytes in front of a sealed message.
pub const HEAD: usize = 16;
/// Bytes behind it.
pub const TAG: usize = 16;
/// Both.
pub const OVERHEAD: usize = HEAD + TAG;

/// Version of the sealed channel.
const VERSION: u8 = 1;

pub(crate) const KNOCK: usize = 24;
pub(crate) const COOKIE: usize = 24;
pub(crate) const INIT: usize = 144;
pub(crate) const RESPONSE: usize = 96;
pub(crate) const DENIAL: usize = 64;
pub(crate) const LOST: usize = 8;
/// Length of a cookie, and of a knock's MAC.
pub(crate) const PROOF: usize = 16;

/// Length of the first message's payload.
pub(crate) const INIT_PAYLOAD: usize = 24;
/// Length of the second message's payload.
pub(crate) const RESPONSE_PAYLOAD: usize = 40;
/// Length of a denial's payload.
pub(crate) const DENIAL_PAYLOAD: usize = 8;

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Asks for a cookie.
    Knock,
    /// Gives one.
    Cookie,
    /// Begins a handshake.
    Init,
    /// Ends it well.
    Response,
    /// Ends it badly.
    Denial,
    /// Nobody here knows the keys of a data datagram.
    Lost,
    /// Carries a message.
    Data,
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Kind::Knock => 0x81,
            Kind::Cookie => 0x82,
            Kind::Init => 0x83,
            Kind::Response => 0x84,
            Kind::Denial => 0x85,
            Kind::Lost => 0x86,
            Kind::Data => 0x8f,
        }
    }

    /// The first four bytes.
    pub(crate) const fn mark(self) -> [u8; 4] {
        [self.code(), VERSION, 0, 0]
    }
}

/// What a datagram says it is; `None` for what is nothing of this version of the sealed channel.
pub fn kind_of(datagram: &[u8]) -> Option<Kind> {
    let mark = datagram.first_chunk::<4>()?;
    [Kind::Data, Kind::Knock, Kind::Cookie, Kind::Init, Kind::Response, Kind::Denial, Kind::Lost]
        .into_iter()
        .find(|kind| kind.mark() == *mark)
}

/// The receiver's index of a data datagram that is long enough to be one.
pub fn index_of(datagram: &[u8]) -> Option<u32> {
    if datagram.len() < OVERHEAD || *datagram.first_chunk::<4>()? != Kind::Data.mark() {
        return None;
    }
    number(datagram)
}

/// Whether a data datagram is the peer's gate's own: it only shows that the peer has the keys, and has no message.
pub fn is_of_gate(datagram: &[u8]) -> bool {
    datagram.get(HEAD - 1) == Some(&(crate::keys::STREAMS - 1))
}

/// The number behind the mark.
pub(crate) fn number(datagram: &[u8]) -> Option<u32> {
    datagram.get(4..)?.first_chunk().map(|n| u32::from_le_bytes(*n))
}

/// A datagram of `kind` with its number and the rest.
pub(crate) fn put(kind: Kind, number: u32, rest: &[&[u8]]) -> Vec<u8> {
    let len = 8 + rest.iter().map(|r| r.len()).sum::<usize>();
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(&kind.mark());
    out.extend_from_slice(&number.to_le_bytes());
    rest.iter().for_each(|r| out.extend_from_slice(r));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_longer_than_the_question() {
        const { assert!(COOKIE <= KNOCK && COOKIE <= INIT && RESPONSE <= INIT && DENIAL <= INIT && LOST <= OVERHEAD) };
    }

    /// PROTOCOL 6.1.
    #[test]
    fn sealed_is_never_taken_for_clear_text() {
        // The version of a message in clear text is the high nibble of its first byte: 1 and, later, a little more.
        for kind in [Kind::Knock, Kind::Cookie, Kind::Init, Kind::Response, Kind::Denial, Kind::Lost, Kind::Data] {
            assert!(kind.code() >= 0x80);
            assert_eq!(kind_of(&kind.mark()), Some(kind));
        }
        assert_eq!(kind_of(&[0x12, 4, 0, 0]), None);
        assert_eq!(kind_of(&[0x8f, 2, 0, 0]), None, "another version");
        assert_eq!(kind_of(&[0x8f, 1, 0, 1]), None, "what must be zero is not");
        assert_eq!(kind_of(&[0x8f, 1, 0]), None);
    }
}
