//! Memory, whatever the processor: the heap, windows on what is not the image's own, and the board for last words.

mod heap;
mod window;
mod words;

pub use heap::{start as start_heap, used as heap_used};
pub use window::Window;
pub use words::{keep as keep_for_last_words, last_words};
