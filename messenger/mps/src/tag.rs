//! The tag of a message: whether it is synchronous, and which transaction it belongs to.

use std::fmt;

/// The opcode of messages of this service (PROTOCOL.md 13.2).
pub(crate) const OPCODE: u16 = 0x4d50;
/// The bit of a tag that says that its message is asynchronous.
pub(crate) const ASYNCHRONOUS: u32 = 1 << 31;

/// How a message is received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// It waits in the mailbox until the client receives it.
    #[default]
    Synchronous,
    /// The client's callback is called with it, at once.
    Asynchronous,
}

/// What the source calls the sequence tag: the flag and the number of the transaction, apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SequenceTag {
    exchange: Exchange,
    transaction: u32,
}

impl SequenceTag {
    /// The highest number of a transaction: 31 bits.
    pub const MAX: u32 = ASYNCHRONOUS - 1;

    /// The tag of a synchronous message; `None` for a number beyond [`SequenceTag::MAX`].
    pub const fn sync(transaction: u32) -> Option<SequenceTag> {
        SequenceTag::new(Exchange::Synchronous, transaction)
    }

    /// The tag of an asynchronous message; `None` for a number beyond [`SequenceTag::MAX`].
    pub const fn asynchronous(transaction: u32) -> Option<SequenceTag> {
        SequenceTag::new(Exchange::Asynchronous, transaction)
    }

    const fn new(exchange: Exchange, transaction: u32) -> Option<SequenceTag> {
        if transaction > SequenceTag::MAX { None } else { Some(SequenceTag { exchange, transaction }) }
    }

    /// How the message is received.
    pub const fn exchange(self) -> Exchange {
        self.exchange
    }

    /// The number that ties the messages of one transaction together.
    pub const fn transaction(self) -> u32 {
        self.transaction
    }

    /// The tag for the answer: the same transaction.
    pub const fn with(self, exchange: Exchange) -> SequenceTag {
        SequenceTag { exchange, transaction: self.transaction }
    }

    /// As one number, which is the tag on the wire: bit 31 set for an asynchronous message, the transaction below.
    pub const fn number(self) -> u32 {
        match self.exchange {
            Exchange::Synchronous => self.transaction,
            Exchange::Asynchronous => self.transaction | ASYNCHRONOUS,
        }
    }

    /// The tag of such a number; each number is one.
    pub const fn from_number(number: u32) -> SequenceTag {
        let exchange = if number & ASYNCHRONOUS == 0 { Exchange::Synchronous } else { Exchange::Asynchronous };
        SequenceTag { exchange, transaction: number & SequenceTag::MAX }
    }
}

impl fmt::Display for SequenceTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exchange = if self.exchange == Exchange::Synchronous { "sync" } else { "async" };
        write!(f, "{exchange} {}", self.transaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "13.2 … Bit 31 of the tag is set for an asynchronous message, the others are the transaction."
    ///
    /// Rows: MP-26.
    #[test]
    fn flag_and_transaction_are_two_things_and_one_number() {
        let (sync, other) = (SequenceTag::sync(7).unwrap(), SequenceTag::asynchronous(7).unwrap());
        assert_eq!((sync.number(), other.number()), (7, 0x8000_0007));
        assert_eq!(sync.with(Exchange::Asynchronous), other);
        assert_eq!((SequenceTag::sync(1 << 31), SequenceTag::asynchronous(u32::MAX)), (None, None));
        for number in [0, 1, SequenceTag::MAX, 1 << 31, u32::MAX] {
            assert_eq!(SequenceTag::from_number(number).number(), number);
        }
        assert_eq!(other.to_string(), "async 7");
    }
}
