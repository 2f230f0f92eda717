//! What can go wrong for a guest.

use crate::{PlaceError, Status, protocol::FrameError};
use std::{io, path::PathBuf};

/// Why a call of a guest did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// There is no daemon, or it is not known which.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Nobody listens there.
    #[error("no daemon takes guests at {path}: {source} (is `minet run` running?)")]
    NotRunning {
        /// Where it was looked for.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The daemon refused the call; nothing was done.
    #[error("{0}")]
    Refused(Status),
    /// The daemon ended this guest: its ports, tickets and watches are gone.
    #[error("the daemon ended this guest: {0}")]
    CutOff(String),
    /// The connection broke.
    #[error("the connection to the daemon broke: {0}")]
    Io(#[from] io::Error),
    /// Not understood.
    #[error("the daemon's word is not understood: {0} (is it of another version?)")]
    Frame(#[from] FrameError),
    /// The daemon answered something else than was asked, or not at all.
    #[error("the daemon did not answer as it should")]
    Answer,
}

impl GuestError {
    /// The daemon's refusal, if it is one.
    pub fn status(&self) -> Option<Status> {
        match self {
            GuestError::Refused(status) => Some(*status),
            _ => None,
        }
    }
}
