//! Bytes that may lie in memory a peer can write.
//!
//! Such memory is never a Rust reference: it may change between any two looks at it. A [`View`] can only be copied out
//! of, or handed to the kernel; a [`Slot`] can only be copied into, or handed to the kernel. What must be checked is
//! copied once into private memory, and the copy is checked and used.

use core::{fmt, marker::PhantomData, ops::Range, ptr::NonNull};

/// Bytes to read, perhaps changing under the reader.
#[derive(Clone, Copy)]
pub struct View<'a> {
    start: NonNull<u8>,
    len: usize,
    _life: PhantomData<&'a [u8]>,
}

// SAFETY: a View is a read-only window that outlives 'a; it is read only by byte copies that tolerate other writers.
unsafe impl Send for View<'_> {}
// SAFETY: as above; shared use only reads.
unsafe impl Sync for View<'_> {}

impl<'a> View<'a> {
    /// No bytes.
    pub const EMPTY: View<'static> = View { start: NonNull::dangling(), len: 0, _life: PhantomData };

    /// A window on `len` bytes at `start`.
    ///
    /// # Safety
    /// The bytes are mapped and readable for all of `'a`, and no Rust reference to them is written through meanwhile.
    pub const unsafe fn from_raw(start: NonNull<u8>, len: usize) -> View<'a> {
        View { start, len, _life: PhantomData }
    }

    /// How many bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part `range`, or `None` when it is not inside.
    pub fn get(&self, range: Range<usize>) -> Option<View<'a>> {
        if range.start > range.end || range.end > self.len {
            return None;
        }
        // SAFETY: start is within the window by the check above.
        let start = unsafe { self.start.add(range.start) };
        Some(View { start, len: range.end - range.start, _life: PhantomData })
    }

    /// All from `at` on; empty when `at` is past the end.
    pub fn skip(&self, at: usize) -> View<'a> {
        self.get(at.min(self.len)..self.len).unwrap_or(View::EMPTY)
    }

    /// Copies bytes from `at` on into `out`; returns how many there were.
    pub fn copy_to(&self, at: usize, out: &mut [u8]) -> usize {
        let from = self.skip(at);
        let n = from.len.min(out.len());
        // SAFETY: both ranges hold n bytes; `out` is private and does not overlap mapped memory a View can reach.
        unsafe { core::ptr::copy_nonoverlapping(from.start.as_ptr(), out.as_mut_ptr(), n) };
        n
    }

    /// For the kernel: where the bytes are.
    pub const fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }
}

impl<'a> From<&'a [u8]> for View<'a> {
    fn from(bytes: &'a [u8]) -> View<'a> {
        View { start: NonNull::from(bytes).cast(), len: bytes.len(), _life: PhantomData }
    }
}

/// Bytes to fill, perhaps read or written by a peer meanwhile.
pub struct Slot<'a> {
    start: NonNull<u8>,
    len: usize,
    _life: PhantomData<&'a mut [u8]>,
}

// SAFETY: a Slot is the only window of this process that writes these bytes.
unsafe impl Send for Slot<'_> {}

impl<'a> Slot<'a> {
    /// A window on `len` bytes at `start`.
    ///
    /// # Safety
    /// The bytes are mapped and writable for all of `'a`, and this process has no other window on them meanwhile.
    pub const unsafe fn from_raw(start: NonNull<u8>, len: usize) -> Slot<'a> {
        Slot { start, len, _life: PhantomData }
    }

    /// How many bytes fit.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none fit.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `from` to `at`; `false`, and nothing written, when it does not fit.
    pub fn write(&mut self, at: usize, from: View<'_>) -> bool {
        if at > self.len || from.len > self.len - at {
            return false;
        }
        // SAFETY: `at + from.len <= self.len`; a peer's memory and another's do not overlap, `copy` allows it anyway.
        unsafe { core::ptr::copy(from.start.as_ptr(), self.start.as_ptr().add(at), from.len) };
        true
    }

    /// What stands in the slot, as a peer may see it.
    pub fn view(&self) -> View<'_> {
        View { start: self.start, len: self.len, _life: PhantomData }
    }

    /// For the kernel: where the bytes are.
    pub const fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl<'a> From<&'a mut [u8]> for Slot<'a> {
    fn from(bytes: &'a mut [u8]) -> Slot<'a> {
        let len = bytes.len();
        Slot { start: NonNull::from(bytes).cast(), len, _life: PhantomData }
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View({} bytes)", self.len)
    }
}

impl fmt::Debug for Slot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_never_leaves_its_window() {
        let bytes = *b"0123456789";
        let view = View::from(&bytes[..]);
        assert!(view.get(3..11).is_none());
        #[allow(clippy::reversed_empty_ranges, reason = "that is the point")]
        let reversed = 4..3;
        assert!(view.get(reversed).is_none());
        let mut out = [0; 4];
        assert_eq!(view.skip(8).copy_to(0, &mut out), 2);
        assert_eq!(&out, b"89\0\0");
        assert_eq!(view.copy_to(99, &mut out), 0);
    }

    #[test]
    fn a_slot_takes_only_what_fits() {
        let mut bytes = [0; 4];
        let mut slot = Slot::from(&mut bytes[..]);
        assert!(!slot.write(1, View::from(&b"abcd"[..])));
        assert!(!slot.write(usize::MAX, View::from(&b"a"[..])));
        assert!(slot.write(1, View::from(&b"abc"[..])));
        assert_eq!(&bytes, b"\0abc");
    }
}
