//! The board in the memory shared with the host, the memory shared with others of its kind, and the ring ends on them.

use crate::{ivshmem::Ivshmem, sys::Window};
use alloc::{boxed::Box, rc::Rc};
use fabric_ring::Memory;
use iop_node::{
    Bell, Bus, Config, Ends, Neighbours, Stack, Station,
    board::{self, BELL_RING, BELL_STATE, BoardError, HOST, Page, Place, State},
    bus,
};
use messenger_core::Time;

/// The first page of a shared memory.
#[derive(Clone, Copy)]
pub struct FirstPage(Window);

impl FirstPage {
    fn of(device: &Ivshmem) -> Option<FirstPage> {
        device.memory.part(0, board::PAGE).map(FirstPage)
    }
}

impl Page for FirstPage {
    fn read(&self, at: usize) -> u32 {
        self.0.read(at)
    }

    fn write(&self, at: usize, word: u32) {
        self.0.write(at, word);
    }
}

/// The bell of another party on a memory.
pub struct PartyBell {
    device: Rc<Ivshmem>,
    party: u16,
    bell: u16,
}

impl Bell for PartyBell {
    fn ring(&mut self) {
        self.device.ring(self.party, self.bell);
    }
}

/// The memory shared with others of its kind.
pub struct Shared {
    device: Rc<Ivshmem>,
    page: FirstPage,
}

impl Page for Shared {
    fn read(&self, at: usize) -> u32 {
        self.page.read(at)
    }

    fn write(&self, at: usize, word: u32) {
        self.page.write(at, word);
    }
}

impl Bus<Window, PartyBell> for Shared {
    fn memory(&self, place: &Place) -> Option<Window> {
        self.device.memory.part(place.at, place.len)
    }

    fn bell(&self, slot: u8) -> PartyBell {
        PartyBell { device: self.device.clone(), party: u16::from(slot), bell: 0 }
    }
}

/// The stack of this machine, and those it meets without the host.
pub type Own = Stack<Window, PartyBell>;
/// See [`Own`].
pub type Others = Neighbours<Window, PartyBell, Shared>;

/// The board.
pub struct Board {
    device: Rc<Ivshmem>,
    /// Its first page.
    pub page: FirstPage,
}

/// The board, and the memory shared with others where there is one. The first words of each memory tell which it is. Says on the board
/// at once that the image runs.
pub fn find() -> Option<(Board, Option<Others>)> {
    let (mut own, mut others) = (None, None);
    for device in Ivshmem::all() {
        let Some(page) = FirstPage::of(&device) else { continue };
        let device = Rc::new(device);
        match [page.read(0), page.read(4)] {
            board::MAGIC => own = own.or(Some(Board { device, page })),
            bus::MAGIC => {
                let layout = bus::Layout::read(&page, device.memory.len()).ok();
                others = others.or(layout.map(|layout| Neighbours::new(Shared { device, page }, layout)));
            }
            _ => {}
        }
    }
    let own = own?;
    own.say(State::Booting);
    Some((own, others))
}

impl Board {
    /// Says how the processor is, and rings the host.
    pub fn say(&self, state: State) {
        board::set_state(&self.page, state);
        self.device.ring(HOST, BELL_STATE);
    }

    /// Rings the host to look at the page.
    pub fn ring(&self) {
        self.device.ring(HOST, BELL_STATE);
    }

    /// Writes garbage over all that is shared with the host, and rings it: a fault that somebody wanted.
    pub fn scribble(&self, seed: &mut u64) {
        for (at, word) in iop_node::garbage(seed, self.device.memory.len()) {
            self.device.memory.write(at, word);
        }
        self.ring_all();
    }

    /// Rings all bells of the host.
    pub fn ring_all(&self) {
        for _ in 0..64 {
            self.device.ring(HOST, BELL_RING);
            self.device.ring(HOST, BELL_STATE);
        }
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
        let part = |p: &Place| self.device.memory.part(p.at, p.len).ok_or(BoardError::Rings);
        let theirs = layout.to.iter().map(part).collect::<Result<alloc::vec::Vec<_>, _>>()?;
        let bell = PartyBell { device: self.device.clone(), party: HOST, bell: BELL_RING };
        let ends = Ends::new(part(&layout.from)?, theirs, bell)?;
        let mut station = Station::new(config, now);
        station.join(now, ends);
        Ok(Stack::new(station, now))
    }
}
