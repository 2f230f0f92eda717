//! The first page of a memory that this process made or was given.

use fabric::shm::Board;
use iop_node::board::Page;

/// The page's words.
#[derive(Debug)]
pub struct FirstPage<'a>(pub &'a Board);

impl Page for FirstPage<'_> {
    fn read(&self, at: usize) -> u32 {
        self.0.read(at)
    }

    fn write(&self, at: usize, word: u32) {
        self.0.write(at, word);
    }
}
