//! The visitor's part of a conversation with an ivshmem server: what QEMU does for its guest, for a process.
//!
//! Messages are as in `interrupts.rs`: a number, with at most one descriptor.

use crate::interrupts::{MEMORY, VERSION};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::{
    collections::BTreeMap,
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// The most bells of one party that are kept: as many as a processor may have.
const BELLS_MOST: usize = 2;
/// The most parties.
const PARTIES_MOST: usize = 64;

/// One party on a memory.
#[derive(Debug)]
pub struct Visitor {
    socket: OwnedFd,
    own: i64,
    memory: OwnedFd,
    bells: BTreeMap<i64, Vec<OwnedFd>>,
}

impl Visitor {
    /// Takes the introduction: versions, its own number, the memory. It waits for these.
    ///
    /// # Errors
    /// The server has gone, or speaks another version.
    pub fn meet(socket: OwnedFd) -> io::Result<Visitor> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let next = || hear(socket.as_fd(), RecvFlags::empty())?.ok_or_else(closed);
        if !matches!(next()?, (VERSION, None)) {
            return Err(wrong("the server of the shared memory speaks another version"));
        }
        let (own, _) = next()?;
        let (MEMORY, Some(memory)) = next()? else { return Err(wrong("the server gave no memory")) };
        Ok(Visitor { socket, own, memory, bells: BTreeMap::new() })
    }

    /// Hears who came and who went since; whether the server is still there. Never waits.
    pub fn update(&mut self) -> bool {
        loop {
            match hear(self.socket.as_fd(), RecvFlags::DONTWAIT) {
                Ok(None) => return false,
                Ok(Some((party, None))) => drop(self.bells.remove(&party)),
                Ok(Some((party, Some(bell)))) => {
                    let full = self.bells.len() >= PARTIES_MOST;
                    if !full || self.bells.contains_key(&party) {
                        let bells = self.bells.entry(party).or_default();
                        // A party's bells are told anew when it begins anew.
                        if bells.len() >= BELLS_MOST {
                            bells.clear();
                        }
                        bells.push(bell);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Its own number.
    pub const fn own(&self) -> i64 {
        self.own
    }

    /// The memory.
    ///
    /// # Errors
    /// The system is short of descriptors.
    pub fn memory(&self) -> io::Result<OwnedFd> {
        self.memory.try_clone()
    }

    /// A bell of a party, if it has it.
    pub fn bell(&self, party: i64, number: usize) -> Option<BorrowedFd<'_>> {
        self.bells.get(&party)?.get(number).map(AsFd::as_fd)
    }

    /// Rings it. One that is not there hears nothing.
    pub fn ring(&self, party: i64, number: usize) {
        if let Some(bell) = self.bell(party, number) {
            // A full counter has rung already.
            let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
        }
    }
}

/// Readable when [`Visitor::update`] is to be called.
impl AsFd for Visitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One message; `None` at the end.
fn hear(socket: BorrowedFd<'_>, flags: RecvFlags) -> io::Result<Option<(i64, Option<OwnedFd>)>> {
    let mut number = [0; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut number)], &mut control, flags | RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut all) => all.next(),
        _ => None,
    });
    match got.bytes {
        0 => Ok(None),
        8 => Ok(Some((i64::from_le_bytes(number), descriptor))),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupts::{Gifts, begin, serve, tell};
    use fabric::shm::bell;

    #[test]
    fn what_the_server_gives_the_visitor_has() {
        let [memory, ring, state, own] = [(); 4].map(|()| bell().unwrap());
        let gifts = Gifts { memory: memory.as_fd(), host: [ring.as_fd(), state.as_fd()], machine: own.as_fd() };
        let (theirs, ours) = serve(&gifts).unwrap();
        let mut visitor = Visitor::meet(theirs).unwrap();
        assert!(visitor.update());
        assert_eq!(visitor.own(), 1);
        assert!(visitor.bell(0, 1).is_some() && visitor.bell(1, 0).is_some() && visitor.bell(1, 1).is_none());
        visitor.ring(0, 1);
        visitor.ring(7, 0);
        assert!(rustix::io::read(&state, &mut [0u8; 8]).is_ok());
        assert!(rustix::io::read(&ring, &mut [0u8; 8]).is_err());
        drop(ours);
        assert!(!visitor.update());
    }

    #[test]
    fn who_goes_is_forgotten_and_who_says_nonsense_is_refused() {
        let memory = bell().unwrap();
        let (theirs, ours) = begin(3, memory.as_fd()).unwrap();
        let mut visitor = Visitor::meet(theirs).unwrap();
        for _ in 0..3 {
            tell(ours.as_fd(), 5, Some(memory.as_fd())).unwrap();
        }
        assert!(visitor.update() && visitor.bell(5, 0).is_some());
        tell(ours.as_fd(), 5, None).unwrap();
        assert!(visitor.update() && visitor.bell(5, 0).is_none());

        let (theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
        tell(ours.as_fd(), 9, None).unwrap();
        assert!(Visitor::meet(theirs.into()).unwrap_err().to_string().contains("another version"));
        let (theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(ours);
        assert_eq!(Visitor::meet(theirs.into()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
