//! Many Ethernet frames in one system call.
//!
//! `pnet_datalink`'s channel sends and receives one frame a call, from and into a buffer that it copies to and from;
//! a lane wants a whole batch in one call, gathered from pieces that lie elsewhere. So the calls are made here.

use super::batch;
use crate::Message;
use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Bytes in front of every message: the Ethernet header and what the carrier puts behind it.
pub(crate) const HEAD: usize = 16;
/// Frames in one call.
const FRAMES: usize = 64;
/// Pieces in one call.
const PIECES: usize = 2048;

/// Binds a packet socket to an interface and an EtherType.
pub(crate) fn bind_packet(socket: BorrowedFd<'_>, index: i32, ether_type: u16) -> io::Result<()> {
    // SAFETY: zeros are an address of nothing.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = ether_type.to_be();
    address.sll_ifindex = index;
    // SAFETY: `address` has the bytes that are named.
    let done = unsafe {
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Builds and makes `sendmmsg` calls on a bound packet socket. It keeps its arrays between calls, but nothing in them.
pub(crate) struct PacketSender {
    heads: Vec<[u8; HEAD]>,
    pieces: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: between calls the arrays of pointers are empty; no pointer in them is ever used on another thread.
unsafe impl Send for PacketSender {}

impl PacketSender {
    /// The most pieces of one message; the kernel takes 1024 with the head.
    pub(crate) const PIECES_MOST: usize = 1000;

    pub(crate) fn new() -> PacketSender {
        PacketSender {
            heads: vec![[0; HEAD]; FRAMES],
            pieces: Vec::with_capacity(PIECES),
            headers: Vec::with_capacity(FRAMES),
        }
    }

    /// Sends as many of the messages as one call takes, each with the head that `head` makes of its length. No message
    /// has more than [`PacketSender::PIECES_MOST`] pieces. Returns how many went; an error is about the first.
    pub(crate) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        messages: &[Message<'_>],
        head: impl Fn(usize) -> [u8; HEAD],
    ) -> io::Result<usize> {
        for (message, place) in messages.iter().zip(&mut self.heads) {
            let from = self.pieces.len();
            if from + 1 + message.parts.len() > PIECES {
                break;
            }
            *place = head(message.len());
            self.pieces.push(libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: HEAD });
            let parts = message.parts.iter();
            self.pieces.extend(
                parts.map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() }),
            );
            // SAFETY: a header of zeros is a header of nothing.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            if let Some(pieces) = self.pieces.get_mut(from..) {
                header.msg_hdr.msg_iov = pieces.as_mut_ptr();
                header.msg_hdr.msg_iovlen = pieces.len() as _;
            }
            self.headers.push(header);
        }
        // SAFETY: the headers point at the pieces, and these at heads and messages, all alive during the call. The
        // vector of pieces never grew past its capacity, so pointers into it still hold.
        let done = unsafe { batch::send(socket, &mut self.headers) };
        self.pieces.clear();
        self.headers.clear();
        done
    }
}

/// Makes `recvmmsg` calls into slots of its own.
pub(crate) struct PacketReceiver {
    slots: Vec<u8>,
    size: usize,
    headers: Vec<libc::mmsghdr>,
    pieces: Vec<libc::iovec>,
}

// SAFETY: the pointers in the arrays are set anew at each call and point into the other fields.
unsafe impl Send for PacketReceiver {}

impl PacketReceiver {
    /// A receiver with so many slots of so many bytes.
    pub(crate) fn new(slots: usize, size: usize) -> PacketReceiver {
        // SAFETY: zeros are a valid header and piece.
        let (header, piece) = unsafe { (mem::zeroed(), mem::zeroed()) };
        let size = size.max(1);
        PacketReceiver { slots: vec![0; slots * size], size, headers: vec![header; slots], pieces: vec![piece; slots] }
    }

    /// Bytes of a slot.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Fills at most `count` slots from `first` on; returns how many.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, first: usize, count: usize) -> io::Result<usize> {
        let count = count.min(self.headers.len().saturating_sub(first));
        let slots = self.slots.chunks_exact_mut(self.size).skip(first).take(count);
        let places = self.pieces.iter_mut().zip(&mut self.headers).skip(first);
        for (slot, (piece, header)) in slots.zip(places) {
            *piece = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
            header.msg_len = 0;
            header.msg_hdr.msg_iov = piece;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_flags = 0;
        }
        let Some(headers) = self.headers.get_mut(first..first + count) else { return Ok(0) };
        // SAFETY: each header points at a slot of its own, in a field of self.
        unsafe { batch::receive(socket, headers) }
    }

    /// The frame that the last call put into a slot; `None` when it did not fit.
    pub(crate) fn frame(&self, slot: usize) -> Option<&[u8]> {
        let header = self.headers.get(slot)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        self.slots.chunks_exact(self.size).nth(slot)?.get(..header.msg_len as usize)
    }
}
