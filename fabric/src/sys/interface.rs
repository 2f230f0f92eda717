//! What a network interface is like, asked through a socket: so it is the socket's namespace that answers, whichever
//! thread asks.

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd},
};

/// What the kernel says of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) mtu: usize,
    pub(crate) mac: [u8; 6],
    /// It is an Ethernet, or looks like one.
    pub(crate) ethernet: bool,
    pub(crate) loopback: bool,
    /// Switched on, and with a cable.
    pub(crate) running: bool,
}

/// A request about the interface of this name; `None` when it is too long for one.
fn request(name: &str) -> Option<libc::ifreq> {
    // SAFETY: zeros are a request without a name.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    let bytes = name.as_bytes();
    if bytes.len() >= libc::IFNAMSIZ {
        return None;
    }
    for (to, from) in request.ifr_name.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    Some(request)
}

fn ask(socket: BorrowedFd<'_>, what: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: all requests used here read and write one ifreq.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut *request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The number of an interface.
pub(crate) fn index_of(socket: BorrowedFd<'_>, name: &str) -> io::Result<i32> {
    let mut request = request(name).ok_or(io::ErrorKind::InvalidInput)?;
    ask(socket, libc::SIOCGIFINDEX, &mut request)?;
    // SAFETY: the kernel filled this member.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex })
}

/// The present name of the interface of a number.
pub(crate) fn name_of(socket: BorrowedFd<'_>, index: i32) -> io::Result<String> {
    let mut request = request("").ok_or(io::ErrorKind::InvalidInput)?;
    request.ifr_ifru.ifru_ifindex = index;
    ask(socket, libc::SIOCGIFNAME, &mut request)?;
    let bytes = request.ifr_name.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0);
    Ok(String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned())
}

/// What an interface is like now.
pub(crate) fn facts(socket: BorrowedFd<'_>, name: &str) -> io::Result<Facts> {
    let mut request = request(name).ok_or(io::ErrorKind::InvalidInput)?;
    ask(socket, libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: the kernel filled this member.
    let flags = i32::from(unsafe { request.ifr_ifru.ifru_flags });
    ask(socket, libc::SIOCGIFMTU, &mut request)?;
    // SAFETY: as above.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    ask(socket, libc::SIOCGIFHWADDR, &mut request)?;
    // SAFETY: as above; any bytes are an address.
    let address = unsafe { request.ifr_ifru.ifru_hwaddr };
    let mut mac = [0; 6];
    for (to, from) in mac.iter_mut().zip(address.sa_data) {
        *to = from as u8;
    }
    let wanted = libc::IFF_UP | libc::IFF_RUNNING;
    Ok(Facts {
        mtu: usize::try_from(mtu).unwrap_or(0),
        mac,
        ethernet: address.sa_family == libc::ARPHRD_ETHER,
        loopback: flags & libc::IFF_LOOPBACK != 0,
        running: flags & wanted == wanted,
    })
}
