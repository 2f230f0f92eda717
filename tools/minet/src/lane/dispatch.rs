//! Sends a frame that lies in private memory, in the messages its plan says.

use super::outlet::Outlet;
use arrayvec::ArrayVec;
use fabric::{Message, SendError, View};
use minet::{Cutter, HEAD_MAX, Hop, Part, Plan, Reason, Slicer, Whole, complete_checksum};

/// Messages handed to a carrier at once: a super-frame of 64 KiB in Ethernet segments.
const CHUNK: usize = 64;

/// What is left to send of one frame.
#[allow(
    clippy::large_enum_variant,
    reason = "it lives on the lane's stack, one at a time; a box would allocate for a frame"
)]
pub(super) enum Rest {
    Whole(Whole),
    Cut(Cutter),
    Slices(Slicer),
}

/// A frame of which something is left to send.
pub(super) struct Unsent {
    pub(super) rest: Rest,
    /// So many messages of the next chunk are sent already.
    skip: usize,
}

/// Why a frame did not leave, or not all of it.
#[allow(
    clippy::large_enum_variant,
    reason = "it lives on the lane's stack, one at a time; a box would allocate for a frame"
)]
pub(super) enum Outcome {
    /// It left.
    Sent,
    /// The carrier has no room; this is left.
    Full(Unsent),
    /// It came to nothing.
    Dropped(Reason),
}

/// Memory for heads and for messages that must be put together.
pub(super) struct Dispatch {
    heads: Box<[[u8; HEAD_MAX]; CHUNK]>,
    joined: Box<[u8]>,
}

/// All messages of one chunk put together, with what checksum completion may add.
const JOINED: usize = 160 << 10;

impl Unsent {
    /// Of a plan that sends something.
    pub(super) fn of(plan: Plan) -> Option<Unsent> {
        let rest = match plan {
            Plan::Whole(whole) => Rest::Whole(whole),
            Plan::Cut(cutter) => Rest::Cut(cutter),
            Plan::Slices(slicer) => Rest::Slices(slicer),
            Plan::TooBig(_) | Plan::Drop(_) => return None,
        };
        Some(Unsent { rest, skip: 0 })
    }

    /// Where the checksum stands that sending will complete in the frame itself.
    pub(super) fn open_checksum(&self) -> Option<usize> {
        match &self.rest {
            Rest::Whole(whole) => whole.complete.map(|c| c.field),
            Rest::Slices(slicer) => slicer.complete.map(|c| c.field),
            Rest::Cut(_) => None,
        }
    }
}

impl Dispatch {
    pub(super) fn new() -> Dispatch {
        Dispatch { heads: Box::new([[0; HEAD_MAX]; CHUNK]), joined: vec![0; JOINED].into_boxed_slice() }
    }

    /// Sends what is left of the frame in `bytes`.
    pub(super) fn send(&mut self, outlet: &mut Outlet, hop: Hop, bytes: &mut [u8], mut unsent: Unsent) -> Outcome {
        let complete = match &mut unsent.rest {
            Rest::Whole(whole) => whole.complete.take(),
            Rest::Slices(slicer) => slicer.complete.take(),
            Rest::Cut(_) => None,
        };
        if complete.is_some_and(|c| !complete_checksum(bytes, c)) {
            return Outcome::Dropped(Reason::Malformed);
        }
        if let Rest::Whole(whole) = &unsent.rest {
            let Some(payload) = bytes.get(whole.payload.clone()) else { return Outcome::Dropped(Reason::Malformed) };
            let parts = [View::from(whole.head()), View::from(payload)];
            return match outlet.send(hop, &[Message { parts: &parts }]).1 {
                Ok(()) => Outcome::Sent,
                Err(SendError::Full) => Outcome::Full(unsent),
                Err(e) => Outcome::Dropped(reason(e)),
            };
        }
        self.send_parts(outlet, hop, bytes, unsent)
    }

    fn send_parts(&mut self, outlet: &mut Outlet, hop: Hop, bytes: &[u8], mut unsent: Unsent) -> Outcome {
        loop {
            let before = match &unsent.rest {
                Rest::Cut(cutter) => Rest::Cut(cutter.clone()),
                Rest::Slices(slicer) => Rest::Slices(slicer.clone()),
                Rest::Whole(_) => return Outcome::Dropped(Reason::Malformed),
            };
            let Some((pieces, last)) = self.chunk(bytes, &mut unsent.rest) else {
                return Outcome::Dropped(Reason::Malformed);
            };
            let messages: ArrayVec<Message<'_>, CHUNK> =
                pieces.iter().skip(unsent.skip).map(|parts| Message { parts }).collect();
            let (taken, result) = outlet.send(hop, &messages);
            match result {
                Ok(()) if last => return Outcome::Sent,
                Ok(()) => unsent.skip = 0,
                Err(SendError::Full) => return Outcome::Full(Unsent { rest: before, skip: unsent.skip + taken }),
                Err(e) => return Outcome::Dropped(reason(e)),
            }
        }
    }

    /// The next messages, and whether they are the last.
    fn chunk<'a>(&'a mut self, bytes: &'a [u8], rest: &mut Rest) -> Option<(ArrayVec<[View<'a>; 2], CHUNK>, bool)> {
        let mut pieces = ArrayVec::new();
        let mut room = &mut self.joined[..];
        for head in self.heads.iter_mut() {
            let part = match rest {
                Rest::Cut(cutter) => cutter.next(head),
                Rest::Slices(slicer) => slicer.next(head),
                Rest::Whole(_) => None,
            };
            let Some(Part { head_len, payload, complete }) = part else { return Some((pieces, true)) };
            let (head, payload) = (head.get(..head_len)?, bytes.get(payload)?);
            let Some(complete) = complete else {
                pieces.push([View::from(head), View::from(payload)]);
                continue;
            };
            let (message, others) = room.split_at_mut_checked(head.len() + payload.len())?;
            room = others;
            let (front, back) = message.split_at_mut_checked(head.len())?;
            front.copy_from_slice(head);
            back.copy_from_slice(payload);
            if !complete_checksum(message, complete) {
                return None;
            }
            pieces.push([View::from(&*message), View::EMPTY]);
        }
        Some((pieces, false))
    }
}

fn reason(error: SendError) -> Reason {
    match error {
        SendError::Full => Reason::CarrierFull,
        SendError::TooLong(_) | SendError::NotInPlace => Reason::TooLong,
        SendError::NotOpen => Reason::NoPath,
    }
}
