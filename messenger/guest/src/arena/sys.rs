//! One side of an arena, mapped. Its bytes are the other one's to change at any time, so there is never a reference to them: they
//! are copied out and in, within bounds that this process keeps for itself.

use super::Place;
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
};

/// Who writes a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The guest.
    Up,
    /// The daemon.
    Down,
}

/// A mapped side; it stays as long as this does, whatever becomes of the other process and of the descriptor.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    len: usize,
    writes: bool,
}

// SAFETY: a mapping belongs to the process, not to a thread; its bytes are only copied, and who lends a place does not write it before it
// is given back. If the other process does, the copy is what it is: bytes that nobody believes anything of.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// A new side of `len` bytes, as the daemon has it, and its descriptor for the guest.
    ///
    /// # Errors
    /// The system's: no memory, no descriptors.
    pub fn create(side: Side, len: usize) -> io::Result<(Region, OwnedFd)> {
        let file = memfd_create("minet-arena", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, len as u64)?;
        let region = Region::new(file.as_fd(), len, side == Side::Down)?;
        let mut seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        if side == Side::Down {
            // What is mapped stays writable; nobody else maps it so.
            seals |= SealFlags::FUTURE_WRITE;
        }
        fcntl_add_seals(&file, seals)?;
        Ok((region, file))
    }

    /// Maps a side as the guest has it.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`]: it has another size, or may still shrink; the system's, when there is no memory.
    pub fn open(file: BorrowedFd<'_>, side: Side, len: usize) -> io::Result<Region> {
        let size = u64::try_from(fstat(file)?.st_size).ok();
        if size != Some(len as u64) || !fcntl_get_seals(file)?.contains(SealFlags::SHRINK) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Region::new(file, len, side == Side::Up)
    }

    /// The file has `len` bytes, which are not none, and is never shrunk.
    fn new(file: BorrowedFd<'_>, len: usize, writes: bool) -> io::Result<Region> {
        let rights = if writes { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        // SAFETY: a new mapping where the kernel likes; no existing memory is touched.
        let start = unsafe { mmap(std::ptr::null_mut(), len, rights, MapFlags::SHARED, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Region { start, len, writes })
    }

    /// Where a place begins in memory; `None`: it is not all inside.
    fn start_of(&self, place: Place) -> Option<*mut u8> {
        let end = (place.at as usize).checked_add(place.len as usize)?;
        // SAFETY: inside the mapping by the check; at most one past its end, and only for no bytes.
        (end <= self.len).then(|| unsafe { self.start.as_ptr().add(place.at as usize) })
    }

    /// Whether a place is all inside.
    pub fn has(&self, place: Place) -> bool {
        self.start_of(place).is_some()
    }

    /// A copy of the bytes of a place. `None`: it is not all inside.
    pub fn read(&self, place: Place) -> Option<Vec<u8>> {
        let (from, len) = (self.start_of(place)?, place.len as usize);
        let mut bytes = Vec::with_capacity(len);
        // SAFETY: `from` has `len` bytes of the mapping, the vector room for as many; after the copy they are written.
        unsafe {
            std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), len);
            bytes.set_len(len);
        }
        Some(bytes)
    }

    /// Writes bytes from the front of a place. `false`, and nothing is done: it is not all inside, they are more than it has, or this
    /// process only reads this side.
    pub fn write(&self, place: Place, bytes: &[u8]) -> bool {
        let Some(to) = self.start_of(place).filter(|_| self.writes && bytes.len() <= place.len as usize) else {
            return false;
        };
        // SAFETY: `to` has room for the bytes in a mapping that may be written; no reference is to a mapping, so they do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        true
    }

    /// Copies a place of another side to the front of one of this side. As for [`Region::write`].
    pub fn write_from(&self, place: Place, other: &Region, from: Place) -> bool {
        let (Some(to), Some(source)) = (self.start_of(place), other.start_of(from)) else { return false };
        if !self.writes || from.len > place.len || std::ptr::eq(self, other) {
            return false;
        }
        // SAFETY: both are inside their mappings, which are two by the check; this one may be written.
        unsafe { std::ptr::copy_nonoverlapping(source, to, from.len as usize) };
        true
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length, unmapped once. It cannot fail for a whole mapping.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 8192;

    fn place(at: u32, len: u32) -> Place {
        Place { at, len }
    }

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let (daemon_up, up) = Region::create(Side::Up, LEN).unwrap();
        let (daemon_down, down) = Region::create(Side::Down, LEN).unwrap();
        let guest_up = Region::open(up.as_fd(), Side::Up, LEN).unwrap();
        let guest_down = Region::open(down.as_fd(), Side::Down, LEN).unwrap();
        assert!(guest_up.write(place(100, 5), b"hello"));
        assert_eq!(daemon_up.read(place(100, 5)).unwrap(), b"hello");
        assert!(daemon_down.write_from(place(0, 5), &daemon_up, place(100, 5)));
        assert_eq!(guest_down.read(place(0, 5)).unwrap(), b"hello");
        // Each writes its own side only.
        assert!(!daemon_up.write(place(0, 1), b"x") && !guest_down.write(place(0, 1), b"x"));
        assert!(!guest_down.write_from(place(0, 1), &guest_up, place(0, 1)));
        assert!(!daemon_down.write_from(place(0, 1), &daemon_down, place(4, 1)), "onto itself");
    }

    #[test]
    fn nothing_outside_is_touched() {
        let (region, _file) = Region::create(Side::Down, LEN).unwrap();
        for wild in [(LEN as u32, 1), (LEN as u32 + 1, 0), (u32::MAX, u32::MAX), (0, LEN as u32 + 1), (1, u32::MAX)] {
            let wild = place(wild.0, wild.1);
            assert!(!region.has(wild) && region.read(wild).is_none() && !region.write(wild, b""), "{wild:?}");
        }
        assert!(!region.write(place(0, 2), b"abc"), "more than the place has");
        assert!(region.write(place(LEN as u32 - 3, 3), b"abc") && region.has(place(LEN as u32, 0)));
    }

    #[test]
    fn a_guest_can_neither_shrink_a_side_nor_write_the_daemons() {
        for side in [Side::Up, Side::Down] {
            let (region, file) = Region::create(side, LEN).unwrap();
            assert!(ftruncate(&file, 0).is_err() && ftruncate(&file, 2 * LEN as u64).is_err());
            assert!(fcntl_add_seals(&file, SealFlags::WRITE).is_err(), "nor seal it");
            assert_eq!(Region::new(file.as_fd(), LEN, true).is_ok(), side == Side::Up);
            assert_eq!(rustix::io::pwrite(&file, b"x", 0).is_ok(), side == Side::Up);
            assert!(region.has(place(0, LEN as u32)));
        }
    }

    #[test]
    fn what_may_shrink_is_not_mapped() {
        let file = memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, LEN as u64).unwrap();
        assert!(Region::open(file.as_fd(), Side::Down, LEN).is_err());
        fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
        assert!(Region::open(file.as_fd(), Side::Down, LEN).is_ok());
        assert!(Region::open(file.as_fd(), Side::Down, 2 * LEN).is_err());
    }
}
