//! The sub-header: the cluster's parameters that the header does not have.

use super::{NAME_MOST, PacketError, TARGETS_MOST, read::Reader};
use crate::opcode;
use messenger::NodeId;

/// Who a packet comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Originator {
    /// The node's VIOS daemon.
    #[default]
    Daemon,
    /// A person at a command line.
    Cli,
    /// A caller registered with the daemon, by its name: what comes back is forwarded to it.
    ThirdParty(String),
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It asks for an operation.
    Request,
    /// It answers one.
    Response,
}

/// What, for whom, by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubHeader {
    /// Which operation; see [`crate::opcode`].
    pub opcode: u16,
    /// It is for all nodes of the cluster but the sender's.
    pub broadcast: bool,
    /// A response of each target is wanted.
    pub response: bool,
    /// Who it comes from.
    pub originator: Originator,
    /// Whom it is for, unless it is a broadcast.
    pub targets: Vec<NodeId>,
    /// The receipts array's address where it was made: not 0 when there is one. It means nothing to others.
    pub receipts: u64,
    /// The receipts array's length in entries.
    pub receipts_len: u32,
}

const BROADCAST: u16 = 1;
const RESPONSE: u16 = 2;

impl SubHeader {
    /// Length in bytes, without targets and name.
    pub const LEN: usize = 24;

    /// Request or response.
    pub fn kind(&self) -> Kind {
        if opcode::is_response(self.opcode) { Kind::Response } else { Kind::Request }
    }

    /// Whether it says what a packet may say.
    ///
    /// # Errors
    /// [`PacketError::Field`].
    pub fn check(&self) -> Result<(), PacketError> {
        if self.broadcast != self.targets.is_empty() || self.targets.len() > TARGETS_MOST {
            return Err(PacketError::Field("targets"));
        }
        if self.kind() == Kind::Response && (self.response || self.targets.len() != 1) {
            return Err(PacketError::Field("opcode"));
        }
        match &self.originator {
            Originator::ThirdParty(name) if !is_name(name) => Err(PacketError::Field("originator")),
            _ => Ok(()),
        }
    }

    /// The sub-header, and the length of the payload that it tells.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<(SubHeader, u32), PacketError> {
        let (opcode, flags) = (reader.u16()?, reader.u16()?);
        let (kind, name_len, targets) = (reader.u8()?, reader.u8()?, reader.u16()?);
        let (receipts, receipts_len, length) = (reader.u64()?, reader.u32()?, reader.u32()?);
        let numbers = reader.bytes(usize::from(targets) * 4)?.chunks_exact(4);
        let node = |bytes: &[u8]| NodeId::new(u32::from_le_bytes(bytes.try_into().ok()?));
        let targets: Option<Vec<NodeId>> = numbers.map(node).collect();
        let name = std::str::from_utf8(reader.bytes(usize::from(name_len))?);
        let originator = match (kind, name) {
            (0, Ok("")) => Originator::Daemon,
            (1, Ok("")) => Originator::Cli,
            (3, Ok(name)) => Originator::ThirdParty(name.to_owned()),
            _ => return Err(PacketError::Field("originator")),
        };
        reader.align()?;
        let sub = SubHeader {
            opcode,
            broadcast: flags & BROADCAST != 0,
            response: flags & RESPONSE != 0,
            originator,
            targets: targets.ok_or(PacketError::Field("targets"))?,
            receipts,
            receipts_len,
        };
        sub.check()?;
        Ok((sub, length))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, length: u32) {
        let flag = |set: bool, bit: u16| if set { bit } else { 0 };
        let flags = flag(self.broadcast, BROADCAST) | flag(self.response, RESPONSE);
        let (kind, name) = match &self.originator {
            Originator::Daemon => (0, ""),
            Originator::Cli => (1, ""),
            Originator::ThirdParty(name) => (3, name.as_str()),
        };
        out.extend(self.opcode.to_le_bytes());
        out.extend(flags.to_le_bytes());
        // Both were checked to fit.
        out.extend([kind, name.len() as u8]);
        out.extend((self.targets.len() as u16).to_le_bytes());
        out.extend(self.receipts.to_le_bytes());
        out.extend(self.receipts_len.to_le_bytes());
        out.extend(length.to_le_bytes());
        for target in &self.targets {
            out.extend(target.get().to_le_bytes());
        }
        out.extend(name.as_bytes());
        out.resize(out.len().next_multiple_of(8), 0);
    }
}

/// Whether a caller may have this name.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_MOST).contains(&name.len()) && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}
