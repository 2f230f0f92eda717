//! Many datagrams in one system call, and many in one datagram (`UDP_SEGMENT`, `UDP_GRO`).

use super::{Control, Source, batch, local_of, put_control};
use crate::Message;
use std::{
    io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::BorrowedFd,
    ptr,
};

/// Datagrams, or runs of them, in one call.
const GROUPS: usize = 64;
/// Pieces in one call.
const PIECES: usize = 2048;
/// The kernel takes no more pieces for one datagram or run.
pub(crate) const PIECES_PER_GROUP: usize = 1024;
/// Datagrams in one run.
const SEGMENTS: usize = 64;
/// Bytes in one run.
const RUN: usize = 65_000;
/// Bytes that one datagram or run can fill.
const SLOT: usize = 65_536;

/// Builds and makes `sendmmsg` calls. It keeps its arrays between calls, but nothing in them.
pub(crate) struct Sender {
    pieces: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    controls: Vec<Control>,
    /// Messages in each group.
    sizes: Vec<usize>,
}

// SAFETY: between calls the arrays are empty; no pointer in them is ever used on another thread.
unsafe impl Send for Sender {}

/// What one call did.
pub(crate) enum Sent {
    /// So many messages went.
    Messages(usize),
    /// Nothing went. The error is about the first so many messages, which would have been one datagram or run.
    Failed { messages: usize, error: io::Error },
}

impl Sender {
    pub(crate) fn new() -> Sender {
        Sender {
            pieces: Vec::with_capacity(PIECES),
            headers: Vec::with_capacity(GROUPS),
            controls: vec![Control::default(); GROUPS],
            sizes: Vec::with_capacity(GROUPS),
        }
    }

    /// Sends as many of the messages as one call takes. With `segment`, messages of one length go as runs. No message
    /// has more than [`PIECES_PER_GROUP`] pieces, and there is at least one. They leave from `source` where one is told.
    pub(crate) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        address: &socket2::SockAddr,
        messages: &[Message<'_>],
        segment: bool,
        source: Option<&Source>,
    ) -> Sent {
        let mut rest = messages;
        while self.sizes.len() < GROUPS
            && let Some((first, after)) = rest.split_first()
        {
            let from = self.pieces.len();
            if !self.add(from, first) {
                break;
            }
            rest = after;
            let len = first.len();
            let (mut count, mut bytes, mut last) = (1, len, len);
            while segment
                && last == len
                && count < SEGMENTS
                && let Some((next, after)) = rest.split_first()
            {
                last = next.len();
                if last == 0 || last > len || bytes + last > RUN || !self.add(from, next) {
                    break;
                }
                rest = after;
                bytes += last;
                count += 1;
            }
            self.sizes.push(count);
            let group = self.sizes.len() - 1;
            self.close_group(group, from, address, if count > 1 { len as u16 } else { 0 }, source);
        }
        let sent = self.call(socket);
        self.pieces.clear();
        self.headers.clear();
        self.sizes.clear();
        sent
    }

    /// Adds the pieces of a message to the group that begins at piece `from`; `false` when there is no room.
    fn add(&mut self, from: usize, message: &Message<'_>) -> bool {
        let all = self.pieces.len() + message.parts.len();
        if all > PIECES || all - from > PIECES_PER_GROUP {
            return false;
        }
        let pieces = message.parts.iter();
        let pieces = pieces.map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
        self.pieces.extend(pieces);
        true
    }

    fn close_group(
        &mut self,
        group: usize,
        from: usize,
        address: &socket2::SockAddr,
        segment: u16,
        source: Option<&Source>,
    ) {
        // SAFETY: a header of zeros is a header of nothing.
        let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
        header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = address.len();
        if let Some(pieces) = self.pieces.get_mut(from..) {
            header.msg_hdr.msg_iov = pieces.as_mut_ptr();
            header.msg_hdr.msg_iovlen = pieces.len() as _;
        }
        if (segment > 0 || source.is_some())
            && let Some(control) = self.controls.get_mut(group)
        {
            let mut used = 0;
            if segment > 0 {
                used = put_control(control, used, libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
            }
            if let Some(source) = source {
                used = source.put(control, used);
            }
            header.msg_hdr.msg_control = control.as_mut_ptr();
            header.msg_hdr.msg_controllen = used as _;
        }
        self.headers.push(header);
    }

    fn call(&mut self, socket: BorrowedFd<'_>) -> Sent {
        // SAFETY: the headers point at the address, the pieces and the control room, all alive during the call. The
        // vectors never grew past their capacity, so pointers into them still hold.
        match unsafe { batch::send(socket, &mut self.headers) } {
            Ok(groups) => Sent::Messages(self.sizes.iter().take(groups).sum()),
            Err(error) => Sent::Failed { messages: self.sizes.first().copied().unwrap_or(1), error },
        }
    }
}

/// What lies in one slot.
#[derive(Clone, Copy)]
pub(crate) struct Datagram {
    pub(crate) len: usize,
    /// Length of each datagram in it but the last.
    pub(crate) segment: usize,
    pub(crate) source: Option<SocketAddr>,
    /// The address of this host that it was sent to, where the socket asks for it.
    pub(crate) local: Option<IpAddr>,
    pub(crate) truncated: bool,
}

/// Makes `recvmmsg` calls into slots of its own.
pub(crate) struct Receiver {
    slots: Vec<u8>,
    headers: Vec<libc::mmsghdr>,
    pieces: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    /// The socket asks where datagrams were sent to.
    locals: bool,
}

// SAFETY: the pointers in the arrays are set anew at each call and point into the other fields.
unsafe impl Send for Receiver {}

impl Receiver {
    /// A receiver with so many slots. Their memory is only touched when datagrams come. With `locals` it reads where
    /// each was sent to.
    pub(crate) fn new(slots: usize, locals: bool) -> Receiver {
        // SAFETY: zeros are a valid header, piece and name.
        let (header, piece, name) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Receiver {
            slots: vec![0; slots * SLOT],
            headers: vec![header; slots],
            pieces: vec![piece; slots],
            names: vec![name; slots],
            controls: vec![Control::default(); slots],
            locals,
        }
    }

    /// Fills at most `count` slots from `first` on; returns how many.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, first: usize, count: usize) -> io::Result<usize> {
        let count = count.min(self.headers.len().saturating_sub(first));
        let slots = self.slots.chunks_exact_mut(SLOT).skip(first).take(count);
        let parts = self.pieces.iter_mut().zip(&mut self.names).zip(&mut self.controls).skip(first);
        for ((slot, ((piece, name), control)), header) in slots.zip(parts).zip(self.headers.iter_mut().skip(first)) {
            *piece = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
            header.msg_len = 0;
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = piece;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
            header.msg_hdr.msg_flags = 0;
        }
        let Some(headers) = self.headers.get_mut(first..first + count) else { return Ok(0) };
        // SAFETY: each header points at a slot, a name and a control room of its own, all in fields of self.
        unsafe { batch::receive(socket, headers) }
    }

    /// What the last call put into a slot.
    pub(crate) fn datagram(&self, slot: usize) -> Option<Datagram> {
        let header = self.headers.get(slot)?;
        let len = (header.msg_len as usize).min(SLOT);
        let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let segment = segment_of(&header.msg_hdr).filter(|segment| *segment > 0).unwrap_or(len);
        let local = if self.locals { local_of(&header.msg_hdr) } else { None };
        Some(Datagram { len, segment, source: source_of(self.names.get(slot)?), local, truncated })
    }

    /// What one slot holds, to change it in place.
    pub(crate) fn bytes_mut(&mut self, slot: usize, len: usize) -> &mut [u8] {
        let whole = self.slots.chunks_exact_mut(SLOT).nth(slot).unwrap_or_default();
        whole.get_mut(..len).unwrap_or_default()
    }

    /// Bytes of a slot; none when they are not inside.
    pub(crate) fn bytes(&self, slot: usize, at: usize, len: usize) -> &[u8] {
        let whole = self.slots.chunks_exact(SLOT).nth(slot).unwrap_or_default();
        whole.get(at..at.saturating_add(len)).unwrap_or_default()
    }
}

/// The number in the `UDP_GRO` control message.
fn segment_of(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel filled the control room of this header; the CMSG functions stay inside msg_controllen, and the
    // number is read only when the message is long enough for it.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let long_enough = (*message).cmsg_len as usize >= libc::CMSG_LEN(4) as usize;
            if (*message).cmsg_level == libc::SOL_UDP && (*message).cmsg_type == libc::UDP_GRO && long_enough {
                return usize::try_from(libc::CMSG_DATA(message).cast::<i32>().read_unaligned()).ok();
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

/// The address in a name; addresses of version 4 as such even when the socket is of version 6.
fn source_of(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the storage is larger than any address, aligned for all, and any bytes are an address.
            let v4 = unsafe { ptr::from_ref(name).cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { ptr::from_ref(name).cast::<libc::sockaddr_in6>().read() };
            let (ip, port) = (Ipv6Addr::from(v6.sin6_addr.s6_addr), u16::from_be(v6.sin6_port));
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddrV4::new(v4, port).into(),
                None => SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}
