//! Operation codes. Those of applications are below [`RESERVED`]; a response has the code of its request and one bit more.

/// Set in the code of every response and of nothing else.
pub const RESPONSE: u16 = 0x8000;
/// From here on codes are the protocol's own.
pub const RESERVED: u16 = 0x7f00;
/// An event: what it carries is in [`crate::Event`].
pub const EVENT: u16 = 0x7f01;
/// A caller hands its own node's daemon a request to send in its name.
pub const INJECT: u16 = 0x7f02;
/// A document of [`crate::xml`].
pub const XML: u16 = 0x7f03;

/// The code of the response to a request.
pub const fn response(opcode: u16) -> u16 {
    opcode | RESPONSE
}

/// Whether a code is that of a response.
pub const fn is_response(opcode: u16) -> bool {
    opcode & RESPONSE != 0
}
