//! What the daemon may still do once its files are open.
//!
//! | kept | for | when |
//! | --- | --- | --- |
//! | `CAP_NET_ADMIN` | interfaces: address, MTU, carrier, taking over; large socket buffers | always |
//! | `CAP_NET_RAW` | packet sockets, also after an Ethernet came back | with an `ether` carrier |
//! | `CAP_NET_BIND_SERVICE` | its UDP port | that is below 1024 |
//! | `CAP_DAC_OVERRIDE` | files and devices of another owner | one of those it is configured with is |
//!
//! All else goes before the first lane starts, so that every thread is without it: from the sets of the process, from what it
//! may ever get back, and, with no-new-privileges, from every program it starts.

use crate::Config;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};
use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

/// UDP ports that are not for everybody.
const RESERVED: u16 = 1024;

/// Drops what is not needed for `config`. Files are in `dir`, the run-time directory of the fabric, which is there.
pub(super) fn drop_others(config: &Config, dir: &Path) -> io::Result<()> {
    set_no_new_privs(true)?;
    let had = capabilities(None)?;
    let keep = needed(config, dir, rustix::process::geteuid().as_raw()) & had.permitted;
    clear_bounding_set(had.effective, keep)?;
    set_capabilities(None, CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() })?;
    log::debug!("kept of the capabilities: {keep:?}");
    Ok(())
}

/// Needs a capability itself; without it there is nothing to be got back either.
fn clear_bounding_set(had: CapabilitySet, keep: CapabilitySet) -> io::Result<()> {
    if had.contains(CapabilitySet::SETPCAP) {
        for one in had.difference(keep).iter() {
            rustix::thread::remove_capability_from_bounding_set(one)?;
        }
    }
    Ok(())
}

fn needed(config: &Config, dir: &Path, own: u32) -> CapabilitySet {
    let mut needed = CapabilitySet::NET_ADMIN;
    needed.set(CapabilitySet::NET_RAW, !config.ethers.is_empty());
    needed.set(CapabilitySet::NET_BIND_SERVICE, config.udp.is_some_and(|udp| (1..RESERVED).contains(&udp.port())));
    needed.set(CapabilitySet::DAC_OVERRIDE, files(config, dir).any(|path| is_of_another(path, own)));
    needed
}

/// Whatever is opened, written or removed later on.
fn files<'a>(config: &'a Config, dir: &'a Path) -> impl Iterator<Item = &'a Path> {
    let book = config.trust.iter().filter_map(|trust| trust.book.parent());
    let capture = config.pcap.iter().filter_map(|path| path.parent());
    let lines = config.serials.iter().map(|serial| &*serial.line.path);
    let images = config.iops.iter().filter_map(|iop| iop.image.parent());
    [dir].into_iter().chain(book).chain(capture).chain(lines).chain(images)
}

/// What is not there, or cannot be asked, is told of when it is used.
fn is_of_another(path: &Path, own: u32) -> bool {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    fs::metadata(path).is_ok_and(|found| found.uid() != own)
}
