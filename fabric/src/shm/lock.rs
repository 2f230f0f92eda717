//! The lock file that makes a node's name unique in a run-time directory.

use super::{connect::name_is_valid, error::BindError, listener::make_directory};
use rustix::{
    fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, ftruncate, openat, stat, unlink},
    io::{Errno, pread, pwrite},
};
use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// Held for life; the kernel lets go of it when the process dies. The file holds the process number, for people and
/// for the error of the second one.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: OwnedFd,
}

impl Lock {
    /// Takes a name without listening: for a node that meets nobody in shared memory. Makes the directory if it is
    /// missing.
    pub fn take_in(directory: &Path, name: &str) -> Result<Lock, BindError> {
        if !name_is_valid(name) {
            return Err(BindError::Name(name.to_owned()));
        }
        make_directory(directory).map_err(|source| BindError::Directory { path: directory.to_owned(), source })?;
        Lock::take(directory.join(format!("{name}.lock")), name)
    }

    pub(crate) fn take(path: PathBuf, name: &str) -> Result<Lock, BindError> {
        let failed = |source: Errno| BindError::File { path: path.clone(), source: source.into() };
        // The holder may remove the file between our open and our lock: then what we locked is not what others see.
        for _ in 0..16 {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file = openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(BindError::Busy { name: name.to_owned(), pid: holder(&file) }),
                Err(error) => return Err(failed(error)),
            }
            if is_still(&file, &path) {
                let text = format!("{}\n", std::process::id());
                ftruncate(&file, 0).map_err(failed)?;
                pwrite(&file, text.as_bytes(), 0).map_err(failed)?;
                return Ok(Lock { path, file });
            }
        }
        Err(BindError::Busy { name: name.to_owned(), pid: None })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is still locked, so nobody can hold the same name on this file and on a new one.
        if is_still(&self.file, &self.path) {
            let _ = unlink(&self.path);
        }
    }
}

fn is_still(file: &OwnedFd, path: &Path) -> bool {
    match (fstat(file), stat(path)) {
        (Ok(ours), Ok(theirs)) => ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev,
        _ => false,
    }
}

fn holder(file: &OwnedFd) -> Option<u32> {
    let mut text = [0u8; 16];
    let len = pread(file, &mut text, 0).ok()?;
    std::str::from_utf8(text.get(..len)?).ok()?.trim().parse().ok()
}
