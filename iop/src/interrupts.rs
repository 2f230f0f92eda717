//! The ivshmem server's part of a conversation with QEMU: it hands out the memory and the bells, and that is all.
//!
//! Every message is a number (i64, little-endian), with at most one descriptor: the protocol's version; the number of
//! the machine; -1 with the memory; then for each party, the machine last, its number once a bell, with the bell.
//! (QEMU, `docs/specs/ivshmem-spec.txt`.)

use iop_node::board::{HOST, PROCESSOR};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};
use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

pub(crate) const VERSION: i64 = 0;
pub(crate) const MEMORY: i64 = -1;

/// What a machine is given.
pub(crate) struct Gifts<'a> {
    /// The memory that is shared.
    pub(crate) memory: BorrowedFd<'a>,
    /// The host's bells, in order.
    pub(crate) host: [BorrowedFd<'a>; 2],
    /// The machine's bell.
    pub(crate) machine: BorrowedFd<'a>,
}

/// All messages in order.
fn messages<'a>(gifts: &Gifts<'a>) -> Vec<(i64, Option<BorrowedFd<'a>>)> {
    let (host, machine) = (i64::from(HOST), i64::from(PROCESSOR));
    let start = [(VERSION, None), (machine, None), (MEMORY, Some(gifts.memory))];
    let bells = gifts.host.iter().map(|bell| (host, Some(*bell)));
    start.into_iter().chain(bells).chain([(machine, Some(gifts.machine))]).collect()
}

/// The socket that QEMU is to be given, with all messages in it already, and our end, which must stay open.
pub(crate) fn serve(gifts: &Gifts<'_>) -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    for (number, descriptor) in messages(gifts) {
        tell(ours.as_fd(), number, descriptor)?;
    }
    Ok((theirs, ours))
}

/// A conversation for a machine that shares memory with others: it is told its own number and the memory, then
/// ([`tell`]) of each party's bell, its own last.
pub(crate) fn begin(own: u8, memory: BorrowedFd<'_>) -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    for (number, descriptor) in [(VERSION, None), (i64::from(own), None), (MEMORY, Some(memory))] {
        tell(ours.as_fd(), number, descriptor)?;
    }
    Ok((theirs, ours))
}

/// Tells a machine one thing: of a party without a bell that it is gone. Never waits.
pub(crate) fn tell(socket: BorrowedFd<'_>, number: i64, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(&number.to_le_bytes())], &mut control, flags)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{RecvAncillaryBuffer, RecvFlags, recvmsg};
    use std::io::IoSliceMut;

    /// PROTOCOL 9.3.
    #[test]
    fn the_machine_gets_everything_in_the_order_it_wants() {
        let [memory, ring, state, bell] = [(); 4].map(|()| fabric::shm::bell().unwrap());
        let gifts = Gifts { memory: memory.as_fd(), host: [ring.as_fd(), state.as_fd()], machine: bell.as_fd() };
        let (theirs, _ours) = serve(&gifts).unwrap();
        let mut heard = Vec::new();
        for _ in 0..6 {
            let mut number = [0; 8];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let got = recvmsg(&theirs, &mut [IoSliceMut::new(&mut number)], &mut control, RecvFlags::DONTWAIT);
            assert_eq!(got.unwrap().bytes, 8);
            heard.push((i64::from_le_bytes(number), control.drain().count()));
        }
        assert_eq!(heard, [(0, 0), (1, 0), (-1, 1), (0, 1), (0, 1), (1, 1)]);
    }
}
