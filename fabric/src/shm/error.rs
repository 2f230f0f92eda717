//! What can go wrong while nodes meet.

use super::greeting::{Malformed, Refusal};
use std::{io, path::PathBuf};

/// Why a node has no socket in the run-time directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The name cannot be a file's.
    #[error("name {0:?} cannot be used for a socket: 1 to {max} bytes, no slash, no dot in front", max = super::NAME_MOST)]
    Name(String),
    /// The directory is missing and cannot be made, or is none.
    #[error(
        "run-time directory {} cannot be used: it must be a directory that user {} may write, or one that can be made",
        path.display(),
        own_user()
    )]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is longer than a socket's address.
    #[error("path {} is too long for a socket", .0.display())]
    PathTooLong(PathBuf),
    /// A node of this name runs.
    #[error("a node named {name} is already running{}", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Busy {
        /// The name.
        name: String,
        /// Its process, when known.
        pid: Option<u32>,
    },
    /// A file cannot be made.
    #[error("cannot make {}, which user {} must be able to", path.display(), own_user())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Whom the kernel asks for permission.
fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Why a peer was not joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The name cannot be a file's.
    #[error("name {0:?} cannot be used for a socket")]
    Name(String),
    /// There is no such node, or it is dead and left its socket.
    #[error("no node named {0} is running")]
    NotRunning(String),
    /// The peer's queue of callers is full.
    #[error("the node named {0} does not answer now")]
    Busy(String),
    /// The peer runs as a user who may not join.
    #[error("process {pid} of user {uid} may not join")]
    NotAllowed {
        /// Its user.
        uid: u32,
        /// Its process.
        pid: u32,
    },
    /// What the caller offers is out of bounds.
    #[error("the offer is out of bounds: {0}")]
    Offer(&'static str),
    /// The peer refused us.
    #[error("the peer refused: {0}")]
    Refused(Refusal),
    /// What the peer said makes no sense.
    #[error("the peer's greeting makes no sense")]
    Malformed(#[from] Malformed),
    /// The peer sent other descriptors than its greeting promised.
    #[error("the peer sent {got} descriptors instead of {expected}")]
    Descriptors {
        /// How many the greeting promised.
        expected: usize,
        /// How many came.
        got: usize,
    },
    /// A descriptor that should be a doorbell is none.
    #[error("the peer's doorbell {0} is not an event descriptor that never blocks")]
    NotABell(usize),
    /// The memory could be cut off under us.
    #[error("the peer's memory {0} is not sealed")]
    NotSealed(usize),
    /// The memory has another size than the greeting says.
    #[error("the peer's memory {index} has {got} bytes instead of {expected}")]
    Size {
        /// Which.
        index: usize,
        /// What the greeting says.
        expected: usize,
        /// What it has.
        got: u64,
    },
    /// There is no usable ring in the memory.
    #[error("the peer's ring {index} cannot be joined")]
    Ring {
        /// Which.
        index: usize,
        /// Why.
        source: fabric_ring::JoinError,
    },
    /// The peer went away while greeting.
    #[error("the peer went away while greeting")]
    Gone,
    /// The system refused.
    #[error("cannot talk to the peer")]
    Io(#[from] io::Error),
}

impl From<rustix::io::Errno> for JoinError {
    fn from(error: rustix::io::Errno) -> JoinError {
        JoinError::Io(error.into())
    }
}

impl JoinError {
    /// What to tell the peer about it.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            JoinError::NotAllowed { .. } => Some(Refusal::NotAllowed),
            JoinError::Malformed(Malformed::Version { .. }) => Some(Refusal::Version),
            JoinError::Malformed(_) => Some(Refusal::Malformed),
            JoinError::Descriptors { .. }
            | JoinError::NotABell(_)
            | JoinError::NotSealed(_)
            | JoinError::Size { .. }
            | JoinError::Ring { .. } => Some(Refusal::Descriptors),
            JoinError::Io(_) => Some(Refusal::Resources),
            JoinError::Name(_)
            | JoinError::NotRunning(_)
            | JoinError::Busy(_)
            | JoinError::Offer(_)
            | JoinError::Refused(_)
            | JoinError::Gone => None,
        }
    }
}
