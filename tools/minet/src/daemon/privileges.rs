//! What the daemon may still do once its files are open.
//!
//! | kept | for | when |
//! | --- | --- | --- |
//! | `CAP_NET_ADMIN` | interfaces: address, MTU, carrier, taking over; large socket buffers | with any of these |
//! | `CAP_NET_RAW` | packet sockets, also after an Ethernet came back | with an `ether` carrier |
//! | `CAP_NET_BIND_SERVICE` | its UDP port | that is below 1024 |
//! | `CAP_DAC_OVERRIDE` | files and devices of another owner | one of those it is configured with is; of another user than root (`user`): one it may not use by itself |
//!
//! All else goes before the first lane starts, so that every thread is without it: from the sets of the process, from what it
//! may ever get back, and, with no-new-privileges, from every program it starts.

use crate::{Config, Mode};
use rustix::fs::{Access, access};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};
use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

/// UDP ports below this are not for everybody, where the system says nothing else.
const RESERVED: u16 = 1024;
/// Where it does.
const FIRST_FREE_PORT: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

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

/// Drops every capability of this thread, for good: for one that starts before the others are dropped and needs none.
pub(crate) fn drop_all() -> io::Result<()> {
    set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    clear_bounding_set(capabilities(None)?.effective, none)?;
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
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
    let mut needed = CapabilitySet::empty();
    let on_host = config.segments.iter().any(|segment| segment.mode != Mode::Smoltcp);
    needed.set(CapabilitySet::NET_ADMIN, on_host || config.udp.is_some() || !config.ethers.is_empty());
    needed.set(CapabilitySet::NET_RAW, !config.ethers.is_empty());
    let free = fs::read_to_string(FIRST_FREE_PORT).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(RESERVED);
    needed.set(CapabilitySet::NET_BIND_SERVICE, config.udp.is_some_and(|udp| (1..free).contains(&udp.port())));
    // A line that is not there now may come back as anybody's.
    let comes_later = config.serials.iter().any(|serial| !serial.line.path.exists());
    let denied = |path: &Path| if own == 0 { is_of_another(path, own) } else { !is_usable(path) };
    let other = files(config, dir).find(|path| denied(path));
    if let (Some(path), true) = (other, own != 0) {
        log::warn!("{} is not this user's: the daemon may open the files of others", path.display());
    }
    needed.set(CapabilitySet::DAC_OVERRIDE, comes_later || other.is_some());
    needed
}

/// Whatever is opened, written or removed later on.
fn files<'a>(config: &'a Config, dir: &'a Path) -> impl Iterator<Item = &'a Path> {
    let book = config.trust.iter().map(|trust| &*trust.book);
    let capture = config.pcap.iter().filter_map(|path| path.parent());
    let lines = config.serials.iter().map(|serial| &*serial.line.path);
    let images = config.iops.iter().map(|iop| &*iop.image);
    [dir].into_iter().chain(book).chain(capture).chain(lines).chain(images)
}

/// Whether the file or anything on the way to it is another user's. What is not there, or cannot be asked, is told of when it is
/// used.
fn is_of_another(path: &Path, own: u32) -> bool {
    let Ok(path) = fs::canonicalize(path).or_else(|_| std::path::absolute(path)) else { return false };
    path.ancestors().any(|part| fs::metadata(part).is_ok_and(|found| found.uid() != own))
}

/// Whether a user who is not root can use it by himself: change what is there, or make it. Of an image, and of whatever may not be
/// written by anybody, it is enough to read it. The kernel judges by the real user and leaves capabilities out.
fn is_usable(path: &Path) -> bool {
    let Ok(found) = fs::metadata(path) else {
        return path.parent().is_some_and(|parent| access(parent, Access::WRITE_OK | Access::EXEC_OK).is_ok());
    };
    let wanted = match (found.is_dir(), found.mode() & 0o222) {
        (true, _) => Access::WRITE_OK | Access::EXEC_OK,
        (false, 0) => Access::READ_OK,
        (false, _) => Access::READ_OK | Access::WRITE_OK,
    };
    // A file that is replaced as a whole needs its directory.
    let around = path.parent().filter(|_| found.is_file());
    let replaced = around.is_none_or(|parent| access(parent, Access::WRITE_OK | Access::EXEC_OK).is_ok());
    access(path, wanted).is_ok() && (replaced || found.mode() & 0o222 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_file_it_is_counts_and_the_way_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/file");
        fs::create_dir(dir.path().join("deep")).unwrap();
        let own = fs::metadata(dir.path()).unwrap().uid();
        // Above it are the system's directories.
        let system = fs::metadata("/").unwrap().uid();
        assert_eq!(is_of_another(&file, own), own != system, "not there yet");
        fs::write(&file, "").unwrap();
        assert_eq!(is_of_another(&file, own), own != system);
        assert!(is_of_another(&file, own + 1));
    }

    /// Tried as a user who is not root; without privilege that is who runs the test.
    #[test]
    fn what_another_user_may_do_by_himself_is_found_out() {
        use std::os::unix::fs::{PermissionsExt, chown};
        let dir = tempfile::tempdir().unwrap();
        let (own, closed) = (dir.path().join("own"), dir.path().join("closed"));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for path in [&own, &closed] {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        if !rustix::process::geteuid().is_root() {
            return assert!(is_usable(&own) && is_usable(&own.join("new")) && !is_usable(Path::new("/proc")));
        }
        chown(&own, Some(65534), Some(65534)).unwrap();
        let tried = std::thread::spawn(move || {
            // This thread alone becomes another one.
            super::super::user::become_user("65534").unwrap();
            assert!(is_usable(&own) && is_usable(&own.join("new")));
            assert!(!is_usable(&closed) && !is_usable(&closed.join("new")) && !is_usable(Path::new("/proc")));
        });
        tried.join().unwrap();
    }
}
