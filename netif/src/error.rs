//! What can go wrong, in words an operator can act on.

use crate::interface::NAME_MAX;
use std::io;

/// Why an interface could not be opened, read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is longer than the kernel's names.
    #[error("interface name `{name}` has {len} bytes, at most {NAME_MAX} are allowed", len = name.len())]
    NameTooLong {
        /// The name.
        name: String,
    },
    /// The name is empty or has something the kernel does not take.
    #[error("interface name `{name}` {why}", name = name.escape_debug())]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The kernel said no.
    #[error("no permission to {operation} (interface `{interface}`): the capability CAP_NET_ADMIN is needed{also}", also = if *device { ", and read and write access to /dev/net/tun" } else { "" })]
    NoPermission {
        /// What was tried.
        operation: &'static str,
        /// The interface.
        interface: String,
        /// It was about the TUN device.
        device: bool,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel has no TUN/TAP driver here.
    #[error("/dev/net/tun is not there: load the kernel module `tun`, or give this container the device")]
    NoDevice {
        /// What the kernel said.
        source: io::Error,
    },
    /// An interface of that name exists and is something else.
    #[error("interface `{name}` exists and is a {kind}, not a {wanted}")]
    WrongKind {
        /// The name.
        name: String,
        /// What it is.
        kind: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// Another process has the interface open.
    #[error("interface `{name}` is held by another process")]
    Busy {
        /// The name.
        name: String,
    },
    /// There is no such interface (any more).
    #[error("there is no interface `{name}`")]
    NoInterface {
        /// The name.
        name: String,
    },
    /// The kernel refused an operation.
    #[error("cannot {operation} (interface `{interface}`)")]
    Kernel {
        /// What was tried.
        operation: &'static str,
        /// The interface.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel's answer could not be read.
    #[error("cannot read the kernel's answer to a request to {operation}: {text}")]
    Answer {
        /// What was tried.
        operation: &'static str,
        /// What is wrong with it.
        text: String,
    },
}

impl Error {
    /// The right kind of error for what the kernel said.
    pub(crate) fn kernel(operation: &'static str, interface: &str, source: io::Error) -> Error {
        let interface = interface.to_owned();
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Error::NoPermission { operation, interface, device: false, source },
            Some(libc::ENODEV) => Error::NoInterface { name: interface },
            _ => Error::Kernel { operation, interface, source },
        }
    }

    /// The kernel's error number, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::NoPermission { source, .. } | Error::NoDevice { source } | Error::Kernel { source, .. } => {
                source.raw_os_error()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn texts_say_what_to_do() {
        let e = Error::kernel("set the MTU", "mn0", io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(
            e.to_string(),
            "no permission to set the MTU (interface `mn0`): the capability CAP_NET_ADMIN is needed"
        );
        let e = Error::kernel("set the MTU", "mn0", io::Error::from_raw_os_error(libc::EINVAL));
        assert_eq!(e.to_string(), "cannot set the MTU (interface `mn0`)");
        assert!(e.source().unwrap().to_string().contains("Invalid argument"));
        assert_eq!(e.errno(), Some(libc::EINVAL));
        let e = Error::NameTooLong { name: "a-very-long-name".into() };
        assert_eq!(e.to_string(), "interface name `a-very-long-name` has 16 bytes, at most 15 are allowed");
    }
}
