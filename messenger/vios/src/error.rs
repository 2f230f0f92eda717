//! What can go wrong besides what a request's own status tells.

use crate::PacketError;
use messenger::{GuestError, Status};

/// Why a call did not do what it should. What became of a request stands in the request.
#[derive(Debug, thiserror::Error)]
pub enum ViosError {
    /// The node is not there, or ended this guest.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The bytes are no packet.
    #[error("this is no packet: {0}")]
    Packet(#[from] PacketError),
}

impl ViosError {
    /// The node's refusal, if it is one.
    pub fn status(&self) -> Option<Status> {
        match self {
            ViosError::Guest(error) => error.status(),
            ViosError::Packet(_) => None,
        }
    }
}
