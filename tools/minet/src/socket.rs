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

#[cfg(test)]
mod tests {
    use super::*;

    /// PROTOCOL 12.1: the control socket and the guests' are both made so.
    #[test]
    fn a_socket_is_its_owners_alone_and_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.guest");
        fs::write(&path, "what a dead daemon left").unwrap();
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut caller = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let (stream, _) = socket.listener.accept().unwrap();
        assert_eq!(may_ask(&stream), Ok(()), "the same user");
        drop(stream);
        assert_eq!(io::Read::read(&mut caller, &mut [0]).unwrap(), 0);
        drop(socket);
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing stays");
    }
}
