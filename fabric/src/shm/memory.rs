//! Sealed memory: made here, or checked when a peer made it.

use super::error::JoinError;
use crate::sys::Mapping;
use fabric_ring::layout;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// Memory for a ring with a data area of `size` bytes, and its descriptor to give away.
pub(crate) fn make(size: usize) -> io::Result<(Mapping, OwnedFd)> {
    let len = layout::memory_len(size);
    let file = sealed("minet-ring", len)?;
    Ok((Mapping::new(file.as_fd(), len)?, file))
}

/// A memory file of `len` bytes that can neither shrink nor grow.
pub(crate) fn sealed(name: &str, len: usize) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, len as u64)?;
    fcntl_add_seals(&file, SEALS)?;
    Ok(file)
}

/// Whether it can neither shrink nor grow.
pub(crate) fn is_sealed(file: &OwnedFd) -> bool {
    fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SEALS))
}

/// Maps a peer's memory, number `index` of its greeting, after checking that it can neither shrink nor grow.
pub(crate) fn map(file: &OwnedFd, size: usize, index: usize) -> Result<Mapping, JoinError> {
    if !is_sealed(file) {
        return Err(JoinError::NotSealed(index));
    }
    let expected = layout::memory_len(size);
    let got = fstat(file)?.st_size as u64;
    if got != expected as u64 {
        return Err(JoinError::Size { index, expected, got });
    }
    Ok(Mapping::new(file.as_fd(), expected)?)
}
