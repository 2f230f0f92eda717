//! What is sent, and what was received.

use crate::{Buffer, Error, SequenceTag, SpId, Status, tag::Exchange};
use messenger::{Code, Guest, GuestError};
use std::time::Duration;

/// What is to be sent, and where to.
#[derive(Clone, Debug)]
pub struct SendDescriptor {
    /// The client's own number, told at the completion of an asynchronous send.
    pub context: u64,
    /// The storage processor whose mailbox of the same name gets it.
    pub destination: SpId,
    /// The message.
    pub buffer: Buffer,
    /// Bytes of the buffer that are the message; it may be 0.
    pub size: usize,
    /// How it is received, and which transaction it belongs to.
    pub tag: SequenceTag,
}

/// How long a receive waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// As long as it takes.
    Forever,
    /// It takes what is there and does not wait.
    Test,
    /// At most so long.
    Within(Duration),
}

impl Timeout {
    /// Of a number as C has it: below 0 for ever, 0 a test, above 0 seconds.
    pub fn from_seconds(seconds: i32) -> Timeout {
        match u64::try_from(seconds) {
            Err(_) => Timeout::Forever,
            Ok(0) => Timeout::Test,
            Ok(seconds) => Timeout::Within(Duration::from_secs(seconds)),
        }
    }

    pub(crate) fn limit(self) -> Option<Duration> {
        match self {
            Timeout::Forever => None,
            Timeout::Test => Some(Duration::ZERO),
            Timeout::Within(limit) => Some(limit),
        }
    }
}

/// A message that came. Its room in the mailbox stays taken until it is released or dropped: who holds too many is sent no more.
#[derive(Debug)]
pub struct MessageReceived {
    sender: SpId,
    tag: SequenceTag,
    guest: Guest,
    /// `None` once it is released.
    message: Option<messenger::Received>,
}

impl MessageReceived {
    pub(crate) fn new(guest: &Guest, message: messenger::Received) -> MessageReceived {
        MessageReceived {
            sender: SpId::of(message.head.node),
            tag: SequenceTag::from_number(message.head.tag),
            guest: guest.clone(),
            message: Some(message),
        }
    }

    /// The storage processor that sent it.
    pub fn sender(&self) -> SpId {
        self.sender
    }

    /// Its tag as the sender gave it.
    pub fn tag(&self) -> SequenceTag {
        self.tag
    }

    /// Whether it is a synchronous message, one that is received.
    pub fn is_synchronous(&self) -> bool {
        self.tag.exchange() == Exchange::Synchronous
    }

    /// Its size in bytes; 0 once it is released.
    pub fn size(&self) -> usize {
        self.bytes().len()
    }

    /// Its bytes; none once it is released.
    pub fn bytes(&self) -> &[u8] {
        self.message.as_ref().map_or(&[], |message| &message.payload)
    }

    /// Gives its memory and its room in the mailbox back.
    ///
    /// # Errors
    /// [`Status::BufferInvalid`]: that was done before.
    pub fn release(&mut self) -> Result<(), Error> {
        let message = self.message.take().ok_or(Status::BufferInvalid)?;
        match self.guest.release(&message) {
            // A mailbox that is closed has no room to give back.
            Err(GuestError::Refused(status)) if status.code == Code::BadHandle => Ok(()),
            other => Ok(other?),
        }
    }
}

impl Drop for MessageReceived {
    fn drop(&mut self) {
        // It was released, or the connection is gone and everything with it.
        let _ = self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_below_at_and_above_zero() {
        let second = Timeout::Within(Duration::from_secs(1));
        assert_eq!([-7, 0, 1].map(Timeout::from_seconds), [Timeout::Forever, Timeout::Test, second]);
        assert_eq!(Timeout::from_seconds(i32::MIN).limit(), None);
        assert_eq!((Timeout::Test.limit(), second.limit()), (Some(Duration::ZERO), Some(Duration::from_secs(1))));
    }
}
