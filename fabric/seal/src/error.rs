//! What can go wrong, one small word each.

/// Why a datagram was not opened. Nothing of it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// Shorter than a header and a tag.
    #[error("datagram is too short to be sealed")]
    Short,
    /// Not a data datagram of this version.
    #[error("datagram is no sealed data of this version")]
    Kind,
    /// For other keys than these.
    #[error("datagram is for keys that are not here")]
    Index,
    /// Opened before.
    #[error("datagram was seen before")]
    Replayed,
    /// So far behind the newest that nobody can tell whether it was opened before.
    #[error("datagram is too old")]
    Old,
    /// The seal is broken.
    #[error("datagram is forged or damaged")]
    Forged,
}

/// Why a datagram was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SealError {
    /// The buffer has no room for header and tag.
    #[error("buffer has no room for header and tag")]
    Short,
    /// The pieces do not fill the buffer exactly.
    #[error("pieces do not fill the buffer")]
    Length,
    /// The keys sealed as much as they may.
    #[error("keys are used up")]
    UsedUp,
}

/// Why something could not be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SetupError {
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The list of cipher suites is empty.
    #[error("at least one cipher suite must be allowed")]
    NoSuite,
    /// More sending threads than there are streams.
    #[error("a channel has 1 to 15 sending threads")]
    Streams,
    /// As many sessions as there may be.
    #[error("too many sealed sessions")]
    Full,
    /// A node cannot have a session with itself.
    #[error("the peer's public key is this node's own")]
    Own,
}

/// Why a peer does not let us in, or we do not let it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denial {
    /// The key is not on the list of those that may join.
    #[error("the public key is not on the list of those that may join")]
    NotAllowed,
    /// The key was on the list and was taken off it.
    #[error("the public key was revoked")]
    Revoked,
    /// No such invitation was ever made here.
    #[error("the invitation is not one that this node made")]
    NoSuchInvitation,
    /// Somebody joined with it already.
    #[error("the invitation was used already")]
    InvitationUsed,
    /// Its time is over.
    #[error("the invitation has expired")]
    InvitationExpired,
    /// No cipher suite that both ends allow.
    #[error("no cipher suite that both ends allow")]
    NoCommonSuite,
    /// A word of a later version.
    #[error("the peer gives reason {0}, which this version does not know")]
    Other(u8),
}

impl From<u8> for Denial {
    fn from(code: u8) -> Denial {
        match code {
            1 => Denial::NotAllowed,
            2 => Denial::Revoked,
            3 => Denial::NoSuchInvitation,
            4 => Denial::InvitationUsed,
            5 => Denial::InvitationExpired,
            6 => Denial::NoCommonSuite,
            other => Denial::Other(other),
        }
    }
}

impl From<Denial> for u8 {
    fn from(denial: Denial) -> u8 {
        match denial {
            Denial::NotAllowed => 1,
            Denial::Revoked => 2,
            Denial::NoSuchInvitation => 3,
            Denial::InvitationUsed => 4,
            Denial::InvitationExpired => 5,
            Denial::NoCommonSuite => 6,
            Denial::Other(code) => code,
        }
    }
}
