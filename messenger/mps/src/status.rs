//! How things went, in one number a case: the same in Rust, in C, and in events.

use messenger::Code;
use std::fmt;

/// How a service went. The numbers are those of the C library and stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Status {
    /// It is done.
    Success = 0,
    /// It is under way; an event tells its end.
    Pending = 1,
    /// There is no memory for it, a table is full, or too much is under way to the target.
    InsufficientResources = 2,
    /// An argument is not what it should be.
    Invalid = 3,
    /// The mailbox is open on this storage processor already.
    Exists = 4,
    /// The session is not open, or not any more.
    NotOpen = 5,
    /// The session waits for its closure and takes nothing new.
    Closing = 6,
    /// The destination is no storage processor of the session's conduit.
    DestinationInvalid = 7,
    /// The buffer is not one that was allocated here, or it was freed or released.
    BufferInvalid = 8,
    /// The buffer is being sent.
    BufferInUse = 9,
    /// More bytes than the buffer has, or than a message may have.
    TooLarge = 10,
    /// No message came in time.
    NoMessage = 11,
    /// The session, or the target, does not have this service.
    NotSupported = 12,
    /// The conduit leads nowhere: its storage processor cannot be reached.
    NoConduit = 13,
    /// The target has no such mailbox open.
    NoMailbox = 14,
    /// The target's mailbox is full: its client did not receive or release enough.
    Full = 15,
    /// The target cannot be reached, or began a new life.
    NodeDown = 16,
    /// It was taken back.
    Canceled = 17,
    /// The client's own code failed.
    Failed = 18,
    /// The connection to the daemon is lost, and every session with it.
    Lost = 19,
    /// A fault of this library.
    Internal = 20,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 21] = [
        Status::Success,
        Status::Pending,
        Status::InsufficientResources,
        Status::Invalid,
        Status::Exists,
        Status::NotOpen,
        Status::Closing,
        Status::DestinationInvalid,
        Status::BufferInvalid,
        Status::BufferInUse,
        Status::TooLarge,
        Status::NoMessage,
        Status::NotSupported,
        Status::NoConduit,
        Status::NoMailbox,
        Status::Full,
        Status::NodeDown,
        Status::Canceled,
        Status::Failed,
        Status::Lost,
        Status::Internal,
    ];

    /// What it says, for a reader.
    pub const fn text(self) -> &'static str {
        match self {
            Status::Success => "done",
            Status::Pending => "under way",
            Status::InsufficientResources => "no resources left",
            Status::Invalid => "invalid argument",
            Status::Exists => "the mailbox is open already",
            Status::NotOpen => "the session is not open",
            Status::Closing => "the session is about to close",
            Status::DestinationInvalid => "no such destination",
            Status::BufferInvalid => "no such buffer",
            Status::BufferInUse => "the buffer is being sent",
            Status::TooLarge => "too large",
            Status::NoMessage => "there is no message",
            Status::NotSupported => "not supported",
            Status::NoConduit => "there is no such conduit",
            Status::NoMailbox => "the target does not have the mailbox open",
            Status::Full => "the target's mailbox is full",
            Status::NodeDown => "the target is down",
            Status::Canceled => "canceled",
            Status::Failed => "the client failed",
            Status::Lost => "the connection to the daemon is lost",
            Status::Internal => "internal fault",
        }
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The status of a number.
    pub fn from_number(number: u32) -> Option<Status> {
        Status::ALL.iter().copied().find(|status| status.number() == number)
    }

    /// Whether it is done.
    pub const fn is_success(self) -> bool {
        matches!(self, Status::Success)
    }
}

impl From<messenger::Status> for Status {
    fn from(status: messenger::Status) -> Status {
        match status.code {
            // One that was stored at an earlier try is stored.
            Code::Good | Code::Repeated => Status::Success,
            Code::NoPort | Code::PortClosed => Status::NoMailbox,
            Code::Full => Status::Full,
            Code::TooLarge => Status::TooLarge,
            Code::NotSupported | Code::NotAllowed => Status::NotSupported,
            Code::NodeDown | Code::Reset | Code::TimedOut => Status::NodeDown,
            Code::Canceled | Code::Closed => Status::Canceled,
            Code::BadHandle | Code::NotOpen => Status::NotOpen,
            Code::Invalid | Code::NameTooLong => Status::Invalid,
            Code::Exists => Status::Exists,
            Code::NotFound => Status::DestinationInvalid,
            Code::NoRoom | Code::WouldBlock | Code::NoSpace | Code::Busy | Code::Exhausted => {
                Status::InsufficientResources
            }
            Code::Quiesced | Code::Closing => Status::Closing,
            Code::Failed | Code::Other(_) => Status::Failed,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Rows: MP-23.
    #[test]
    fn each_status_has_a_number_and_a_text_and_every_code_has_a_status() {
        let numbers: BTreeSet<u32> = Status::ALL.iter().map(|status| status.number()).collect();
        let texts: BTreeSet<&str> = Status::ALL.iter().map(|status| status.text()).collect();
        assert_eq!((numbers.len(), texts.len()), (Status::ALL.len(), Status::ALL.len()));
        assert!(Status::ALL.iter().all(|status| Status::from_number(status.number()) == Some(*status)));
        assert_eq!((Status::Success.number(), Status::Pending.number()), (0, 1));
        assert_eq!((Status::InsufficientResources.number(), Status::from_number(1000)), (2, None));
        // Messenger's codes, each with what it means here.
        let table = [
            (Code::Good, Status::Success),
            (Code::NotSupported, Status::NotSupported),
            (Code::NoPort, Status::NoMailbox),
            (Code::Full, Status::Full),
            (Code::TooLarge, Status::TooLarge),
            (Code::PortClosed, Status::NoMailbox),
            (Code::NotAllowed, Status::NotSupported),
            (Code::Failed, Status::Failed),
            (Code::Repeated, Status::Success),
            (Code::NodeDown, Status::NodeDown),
            (Code::TimedOut, Status::NodeDown),
            (Code::Reset, Status::NodeDown),
            (Code::Canceled, Status::Canceled),
            (Code::Closed, Status::Canceled),
            (Code::NoRoom, Status::InsufficientResources),
            (Code::BadHandle, Status::NotOpen),
            (Code::Invalid, Status::Invalid),
            (Code::Exists, Status::Exists),
            (Code::NotFound, Status::DestinationInvalid),
            (Code::WouldBlock, Status::InsufficientResources),
            (Code::NoSpace, Status::InsufficientResources),
            (Code::Busy, Status::InsufficientResources),
            (Code::Quiesced, Status::Closing),
            (Code::Closing, Status::Closing),
            (Code::NameTooLong, Status::Invalid),
            (Code::Exhausted, Status::InsufficientResources),
            (Code::NotOpen, Status::NotOpen),
        ];
        let known: BTreeSet<u16> = table.iter().map(|(code, _)| code.number()).collect();
        assert_eq!(known, Code::ALL.iter().map(|code| code.number()).collect());
        for (code, status) in table {
            assert_eq!(Status::from(messenger::Status::new(code)), status, "{code:?}");
        }
        assert_eq!(Status::from(messenger::Status::new(Code::Other(900))), Status::Failed);
    }
}
