//! Reading into and writing out of memory that a peer can change.

use crate::io::PIECES;
use arrayvec::ArrayVec;
use fabric_ring::{Slot, View};
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

pub(crate) fn read_into(fd: BorrowedFd<'_>, slot: &mut Slot<'_>, at: usize) -> io::Result<usize> {
    let Some(room) = slot.len().checked_sub(at) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // SAFETY: at <= len, so `start` and the `room` bytes after it are in the slot, which is writable and borrowed.
    let got = unsafe { libc::read(fd.as_raw_fd(), slot.as_mut_ptr().add(at).cast(), room) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

pub(crate) fn write_from(fd: BorrowedFd<'_>, pieces: &[View<'_>]) -> io::Result<usize> {
    if pieces.len() > PIECES {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let vector: ArrayVec<libc::iovec, PIECES> = pieces
        .iter()
        .map(|piece| libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() })
        .collect();
    // SAFETY: each entry is a View's window, readable during the call; the kernel only reads there.
    let put = unsafe { libc::writev(fd.as_raw_fd(), vector.as_ptr(), vector.len() as libc::c_int) };
    usize::try_from(put).map_err(|_| io::Error::last_os_error())
}
