//! A node of a fabric that brings its own TCP/IP: what an I/O processor without an operating system runs.
//!
//! It joins the rooms that do not know each other, as the daemon does where there is an operating system: `fabric-ring`
//! carries, `messenger-core` concludes, `minet` decides on frames, smoltcp is the network stack. [`Station`] is the node
//! and its interface, [`Stack`] the TCP/IP on it with its services, [`ports`] what it
//! serves by messages, [`board`] the memory it shares with its host. [`Duty`] is the loop of a
//! processor. [`Inet`] is TCP/IP alone, for whoever has frames of an interface.
//!
//! It has no clock, interrupt or device: time is an argument, memory and doorbells are the caller's, which is a bare
//! machine or a process.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod board;
pub mod bus;
mod config;
mod device;
mod duty;
mod ends;
mod inet;
mod introductions;
mod line;
mod neighbours;
pub mod ports;
mod probe;
mod services;
mod stack;
mod station;
pub mod table;
#[cfg(test)]
mod tests;

pub use config::{Config, ConfigError};
pub use device::Frames;
pub use duty::{Duty, Turn, garbage};
pub use ends::{Bell, Ends};
pub use inet::Inet;
pub use introductions::Introductions;
pub use line::Bytes;
pub use neighbours::{Bus, Neighbours};
pub use stack::{Machine, Stack};
pub use station::Station;
