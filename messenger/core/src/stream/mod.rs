//! Reliable streams: what one life of a node sends to one life of another arrives once and in order, over however many
//! nodes in between, as long as both think the other is there.
//!
//! A stream has five *lanes*, each with an order of its own: receipts, then the four priorities. A lane numbers the bytes of
//! its payloads (an empty message takes one number), so that a message is cut anew when the way it takes now carries less
//! than the one before. A lane with a lower number goes first, and receipts go past the congestion window: bulk starves
//! nobody.
//!
//! A stream begins anew, in a later *epoch*, when its sender took the receiver for gone. What was under way is dropped then,
//! and the tickets that waited for it are settled. The *floor* in what an end sends is the last epoch of the other end
//! from before it took that one for gone: a peer whose epoch is not later must begin anew too. So both ends agree, after at
//! most one message each way, on what belongs together.
//!
//! | the sender holds | the receiver holds | for |
//! | --- | --- | --- |
//! | waiting: messages without a number, at most [`crate::Limits::queue`] a lane | | back-pressure: full is an answer |
//! | sent: messages with numbers, at most a window | held: what came before its turn, at most a window | order |
//! | flight: ranges under way, by number; lost: ranges to repeat | the first missing number and ranges beyond it | repetition |
//!
//! What is lost is known by acknowledgements of three messages sent later, else by a time-out (RFC 6298).

mod outgoing;
mod receiver;
mod rtt;
mod sender;

pub(crate) use outgoing::{Ends, Outgoing};
pub(crate) use receiver::{Arrived, Meta, Receiver, Taken};
pub(crate) use sender::Sender;

use crate::wire::{Kind, Priority, Sequence};

/// Receipts, and the four priorities.
pub(crate) const LANES: usize = 5;

/// Which lane a message takes.
pub(crate) fn lane(kind: Kind, priority: Priority) -> usize {
    if kind == Kind::Receipt { 0 } else { 1 + priority as usize }
}

/// The number on the wire of a position in a lane.
fn number(position: u64) -> u32 {
    Sequence::FIRST.wrapping_add(position as u32)
}

/// The position nearest to `near` that has this number; `None` when it would be before the first.
fn position(near: u64, number_there: u32) -> Option<u64> {
    let distance = number_there.wrapping_sub(number(near)) as i32;
    near.checked_add_signed(i64::from(distance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_and_positions_do_not() {
        assert_eq!((number(0), number(0x400)), (Sequence::FIRST, 0));
        for near in [0, 1, 0x3ff, 0x400, u64::from(u32::MAX), 1 << 40] {
            for there in [near, near + 1, near + 1_000_000, near.saturating_sub(5)] {
                assert_eq!(position(near, number(there)), Some(there));
            }
        }
        assert_eq!(position(0, Sequence::FIRST - 1), None);
    }
}

#[cfg(test)]
mod channel;
