//! The memory that an I/O processor shares with its host: a page with the words below, then rings.
//!
//! All words are u32, little-endian. Each is written by one side.
//!
//! | offset | word | written by | is |
//! | --- | --- | --- | --- |
//! | 0 | magic | host | `MNET`, `BORD` (two words) |
//! | 8 | versions | host | lowest version in the low half, highest in the high half |
//! | 12 | rings | host | how many rings the I/O processor reads, 1 to [`LANES_MOST`] |
//! | 16 | state | processor | see [`State`] |
//! | 20 | beats | processor | counts up while its loop turns |
//! | 24 | seen | processor | see [`crate::table`] |
//! | 32 | places | host | where the ring that the processor writes lies and how long it is, then the same of each it reads |
//! | 512 | table | host | see [`crate::table`] |
//! | 768 | pulse | processor | see [`set_pulse`]: two words |
//! | 1020 | length | host | bytes of the configuration |
//! | 1024 | configuration | host | text, see [`crate::Config`] |
//! | 3068 | length | processor | bytes of its last words |
//! | 3072 | last words | processor | why it panicked, text |
//! | 4096 | rings | both | see `fabric_ring::layout`; each begins at a multiple of 4096 |
//!
//! The host offers the rings that the processor reads before it starts it. The processor joins these, offers its own,
//! then says [`State::Ready`] and rings the host's second bell; the host joins. A board is used once: after a reset there
//! is another.

use alloc::{string::String, vec::Vec};

/// First words of a board.
pub const MAGIC: [u32; 2] = [u32::from_le_bytes(*b"MNET"), u32::from_le_bytes(*b"BORD")];
/// Version of the layout that this code reads and writes.
pub const VERSION: u16 = 1;
/// Bytes of the first page; rings begin behind it at multiples of it.
pub const PAGE: usize = 4096;
/// The most rings that a processor reads: one for each lane of its host.
pub const LANES_MOST: usize = 16;
/// The longest configuration in bytes.
pub const CONFIG_MOST: usize = 2044;
/// The longest last words in bytes.
pub const WORDS_MOST: usize = 1024;
/// The host's number at the doorbell.
pub const HOST: u16 = 0;
/// The processor's number at the doorbell.
pub const PROCESSOR: u16 = 1;
/// The host's bell that says: look at the ring.
pub const BELL_RING: u16 = 0;
/// The host's bell that says: look at the state.
pub const BELL_STATE: u16 = 1;

const VERSIONS_AT: usize = 8;
const RINGS_AT: usize = 12;
const STATE_AT: usize = 16;
const BEATS_AT: usize = 20;
const PLACES_AT: usize = 32;
/// Where the probe's counts stand.
pub const PULSE_AT: usize = 768;
const CONFIG_AT: usize = 1024;
const WORDS_AT: usize = 3072;

// The parts of the page do not overlap.
const _: () = assert!(PLACES_AT + 8 * (LANES_MOST + 1) <= CONFIG_AT - 4);
const _: () = assert!(CONFIG_AT + CONFIG_MOST <= WORDS_AT - 4 && WORDS_AT + WORDS_MOST <= PAGE);

/// How the processor is, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not said anything yet.
    Silent,
    /// Its image runs.
    Booting,
    /// Its ring is offered, and it has joined the host's.
    Ready,
    /// It stopped by itself; its last words say why.
    Panicked,
    /// It knows its host's node as a member of the fabric, and the way there.
    Joined,
    /// It was told to go, takes nothing new and has nothing under way.
    Quiesced,
    /// Something else: a later version, or garbage.
    Other(u32),
}

impl State {
    const fn word(self) -> u32 {
        match self {
            State::Silent => 0,
            State::Booting => 1,
            State::Ready => 2,
            State::Panicked => 3,
            State::Quiesced => 4,
            State::Joined => 5,
            State::Other(word) => word,
        }
    }

    const fn of(word: u32) -> State {
        match word {
            0 => State::Silent,
            1 => State::Booting,
            2 => State::Ready,
            3 => State::Panicked,
            4 => State::Quiesced,
            5 => State::Joined,
            other => State::Other(other),
        }
    }
}

/// Part of a board's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it begins, in bytes.
    pub at: usize,
    /// How long it is, in bytes.
    pub len: usize,
}

/// Where a board's rings lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The ring that the processor writes.
    pub from: Place,
    /// The rings that it reads.
    pub to: Vec<Place>,
}

/// Why a board cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoardError {
    /// There is no board in this memory.
    Magic,
    /// The host writes other versions.
    Version,
    /// A ring would lie outside, or over another.
    Rings,
    /// The configuration is too long or no text.
    Config,
}

impl core::fmt::Display for BoardError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            BoardError::Magic => "there is no board in this memory",
            BoardError::Version => "the host writes the board in other versions",
            BoardError::Rings => "the board's rings do not fit its memory",
            BoardError::Config => "the configuration is too long or no text",
        })
    }
}

impl core::error::Error for BoardError {}

/// The words of a board's first page, each read or written once where they lie.
pub trait Page {
    /// The word at a byte offset below [`PAGE`], a multiple of 4.
    fn read(&self, at: usize) -> u32;
    /// Writes it.
    fn write(&self, at: usize, word: u32);
}

impl Layout {
    /// With rings of `ring` bytes (memory, not data) for so many lanes, one behind the other.
    pub fn new(lanes: usize, ring: usize) -> Layout {
        let ring = ring.next_multiple_of(PAGE);
        let place = |n: usize| Place { at: PAGE + n * ring, len: ring };
        Layout { from: place(0), to: (1..=lanes).map(place).collect() }
    }

    /// Bytes of memory that it needs: a power of two, as PCI wants it.
    pub fn memory(&self) -> usize {
        self.places().map(|p| p.at + p.len).max().unwrap_or(PAGE).next_power_of_two()
    }

    fn places(&self) -> impl Iterator<Item = Place> + '_ {
        [self.from].into_iter().chain(self.to.iter().copied())
    }

    fn fits(&self, memory: usize) -> bool {
        let mut all: Vec<Place> = self.places().collect();
        all.sort_unstable_by_key(|p| p.at);
        let inside = |p: &Place| {
            p.at >= PAGE && p.at.is_multiple_of(PAGE) && p.at.checked_add(p.len).is_some_and(|end| end <= memory)
        };
        let apart =
            all.windows(2).all(|two| matches!(two, [a, b] if a.at.checked_add(a.len).is_some_and(|end| end <= b.at)));
        all.iter().all(inside) && apart
    }
}

/// The host's part: writes a board. To be done before the processor starts.
pub fn write(page: &impl Page, layout: &Layout, config: &str) -> Result<(), BoardError> {
    if layout.to.is_empty() || layout.to.len() > LANES_MOST || !layout.fits(layout.memory()) {
        return Err(BoardError::Rings);
    }
    if config.len() > CONFIG_MOST {
        return Err(BoardError::Config);
    }
    page.write(VERSIONS_AT, u32::from(VERSION) | u32::from(VERSION) << 16);
    page.write(RINGS_AT, layout.to.len() as u32);
    page.write(STATE_AT, State::Silent.word());
    page.write(BEATS_AT, 0);
    for (n, place) in layout.places().enumerate() {
        page.write(PLACES_AT + 8 * n, place.at as u32);
        page.write(PLACES_AT + 8 * n + 4, place.len as u32);
    }
    write_text(page, CONFIG_AT, config);
    page.write(WORDS_AT - 4, 0);
    page.write(0, MAGIC[0]);
    page.write(4, MAGIC[1]);
    Ok(())
}

/// The processor's part: reads a board of so many bytes; its rings and its configuration.
pub fn read(page: &impl Page, memory: usize) -> Result<(Layout, String), BoardError> {
    if [page.read(0), page.read(4)] != MAGIC {
        return Err(BoardError::Magic);
    }
    let versions = page.read(VERSIONS_AT);
    if !(versions as u16..=(versions >> 16) as u16).contains(&VERSION) {
        return Err(BoardError::Version);
    }
    let rings = page.read(RINGS_AT) as usize;
    if rings == 0 || rings > LANES_MOST {
        return Err(BoardError::Rings);
    }
    let place =
        |n: usize| Place { at: page.read(PLACES_AT + 8 * n) as usize, len: page.read(PLACES_AT + 8 * n + 4) as usize };
    let layout = Layout { from: place(0), to: (1..=rings).map(place).collect() };
    if !layout.fits(memory) {
        return Err(BoardError::Rings);
    }
    let config = read_text(page, CONFIG_AT, CONFIG_MOST).ok_or(BoardError::Config)?;
    Ok((layout, config))
}

/// Says how the processor is.
pub fn set_state(page: &impl Page, state: State) {
    page.write(STATE_AT, state.word());
}

/// How the processor says it is.
pub fn state(page: &impl Page) -> State {
    State::of(page.read(STATE_AT))
}

/// Counts a turn of the processor's loop.
pub fn beat(page: &impl Page) {
    page.write(BEATS_AT, page.read(BEATS_AT).wrapping_add(1));
}

/// How many turns the processor's loop has made.
pub fn beats(page: &impl Page) -> u32 {
    page.read(BEATS_AT)
}

/// Says what its probe has counted: echo requests by frames that were answered, and requests by messages.
pub fn set_pulse(page: &impl Page, counts: [u32; 2]) {
    page.write(PULSE_AT, counts[0]);
    page.write(PULSE_AT + 4, counts[1]);
}

/// What its probe has counted.
pub fn pulse(page: &impl Page) -> [u32; 2] {
    [page.read(PULSE_AT), page.read(PULSE_AT + 4)]
}

/// Leaves last words, cut where they are too long.
pub fn set_last_words(page: &impl Page, words: &str) {
    let mut end = words.len().min(WORDS_MOST);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    write_text(page, WORDS_AT, words.get(..end).unwrap_or_default());
}

/// What the processor said last, with what is no text replaced.
pub fn last_words(page: &impl Page) -> String {
    let len = (page.read(WORDS_AT - 4) as usize).min(WORDS_MOST);
    String::from_utf8_lossy(&bytes(page, WORDS_AT, len)).into_owned()
}

fn write_text(page: &impl Page, at: usize, text: &str) {
    for (n, chunk) in text.as_bytes().chunks(4).enumerate() {
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        page.write(at + 4 * n, u32::from_le_bytes(word));
    }
    page.write(at - 4, text.len() as u32);
}

fn read_text(page: &impl Page, at: usize, most: usize) -> Option<String> {
    let len = page.read(at - 4) as usize;
    (len <= most).then(|| String::from_utf8(bytes(page, at, len)).ok())?
}

fn bytes(page: &impl Page, at: usize, len: usize) -> Vec<u8> {
    let words = (0..len.div_ceil(4)).flat_map(|n| page.read(at + 4 * n).to_le_bytes());
    words.take(len).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use core::cell::RefCell;

    pub(crate) struct Sheet(pub(crate) RefCell<Vec<u32>>);

    impl Sheet {
        pub(crate) fn new(fill: u32) -> Sheet {
            Sheet(RefCell::new(alloc::vec![fill; PAGE / 4]))
        }
    }

    impl Page for Sheet {
        fn read(&self, at: usize) -> u32 {
            self.0.borrow()[at / 4]
        }

        fn write(&self, at: usize, word: u32) {
            assert!(at.is_multiple_of(4));
            self.0.borrow_mut()[at / 4] = word;
        }
    }

    /// PROTOCOL 9.1.
    #[test]
    fn what_the_host_writes_the_processor_reads() {
        let sheet = Sheet::new(0xa5a5_a5a5);
        let layout = Layout::new(3, PAGE + (1 << 20));
        assert_eq!(layout.memory(), 8 << 20);
        write(&sheet, &layout, "name größe\n").unwrap();
        assert_eq!(read(&sheet, 8 << 20), Ok((layout, "name größe\n".into())));
        assert_eq!(read(&sheet, 4 << 20), Err(BoardError::Rings), "the memory is shorter than it should be");
        assert_eq!((state(&sheet), beats(&sheet)), (State::Silent, 0));
        set_state(&sheet, State::Panicked);
        set_last_words(&sheet, &"ä".repeat(600));
        assert_eq!((state(&sheet), last_words(&sheet)), (State::Panicked, "ä".repeat(512)));
        assert!(read(&sheet, 8 << 20).is_ok(), "one side's words do not touch the other's");
    }

    /// PROTOCOL 9.2.
    #[test]
    fn garbage_is_no_board() {
        for fill in [0, u32::MAX, 0xa5a5_a5a5] {
            assert_eq!(read(&Sheet::new(fill), 4 << 20), Err(BoardError::Magic));
        }
        let whole = Sheet::new(0);
        write(&whole, &Layout::new(1, 8192), "x").unwrap();
        let with = |at: usize, word| {
            let sheet = Sheet(whole.0.clone());
            sheet.write(at, word);
            read(&sheet, 1 << 20).unwrap_err()
        };
        assert_eq!(with(VERSIONS_AT, 2 | 3 << 16), BoardError::Version);
        for (at, word) in [(RINGS_AT, 0), (RINGS_AT, 17), (PLACES_AT, 0), (PLACES_AT, 8192), (PLACES_AT + 4, u32::MAX)]
        {
            assert_eq!(with(at, word), BoardError::Rings, "{at} {word}");
        }
        for word in [CONFIG_MOST as u32 + 1, u32::MAX] {
            assert_eq!(with(CONFIG_AT - 4, word), BoardError::Config);
        }
        assert_eq!(with(CONFIG_AT, 0xff), BoardError::Config);
        assert_eq!(write(&whole, &Layout::new(0, 8192), ""), Err(BoardError::Rings));
        assert_eq!(write(&whole, &Layout::new(1, 8192), &"x".repeat(4000)), Err(BoardError::Config));
    }
}
