//! The doorbell: how one lane wakes another. The choice lives in this file.
//!
//! An eventfd: one descriptor, no buffer, rings add up. The sleeper makes it and gives copies away. A peer could make
//! ours block by filling the counter and clearing `O_NONBLOCK`: only users who could stop us anyway, or whom the caller
//! named, get so far.

use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{FileType, OFlags, fcntl_getfl, fstat},
    io::{fcntl_dupfd_cloexec, read, write},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

/// A doorbell, ours or a peer's.
pub(crate) struct Bell(OwnedFd);

impl Bell {
    /// A new one of our own.
    pub(crate) fn new() -> io::Result<Bell> {
        Ok(Bell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// A peer's, or `None` when it is not one that rings without blocking.
    pub(crate) fn from_peer(fd: OwnedFd) -> Option<Bell> {
        let nonblocking = fcntl_getfl(&fd).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
        let link = rustix::fs::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new());
        let eventfd = match link {
            Ok(name) => name.as_bytes() == b"anon_inode:[eventfd]",
            // No /proc: an anonymous inode has no type.
            Err(_) => fstat(&fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Unknown),
        };
        (nonblocking && eventfd).then_some(Bell(fd))
    }

    /// Another descriptor of the same bell, to give away.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        Ok(fcntl_dupfd_cloexec(&self.0, 0)?)
    }

    /// Wakes the owner. A full counter has woken it already.
    pub(crate) fn ring(&self) {
        let _ = write(&self.0, &1u64.to_ne_bytes());
    }

    /// Forgets all rings so far.
    pub(crate) fn swallow(&self) {
        let _ = read(&self.0, &mut [0u8; 8]);
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
