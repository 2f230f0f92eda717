//! Whether a peer's process still lives.

use crate::sys;
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

/// Who a peer is, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its process; 0 when it is in a process namespace that is not visible from here.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl Credentials {
    pub(crate) fn of(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
        let (pid, uid, gid) = sys::peer_credentials(socket)?;
        Ok(Credentials { pid, uid, gid })
    }

    /// The same user as ours, root, or one of `others`.
    pub(crate) fn may_join(&self, others: &[u32]) -> bool {
        self.may_join_user(rustix::process::geteuid().as_raw(), others)
    }

    fn may_join_user(&self, own: u32, others: &[u32]) -> bool {
        self.uid == 0 || self.uid == own || others.contains(&self.uid)
    }
}

/// How a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its process has the socket open.
    Alive,
    /// It closed the socket, or died.
    Dead,
    /// It speaks when there is nothing to say: better drop it.
    Strange,
}

/// The socket on which two nodes met. It becomes readable at once when the peer's process dies; dropping it, and the
/// [`super::Joining`] whose descriptor it is, tells the peer that we are gone.
#[derive(Debug)]
pub struct Lifeline(pub(crate) Arc<OwnedFd>);

impl Lifeline {
    /// Looks, without blocking. Call it when the descriptor is readable.
    pub fn check(&self) -> Life {
        let mut byte = [0u8; 1];
        match recv(self.0.as_ref(), &mut byte, RecvFlags::DONTWAIT) {
            Ok((0, _)) => Life::Dead,
            Ok(_) => Life::Strange,
            Err(Errno::AGAIN | Errno::INTR) => Life::Alive,
            Err(_) => Life::Dead,
        }
    }
}

impl AsFd for Lifeline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_the_same_user_and_those_listed_may_join() {
        let may = |uid, own, others: &[u32]| Credentials { pid: 1, uid, gid: 0 }.may_join_user(own, others);
        assert!(may(0, 1000, &[]) && may(1000, 1000, &[]) && may(1001, 1000, &[7, 1001]));
        assert!(!may(1001, 1000, &[]) && !may(1001, 0, &[1000]), "nobody else, not even at root's");
    }
}
