//! A ring's memory on the heap, shared by both ends.

use crate::{layout, memory::Memory};
use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    ptr::NonNull,
    sync::Arc,
};

struct Block {
    start: NonNull<u8>,
    layout: Layout,
    #[cfg(loom)]
    cells: Vec<loom::cell::UnsafeCell<()>>,
}

// SAFETY: the block is plain memory; who may touch what is the ring's business, and what is tested.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

/// Memory for one ring. Clones share it.
#[derive(Clone)]
pub struct Heap(Arc<Block>);

impl Heap {
    /// Zeroed memory for a ring with a data area of `size` bytes.
    ///
    /// # Panics
    /// When the size overflows. Only tests call this.
    #[allow(clippy::unwrap_used, reason = "for tests")]
    pub fn new(size: usize) -> Heap {
        let layout = Layout::from_size_align(layout::memory_len(size), 4096).unwrap();
        // SAFETY: the layout has a length, at least the header page.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        #[cfg(loom)]
        // SAFETY: the header fits into the page, and its words are loom's here and must be made.
        unsafe {
            start.as_ptr().cast::<layout::Header>().write(layout::Header::new())
        };
        Heap(Arc::new(Block {
            start,
            layout,
            #[cfg(loom)]
            cells: (0..size / layout::UNIT).map(|_| loom::cell::UnsafeCell::new(())).collect(),
        }))
    }

    /// Overwrites bytes as a lying peer would; nothing when they are not inside.
    pub fn poke(&self, at: usize, bytes: &[u8]) {
        if at <= self.len() && bytes.len() <= self.len() - at {
            // SAFETY: inside by the check; both ends tolerate any writer.
            unsafe { self.start().add(at).as_ptr().copy_from(bytes.as_ptr(), bytes.len()) };
        }
    }

    /// The little-endian word at `at`; 0 when it is not inside.
    pub fn peek(&self, at: usize) -> u32 {
        if at > self.len() - 4 {
            return 0;
        }
        // SAFETY: inside by the check.
        u32::from_le(unsafe { self.start().add(at).cast::<u32>().read_unaligned() })
    }
}

// SAFETY: the block is freed only with the last clone, and nothing else refers to it.
unsafe impl Memory for Heap {
    fn start(&self) -> NonNull<u8> {
        self.0.start
    }

    fn len(&self) -> usize {
        self.0.layout.size()
    }

    #[cfg(loom)]
    fn touch(&self, at: usize, len: usize, write: bool) {
        let last = (at + len.max(1) - 1) / layout::UNIT;
        for cell in self.0.cells.iter().take(last + 1).skip(at / layout::UNIT) {
            if write {
                cell.with_mut(|_| ());
            } else {
                cell.with(|_| ());
            }
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        #[cfg(loom)]
        // SAFETY: made in `new`, dropped once.
        unsafe {
            self.start.as_ptr().cast::<layout::Header>().drop_in_place()
        };
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

#[cfg(loom)]
impl layout::Header {
    fn new() -> layout::Header {
        use crate::atomic::Word;
        layout::Header {
            identity: layout::Identity {
                magic: [Word::new(), Word::new()],
                versions: Word::new(),
                data_at: Word::new(),
                size: Word::new(),
                generation: Word::new(),
                state: Word::new(),
            },
            tail: layout::Line(Word::new()),
            head: layout::Line(Word::new()),
            consumer_sleeps: layout::Line(Word::new()),
            producer_sleeps: layout::Line(Word::new()),
        }
    }
}
