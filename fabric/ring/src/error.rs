//! What can go wrong with a ring.

use core::{error::Error, fmt};

/// Why a ring is dead for this end. It stays dead; only a new offer and a new join help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The peer left, or a new incarnation took the memory.
    Closed,
    /// The peer's position is out of bounds.
    Index,
    /// A record's header makes no sense.
    Record,
}

/// Why nothing was reserved. Nothing was changed either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveError {
    /// No room now.
    Full,
    /// Longer than any record; the most is given in bytes.
    TooLong(usize),
    /// More is committed than was reserved, or nothing was.
    NotReserved,
    /// The ring is dead.
    Broken(Broken),
}

/// Why a ring could not be made in this memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferError {
    /// The data size is not a power of two within bounds.
    Size,
    /// The memory is too short, or not aligned to a header line.
    Memory,
}

/// Why an offered ring was not joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// The memory is too short, or not aligned to a header line.
    Memory,
    /// No ring was ever made here, or it is not finished.
    NotOffered,
    /// Another consumer has it, or had it when it died.
    Running,
    /// The last session is over; the producer has not made a new one.
    Closing,
    /// The producer speaks versions from `low` to `high` only.
    Version {
        /// Lowest version it reads.
        low: u16,
        /// Highest version it reads.
        high: u16,
    },
    /// The sizes in the header do not fit the memory.
    Size,
    /// The positions in the header are out of bounds.
    Index,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broken::Closed => "the peer left the ring",
            Broken::Index => "the peer's position is out of bounds",
            Broken::Record => "a record makes no sense",
        })
    }
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReserveError::Full => f.write_str("no room in the ring now"),
            ReserveError::TooLong(most) => write!(f, "record too long, at most {most} bytes are allowed"),
            ReserveError::NotReserved => f.write_str("more is committed than was reserved"),
            ReserveError::Broken(broken) => broken.fmt(f),
        }
    }
}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OfferError::Size => "the size of a ring must be a power of two within bounds",
            OfferError::Memory => "the memory is too short for the ring or not aligned",
        })
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Memory => f.write_str("the memory is too short for the ring or not aligned"),
            JoinError::NotOffered => f.write_str("no ring is offered in this memory"),
            JoinError::Running => f.write_str("the ring has another consumer"),
            JoinError::Closing => f.write_str("the session of the ring is over"),
            JoinError::Version { low, high } => write!(f, "the ring is of version {low} to {high}"),
            JoinError::Size => f.write_str("the sizes in the ring's header do not fit the memory"),
            JoinError::Index => f.write_str("the positions in the ring's header are out of bounds"),
        }
    }
}

impl Error for Broken {}
impl Error for ReserveError {}
impl Error for OfferError {}
impl Error for JoinError {}

impl From<Broken> for ReserveError {
    fn from(broken: Broken) -> ReserveError {
        ReserveError::Broken(broken)
    }
}
