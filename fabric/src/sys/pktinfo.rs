//! Control messages of datagrams, and among them the address of this host that a datagram was sent to or leaves from.

use super::set_option;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::BorrowedFd,
    ptr,
};

/// Room for the control messages of one datagram: a number and an address, aligned for their headers.
#[derive(Clone, Copy, Default)]
pub(crate) struct Control([u64; 8]);

impl Control {
    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.0.as_mut_ptr().cast()
    }
}

/// Adds a control message behind the first `used` bytes; returns how many are used then. Without room it is left out.
pub(crate) fn put_control(control: &mut Control, used: usize, level: i32, kind: i32, data: &[u8]) -> usize {
    // SAFETY: these two only compute.
    let (space, len) = unsafe { (libc::CMSG_SPACE(data.len() as u32), libc::CMSG_LEN(data.len() as u32)) };
    let end = used + space as usize;
    if end > size_of::<Control>() {
        return used;
    }
    // SAFETY: the bytes from `used` to `end` are inside the room. `used` is a sum of CMSG_SPACEs, so the header is aligned;
    // CMSG_SPACE counts header and data in, so both fit.
    unsafe {
        let header = control.as_mut_ptr().cast::<u8>().add(used).cast::<libc::cmsghdr>();
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = len as _;
        ptr::copy_nonoverlapping(data.as_ptr(), libc::CMSG_DATA(header), data.len());
    }
    end
}

/// Asks the kernel to tell with each datagram where it was sent to.
pub(crate) fn ask_for_local(socket: BorrowedFd<'_>, version_6: bool) -> io::Result<()> {
    if version_6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// The address of this host that a received datagram was sent to.
pub(crate) fn local_of(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel filled the control room of this header; the CMSG functions stay inside msg_controllen, and a
    // body is read only when the message is long enough for it. Any bytes are such a body.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let holds = |body: usize| (*message).cmsg_len as usize >= libc::CMSG_LEN(body as u32) as usize;
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) if holds(size_of::<libc::in_pktinfo>()) => {
                    let info = libc::CMSG_DATA(message).cast::<libc::in_pktinfo>().read_unaligned();
                    return Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if holds(size_of::<libc::in6_pktinfo>()) => {
                    let info = libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>().read_unaligned();
                    return Some(IpAddr::from(info.ipi6_addr.s6_addr).to_canonical());
                }
                _ => message = libc::CMSG_NXTHDR(header, message),
            }
        }
    }
    None
}

/// An address of this host that datagrams are to leave from, as a socket wants it.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    ip: IpAddr,
    version_6: bool,
}

impl Source {
    /// For a socket of this version; `None` where datagrams cannot leave from that address by its number alone.
    pub(crate) fn new(ip: IpAddr, version_6: bool) -> Option<Source> {
        let near = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let usable = !ip.is_unspecified() && !ip.is_multicast() && !near && (version_6 || ip.is_ipv4());
        usable.then_some(Source { ip, version_6 })
    }

    pub(crate) fn put(&self, control: &mut Control, used: usize) -> usize {
        // An interface number of zero: whichever the route says.
        match (self.ip, self.version_6) {
            (IpAddr::V4(ip), false) => {
                let mut info = [0; 12];
                if let Some(spec) = info.get_mut(4..8) {
                    spec.copy_from_slice(&ip.octets());
                }
                put_control(control, used, libc::IPPROTO_IP, libc::IP_PKTINFO, &info)
            }
            (ip, _) => {
                let ip: Ipv6Addr = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                let mut info = [0; 20];
                if let Some(address) = info.get_mut(..16) {
                    address.copy_from_slice(&ip.octets());
                }
                put_control(control, used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)
            }
        }
    }
}
