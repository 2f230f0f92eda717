//! Calling another node, and seeing which there are.

use super::{
    error::JoinError,
    joining::{Joining, Offer},
};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect as call, socket_with},
};
use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// The longest name in bytes.
pub const NAME_MOST: usize = 64;

const SUFFIX: &str = ".sock";

/// Calls the node of this name in the run-time directory.
pub fn connect(directory: &Path, name: &str, offer: &Offer) -> Result<Joining, JoinError> {
    if !name_is_valid(name) {
        return Err(JoinError::Name(name.to_owned()));
    }
    let path = socket_path(directory, name);
    let address = address(&path).ok_or_else(|| JoinError::Name(name.to_owned()))?;
    let socket = socket()?;
    match call(&socket, &address) {
        Ok(()) => Joining::start(socket, offer),
        Err(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTSOCK | Errno::PROTOTYPE) => {
            Err(JoinError::NotRunning(name.to_owned()))
        }
        Err(Errno::AGAIN) => Err(JoinError::Busy(name.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// The names that have a socket in the run-time directory, sorted. Some may be dead; a missing directory has none.
pub fn peers(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|file| Some(file.strip_suffix(SUFFIX)?.to_owned()))
        .filter(|name| name_is_valid(name))
        .collect();
    names.sort_unstable();
    Ok(names)
}

pub(super) fn name_is_valid(name: &str) -> bool {
    (1..=NAME_MOST).contains(&name.len()) && !name.starts_with('.') && !name.contains(['/', '\0'])
}

pub(super) fn socket_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}{SUFFIX}"))
}

pub(super) fn address(path: &Path) -> Option<SocketAddrUnix> {
    SocketAddrUnix::new(path).ok()
}

pub(super) fn socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}
