//! The frames of the stack: the other end of the pair of sockets is a lane's.

use fabric::{View, io::write_from};
use iop_node::{Frames, Introductions};
use messenger_core::Time;
use minet::VirtioNet;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair, sockopt};
use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// What the system may keep in each direction, in bytes, if it lets us.
const KEPT: usize = 4 << 20;
/// Frames that wait because the lane does not take them.
const WAITING: usize = 64;
/// Frames read before others have their turn: members may send without end.
const TURN: usize = 64;
/// The longest frame that comes: a super-frame with its header.
const LONGEST: usize = VirtioNet::LEN + 65_535 + 14 + 8;

/// One end.
pub(super) struct Line {
    socket: OwnedFd,
    frame: usize,
    introductions: Introductions,
    /// An introduction goes in front of its frame.
    next: VecDeque<Vec<u8>>,
    /// What did not leave yet, with its header.
    waiting: VecDeque<Vec<u8>>,
    buffer: Box<[u8]>,
    /// There was nothing more to read.
    pub(super) is_dry: bool,
    /// So many more frames are read until [`Line::begin_turn`].
    left: usize,
}

impl Line {
    /// For frames of so many bytes at the most; with the lane's end.
    pub(super) fn new(frame: usize) -> io::Result<(Line, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        for end in [&ours, &theirs] {
            // A smaller one loses frames under load, and works.
            if sockopt::set_socket_send_buffer_size_force(end, KEPT).is_err() {
                let _ = sockopt::set_socket_send_buffer_size(end, KEPT);
            }
        }
        let line = Line {
            socket: ours,
            frame,
            introductions: Introductions::default(),
            next: VecDeque::new(),
            waiting: VecDeque::new(),
            buffer: vec![0; LONGEST].into_boxed_slice(),
            is_dry: false,
            left: 0,
        };
        Ok((line, theirs))
    }

    /// Some more frames may be read.
    pub(super) fn begin_turn(&mut self) {
        self.left = TURN;
    }

    /// Sends what waits, as far as the lane takes it.
    pub(super) fn flush(&mut self) {
        while let Some(frame) = self.waiting.front() {
            match write_from(self.socket.as_fd(), &[View::from(&frame[..])]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // What the system does not want is lost, as on any network.
                _ => drop(self.waiting.pop_front()),
            }
        }
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Frames for Line {
    fn frame_most(&self) -> usize {
        self.frame
    }

    fn has_room(&mut self) -> bool {
        self.waiting.len() < WAITING
    }

    fn poll_frame(&mut self, now: Time) -> Option<Vec<u8>> {
        if let Some(frame) = self.next.pop_front() {
            return Some(frame);
        }
        self.left = self.left.checked_sub(1)?;
        let Ok((_, len)) = recv(&self.socket, &mut self.buffer[..], RecvFlags::empty()) else {
            self.is_dry = true;
            return None;
        };
        let frame = self.buffer.get(VirtioNet::LEN..len)?.to_vec();
        match self.introductions.before(now, &frame) {
            None => Some(frame),
            Some(introduction) => {
                self.next.push_back(frame);
                Some(introduction)
            }
        }
    }

    fn send_frame(&mut self, _now: Time, frame: &mut [u8]) {
        let header = [0; VirtioNet::LEN];
        if self.waiting.is_empty() {
            let sent = write_from(self.socket.as_fd(), &[View::from(&header[..]), View::from(&*frame)]);
            if !sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return;
            }
        }
        self.waiting.push_back([&header[..], frame].concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_though_frames_go_on() {
        let (mut line, theirs) = Line::new(1514).unwrap();
        let frame = [0; VirtioNet::LEN + 60];
        for _ in 0..TURN + 3 {
            write_from(theirs.as_fd(), &[View::from(&frame[..])]).unwrap();
        }
        let read = |line: &mut Line| {
            line.begin_turn();
            std::iter::from_fn(|| line.poll_frame(Time::ZERO)).count()
        };
        assert_eq!((read(&mut line), line.is_dry), (TURN, false));
        assert_eq!((read(&mut line), line.is_dry), (3, true));
    }
}
