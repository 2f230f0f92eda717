//! The facade: requests go out, receipts and responses come back.

mod incoming;
mod send;
mod serve;
mod third_party;

pub use incoming::{Incoming, Response, What};

use crate::{
    Class, Event, Header, PacketError, SubHeader, UniqueId, ViosError, event,
    opcode::EVENT,
    packet::{self, is_name},
};
use messenger::{Code, Guest, GuestError, Life, Member, Message, Place, PortId, Status, To};

/// The port of every node's VIOS daemon.
pub const PORT: &str = "vios";

/// What came to nothing, and what was done without being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were no packet.
    pub malformed: u64,
    /// Packets whose operation code was not one that may come here, such as a response that belongs to nothing.
    pub wrong_opcode: u64,
    /// Responses forwarded to callers.
    pub forwarded: u64,
    /// Responses whose caller was not there any more.
    pub undeliverable: u64,
}

/// A VIOS daemon or a caller: a guest of its host's node with one port. See the crate's example.
///
/// It keeps nothing of requests: what waits is a ticket of the node, and what belongs to a request is in the request.
#[derive(Debug)]
pub struct Vios {
    guest: Guest,
    port: PortId,
    /// A caller's name; the daemon has none.
    name: Option<String>,
    counts: Counts,
}

impl Vios {
    /// Joins as the node's VIOS daemon, told events of these classes. Its port stays when the process ends: messages are
    /// confirmed and wait until a daemon comes again; the classes are those of the first one.
    ///
    /// # Errors
    /// There is no node, or it has a VIOS daemon.
    pub fn daemon(place: &Place, classes: &[Class]) -> Result<Vios, ViosError> {
        let guest = Guest::join(place)?;
        let port = match guest.attach(PORT) {
            Err(GuestError::Refused(Status { code: Code::NotFound, .. })) => {
                let spec = event::registered(PORT, classes);
                guest.open(&messenger::PortSpec { life: Life::Persistent, ..spec })?
            }
            other => other?,
        };
        Ok(Vios { guest, port, name: None, counts: Counts::default() })
    }

    /// Joins as a caller of this name, told events of these classes.
    ///
    /// # Errors
    /// There is no node, or another caller of it has the name; [`PacketError::Field`]: it is no name of a caller.
    pub fn caller(place: &Place, name: &str, classes: &[Class]) -> Result<Vios, ViosError> {
        if !is_name(name) {
            return Err(PacketError::Field("originator").into());
        }
        let guest = Guest::join(place)?;
        let port = guest.open(&event::registered(&caller_port(name), classes))?;
        Ok(Vios { guest, port, name: Some(name.to_owned()), counts: Counts::default() })
    }

    /// What came to nothing, and what was done without being asked.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The guest that it is, for everything besides.
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// The registered nodes of the cluster, its own first: those that can be reached, and those that could be before.
    ///
    /// # Errors
    /// The node is gone.
    pub fn registered(&self) -> Result<Vec<Member>, ViosError> {
        Ok(self.guest.members()?)
    }

    /// Identifiers that nobody else in the cluster gets.
    ///
    /// # Errors
    /// The node is gone.
    pub fn unique_ids(&self, count: u32) -> Result<impl Iterator<Item = UniqueId> + use<>, ViosError> {
        Ok(UniqueId::all(self.guest.numbers(count)?))
    }

    /// Tells an event to all who registered for its class, on all nodes. Gives how many that are.
    ///
    /// # Errors
    /// The node is gone, or refuses to send; [`PacketError::Field`]: the event's key is too long.
    pub fn publish(&self, event: &Event) -> Result<u32, ViosError> {
        let header = Header { transaction: self.next_id()?, ..Header::default() };
        let sub = SubHeader { opcode: EVENT, broadcast: true, ..SubHeader::default() };
        let payload = packet::emit(&header, &sub, &event.emit()?)?;
        let message = Message { opcode: EVENT, from: Some(self.port), ..Message::new(payload) };
        match self.guest.send(&To::Pattern(event.class.pattern()), &message) {
            Ok(sent) => Ok(sent.targets),
            Err(GuestError::Refused(Status { code: Code::NotFound, .. })) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn next_id(&self) -> Result<UniqueId, ViosError> {
        Ok(self.unique_ids(1)?.next().unwrap_or(UniqueId::NONE))
    }
}

/// The port of a caller.
fn caller_port(name: &str) -> String {
    format!("{PORT}/{name}")
}
