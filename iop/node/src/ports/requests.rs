//! The port that runs requests: `iop/NAME/requests`. Numbers are little-endian.
//!
//! | opcode | request | answer |
//! | --- | --- | --- |
//! | 1 echo | anything | the same |
//! | 2 status | nothing | the page of the status service, text |
//! | 3 counters | nothing | text, a name and a number on each line |
//! | 4 memory | nothing | bytes of heap used u64, bytes there are u64 |
//! | 5 say | length u8 of a port's name, the name, anything | what the port was sent is confirmed: nothing. Not: *failed*, with the status as detail |
//! | 6 probe | length u8 of a member's name, the name, count u32, interval in ms u32 | the probe has begun: nothing |
//! | 7 fault | kind u8, see [`Fault`] | nothing, or none; *not allowed* unless its configuration has `faults` |
//!
//! Another opcode is refused as *not supported*, a request that is none as [`MALFORMED`].

use super::disk::MALFORMED;
use core::time::Duration;
use messenger_core::{Code, Name, Status};

/// Opcode: send it back.
pub const ECHO: u16 = 1;
/// Opcode: how the node is.
pub const STATUS: u16 = 2;
/// Opcode: what it counted.
pub const COUNTERS: u16 = 3;
/// Opcode: how much memory it has.
pub const MEMORY: u16 = 4;
/// Opcode: send a confirmed message to a port.
pub const SAY: u16 = 5;

/// Opcode: ask a member again and again, and count the answers on the board.
pub const PROBE: u16 = 6;
/// Opcode: fail in a way that is wanted, to see what becomes of it.
pub const FAULT: u16 = 7;

/// How a node is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its loop turns no more, while its machine runs on.
    Spin,
    /// It panics.
    Panic,
    /// It writes garbage over all memory that it shares with its host, ring headers and its own state too, and rings.
    Garbage,
    /// It rings its host's bells all the time.
    Bells,
    /// It sends broadcasts all the time.
    Broadcasts,
    /// It runs no requests any more, while its node lives and answers heartbeats.
    Mute,
}

impl Fault {
    /// Which one a request means.
    ///
    /// # Errors
    /// [`MALFORMED`].
    pub fn parse(request: &[u8]) -> Result<Fault, Status> {
        match request {
            [1] => Ok(Fault::Spin),
            [2] => Ok(Fault::Panic),
            [3] => Ok(Fault::Garbage),
            [4] => Ok(Fault::Bells),
            [5] => Ok(Fault::Broadcasts),
            [6] => Ok(Fault::Mute),
            _ => Err(Status::new(MALFORMED)),
        }
    }
}

/// Whom a request to probe means, how often, and the time between two.
///
/// # Errors
/// [`MALFORMED`].
pub fn probe(request: &[u8]) -> Result<(Name, u32, Duration), Status> {
    let (name, rest) = say(request)?;
    let malformed = Status::new(MALFORMED);
    let (count, interval) = rest.split_first_chunk::<4>().ok_or(malformed)?;
    let interval = u32::from_le_bytes(interval.try_into().map_err(|_| malformed)?);
    Ok((name, u32::from_le_bytes(*count), Duration::from_millis(u64::from(interval.max(1)))))
}

/// The request to probe a member so often, with so many milliseconds between two.
pub fn probe_request(name: &Name, count: u32, interval: u32) -> alloc::vec::Vec<u8> {
    say_request(name, &[count, interval].map(u32::to_le_bytes).concat())
}

/// Whom a request to say something means, and what.
///
/// # Errors
/// [`MALFORMED`].
pub fn say(request: &[u8]) -> Result<(Name, &[u8]), Status> {
    let malformed = Status::new(MALFORMED);
    let (len, rest) = request.split_first().ok_or(malformed)?;
    let (name, what) = rest.split_at_checked(usize::from(*len)).ok_or(malformed)?;
    Ok((Name::from_bytes(name).map_err(|_| malformed)?, what))
}

/// The request to say something.
pub fn say_request(name: &Name, what: &[u8]) -> alloc::vec::Vec<u8> {
    [&[name.len() as u8][..], name.as_bytes(), what].concat()
}

/// A status that another one had, as the answer to who asked for it.
pub(crate) fn failed(status: Status) -> Status {
    match status.is_good() {
        true => Status::GOOD,
        false => Status { code: Code::Failed, detail: u32::from(status.code.number()) },
    }
}
