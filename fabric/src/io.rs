//! Reading into and writing out of a carrier's memory without a copy.
//!
//! A lane reads a TAP straight into a reserved [`Slot`], and writes received [`View`]s straight to it.

use crate::{Slot, View, sys};
use std::{io, os::fd::BorrowedFd};

/// The most pieces that [`write_from`] takes.
pub const PIECES: usize = 128;

/// One `read` into the slot from byte `at` on. Returns how many bytes came; 0 is the end of a file.
pub fn read_into(fd: BorrowedFd<'_>, slot: &mut Slot<'_>, at: usize) -> io::Result<usize> {
    sys::read_into(fd, slot, at)
}

/// One `writev` of all pieces. Returns how many bytes went. More than [`PIECES`] pieces are invalid input.
pub fn write_from(fd: BorrowedFd<'_>, pieces: &[View<'_>]) -> io::Result<usize> {
    sys::write_from(fd, pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_datagram_is_read_in_place_and_written_in_pieces() {
        let (a, b) = std::os::unix::net::UnixDatagram::pair().unwrap();
        assert_eq!(write_from(a.as_fd(), &[View::from(&b"he"[..]), View::EMPTY, View::from(&b"llo"[..])]).unwrap(), 5);
        let mut bytes = [0u8; 16];
        assert_eq!(read_into(b.as_fd(), &mut Slot::from(&mut bytes[..]), 4).unwrap(), 5);
        assert_eq!(&bytes[..10], b"\0\0\0\0hello\0");
        assert_eq!(
            read_into(b.as_fd(), &mut Slot::from(&mut bytes[..]), 17).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        let many = [View::EMPTY; PIECES + 1];
        assert_eq!(write_from(a.as_fd(), &many).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
