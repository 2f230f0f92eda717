//! One status for every call and every completion: a code, and a detail that goes with it.
//!
//! | tier | means |
//! | --- | --- |
//! | [`Tier::Good`] | done |
//! | [`Tier::Service`] | carried, and refused by the receiving node or port |
//! | [`Tier::Transport`] | could not be carried, or nobody knows: the message may or may not have arrived |
//! | [`Tier::Call`] | refused on the spot by this node: nothing was sent |

use core::fmt;

/// Where a status was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Nothing went wrong.
    Good,
    /// The receiving side said no.
    Service,
    /// It was not carried, or its end is not known.
    Transport,
    /// This node refused the call.
    Call,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// What happened. The numbers stand on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// A number this build does not know.
            Other(u16),
        }

        impl Code {
            /// Every code this build knows, by number.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The number.
            pub const fn number(self) -> u16 {
                match self {
                    $(Code::$name => $number,)*
                    Code::Other(number) => number,
                }
            }

            /// The code of a number.
            pub const fn from_number(number: u16) -> Code {
                match number {
                    $($number => Code::$name,)*
                    other => Code::Other(other),
                }
            }

            /// A few words for people.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)*
                    Code::Other(_) => "a status this version does not know",
                }
            }
        }
    };
}

codes! {
    /// Done.
    Good = 0, "done";
    /// The receiver does not know the opcode.
    NotSupported = 1, "the receiver does not know the opcode";
    /// There is no such port on the node.
    NoPort = 2, "there is no such port on the node";
    /// The port's area for the priority is full; detail: bytes that are free.
    Full = 3, "the port is full";
    /// The receiver takes no message of that size; detail: the largest it takes, in bytes.
    TooLarge = 4, "the message is too large";
    /// The port was closed before it answered.
    PortClosed = 5, "the port was closed before it answered";
    /// The receiver does not want messages of this sender.
    NotAllowed = 6, "the receiver does not allow it";
    /// The application at the other end failed; the detail is its own.
    Failed = 7, "the application failed";
    /// The message was stored at an earlier try; its answer, if any, belongs to that one.
    Repeated = 8, "stored at an earlier try, to which the answer belongs";
    /// The node cannot be reached, or began a new life.
    NodeDown = 64, "the node is down";
    /// The deadline passed.
    TimedOut = 65, "the deadline passed";
    /// The path was reset.
    Reset = 66, "the path was reset";
    /// The sender took it back.
    Canceled = 67, "canceled";
    /// The path, the port or the node of the sender was closed.
    Closed = 68, "closed by its owner";
    /// The answer came and there was no room for it.
    NoRoom = 69, "no room for the answer";
    /// The handle is not, or not any more, that of an object.
    BadHandle = 128, "no such object, or not any more";
    /// An argument is not what it should be.
    Invalid = 129, "invalid argument";
    /// The name is taken in its scope.
    Exists = 130, "the name is taken";
    /// Nothing matches.
    NotFound = 131, "nothing matches";
    /// Too much is under way to the target; try again later.
    WouldBlock = 132, "too much is under way, try again later";
    /// There is less room than is needed; detail: how much is needed.
    NoSpace = 133, "not enough room";
    /// Somebody else uses it, or as many as allowed are under way.
    Busy = 134, "in use";
    /// The path takes nothing new.
    Quiesced = 135, "the path is quiesced";
    /// The object is about to close and takes nothing new.
    Closing = 136, "about to close";
    /// The name or pattern is too long; detail: the longest allowed, in bytes.
    NameTooLong = 137, "the name is too long";
    /// A table is full.
    Exhausted = 138, "no resources left";
    /// The node was closed.
    NotOpen = 139, "not open";
}

impl Code {
    /// Where it is decided.
    pub const fn tier(self) -> Tier {
        match self.number() {
            0 => Tier::Good,
            1..64 => Tier::Service,
            64..128 => Tier::Transport,
            128..192 => Tier::Call,
            // Numbers of applications' own are answers of a service.
            _ => Tier::Service,
        }
    }
}

/// A code with its detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// What.
    pub code: Code,
    /// How much, where the code says so; otherwise 0 or the application's.
    pub detail: u32,
}

impl Status {
    /// Nothing went wrong.
    pub const GOOD: Status = Status { code: Code::Good, detail: 0 };

    /// A code without detail.
    pub const fn new(code: Code) -> Status {
        Status { code, detail: 0 }
    }

    /// A code with a size as its detail.
    pub fn with(code: Code, detail: usize) -> Status {
        Status { code, detail: u32::try_from(detail).unwrap_or(u32::MAX) }
    }

    /// Nothing went wrong.
    pub const fn is_good(self) -> bool {
        matches!(self.code, Code::Good)
    }

    /// Where it was decided.
    pub const fn tier(self) -> Tier {
        self.code.tier()
    }
}

impl From<Code> for Status {
    fn from(code: Code) -> Status {
        Status::new(code)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.text())?;
        match self.detail {
            0 => Ok(()),
            detail => write!(f, " ({detail})"),
        }
    }
}

impl core::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, string::ToString};

    /// PROTOCOL 7.14.
    /// Rows: SS-1.
    #[test]
    fn each_code_has_a_number_and_a_text_of_its_own() {
        let numbers: BTreeSet<u16> = Code::ALL.iter().map(|c| c.number()).collect();
        let texts: BTreeSet<&str> = Code::ALL.iter().map(|c| c.text()).collect();
        assert_eq!((numbers.len(), texts.len()), (Code::ALL.len(), Code::ALL.len()));
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), *code);
            // A code added later must be given a tier here.
            let tier = match code {
                Code::Good => Tier::Good,
                Code::NotSupported | Code::NoPort | Code::Full | Code::TooLarge | Code::PortClosed => Tier::Service,
                Code::NotAllowed | Code::Failed | Code::Repeated => Tier::Service,
                Code::NodeDown | Code::TimedOut | Code::Reset | Code::Canceled => Tier::Transport,
                Code::Closed | Code::NoRoom => Tier::Transport,
                Code::BadHandle | Code::Invalid | Code::Exists | Code::NotFound | Code::WouldBlock => Tier::Call,
                Code::NoSpace | Code::Busy | Code::Quiesced | Code::Closing | Code::NameTooLong => Tier::Call,
                Code::Exhausted | Code::NotOpen => Tier::Call,
                Code::Other(_) => Tier::Service,
            };
            assert_eq!(code.tier(), tier, "{code:?}");
        }
        assert_eq!(Code::from_number(999), Code::Other(999));
        assert_eq!(Status::with(Code::NoSpace, 7).to_string(), "not enough room (7)");
    }
}
