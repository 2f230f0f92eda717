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
    /// Of every number that anybody ever had: who has it next has the same bell. So nobody is told that a party is gone, which QEMU
    /// (7.2) answers by writing to freed memory when the same number comes again.
    bells: BTreeMap<u8, OwnedFd>,
    /// QEMU listens at the other end as long as it lives.
    servers: BTreeMap<u8, OwnedFd>,
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
        Ok(Bus { memory, bells: BTreeMap::new(), servers: BTreeMap::new() })
    }

    /// A machine that is about to start has this number; whoever had it is gone. Gives the socket for it. All others are told,
    /// unless they know its bell from a former life.
    pub(crate) fn join(&mut self, slot: u8) -> io::Result<OwnedFd> {
        self.leave(slot);
        if !self.bells.contains_key(&slot) {
            let bell = shm::bell()?;
            for server in self.servers.values() {
                // One that does not listen will be found by its silence.
                let _ = interrupts::tell(server.as_fd(), i64::from(slot), Some(bell.as_fd()));
            }
            self.bells.insert(slot, bell);
        }
        let (theirs, server) = interrupts::begin(slot, self.memory.file())?;
        // Also of those that are not there: they are not told of again when they come. Its own last.
        let others = self.bells.iter().filter(|(other, _)| **other != slot);
        for (party, bell) in others.chain(self.bells.get_key_value(&slot)) {
            interrupts::tell(server.as_fd(), i64::from(*party), Some(bell.as_fd()))?;
        }
        self.servers.insert(slot, server);
        Ok(theirs)
    }

    /// A machine is gone.
    pub fn leave(&mut self, slot: u8) {
        self.servers.remove(&slot);
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
    fn everybody_is_told_each_bell_once() {
        let mut bus = Bus::new().unwrap();
        let first = bus.join(0).unwrap();
        assert_eq!(told(&first), [(0, 0), (0, 0), (-1, 1), (0, 1)]);
        let second = bus.join(5).unwrap();
        assert_eq!(told(&second), [(0, 0), (5, 0), (-1, 1), (0, 1), (5, 1)]);
        assert_eq!(told(&first), [(5, 1)]);
        let again = bus.join(0).unwrap();
        assert_eq!(told(&second), [], "the next life has the same bell");
        assert_eq!(told(&again), [(0, 0), (0, 0), (-1, 1), (5, 1), (0, 1)]);
        bus.leave(5);
        bus.leave(5);
        assert_eq!(told(&again), []);
        let third = bus.join(7).unwrap();
        assert_eq!(told(&third), [(0, 0), (7, 0), (-1, 1), (0, 1), (5, 1), (7, 1)], "also of one that may come back");
        assert_eq!(told(&again), [(7, 1)]);
        assert_eq!(Layout::read(&FirstPage(&bus.memory), Layout::new().memory()), Ok(Layout::new()));
    }
}
