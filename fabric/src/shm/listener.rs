//! A node's socket in the run-time directory.

use super::{
    connect::{self, address, socket},
    error::{BindError, JoinError},
    joining::{Joining, Offer},
    lock::Lock,
};
use rustix::{
    fs::{Mode, chmod, unlink},
    io::Errno,
    net::{SocketFlags, accept_with, bind, listen},
};
use std::{
    fs::DirBuilder,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::DirBuilderExt,
    },
    path::{Path, PathBuf},
};

/// How many callers may wait.
const BACKLOG: i32 = 64;

/// A node's socket, `<name>.sock` in the run-time directory, with its lock `<name>.lock`. Both go away on drop; what a
/// killed node left is taken over.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    // Dropped last, after the socket's name is gone.
    _lock: Lock,
}

impl Listener {
    /// Makes the directory if it is missing (mode 0700), takes the name, and listens.
    pub fn bind(directory: &Path, name: &str) -> Result<Listener, BindError> {
        if !connect::name_is_valid(name) {
            return Err(BindError::Name(name.to_owned()));
        }
        make_directory(directory).map_err(|source| BindError::Directory { path: directory.to_owned(), source })?;
        let path = connect::socket_path(directory, name);
        let fresh = directory.join(format!(".{name}.new"));
        let fresh_address = address(&fresh).ok_or_else(|| BindError::PathTooLong(fresh.clone()))?;
        let lock = Lock::take(directory.join(format!("{name}.lock")), name)?;
        let failed = |path: &Path, source: io::Error| BindError::File { path: path.to_owned(), source };

        // Bound under another name and then renamed, so that a socket others see listens already or belongs to a dead one.
        let _ = unlink(&fresh);
        let made = (|| -> io::Result<OwnedFd> {
            let socket = socket()?;
            bind(&socket, &fresh_address)?;
            chmod(&fresh, Mode::RWXU)?;
            listen(&socket, BACKLOG)?;
            std::fs::rename(&fresh, &path)?;
            Ok(socket)
        })();
        match made {
            Ok(socket) => Ok(Listener { socket, path, _lock: lock }),
            Err(error) => {
                let _ = unlink(&fresh);
                Err(failed(&path, error))
            }
        }
    }

    /// The next caller, `None` when nobody waits. An error is about this caller alone, except [`JoinError::Io`]: the
    /// system is short of something, and asking again at once does not help.
    pub fn accept(&self, offer: &Offer) -> Result<Option<Joining>, JoinError> {
        match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => Joining::start(socket, offer).map(Some),
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The socket file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = unlink(&self.path);
    }
}

pub(super) fn make_directory(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(io::ErrorKind::NotADirectory.into()),
        other => other,
    }
}
