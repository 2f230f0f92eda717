//! The Carrier contract, the carriers, and middleware around them.
mod carrier;
pub mod loopback;
pub mod shm;
pub mod udp;
pub use carrier::*;
pub use fabric_ring::{Slot, View};
