//! The header: whose a packet is, how it went, and whether receipts are wanted.

use super::{PacketError, VERSION, read::Reader};
use crate::UniqueId;
use messenger::{Code, Status};

/// Where a packet was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// By a person at a command line.
    Cli,
    /// By a program.
    #[default]
    Api,
}

/// The first 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which transaction; a response has its request's.
    pub transaction: UniqueId,
    /// How it went: of a request after [`crate::Vios::submit`], of a response when it comes.
    pub status: Status,
    /// Where it was made.
    pub origin: Origin,
    /// Each target's node is to confirm that it has the packet.
    pub receipt: bool,
}

impl Default for Header {
    fn default() -> Header {
        Header { transaction: UniqueId::NONE, status: Status::GOOD, origin: Origin::default(), receipt: false }
    }
}

const MAGIC: [u8; 4] = *b"VIOS";
const RECEIPT: u8 = 1;

impl Header {
    /// Length in bytes.
    pub const LEN: usize = 32;

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Header, PacketError> {
        if reader.array()? != MAGIC {
            return Err(PacketError::Magic);
        }
        match reader.u8()? {
            VERSION => {}
            other => return Err(PacketError::Version(other)),
        }
        let flags = reader.u8()?;
        let origin = match reader.u8()? {
            1 => Origin::Cli,
            2 => Origin::Api,
            _ => return Err(PacketError::Field("origin")),
        };
        reader.u8()?;
        let transaction = UniqueId { node: reader.u32()?, life: reader.u32()?, number: reader.u64()? };
        let code = Code::from_number(reader.u16()?);
        reader.u16()?;
        let status = Status { code, detail: reader.u32()? };
        Ok(Header { transaction, status, origin, receipt: flags & RECEIPT != 0 })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(MAGIC);
        let origin = match self.origin {
            Origin::Cli => 1,
            Origin::Api => 2,
        };
        out.extend([VERSION, if self.receipt { RECEIPT } else { 0 }, origin, 0]);
        out.extend(self.transaction.node.to_le_bytes());
        out.extend(self.transaction.life.to_le_bytes());
        out.extend(self.transaction.number.to_le_bytes());
        out.extend(self.status.code.number().to_le_bytes());
        out.extend([0; 2]);
        out.extend(self.status.detail.to_le_bytes());
    }
}
