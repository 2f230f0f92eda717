//! Where a panic finds the board.

use crate::link::Board;
use core::{
    fmt::Write,
    panic::PanicInfo,
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering},
};

static BOARD: AtomicPtr<Board> = AtomicPtr::new(null_mut());

/// Keeps the board for last words.
pub fn keep(board: &'static Board) {
    BOARD.store(core::ptr::from_ref(board).cast_mut(), Ordering::Release);
}

/// A text of bounded length that needs no heap, which may be what is broken.
struct Text {
    bytes: [u8; iop_node::board::WORDS_MOST],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            *self.bytes.get_mut(self.len).ok_or(core::fmt::Error)? = byte;
            self.len += 1;
        }
        Ok(())
    }
}

/// Leaves the panic's words on the board, if there is one. Only the first panic is told.
pub fn last_words(info: &PanicInfo<'_>) {
    let board = BOARD.swap(null_mut(), Ordering::Acquire);
    // SAFETY: null, or what `keep` stored, which lasts for ever; only shared references to it are made.
    let Some(board) = (unsafe { board.as_ref() }) else { return };
    let mut text = Text { bytes: [0; iop_node::board::WORDS_MOST], len: 0 };
    // What does not fit is left out.
    let _ = write!(text, "{info}");
    let bytes = text.bytes.get(..text.len).unwrap_or_default();
    board.last_words(core::str::from_utf8(bytes).unwrap_or("a panic without text"));
}
