//! The port that runs requests: `iop/NAME/requests`. Numbers are little-endian.
//!
//! | opcode | request | answer |
//! | --- | --- | --- |
//! | 1 echo | anything | the same |
//! | 2 status | nothing | the page of the status service, text |
//! | 3 counters | nothing | text, a name and a number on each line |
//! | 4 memory | nothing | bytes of heap used u64, bytes there are u64 |
//! | 5 say | length u8 of a port's name, the name, anything | what the port was sent is confirmed: nothing. Not: *failed*, with the status as detail |
//!
//! Another opcode is refused as *not supported*, a request that is none as [`MALFORMED`].

use super::disk::MALFORMED;
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

/// Whom a request to say something means, and what.
pub(super) fn say(request: &[u8]) -> Result<(Name, &[u8]), Status> {
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
pub(super) fn failed(status: Status) -> Status {
    match status.is_good() {
        true => Status::GOOD,
        false => Status { code: Code::Failed, detail: u32::from(status.code.number()) },
    }
}
