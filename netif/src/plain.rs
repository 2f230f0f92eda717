//! Plain TAP and TUN through the `tun-tap` crate: whole frames or packets, complete checksums, no header in front.

use crate::{
    Error, Interface, Mode, Offloads,
    interface::check_name,
    link::find,
    tap::{device_error, expect_kind},
};
use rustix::fs::OFlags;
use std::os::fd::AsFd;
use tun_tap::Iface;

/// Opens or makes it. One that nobody holds is taken over.
///
/// # Errors
/// As [`crate::tap::open`]. A left interface with several queues cannot be taken over: [`Error::WrongKind`].
pub fn open(name: &str, mode: Mode) -> Result<Interface, Error> {
    check_name(name)?;
    if let Some(link) = find(name)? {
        expect_kind(&link, mode)?;
        if let Some(tun) = link.tun {
            if tun.queues > 0 {
                return Err(Error::Busy { name: name.to_owned() });
            }
            if tun.multi_queue {
                let kind = format!("{mode} with several queues");
                return Err(Error::WrongKind { name: name.to_owned(), kind, wanted: "plain one" });
            }
        }
    }
    let kind = match mode {
        Mode::Tap => tun_tap::Mode::Tap,
        Mode::Tun => tun_tap::Mode::Tun,
    };
    let iface = Iface::without_packet_info(name, kind).map_err(|e| device_error(name, e))?;
    let name = iface.name().to_owned();
    let fd = crate::sys::own(iface);
    let unblock = || {
        let flags = rustix::fs::fcntl_getfl(fd.as_fd())?;
        rustix::fs::fcntl_setfl(fd.as_fd(), flags | OFlags::NONBLOCK)
    };
    unblock().map_err(|e| Error::kernel("make the interface non-blocking", &name, e.into()))?;
    Ok(Interface { name, mode, vnet: false, offloads: Offloads::NONE, queues: vec![fd] })
}
