//! The one step that needs `unsafe`: code between fork and exec.

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use std::{io, os::unix::process::CommandExt, process::Command};

/// The child is killed when the thread that spawns it ends, however it ends.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = getpid();
    let before_exec = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have ended before the line above.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::Error::from(io::ErrorKind::BrokenPipe)) }
    };
    // SAFETY: the closure runs in the child after fork. It makes two system calls through rustix, which calls the
    // kernel directly, and builds an error from a plain kind: no allocation, no lock, nothing of another thread.
    unsafe { command.pre_exec(before_exec) };
}
