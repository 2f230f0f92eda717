//! Starting a process that ends with ours.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command},
};

/// Starts it; the kernel kills it when the thread that started it ends, however that comes.
pub(crate) fn spawn_bound(command: &mut Command) -> io::Result<Child> {
    let parent = std::process::id();
    let bind = move || -> io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // Our process may have ended before that.
        match rustix::process::getppid() {
            Some(now) if now.as_raw_nonzero().get() as u32 == parent => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    };
    // SAFETY: between fork and exec it makes two system calls and touches no lock and no memory of others.
    unsafe { command.pre_exec(bind) };
    command.spawn()
}
