//! A serial line: messages as frames of bytes on any tty or pty.
//!
//! There is one peer, at the other end. Each message is followed by a CRC-32, stuffed by COBS so that no byte of it is
//! zero, and ended by a zero; a zero stands in front too where the line was idle, so that what stood there before is not
//! taken for a part (PROTOCOL section 11). What lies between two zeros and is no message, whoever wrote it, is skipped and
//! counted as malformed.
//!
//! What is sent goes into a short queue, since a line is slow: [`crate::SendError::Full`] comes after a fraction of a
//! second's worth, and what is sent by [`crate::Carrier::send_urgent`] overtakes what waits. A line of a given speed gets
//! no more bytes than it takes, so that the kernel's queue stays short as well.
//!
//! A device that goes away (unplugged, its other end closed) is opened again when it is back
//! ([`crate::Carrier::medium`]).
//!
//! The `serialport` crate is not used: it waits in its reads and writes, and a lane never waits.

mod carrier;
mod device;
pub mod frame;
mod pace;
mod queue;

pub use carrier::Serial;
pub use device::{Flow, Line, SerialError};
