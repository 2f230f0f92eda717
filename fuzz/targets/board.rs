//! The pages that a machine and its host share, with any words on them: what is believed lies inside the memory, nothing lies over
//! anything else, and what one side writes the other reads.

use iop_node::{
    Config,
    board::{self, LANES_MOST, PAGE, Page, Place},
    bus::{self, Way},
    table::{self, ENTRIES_MOST, Table},
};
use std::cell::RefCell;

struct Sheet(RefCell<Vec<u32>>);

impl Sheet {
    fn new(bytes: &[u8], fill: u32) -> Sheet {
        let mut words = vec![fill; PAGE / 4];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks(4)) {
            let mut all = [0; 4];
            all[..bytes.len()].copy_from_slice(bytes);
            *word = u32::from_le_bytes(all);
        }
        Sheet(RefCell::new(words))
    }
}

impl Page for Sheet {
    fn read(&self, at: usize) -> u32 {
        assert!(at.is_multiple_of(4), "a word begins at a multiple of four");
        self.0.borrow()[at / 4]
    }

    fn write(&self, at: usize, word: u32) {
        assert!(at.is_multiple_of(4), "a word begins at a multiple of four");
        self.0.borrow_mut()[at / 4] = word;
    }
}

fn are_apart(mut places: Vec<Place>, memory: usize) {
    places.sort_unstable_by_key(|place| place.at);
    assert!(places.iter().all(|p| p.at >= PAGE && p.at % PAGE == 0 && p.at + p.len <= memory));
    assert!(places.windows(2).all(|two| two[0].at + two[0].len <= two[1].at));
}

fn as_a_board(sheet: &Sheet, memory: usize) {
    if let Ok((layout, config)) = board::read(sheet, memory) {
        assert!((1..=LANES_MOST).contains(&layout.to.len()));
        are_apart([&[layout.from], &layout.to[..]].concat(), memory);
        assert_eq!(board::write(sheet, &layout, &config), Ok(()));
        assert_eq!(board::read(sheet, memory), Ok((layout, config)), "what is written is read");
    }
    let words = board::last_words(sheet);
    board::set_last_words(sheet, &words);
    assert!(words.starts_with(&board::last_words(sheet)), "cut at most");
    let beats = board::beats(sheet);
    board::beat(sheet);
    assert_eq!(board::beats(sheet), beats.wrapping_add(1));
    let state = board::state(sheet);
    board::set_state(sheet, state);
    assert_eq!(board::state(sheet), state);
}

fn as_a_table(sheet: &Sheet, known: u32) {
    if let Some(table) = Table::read(sheet, known) {
        assert!(table.version != 0 && table.version != known && table.entries.len() <= ENTRIES_MOST);
        assert!(table.entries.iter().all(|entry| entry.life != 0 && usize::from(entry.slot) < ENTRIES_MOST));
        let fresh = Sheet::new(&[], 0xa5a5_a5a5);
        table.write(&fresh);
        assert_eq!(Table::read(&fresh, known), Some(table.clone()), "what is written is read");
        // The other side writes a word while it is read.
        for at in (512..524 + 12 * table.entries.len()).step_by(4) {
            let word = fresh.read(at);
            fresh.write(at, word ^ 1 << (known % 32));
            assert_eq!(Table::read(&fresh, known), None, "{at}");
            fresh.write(at, word);
        }
    }
    table::set_seen(sheet, known);
    assert_eq!(table::seen(sheet), known);
}

fn as_a_bus(sheet: &Sheet, memory: usize) {
    let Ok(layout) = bus::Layout::read(sheet, memory) else { return };
    let ways = || (0..=u8::MAX).step_by(3).flat_map(|from| (0..20).map(move |to| Way { from, to }));
    are_apart(ways().filter_map(|way| layout.place(way)).collect(), memory);
    for way in ways() {
        layout.set_lives(sheet, way, [1, 2]);
        let lives = if layout.place(way).is_some() { [1, 2] } else { [0, 0] };
        assert_eq!(layout.lives(sheet, way), lives);
    }
    assert_eq!(bus::Layout::read(sheet, memory), Ok(layout), "lives are no header");
}

pub fn run(input: &[u8]) {
    let [what, known, bytes @ ..] = input else { return };
    let memory = PAGE << (what & 15);
    for part in [as_a_board, as_a_bus] {
        part(&Sheet::new(bytes, 0), memory);
    }
    as_a_table(&Sheet::new(bytes, 0), u32::from(*known));
    // The words of a table alone, with a check that is right: what the host's own mistake would be.
    let sheet = Sheet::new(bytes.get(512..).unwrap_or_default(), 0);
    as_a_table(&sheet, u32::from(*known));
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(config) = Config::parse(text)
    {
        assert!(config.addresses.len() <= 4 && config.frame() > config.mtu);
        assert_eq!(Config::parse(&config.emit()), Ok(config), "what is read is written");
    }
}
