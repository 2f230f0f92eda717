//! Starting a process that ends with ours, and that keeps a descriptor.

use rustix::io::FdFlags;
use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
};

/// Starts it. If it is `bound`, the kernel kills it when the thread that started it ends, however that comes. `keep` is open in it
/// under the same number.
pub(crate) fn spawn(command: &mut Command, keep: Option<OwnedFd>, bound: bool) -> io::Result<Child> {
    let parent = std::process::id();
    let bind = move || -> io::Result<()> {
        if let Some(keep) = &keep {
            rustix::io::fcntl_setfd(keep.as_fd(), FdFlags::empty())?;
        }
        if !bound {
            return Ok(());
        }
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // Our process may have ended before that.
        match rustix::process::getppid() {
            Some(now) if now.as_raw_nonzero().get() as u32 == parent => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    };
    // SAFETY: between fork and exec it makes three system calls and touches no lock and no memory of others.
    unsafe { command.pre_exec(bind) };
    command.spawn()
}
