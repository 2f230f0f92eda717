//! The memory that all processors of a manager share with each other: who is on it, and their bells.
//!
//! The manager hands out memory and bells and takes no part itself: what processors say to one another goes on while it
//! stands still.

use crate::{interrupts, page::FirstPage};
use fabric::shm::{self, Board, BoardError};
use iop_node::bus::Layout;
use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
};

/// The memory.
#[derive(Debug)]
pub struct Bus {
    memory: Board,
    members: BTreeMap<u8, Member>,
}

#[derive(Debug)]
struct Member {
    bell: OwnedFd,
    /// QEMU listens at its other end as long as it lives.
    server: OwnedFd,
}

impl Bus {
    /// New memory with nobody on it. What nobody touches of it costs nothing.
    ///
    /// # Errors
    /// The system is short of memory or descriptors.
    pub fn new() -> Result<Bus, BoardError> {
        let layout = Layout::new();
        let memory = Board::new(layout.memory())?;
        layout.write(&FirstPage(&memory));
        Ok(Bus { memory, members: BTreeMap::new() })
    }

    /// A machine that is about to start has this number; whoever had it is gone. Gives the socket for it. All others are told.
    pub(crate) fn join(&mut self, slot: u8) -> io::Result<OwnedFd> {
        self.leave(slot);
        let bell = shm::bell()?;
        let (theirs, server) = interrupts::begin(slot, self.memory.file())?;
        for (other, member) in &self.members {
            interrupts::tell(server.as_fd(), i64::from(*other), Some(member.bell.as_fd()))?;
            // One that does not listen will be found by its silence.
            let _ = interrupts::tell(member.server.as_fd(), i64::from(slot), Some(bell.as_fd()));
        }
        interrupts::tell(server.as_fd(), i64::from(slot), Some(bell.as_fd()))?;
        self.members.insert(slot, Member { bell, server });
        Ok(theirs)
    }

    /// A machine is gone.
    pub fn leave(&mut self, slot: u8) {
        if self.members.remove(&slot).is_none() {
            return;
        }
        for member in self.members.values() {
            let _ = interrupts::tell(member.server.as_fd(), i64::from(slot), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{RecvAncillaryBuffer, RecvFlags, recvmsg};
    use std::{io::IoSliceMut, mem::MaybeUninit};

    /// What a machine was told since: numbers, and whether there was a descriptor with each.
    fn told(socket: &OwnedFd) -> Vec<(i64, usize)> {
        let mut all = Vec::new();
        loop {
            let mut number = [0; 8];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            match recvmsg(socket, &mut [IoSliceMut::new(&mut number)], &mut control, RecvFlags::DONTWAIT) {
                Ok(got) if got.bytes == 8 => all.push((i64::from_le_bytes(number), control.drain().count())),
                _ => return all,
            }
        }
    }

    /// PROTOCOL 9.7.
    #[test]
    fn everybody_is_told_who_comes_and_goes() {
        let mut bus = Bus::new().unwrap();
        let first = bus.join(0).unwrap();
        assert_eq!(told(&first), [(0, 0), (0, 0), (-1, 1), (0, 1)]);
        let second = bus.join(5).unwrap();
        assert_eq!(told(&second), [(0, 0), (5, 0), (-1, 1), (0, 1), (5, 1)]);
        assert_eq!(told(&first), [(5, 1)]);
        let again = bus.join(0).unwrap();
        assert_eq!(told(&second), [(0, 0), (0, 1)], "its former life is gone, and another one is there");
        assert_eq!(told(&again), [(0, 0), (0, 0), (-1, 1), (5, 1), (0, 1)]);
        bus.leave(5);
        bus.leave(5);
        assert_eq!(told(&again), [(5, 0)]);
        assert_eq!(Layout::read(&FirstPage(&bus.memory), Layout::new().memory()), Ok(Layout::new()));
    }
}
