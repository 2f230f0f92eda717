//! Many messages in one call, none of which waits.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

/// Sends what the headers describe; how many of them went.
///
/// # Safety
/// Every pointer in the headers is null or points at what lives during the call and has the length given beside it.
pub(super) unsafe fn send(socket: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the slice is one, and the caller answers for what it points at.
    let done =
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as libc::c_uint, flags as _) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

/// Fills what the headers describe; how many of them were filled.
///
/// # Safety
/// As for [`send`], and nobody else looks at what the pointers point at.
pub(super) unsafe fn receive(socket: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    let (start, count) = (headers.as_mut_ptr(), headers.len() as libc::c_uint);
    // SAFETY: the slice is one, and the caller answers for what it points at.
    let got = unsafe { libc::recvmmsg(socket.as_raw_fd(), start, count, libc::MSG_DONTWAIT as _, ptr::null_mut()) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}
