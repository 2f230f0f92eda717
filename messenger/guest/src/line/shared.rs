//! The guest's end of the shared memory: see [`crate::arena`].

use crate::{
    arena::{LARGE, Place, Places, Region, SIDE, Side},
    protocol::{Call, FrameError, Request, emit},
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::{
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// So many bytes that the daemon lent are given back without a call of the guest's.
const GIVE_SOON: u32 = SIDE as u32 / 4;

/// Both sides, as the guest has them.
#[derive(Debug)]
struct Sides {
    up: Region,
    down: Region,
    places: Mutex<Places>,
    /// Where places of the daemon's begin that were copied, and their bytes.
    given: Mutex<(Vec<u32>, u32)>,
}

/// See the module's comment.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    sides: OnceLock<Sides>,
    asking: Mutex<()>,
    /// It was asked for, once and for all.
    asked: AtomicBool,
    /// A large payload came through the socket.
    wanted: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks leaves its data half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sharing {
    /// Memory is to be shared before a call with such a payload is made.
    pub(super) fn is_wanted(&self, payload: usize) -> bool {
        (payload >= LARGE || self.wanted.load(Ordering::Relaxed)) && !self.asked.load(Ordering::Acquire)
    }

    /// Who has the turn asks.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        locked(&self.asking)
    }

    /// Whether it is this turn that asks.
    pub(super) fn begin(&self) -> bool {
        !self.asked.swap(true, Ordering::AcqRel)
    }

    /// A payload came through the socket.
    pub(super) fn came(&self, payload: usize) {
        if payload >= LARGE {
            self.wanted.store(true, Ordering::Relaxed);
        }
    }

    /// Maps what came from the daemon.
    pub(super) fn open(&self, descriptors: &mut Vec<OwnedFd>) -> io::Result<()> {
        let mut both = std::mem::take(descriptors).into_iter();
        let (Some(up), Some(down)) = (both.next(), both.next()) else { return Err(io::ErrorKind::InvalidData.into()) };
        let sides = Sides {
            up: Region::open(up.as_fd(), Side::Up, SIDE)?,
            down: Region::open(down.as_fd(), Side::Down, SIDE)?,
            places: Mutex::new(Places::new(SIDE)),
            given: Mutex::default(),
        };
        // A second one is not asked for.
        let _ = self.sides.set(sides);
        Ok(())
    }

    /// Writes a large payload where the daemon can read it. `None`: it goes through the socket.
    pub(super) fn lend(&self, payload: &[u8]) -> Option<Place> {
        let sides = self.sides.get().filter(|_| payload.len() >= LARGE)?;
        let place = locked(&sides.places).take(payload.len())?;
        sides.up.write(place, payload).then_some(place)
    }

    /// The daemon does not use a place any more.
    pub(super) fn give(&self, at: u32) -> Result<(), FrameError> {
        let given = self.sides.get().is_some_and(|sides| locked(&sides.places).give(at));
        if given { Ok(()) } else { Err(FrameError::Place) }
    }

    /// Copies what the daemon lent; it is given back with the next call.
    pub(super) fn take(&self, place: Place) -> Result<Vec<u8>, FrameError> {
        let sides = self.sides.get().ok_or(FrameError::Place)?;
        let payload = sides.down.read(place).ok_or(FrameError::Place)?;
        let mut given = locked(&sides.given);
        given.0.push(place.at);
        given.1 = given.1.saturating_add(place.len);
        Ok(payload)
    }

    /// Much is to be given back, and perhaps no call is made.
    pub(super) fn gives_soon(&self) -> bool {
        self.sides.get().is_some_and(|sides| locked(&sides.given).1 >= GIVE_SOON)
    }

    /// Frames that give back what was copied.
    pub(super) fn given(&self) -> Result<Vec<u8>, FrameError> {
        let Some(sides) = self.sides.get() else { return Ok(Vec::new()) };
        let (places, _) = std::mem::take(&mut *locked(&sides.given));
        let mut frames = Vec::new();
        for at in places {
            frames.extend(emit(&Call { number: 0, request: Request::Give { at } }, &[])?);
        }
        Ok(frames)
    }
}

/// Reads once, bytes and descriptors.
pub(super) fn read_with(
    stream: &UnixStream,
    chunk: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
    flags: RecvFlags,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(stream, &mut [IoSliceMut::new(chunk)], &mut ancillary, flags | RecvFlags::CMSG_CLOEXEC)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    Ok(got.bytes)
}
