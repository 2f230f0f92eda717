//! The conversation with which two nodes meet. It never blocks; drop it to give up.
//!
//! | state | on | then |
//! | --- | --- | --- |
//! | greeting | a good greeting | accept, go to waiting |
//! | greeting | a bad greeting | refuse, fail |
//! | greeting, waiting | a refusal, the end of the socket | fail |
//! | waiting | an acceptance | done |
//! | greeting | an acceptance; waiting: a greeting | fail: out of turn |

use super::{
    LANES_MOST,
    error::JoinError,
    greeting::{self, Greeting, HELLO_MOST, MESSAGE_MOST, Malformed, Said, ring_size_is_valid},
    lifeline::{Credentials, Lifeline},
    memory,
    rings::{Incoming, Outgoing, Rings},
};
use crate::{bell::Bell, sys::Mapping};
use fabric_ring::{Consumer, Producer};
use rustix::{
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};
use std::{
    fmt,
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

/// What a node brings to every peer.
#[derive(Debug)]
pub struct Offer {
    /// The doorbell of each lane ([`super::Shm::doorbell`]), 1 to [`LANES_MOST`].
    pub doorbells: Vec<OwnedFd>,
    /// Bytes in the data area of each ring: a power of two, 4 KiB to [`super::RING_MOST`].
    pub ring_size: usize,
    /// The caller's own words to the peer, at most [`HELLO_MOST`] bytes.
    pub hello: Vec<u8>,
    /// Users who may join beside our own and root.
    pub users: Vec<u32>,
}

/// A peer that was met.
#[derive(Debug)]
pub struct Session {
    /// Who it is, as the kernel says.
    pub peer: Credentials,
    /// Its own words.
    pub hello: Vec<u8>,
    /// The rings for each of our lanes, in order.
    pub rings: Vec<Rings>,
    /// Tells when its process dies.
    pub life: Lifeline,
}

/// How far a [`Joining`] came.
#[derive(Debug)]
pub enum Progress {
    /// Wait until the socket is readable, then call again.
    Pending,
    /// Done.
    Done(Box<Session>),
}

enum Step {
    Greeting { producers: Vec<Producer<Mapping>> },
    Waiting { hello: Vec<u8>, rings: Vec<Rings> },
    Over,
}

/// A conversation under way. Wait for its descriptor to be readable, then [`Joining::advance`]. A peer that stays silent
/// is the caller's to drop after a time. The [`Lifeline`] of the session has the same descriptor.
pub struct Joining {
    socket: Arc<OwnedFd>,
    peer: Credentials,
    step: Step,
}

impl Joining {
    pub(super) fn start(socket: OwnedFd, offer: &Offer) -> Result<Joining, JoinError> {
        if offer.doorbells.is_empty() || offer.doorbells.len() > LANES_MOST {
            return Err(JoinError::Offer("1 to 64 lanes are possible"));
        }
        if !ring_size_is_valid(offer.ring_size) {
            return Err(JoinError::Offer("a ring has a power of two of bytes, 4 KiB to 64 MiB"));
        }
        if offer.hello.len() > HELLO_MOST {
            return Err(JoinError::Offer("the hello is too long"));
        }
        let peer = Credentials::of(socket.as_fd())?;
        let mut joining = Joining { socket: Arc::new(socket), peer, step: Step::Over };
        if !peer.may_join(&offer.users) {
            return Err(joining.refuse(JoinError::NotAllowed { uid: peer.uid, pid: peer.pid }));
        }
        let mut producers = Vec::with_capacity(offer.doorbells.len());
        let mut files = Vec::with_capacity(offer.doorbells.len());
        for _ in &offer.doorbells {
            let (mapping, file) = memory::make(offer.ring_size).map_err(|error| joining.refuse(error.into()))?;
            let producer = Producer::offer(mapping, offer.ring_size)
                .map_err(|_| JoinError::Offer("a ring of this size cannot be made"))?;
            producers.push(producer);
            files.push(file);
        }
        let greeting =
            Greeting { lanes: offer.doorbells.len() as u16, ring_size: offer.ring_size as u32, hello: &offer.hello };
        let descriptors: Vec<BorrowedFd<'_>> = files.iter().chain(&offer.doorbells).map(AsFd::as_fd).collect();
        joining.say(&Said::Greeting(greeting), &descriptors)?;
        joining.step = Step::Greeting { producers };
        Ok(joining)
    }

    /// Who the peer is.
    pub fn peer(&self) -> Credentials {
        self.peer
    }

    /// Goes on as far as possible without blocking. After an error or [`Progress::Done`] there is nothing left to do.
    pub fn advance(&mut self) -> Result<Progress, JoinError> {
        loop {
            let mut bytes = [0u8; MESSAGE_MOST + 1];
            let (len, descriptors) = match self.hear(&mut bytes) {
                Ok(heard) => heard,
                Err(JoinError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Ok(Progress::Pending);
                }
                Err(error) => return Err(self.refuse(error)),
            };
            let said = match Said::parse(bytes.get(..len).unwrap_or_default()) {
                Ok(said) => said,
                Err(error) => return Err(self.refuse(error.into())),
            };
            match (std::mem::replace(&mut self.step, Step::Over), said) {
                (_, Said::Verdict(Some(refusal))) => return Err(JoinError::Refused(refusal)),
                (Step::Greeting { producers }, Said::Greeting(greeting)) => {
                    let rings = meet(producers, &greeting, descriptors).map_err(|error| self.refuse(error))?;
                    self.say(&Said::Verdict(None), &[])?;
                    self.step = Step::Waiting { hello: greeting.hello.to_vec(), rings };
                }
                (Step::Waiting { hello, rings }, Said::Verdict(None)) => {
                    let life = Lifeline(self.socket.clone());
                    return Ok(Progress::Done(Box::new(Session { peer: self.peer, hello, rings, life })));
                }
                (Step::Greeting { .. }, Said::Verdict(None))
                | (Step::Waiting { .. }, Said::Greeting(_))
                | (Step::Over, _) => {
                    return Err(self.refuse(Malformed::OutOfTurn.into()));
                }
            }
        }
    }

    /// One datagram and the descriptors with it. Those that are not returned are closed.
    fn hear(&self, bytes: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), JoinError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2 * LANES_MOST))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let got = recvmsg(self.socket.as_ref(), &mut [IoSliceMut::new(bytes)], &mut control, flags);
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        let got = match got {
            Ok(got) => got,
            Err(Errno::CONNRESET | Errno::PIPE) => return Err(JoinError::Gone),
            Err(error) => return Err(error.into()),
        };
        if got.flags.contains(ReturnFlags::TRUNC) {
            return Err(Malformed::Oversized.into());
        }
        if got.flags.contains(ReturnFlags::CTRUNC) {
            return Err(JoinError::Descriptors { expected: descriptors.len(), got: descriptors.len() + 1 });
        }
        if got.bytes == 0 {
            return Err(JoinError::Gone);
        }
        Ok((got.bytes, descriptors))
    }

    fn say(&self, said: &Said<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<(), JoinError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2 * LANES_MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(JoinError::Offer("too many descriptors"));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match sendmsg(self.socket.as_ref(), &[IoSlice::new(&said.emit())], &mut control, flags) {
            Ok(_) => Ok(()),
            // Whoever left may have said why before.
            Err(Errno::CONNRESET | Errno::PIPE) => match self.last_words() {
                Some(refusal) => Err(JoinError::Refused(refusal)),
                None => Err(JoinError::Gone),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn last_words(&self) -> Option<greeting::Refusal> {
        for _ in 0..2 {
            let mut bytes = [0u8; MESSAGE_MOST + 1];
            let (len, _) = self.hear(&mut bytes).ok()?;
            if let Ok(Said::Verdict(refusal)) = Said::parse(bytes.get(..len)?) {
                return refusal;
            }
        }
        None
    }

    /// Tells the peer why, as well as it can be told.
    fn refuse(&mut self, error: JoinError) -> JoinError {
        self.step = Step::Over;
        if let Some(refusal) = error.refusal() {
            let _ = self.say(&Said::Verdict(Some(refusal)), &[]);
        }
        error
    }
}

impl AsFd for Joining {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_ref().as_fd()
    }
}

impl fmt::Debug for Joining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joining").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Puts our rings and the peer's together: lane `i` sends on ring `i` and reads the peer's rings `k` with
/// `k mod lanes = i`.
fn meet(
    producers: Vec<Producer<Mapping>>,
    greeting: &Greeting<'_>,
    mut descriptors: Vec<OwnedFd>,
) -> Result<Vec<Rings>, JoinError> {
    let theirs = usize::from(greeting.lanes);
    if descriptors.len() != 2 * theirs {
        return Err(JoinError::Descriptors { expected: 2 * theirs, got: descriptors.len() });
    }
    let mut bells = Vec::with_capacity(theirs);
    for (index, fd) in descriptors.split_off(theirs).into_iter().enumerate() {
        bells.push(Arc::new(Bell::from_peer(fd).ok_or(JoinError::NotABell(index))?));
    }
    let ours = producers.len();
    let mut rings: Vec<Rings> = producers
        .into_iter()
        .zip(bells.iter().cycle())
        .map(|(producer, bell)| Rings { outgoing: Outgoing { producer, bell: bell.clone() }, incoming: Vec::new() })
        .collect();
    for (index, (file, bell)) in descriptors.iter().zip(bells).enumerate() {
        let mapping = memory::map(file, greeting.ring_size as usize, index)?;
        let consumer = Consumer::join(mapping).map_err(|source| JoinError::Ring { index, source })?;
        if let Some(lane) = rings.get_mut(index % ours.max(1)) {
            lane.incoming.push(Incoming { consumer, bell, held: false });
        }
    }
    Ok(rings)
}
