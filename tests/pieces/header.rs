//! The 16 bytes in front of every message.

use messenger_core::{
    NodeId,
    wire::{Flags, Header},
};
use std::hint::black_box;

fn header() -> Header {
    let node = |id| NodeId::new(id).unwrap();
    Header { flags: Flags(2).with(Flags::OFFLOAD).with_hops(7), ..Header::frame(node(1), node(2), 0x5e9) }
}

/// Written.
pub fn emit() -> Box<dyn FnMut()> {
    let header = header();
    let mut bytes = [0; Header::LEN];
    Box::new(move || {
        black_box(&header).emit(&mut bytes).unwrap();
        black_box(&bytes);
    })
}

/// Read and checked.
pub fn parse() -> Box<dyn FnMut()> {
    let mut bytes = [0; Header::LEN];
    header().emit(&mut bytes).unwrap();
    Box::new(move || {
        black_box(Header::parse(black_box(&bytes)).unwrap());
    })
}
