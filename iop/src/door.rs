//! How a manager that was started anew finds a processor that lived on: a process listens at a door, a socket in the run-time
//! directory.
//!
//! Who knocks gives three descriptors in one message of one byte: the sockets of the two memories, and where the process is to speak.
//! The process moves to the new memories and goes on as it is: the same node, with all that it holds.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recvmsg, sendmsg, sockopt::socket_peercred,
    },
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    fs,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    time::Duration,
};

/// What is said with the descriptors.
const HELLO: u8 = 1;
const GIVEN: usize = 3;
/// How long one who knocked may say nothing.
const PATIENCE: Duration = Duration::from_millis(200);

/// A process's door.
#[derive(Debug)]
pub struct Door(UnixListener);

impl Door {
    /// Opens it; what a former process left is taken away.
    ///
    /// # Errors
    /// The path cannot be had.
    pub fn open(path: &Path) -> io::Result<Door> {
        // There may be none.
        let _ = fs::remove_file(path);
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Door(listener))
    }

    /// What somebody gave who knocked and may: root, or this process's own user. Who says nothing holds it up for a moment.
    pub fn answer(&self) -> Option<[OwnedFd; GIVEN]> {
        let (stream, _) = self.0.accept().ok()?;
        let who = socket_peercred(&stream).ok()?;
        if !who.uid.is_root() && who.uid != rustix::process::geteuid() {
            return None;
        }
        let mut byte = [0; 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(GIVEN))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(PATIENCE))).ok()?;
        let got = recvmsg(&stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
        let mut given = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(all) = message {
                given.extend(all);
            }
        }
        (got.bytes == 1 && byte == [HELLO]).then(|| given.try_into().ok())?
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A process that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pid: Pid,
    process: OwnedFd,
}

/// Knocks at a door and gives what is to be given; `None` when nobody is there.
pub(crate) fn knock(path: &Path, given: [BorrowedFd<'_>; GIVEN]) -> io::Result<Option<Found>> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let pid = socket_peercred(&stream)?.pid;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(GIVEN))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&given)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(&stream, &[IoSlice::new(&[HELLO])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(Some(Found { pid, process }))
}

impl Found {
    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get() as u32
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.process, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Ends it, and waits until it has.
    pub(crate) fn end(&self) {
        // It may have ended already.
        if pidfd_send_signal(&self.process, Signal::KILL).is_ok() {
            let _ = poll(&mut [PollFd::new(&self.process, PollFlags::IN)], None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric::shm::bell;

    #[test]
    fn who_knocks_gives_and_finds_out_who_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("door");
        let bells = [(); 3].map(|()| bell().unwrap());
        let given = || [bells[0].as_fd(), bells[1].as_fd(), bells[2].as_fd()];
        assert!(knock(&path, given()).unwrap().is_none(), "there is no door");
        let door = Door::open(&path).unwrap();
        assert!(door.answer().is_none());
        let found = knock(&path, given()).unwrap().unwrap();
        assert_eq!(found.id(), std::process::id());
        assert!(!found.has_ended());
        let [first, ..] = door.answer().unwrap();
        rustix::io::write(&first, &1u64.to_ne_bytes()).unwrap();
        assert!(rustix::io::read(&bells[0], &mut [0u8; 8]).is_ok(), "it is the same bell");
        // One that gives nothing is not heard.
        let _silent = UnixStream::connect(&path).unwrap();
        assert!(door.answer().is_none());
        drop(door);
        assert!(knock(&path, given()).unwrap().is_none(), "nobody is behind it any more");
        assert!(Door::open(&path).is_ok());
    }
}
