//! Unix sockets in the run-time directory.

use mio::net::{UnixListener, UnixStream};
use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// A socket that listens at a path. Dropping it removes the file.
pub(crate) struct Socket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at `path`, for its owner only, in place of a socket that a dead daemon left: whoever holds the node's lock owns
    /// the name.
    pub(crate) fn bind(path: &Path) -> io::Result<Socket> {
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        for old in [path, &fresh] {
            match fs::remove_file(old) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        let listener = UnixListener::bind(&fresh)?;
        fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
        fs::rename(&fresh, path)?;
        Ok(Socket { listener, path: path.to_path_buf() })
    }
}

/// Whether the other end may ask the daemon: the kernel says who it is. Why not, if not: the file may have been opened to others.
pub(crate) fn may_ask(stream: &UnixStream) -> Result<(), String> {
    let own = rustix::process::geteuid();
    match rustix::net::sockopt::socket_peercred(stream) {
        Ok(peer) if peer.uid.is_root() || peer.uid == own => Ok(()),
        Ok(peer) => Err(format!(
            "user {} may not ask this daemon: only root and the user it runs as ({}) may",
            peer.uid.as_raw(),
            own.as_raw()
        )),
        Err(e) => Err(format!("the kernel does not say who asks: {e}")),
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
