//! Carriers around carriers: to see what passes, to write it down, to make it go wrong.
//!
//! Each is a [`crate::Carrier`] itself, so they nest. They copy what is made in place, and are for looking and testing,
//! not for speed.

mod fault;
mod pass;
mod pcap;
mod staging;
mod trace;

pub use fault::{Fault, FaultControl, FaultCounts, Faults, PER_MILLION, Time};
pub use pcap::{LINKTYPE_USER0, PSEUDO_HEADER, Pcap};
pub use trace::{Direction, Event, Filter, Sink, Trace};
