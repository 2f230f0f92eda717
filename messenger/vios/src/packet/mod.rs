//! The bytes of a packet: header, sub-header, payload. PROTOCOL.md, section 13, has the tables.
//!
//! On the way between nodes the node's own message header stands in front of it (PROTOCOL.md, section 1); nobody but the two ends
//! looks into a packet.

mod header;
mod read;
mod sub_header;

pub use header::{Header, Origin};
pub use sub_header::{Kind, Originator, SubHeader};

use read::Reader;
pub(crate) use sub_header::is_name;

/// Why bytes are not a packet, or a value cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// They end too early.
    #[error("it is cut off")]
    Truncated,
    /// They do not begin as a packet does.
    #[error("it does not begin as a packet does")]
    Magic,
    /// Another version; carries which.
    #[error("version {0} is not spoken here, but {version}", version = VERSION)]
    Version(u8),
    /// The payload is not as long as told; carries what was told, in bytes.
    #[error("its payload is not {0} bytes long")]
    Length(u32),
    /// A field has a value that means nothing; carries which field.
    #[error("its field `{0}` means nothing")]
    Field(&'static str),
}

/// Version of the format.
pub const VERSION: u8 = 1;
/// The largest payload, in bytes.
pub const PAYLOAD_MOST: usize = 15 << 20;
/// The longest name of a caller, in bytes.
pub const NAME_MOST: usize = 48;
/// Targets of one request at the most.
pub const TARGETS_MOST: usize = 8_192;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Whose, how it went, and whether receipts are wanted.
    pub header: Header,
    /// What, for whom, by whom.
    pub sub: SubHeader,
    /// What the operation needs.
    pub payload: Vec<u8>,
}

impl Packet {
    /// Reads a packet.
    ///
    /// # Errors
    /// The bytes are none: see [`PacketError`].
    pub fn parse(bytes: &[u8]) -> Result<Packet, PacketError> {
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader)?;
        let (sub, length) = SubHeader::read(&mut reader)?;
        let payload = reader.rest();
        if u32::try_from(payload.len()) != Ok(length) {
            return Err(PacketError::Length(length));
        }
        Ok(Packet { header, sub, payload: payload.to_vec() })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`PacketError::Field`]: it says what no packet says, such as a broadcast to some; [`PacketError::Length`].
    pub fn emit(&self) -> Result<Vec<u8>, PacketError> {
        emit(&self.header, &self.sub, &self.payload)
    }
}

/// Writes a packet from its parts.
pub(crate) fn emit(header: &Header, sub: &SubHeader, payload: &[u8]) -> Result<Vec<u8>, PacketError> {
    sub.check()?;
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    if payload.len() > PAYLOAD_MOST {
        return Err(PacketError::Length(length));
    }
    let mut out = Vec::with_capacity(Header::LEN + SubHeader::LEN + payload.len() + 64);
    header.write(&mut out);
    sub.write(&mut out, length);
    out.extend_from_slice(payload);
    Ok(out)
}

#[cfg(test)]
mod tests;
