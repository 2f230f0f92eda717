//! What can go wrong.

use crate::Status;
use messenger::GuestError;

/// Why a service was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain has no character or more than four.
    #[error("a domain has 1 to 4 characters, this one has {length}")]
    Domain {
        /// Characters it has.
        length: usize,
    },
    /// The name of the mailbox is empty or too long.
    #[error("the mailbox has no name, or one of {length} bytes with its domain where {most} are allowed")]
    MailboxName {
        /// Bytes that domain and name take in the name of a port.
        length: usize,
        /// The most.
        most: usize,
    },
    /// No storage processor can be reached that way.
    #[error("the conduit to `{peer}` is not there")]
    NoConduit {
        /// Whom it should lead to.
        peer: String,
    },
    /// Refused on the spot: nothing was done.
    #[error("refused: {0}")]
    Refused(Status),
    /// More bytes than there may be.
    #[error("{size} bytes are too large, {most} are allowed")]
    TooLarge {
        /// Bytes that were asked for.
        size: usize,
        /// The most.
        most: usize,
    },
    /// A buffer of so many bytes cannot be had.
    #[error("there is no buffer of {size} bytes, {most} are the most")]
    NoBuffer {
        /// Bytes that were asked for.
        size: usize,
        /// The most.
        most: usize,
    },
    /// The message was not delivered.
    #[error("the message was not delivered: {0}")]
    Undelivered(messenger::Status),
    /// The daemon refused, or is gone.
    #[error(transparent)]
    Guest(#[from] GuestError),
}

impl Error {
    /// In one word, and in C.
    pub fn status(&self) -> Status {
        match self {
            Error::Domain { .. } | Error::MailboxName { .. } => Status::Invalid,
            Error::NoConduit { .. } => Status::NoConduit,
            Error::Refused(status) => *status,
            Error::TooLarge { .. } => Status::TooLarge,
            Error::NoBuffer { .. } => Status::InsufficientResources,
            Error::Undelivered(status) => Status::from(*status),
            Error::Guest(error) => error.status().map_or(Status::Lost, Status::from),
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        Error::Refused(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use messenger::Code;

    #[test]
    fn each_error_says_what_and_has_a_status() {
        let table: [(Error, Status, &str); 5] = [
            (Error::NoConduit { peer: "b".into() }, Status::NoConduit, "the conduit to `b` is not there"),
            (Status::Closing.into(), Status::Closing, "refused: the session is about to close"),
            (Error::TooLarge { size: 9, most: 8 }, Status::TooLarge, "9 bytes are too large, 8 are allowed"),
            (
                Error::Undelivered(Code::NodeDown.into()),
                Status::NodeDown,
                "the message was not delivered: the node is down",
            ),
            (GuestError::Answer.into(), Status::Lost, "the daemon did not answer as it should"),
        ];
        for (error, status, text) in table {
            assert_eq!((error.status(), &*error.to_string()), (status, text));
        }
    }
}
