//! The heap: what is left behind the image, and no more.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr::{NonNull, null_mut},
};
use linked_list_allocator::Heap;

unsafe extern "C" {
    static mut _heap_start: u8;
    static mut _heap_end: u8;
}

struct Bounded(UnsafeCell<Heap>);

// SAFETY: there is one processor, and no interrupt handler allocates.
unsafe impl Sync for Bounded {}

#[global_allocator]
static HEAP: Bounded = Bounded(UnsafeCell::new(Heap::empty()));

// SAFETY: what the inner heap gives and takes; there is nobody to race with.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the only reference at this time, see `Sync`.
        let heap = unsafe { &mut *self.0.get() };
        heap.allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        let Some(start) = NonNull::new(start) else { return };
        // SAFETY: as above; the caller got `start` from `alloc` with this layout.
        unsafe { (*self.0.get()).deallocate(start, layout) };
    }
}

/// Makes the heap; once, before anything is allocated.
pub fn start() {
    // SAFETY: the linker keeps this memory free of everything else; called once.
    unsafe {
        let (start, end) = (&raw mut _heap_start, &raw mut _heap_end);
        (*HEAP.0.get()).init(start, end as usize - start as usize);
    }
}

/// Bytes used and bytes there are.
pub fn used() -> (usize, usize) {
    // SAFETY: as in `alloc`; only numbers are read.
    let heap = unsafe { &*HEAP.0.get() };
    (heap.used(), heap.size())
}
