//! Socket options that no safe crate reads as we need them.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Process, user and group of the other end of a unix socket. The process is 0 when it is not visible from here.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<(u32, u32, u32)> {
    let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `credentials` has `len` writable bytes, and any bytes are a ucred.
    let done = unsafe {
        let out = (&raw mut credentials).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, out, &raw mut len)
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((u32::try_from(credentials.pid).unwrap_or(0), credentials.uid, credentials.gid))
}

/// Sets an option that is a number.
pub(crate) fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: `value` has the four readable bytes that are named.
    let done = unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(socket.as_raw_fd(), level, name, value, size_of::<i32>() as libc::socklen_t)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
