//! A single-producer single-consumer byte ring in memory that both ends map and neither trusts.
#![no_std]

#[cfg(test)]
extern crate std;

mod view;

pub use view::{Slot, View};
