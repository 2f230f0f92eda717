//! A table of devices: the named ports that a pattern matches, on all nodes.

use crate::{Change, Guest, GuestError, NodeId, PortId, Watch};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The ports that a pattern matches now, with a counter that rises with each change: a watch, read into a table.
///
/// ```no_run
/// # let guest = messenger::Guest::join(&Default::default())?;
/// let mut disks = messenger::Devices::open(&guest, "disk/* kind=disk")?;
/// loop {
///     for disk in disks.iter() {
///         println!("{} at {}", disk.name, disk.node_name);
///     }
///     disks.wait(disks.changes(), None)?;
/// }
/// # #[allow(unreachable_code)] Ok::<(), messenger::GuestError>(())
/// ```
#[derive(Debug)]
pub struct Devices {
    guest: Guest,
    watch: Watch,
    table: BTreeMap<(NodeId, PortId), Change>,
    changes: u64,
}

impl Devices {
    /// Reads the table of a pattern; it has what the guest's node knows now.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: it is no pattern, or the guest has too many watches.
    pub fn open(guest: &Guest, pattern: &str) -> Result<Devices, GuestError> {
        let watch = guest.watch(pattern)?;
        let mut devices = Devices { guest: guest.clone(), watch, table: BTreeMap::new(), changes: 0 };
        devices.read(Some(Duration::ZERO))?;
        Ok(devices)
    }

    /// Rises with each port that came or went.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What is there as far as it was read, by node and port.
    pub fn iter(&self) -> impl Iterator<Item = &Change> {
        self.table.values()
    }

    /// Reads what changed, and waits until the counter is beyond a number; `false`: it was not within `limit`. Without one it waits for
    /// ever.
    ///
    /// # Errors
    /// The connection broke.
    pub fn wait(&mut self, beyond: u64, limit: Option<Duration>) -> Result<bool, GuestError> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        self.read(Some(Duration::ZERO))?;
        while self.changes <= beyond {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if !self.read(left)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads all changes that are there, the first one within `limit`; whether there were any.
    fn read(&mut self, limit: Option<Duration>) -> Result<bool, GuestError> {
        let (before, mut limit) = (self.changes, limit);
        while let Some(change) = self.guest.change(self.watch, limit)? {
            limit = Some(Duration::ZERO);
            self.changes += 1;
            let place = (change.node, change.port);
            if change.up {
                self.table.insert(place, change);
            } else {
                self.table.remove(&place);
            }
        }
        Ok(self.changes > before)
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        // A connection that is gone has no watches.
        let _ = self.guest.unwatch(self.watch);
    }
}
