//! The ioctls of `/dev/net/tun`. All unsafe code of this room is here.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd},
};

/// The descriptor of an interface that `tun-tap` opened.
pub(crate) fn own(iface: tun_tap::Iface) -> OwnedFd {
    // SAFETY: the descriptor is open and was given up by its only owner.
    unsafe { OwnedFd::from_raw_fd(iface.into_raw_fd()) }
}

/// `TUNSETIFF` with a full-size `ifreq`; gives the name the kernel chose or took.
pub(crate) fn attach(fd: BorrowedFd<'_>, name: &str, flags: libc::c_int) -> io::Result<String> {
    // SAFETY: all bytes zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let (last, places) = request.ifr_name.split_last_mut().ok_or(io::ErrorKind::InvalidInput)?;
    *last = 0;
    if name.len() > places.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in places.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    // All flags are below 2^15, but for IFF_TUN_EXCL, which fits the bits of an i16.
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the kernel reads and writes one ifreq, which `request` is.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
    let bytes: Vec<u8> = request.ifr_name.iter().map(|c| *c as u8).take_while(|b| *b != 0).collect();
    String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// `TUNSETOFFLOAD`.
pub(crate) fn set_offloads(fd: BorrowedFd<'_>, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: the argument is a number, not an address.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETOFFLOAD as _, libc::c_ulong::from(flags)) })
}

/// `TUNSETPERSIST`: the interface stays when the descriptors are closed.
pub(crate) fn set_persist(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    // SAFETY: the argument is a number, not an address.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETPERSIST as _, libc::c_ulong::from(on)) })
}

/// `TUNSETVNETHDRSZ`: length of the virtio-net header.
pub(crate) fn set_vnet_header(fd: BorrowedFd<'_>, len: libc::c_int) -> io::Result<()> {
    set_int(fd, libc::TUNSETVNETHDRSZ, len)
}

/// `TUNSETVNETLE`: virtio-net headers are little-endian on every machine.
pub(crate) fn set_little_endian(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_int(fd, libc::TUNSETVNETLE, 1)
}

/// `TUNSETSNDBUF`: how many bytes written may be under way.
pub(crate) fn set_send_buffer(fd: BorrowedFd<'_>, bytes: libc::c_int) -> io::Result<()> {
    set_int(fd, libc::TUNSETSNDBUF, bytes)
}

fn set_int(fd: BorrowedFd<'_>, request: libc::Ioctl, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the kernel reads one int at the address.
    checked(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, &raw const value) })
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// For tests: worlds that end with the calling thread.
#[cfg(test)]
pub(crate) mod world {
    /// Moves the calling thread into a network namespace of its own. `false` without privilege.
    pub(crate) fn private_network() -> bool {
        // SAFETY: changes only which network the calling thread sees.
        unsafe { libc::unshare(libc::CLONE_NEWNET) == 0 }
    }

    /// Hides `/dev/net` from the calling thread. `false` without privilege.
    pub(crate) fn no_device() -> bool {
        let none = std::ptr::null();
        let (slash, net, tmpfs) = (c"/".as_ptr(), c"/dev/net".as_ptr(), c"tmpfs".as_ptr());
        let private = libc::MS_REC | libc::MS_PRIVATE;
        // SAFETY: the strings end in NUL; only the mounts that the calling thread sees are changed.
        unsafe {
            libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::mount(none, slash, none, private, none.cast()) == 0
                && libc::mount(tmpfs, net, tmpfs, 0, none.cast()) == 0
        }
    }

    /// Makes the calling thread (and no other) one of nobody's.
    pub(crate) fn no_privilege() -> bool {
        let nobody: libc::c_long = 65_534;
        // SAFETY: numbers only; the raw call changes the calling thread alone.
        unsafe { libc::syscall(libc::SYS_setresuid, nobody, nobody, nobody) == 0 }
    }
}
