//! The board in the shared memory, and the ring ends on it.

use crate::{ivshmem::Ivshmem, sys::Window};
use alloc::{boxed::Box, rc::Rc};
use fabric_ring::Memory;
use iop_node::{
    Bell, Config, Ends, Stack, Station,
    board::{self, BELL_RING, BELL_STATE, BoardError, HOST, Page, State},
};
use messenger_core::Time;

/// The first page of the shared memory.
#[derive(Clone, Copy)]
pub struct FirstPage(Window);

impl Page for FirstPage {
    fn read(&self, at: usize) -> u32 {
        self.0.read(at)
    }

    fn write(&self, at: usize, word: u32) {
        self.0.write(at, word);
    }
}

/// The host's bell.
pub struct HostBell(Rc<Ivshmem>);

impl Bell for HostBell {
    fn ring(&mut self) {
        self.0.ring(HOST, BELL_RING);
    }
}

/// The stack of this machine.
pub type Own = Stack<Window, HostBell>;

/// The board.
pub struct Board {
    device: Rc<Ivshmem>,
    /// Its first page.
    pub page: FirstPage,
}

impl Board {
    /// On the shared memory of a device. Says at once that the image runs.
    pub fn new(device: Ivshmem) -> Option<Board> {
        let page = FirstPage(device.memory.part(0, board::PAGE)?);
        let board = Board { device: Rc::new(device), page };
        board.say(State::Booting);
        Some(board)
    }

    /// Says how the processor is, and rings the host.
    pub fn say(&self, state: State) {
        board::set_state(&self.page, state);
        self.device.ring(HOST, BELL_STATE);
    }

    /// Whether the host rings us; otherwise its rings must be looked at.
    pub fn has_doorbell(&self) -> bool {
        self.device.doorbell
    }

    /// Leaves last words.
    pub fn last_words(&self, words: &str) {
        board::set_last_words(&self.page, words);
        self.say(State::Panicked);
    }

    /// Joins the host: its node's rings, with the configuration that the manager left.
    pub fn join(&self, now: Time) -> Result<Own, Box<dyn core::error::Error>> {
        let (layout, text) = board::read(&self.page, self.device.memory.len())?;
        let config = Config::parse(&text)?;
        let part = |p: &board::Place| self.device.memory.part(p.at, p.len).ok_or(BoardError::Rings);
        let theirs = layout.to.iter().map(part).collect::<Result<alloc::vec::Vec<_>, _>>()?;
        let ends = Ends::new(part(&layout.from)?, theirs, HostBell(self.device.clone()))?;
        let mut station = Station::new(config, now);
        station.join(now, ends);
        Ok(Stack::new(station, now))
    }
}
