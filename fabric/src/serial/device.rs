//! The device under the carrier: opened, set up, and opened again.

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    io::Errno,
    termios::{ControlModes, InputModes, OptionalActions, tcgetattr, tcsetattr},
};
use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// Who may stop the other end from sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Nobody: the other end reads as fast as the line.
    #[default]
    None,
    /// The wires RTS and CTS.
    Hardware,
}

/// What a line is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The device; best a name that stays, as in `/dev/serial/by-id`.
    pub path: PathBuf,
    /// Bits a second; `None` leaves what the device is set to, and gives it as much as it takes.
    pub speed: Option<u32>,
    /// Flow control.
    pub flow: Flow,
    /// The longest message in bytes.
    pub message: usize,
}

impl Line {
    /// The longest message unless told otherwise: an Ethernet frame of 1514 bytes with its header, and room.
    pub const MESSAGE: usize = 2048;

    /// A line with the defaults.
    pub fn new(path: impl Into<PathBuf>) -> Line {
        Line { path: path.into(), speed: None, flow: Flow::None, message: Line::MESSAGE }
    }
}

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SerialError {
    /// Another process uses it.
    #[error("serial device {0} is in use by another process")]
    InUse(PathBuf),
    /// It is no tty.
    #[error("{0} is no serial device")]
    NotATty(PathBuf),
    /// It cannot have this speed.
    #[error("serial device {path} does not take {speed} bits a second")]
    Speed {
        /// Which.
        path: PathBuf,
        /// What was asked.
        speed: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot open serial device {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SerialError {
    /// Whether the device may come by itself: it is not there now.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            SerialError::InUse(_) => true,
            SerialError::Io { source, .. } => matches!(
                source.raw_os_error(),
                Some(libc::ENOENT | libc::ENXIO | libc::ENODEV | libc::EIO | libc::EBUSY | libc::ENOTDIR)
            ),
            _ => false,
        }
    }
}

/// Opens a device, for this process alone, and sets it up.
pub(super) fn open_line(line: &Line) -> Result<OwnedFd, SerialError> {
    let failed = |source: Errno| SerialError::Io { path: line.path.clone(), source: source.into() };
    // Without NONBLOCK a device without a carrier signal would keep us waiting; with NOCTTY it does not become ours.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = open(&line.path, flags, Mode::empty()).map_err(failed)?;
    match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::AGAIN) => return Err(SerialError::InUse(line.path.clone())),
        other => other.map_err(failed)?,
    }
    set_up(&fd, &line.path, line.speed, line.flow)?;
    Ok(fd)
}

/// Eight bits, no parity, no editing, echo or signals; the speed and flow control that are wanted.
pub(super) fn set_up(fd: &OwnedFd, path: &Path, speed: Option<u32>, flow: Flow) -> Result<(), SerialError> {
    let failed = |source: Errno| match source {
        Errno::NOTTY => SerialError::NotATty(path.to_owned()),
        source => SerialError::Io { path: path.to_owned(), source: source.into() },
    };
    let mut termios = tcgetattr(fd).map_err(failed)?;
    termios.make_raw();
    termios.input_modes.remove(InputModes::IXOFF | InputModes::IXANY | InputModes::INPCK);
    termios.control_modes.remove(ControlModes::CSTOPB | ControlModes::PARENB);
    termios.control_modes.insert(ControlModes::CREAD | ControlModes::CLOCAL);
    termios.control_modes.set(ControlModes::CRTSCTS, flow == Flow::Hardware);
    if let Some(speed) = speed {
        let refused = |source: Errno| SerialError::Speed { path: path.to_owned(), speed, source: source.into() };
        termios.set_speed(speed).map_err(refused)?;
        tcsetattr(fd, OptionalActions::Now, &termios).map_err(refused)?;
        // The system takes what it can of it and says nothing.
        let is = tcgetattr(fd).map_err(failed)?.output_speed();
        if is.abs_diff(speed) > speed / 20 {
            return Err(refused(Errno::INVAL));
        }
        return Ok(());
    }
    tcsetattr(fd, OptionalActions::Now, &termios).map_err(failed)
}
