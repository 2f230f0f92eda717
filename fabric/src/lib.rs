//! The Carrier contract, the carriers, and middleware around them.
mod bell;
mod carrier;
pub mod io;
pub mod loopback;
pub mod middleware;
pub mod shm;
mod sys;
pub mod udp;
pub use carrier::*;
pub use fabric_ring::{Slot, View};
