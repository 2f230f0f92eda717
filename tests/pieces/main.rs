//! The pieces of the frame path, one by one: how long each takes, and how many instructions.
//!
//! `cargo bench -p minet-pieces` measures times. `cargo xtask instructions` runs the same program under
//! callgrind as `pieces --repeat PIECE COUNT` and compares with what is recorded: noise does not touch that. Run as a
//! test, each piece runs a few times.
//!
//! They are here and not in their rooms because a piece is what a lane does: it takes more than one room. Messages are here to show what
//! a trace costs that is off (row DB-1).
#![allow(clippy::unwrap_used, clippy::panic, reason = "as a test: it may stop at what it did not expect")]

mod forwarding;
mod frames;
mod header;
mod messages;
mod ring;
mod runs;
mod sys;

use divan::Bencher;
use std::env;

/// Makes the work of a piece; the set-up is not measured.
type Make = fn() -> Box<dyn FnMut()>;

/// Every piece: its name, and its work.
const PIECES: [(&str, Make); 14] = [
    ("header, emit", header::emit),
    ("header, parse", header::parse),
    ("ring, one record of 64 bytes", ring::one),
    ("ring, 16 records of 1500 bytes in a batch", ring::batch),
    ("ring, a super-frame reserved and committed in place", ring::in_place),
    ("outbound and plan, 64 bytes", forwarding::outbound),
    ("outbound and plan, a super-frame whole", forwarding::outbound_super),
    ("inbound, 64 bytes", forwarding::inbound),
    ("inbound, a super-frame", forwarding::inbound_super),
    ("run of 42 parts, cut", runs::cut),
    ("run of 42 parts, decided on and merged", runs::merge),
    ("message to a port here, nobody looks on", messages::untraced),
    ("message to a port here, a trace of others is on", messages::filtered),
    ("message to a port here, traced", messages::traced),
];

/// How often a piece runs in a test.
const FEW: usize = 3;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--names"] => PIECES.iter().for_each(|(name, _)| println!("{name}")),
        ["--repeat", name, count] => repeat(name, count.parse().unwrap()),
        args if args.contains(&"--bench") => divan::main(),
        _ => PIECES.iter().for_each(|(name, _)| repeat(name, FEW)),
    }
}

#[divan::bench(args = PIECES.map(|(name, _)| name))]
fn piece(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench_local(make(name));
}

fn repeat(name: &str, count: usize) {
    let mut work = make(name);
    for _ in 0..count {
        work();
    }
}

fn make(name: &str) -> Box<dyn FnMut()> {
    let found = PIECES.iter().find(|(piece, _)| *piece == name);
    found.unwrap_or_else(|| panic!("there is no piece {name}")).1()
}
