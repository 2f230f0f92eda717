//! TAP with virtio-net headers, offloads and several queues.

use crate::{
    Error, Interface, Mode, Offloads,
    interface::check_name,
    link::{Link, TunInfo, find},
    sys,
};
use rustix::fs::OFlags;
use std::os::fd::{AsFd, OwnedFd};

/// What to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapConfig {
    /// Its name, at most [`crate::NAME_MAX`] bytes.
    pub name: String,
    /// How many queues, at least one. The kernel allows 256.
    pub queues: usize,
    /// What the kernel may leave undone; it may grant less.
    pub offloads: Offloads,
    /// The interface stays when it is closed.
    pub persist: bool,
}

impl Default for TapConfig {
    fn default() -> TapConfig {
        TapConfig { name: "minet0".to_owned(), queues: 1, offloads: Offloads::ALL, persist: false }
    }
}

const HEADER: libc::c_int = 10;
const OPEN: &str = "open a TAP or TUN";

/// Opens or makes the TAP. One that nobody holds, as a crash or another program left it, is taken over; where it was
/// made for another number of queues, it is made anew and loses its addresses.
///
/// # Errors
/// [`Error::NameTooLong`] and [`Error::BadName`] before anything is done; [`Error::NoPermission`]; [`Error::NoDevice`];
/// [`Error::WrongKind`] when the name is another interface's; [`Error::Busy`] when a process holds it;
/// [`Error::Kernel`] for whatever else the kernel refuses.
pub fn open(config: &TapConfig) -> Result<Interface, Error> {
    let name = config.name.as_str();
    check_name(name)?;
    let several = match find(name)? {
        Some(link) => take_over(&link, config.queues.max(1) > 1)?,
        None => config.queues > 1,
    };
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | if several { libc::IFF_MULTI_QUEUE } else { 0 };
    let mut queues = Vec::with_capacity(config.queues.max(1));
    let mut offloads = config.offloads.sane();
    for _ in 0..config.queues.max(1) {
        let fd = device(name)?;
        attach(&fd, name, flags)?;
        let set = |what, result: std::io::Result<()>| result.map_err(|e| Error::kernel(what, name, e));
        set("set the size of virtio-net headers", sys::set_vnet_header(fd.as_fd(), HEADER))?;
        set("make virtio-net headers little-endian", sys::set_little_endian(fd.as_fd()))?;
        set("set the send buffer of the TAP", sys::set_send_buffer(fd.as_fd(), libc::c_int::MAX))?;
        offloads = grant(&fd, name, offloads)?;
        queues.push(fd);
    }
    if let Some(fd) = queues.first() {
        sys::set_persist(fd.as_fd(), config.persist).map_err(|e| Error::kernel("let the TAP persist", name, e))?;
    }
    Ok(Interface { name: name.to_owned(), mode: Mode::Tap, vnet: true, offloads, queues })
}

/// Asks for less until the kernel takes it: older ones know nothing of UDP super-frames.
fn grant(fd: &OwnedFd, name: &str, wanted: Offloads) -> Result<Offloads, Error> {
    let less = [wanted, Offloads { uso: false, ..wanted }, Offloads { uso: false, tso_ecn: false, ..wanted }];
    for offloads in less {
        match sys::set_offloads(fd.as_fd(), offloads.flags()) {
            Ok(()) => return Ok(offloads),
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {}
            Err(e) => return Err(Error::kernel("set the offloads of the TAP", name, e)),
        }
    }
    Ok(Offloads::NONE)
}

/// Looks at an interface that has the name already; says whether it must be opened with several queues.
fn take_over(link: &Link, several: bool) -> Result<bool, Error> {
    expect_kind(link, Mode::Tap)?;
    let Some(tun) = link.tun else { return Ok(several) };
    if tun.queues > 0 {
        return Err(Error::Busy { name: link.name.clone() });
    }
    if tun.multi_queue == several || !several {
        log::info!("interface `{}` was left by somebody and is taken over", link.name);
        return Ok(tun.multi_queue);
    }
    log::warn!("interface `{}` was left with one queue and is made anew", link.name);
    remove(link, tun)?;
    Ok(several)
}

/// Attaches to a persistent TAP once more and lets it go for good.
fn remove(link: &Link, tun: TunInfo) -> Result<(), Error> {
    let fd = device(&link.name)?;
    let when = |on, flag| if on { flag } else { 0 };
    let flags = libc::IFF_TAP
        | when(!tun.packet_info, libc::IFF_NO_PI)
        | when(tun.vnet_header, libc::IFF_VNET_HDR)
        | when(tun.multi_queue, libc::IFF_MULTI_QUEUE);
    attach(&fd, &link.name, flags)?;
    sys::set_persist(fd.as_fd(), false).map_err(|e| Error::kernel("remove a left TAP", &link.name, e))
}

/// Refuses an interface that is no TUN/TAP, or the other one of the two.
pub(crate) fn expect_kind(link: &Link, mode: Mode) -> Result<(), Error> {
    let wanted = match mode {
        Mode::Tap => "TAP",
        Mode::Tun => "TUN",
    };
    let kind = match (link.kind.as_deref(), link.tun) {
        (Some("tun"), Some(tun)) if tun.mode == mode => return Ok(()),
        (Some("tun"), Some(tun)) => tun.mode.to_string(),
        (Some("tun"), None) => return Ok(()),
        (Some(kind), _) => kind.to_owned(),
        (None, _) => "physical or loopback interface".to_owned(),
    };
    Err(Error::WrongKind { name: link.name.clone(), kind, wanted })
}

fn device(name: &str) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::open("/dev/net/tun", flags, rustix::fs::Mode::empty()).map_err(|e| device_error(name, e.into()))
}

fn attach(fd: &OwnedFd, name: &str, flags: libc::c_int) -> Result<(), Error> {
    sys::attach(fd.as_fd(), name, flags).map(drop).map_err(|e| device_error(name, e))
}

/// What the kernel means when opening or attaching fails.
pub(crate) fn device_error(name: &str, source: std::io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => Error::NoDevice { source },
        Some(libc::EPERM | libc::EACCES) => {
            Error::NoPermission { operation: OPEN, interface: name.to_owned(), device: true, source }
        }
        Some(libc::EBUSY) => Error::Busy { name: name.to_owned() },
        _ => Error::Kernel { operation: OPEN, interface: name.to_owned(), source },
    }
}
