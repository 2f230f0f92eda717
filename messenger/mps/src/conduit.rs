//! Storage processors and the conduits between them.

use crate::{Error, Status};
use messenger::NodeId;
use std::fmt;

/// The number of a storage processor: the destination of what is sent, the sender of what is received. It is the number of
/// its node. A client gets one from [`crate::Mps::sp_ids`] or from a message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpId(NodeId);

/// The two ends of a conduit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpIds {
    /// This end.
    pub local: SpId,
    /// The other one.
    pub peer: SpId,
}

/// Which way a session is opened: over a link between two storage processors that is there already, in the same or another
/// computer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Conduit {
    /// All that can be reached.
    Fabric,
    /// The way to one storage processor, by its node's name or number.
    To(String),
}

impl SpId {
    pub(crate) const fn of(node: NodeId) -> SpId {
        SpId(node)
    }

    /// As a number, never 0.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u32> for SpId {
    type Error = Error;

    /// The storage processor of a number that was looked up before.
    fn try_from(number: u32) -> Result<SpId, Error> {
        NodeId::new(number).map(SpId).ok_or(Error::Refused(Status::DestinationInvalid))
    }
}

impl fmt::Display for SpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

impl Conduit {
    /// The way to a storage processor, by its node's name or number.
    pub fn to(peer: impl Into<String>) -> Conduit {
        Conduit::To(peer.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_the_number_0() {
        assert_eq!(SpId::try_from(7).unwrap().number(), 7);
        assert_eq!(SpId::try_from(0).unwrap_err().status(), Status::DestinationInvalid);
    }
}
