//! The host's network interface: where frames come from and go to.
//!
//! [`tap::open`] makes a TAP with virtio-net headers, offloads and several queues; [`plain::open`] a plain TAP or a TUN
//! through the `tun-tap` crate. Both give an [`Interface`]: a name, what its descriptors speak, and the descriptors, which
//! do not block. [`Control`] sets MAC, MTU, state, carrier and addresses over netlink, [`find`] looks an interface up,
//! [`Monitor`] tells of changes that others make. No program is run for any of it.
//!
//! It is *not* concerned with what a frame means or where it goes: that is `minet`, which this room does not know.
//! It never removes or renames an interface it did not make, and reads and writes no frame itself.
//!
//! ```no_run
//! use netif::{Address, Control, TapConfig, tap};
//!
//! let tap = tap::open(&TapConfig { name: "mn0".into(), ..TapConfig::default() })?;
//! println!("{} with {} queues, offloads: {}", tap.name(), tap.queues().len(), tap.offloads());
//!
//! let mut control = Control::open(tap.name())?;
//! control.set_mac([0x02, 0x4d, 0, 0, 0, 1])?;
//! control.set_mtu(1500)?;
//! control.add_address(&Address::new("10.77.0.1".parse().unwrap(), 24))?;
//! control.set_up(true)?;
//! control.set_carrier(false)?; // NO-CARRIER until a peer is there
//! # Ok::<(), netif::Error>(())
//! ```

mod address;
mod control;
mod error;
mod interface;
mod link;
mod monitor;
mod netlink;
pub mod plain;
mod sys;
pub mod tap;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use control::Control;
pub use error::Error;
pub use interface::{Interface, Mode, NAME_MAX, Offloads};
pub use link::{Link, LinkCounters, TunInfo, find};
pub use monitor::{Change, Monitor};
pub use tap::TapConfig;
