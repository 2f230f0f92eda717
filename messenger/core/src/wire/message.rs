//! What a message has behind the header that a frame has not: the extension, the sub-header and the options.

use super::{Flags, Header, WireError, array, u16_at, u32_at};

/// The 16 bytes behind the header of a message, receipt or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The port it came from, as [`crate::PortId::to_wire`] has it.
    pub source_port: u32,
    /// The low half of the sender's incarnation.
    pub incarnation: u16,
    /// The sender's slot for the answer, echoed unchanged: matching needs no search.
    pub slot: u16,
    /// Unique for the sender's life; echoed unchanged.
    pub transaction: u64,
}

impl Extension {
    /// Length in bytes; it stands directly behind the header.
    pub const LEN: usize = 16;

    /// From a whole message.
    pub fn parse(message: &[u8]) -> Result<Extension, WireError> {
        let at = Header::LEN;
        Ok(Extension {
            source_port: u32_at(message, at)?,
            incarnation: u16_at(message, at + 4)?,
            slot: u16_at(message, at + 6)?,
            transaction: array(message, at + 8).map(u64::from_le_bytes)?,
        })
    }

    /// Into a whole message.
    pub fn emit(&self, message: &mut [u8]) -> Result<(), WireError> {
        let end = Header::LEN + Self::LEN;
        let out = message.get_mut(Header::LEN..end).ok_or(WireError::Truncated(end))?;
        out[..4].copy_from_slice(&self.source_port.to_le_bytes());
        out[4..6].copy_from_slice(&self.incarnation.to_le_bytes());
        out[6..8].copy_from_slice(&self.slot.to_le_bytes());
        out[8..].copy_from_slice(&self.transaction.to_le_bytes());
        Ok(())
    }
}

/// Who caused a message to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Agent {
    /// The daemon itself.
    #[default]
    Daemon,
    /// A person at the command line.
    CommandLine,
    /// A program through the API.
    Api,
    /// A caller registered with somebody else.
    ThirdParty,
    /// A code this build does not know.
    Other(u8),
}

impl From<u8> for Agent {
    fn from(code: u8) -> Agent {
        match code {
            0 => Agent::Daemon,
            1 => Agent::CommandLine,
            2 => Agent::Api,
            3 => Agent::ThirdParty,
            other => Agent::Other(other),
        }
    }
}

impl From<Agent> for u8 {
    fn from(agent: Agent) -> u8 {
        match agent {
            Agent::Daemon => 0,
            Agent::CommandLine => 1,
            Agent::Api => 2,
            Agent::ThirdParty => 3,
            Agent::Other(code) => code,
        }
    }
}

/// The 24 bytes behind the extension, there when [`Flags::SUBHEADER`] is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubHeader {
    /// What is asked; a response carries another one than its request.
    pub opcode: u16,
    /// 0 for good, else why not.
    pub status: u16,
    /// A value that goes with the status: needed size, remote errno.
    pub detail: u32,
    /// Who caused the message.
    pub origin: Agent,
    /// Flags of the origin's.
    pub origin_flags: u8,
    /// How many targets the send had.
    pub targets: u16,
    /// The origin's own number.
    pub origin_id: u32,
    /// Milliseconds from sending until nobody waits any more; 0 for no limit.
    pub deadline_ms: u32,
    /// The application's tag.
    pub tag: u32,
}

impl SubHeader {
    /// Length in bytes.
    pub const LEN: usize = 24;
    const AT: usize = Header::LEN + Extension::LEN;

    /// From a whole message.
    pub fn parse(message: &[u8]) -> Result<SubHeader, WireError> {
        let at = Self::AT;
        let [origin, origin_flags] = array(message, at + 8)?;
        Ok(SubHeader {
            opcode: u16_at(message, at)?,
            status: u16_at(message, at + 2)?,
            detail: u32_at(message, at + 4)?,
            origin: origin.into(),
            origin_flags,
            targets: u16_at(message, at + 10)?,
            origin_id: u32_at(message, at + 12)?,
            deadline_ms: u32_at(message, at + 16)?,
            tag: u32_at(message, at + 20)?,
        })
    }

    /// Into a whole message.
    pub fn emit(&self, message: &mut [u8]) -> Result<(), WireError> {
        let end = Self::AT + Self::LEN;
        let out = message.get_mut(Self::AT..end).ok_or(WireError::Truncated(end))?;
        out[..2].copy_from_slice(&self.opcode.to_le_bytes());
        out[2..4].copy_from_slice(&self.status.to_le_bytes());
        out[4..8].copy_from_slice(&self.detail.to_le_bytes());
        out[8] = self.origin.into();
        out[9] = self.origin_flags;
        out[10..12].copy_from_slice(&self.targets.to_le_bytes());
        out[12..16].copy_from_slice(&self.origin_id.to_le_bytes());
        out[16..20].copy_from_slice(&self.deadline_ms.to_le_bytes());
        out[20..24].copy_from_slice(&self.tag.to_le_bytes());
        Ok(())
    }
}

/// A type-length-value option. Types this build does not know are for the caller to skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt<'a> {
    /// 2 sender's name, 3 group, 4 trace, 5 again (see [`Again`]); 1 is not used.
    pub code: u8,
    /// At most 62 bytes fit behind a sub-header.
    pub value: &'a [u8],
}

/// Option 5: the message repeats one that was sent before and for which no receipt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Again {
    /// The transaction of the first try.
    pub transaction: u64,
    /// Its slot.
    pub slot: u16,
}

impl Again {
    /// Its option type.
    pub const CODE: u8 = 5;

    /// From an option's value.
    pub fn parse(value: &[u8]) -> Result<Again, WireError> {
        Ok(Again { transaction: array(value, 0).map(u64::from_le_bytes)?, slot: u16_at(value, 8)? })
    }

    /// An option's value.
    pub fn to_bytes(self) -> [u8; 10] {
        let mut out = [0; 10];
        out[..8].copy_from_slice(&self.transaction.to_le_bytes());
        out[8..].copy_from_slice(&self.slot.to_le_bytes());
        out
    }
}

/// The options of a message, in order: one byte type, one byte length, the value; type 0 pads to the header's end.
#[derive(Clone, Debug)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// Of a whole message; empty when its header has none.
    pub fn parse(header: &Header, message: &'a [u8]) -> Result<Options<'a>, WireError> {
        if !header.flags.has(Flags::OPTIONS) {
            return Ok(Options(&[]));
        }
        let sub = if header.flags.has(Flags::SUBHEADER) { SubHeader::LEN } else { 0 };
        let sequence = if header.flags.has(Flags::SEQUENCED) { super::Sequence::LEN } else { 0 };
        let (start, end) = (SubHeader::AT + sub + sequence, usize::from(header.len));
        message.get(start..end).map(Options).ok_or(WireError::HeaderLength(end))
    }

    /// Appends one option to `out`; `false`, and nothing written, when the value is over 255 bytes.
    pub fn emit(out: &mut alloc::vec::Vec<u8>, option: Opt<'_>) -> bool {
        let Ok(len) = u8::try_from(option.value.len()) else { return false };
        out.extend_from_slice(&[option.code, len]);
        out.extend_from_slice(option.value);
        true
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<Opt<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&code, rest) = self.0.split_first()?;
        if code == 0 {
            return None;
        }
        let option = rest.split_first().and_then(|(&len, rest)| {
            let (value, rest) = rest.split_at_checked(usize::from(len))?;
            self.0 = rest;
            Some(Opt { code, value })
        });
        if option.is_none() {
            self.0 = &[];
        }
        Some(option.ok_or(WireError::Field("option")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;
    use proptest::prelude::*;
    use std::vec::Vec;

    const LEN: usize = Header::LEN + Extension::LEN + SubHeader::LEN;

    #[test]
    fn extension_and_sub_header_survive_over_old_bytes() {
        let ext = Extension { source_port: 1, incarnation: 2, slot: 3, transaction: u64::MAX - 1 };
        let sub = SubHeader {
            opcode: 1,
            status: 2,
            detail: 3,
            origin: Agent::CommandLine,
            origin_flags: 4,
            targets: 5,
            origin_id: 6,
            deadline_ms: 7,
            tag: 8,
        };
        let mut out = [0xa5; LEN];
        ext.emit(&mut out).unwrap();
        sub.emit(&mut out).unwrap();
        assert_eq!((Extension::parse(&out), SubHeader::parse(&out)), (Ok(ext), Ok(sub)));
        for n in 0..LEN {
            assert!(SubHeader::parse(&out[..n]).is_err());
        }
        assert!(ext.emit(&mut out[..31]).is_err() && sub.emit(&mut out[..55]).is_err());
    }

    #[test]
    fn options_are_read_in_order_and_padding_ends_them() {
        let mut message = Vec::from([0; LEN]);
        Options::emit(&mut message, Opt { code: 2, value: b"disk0" });
        Options::emit(&mut message, Opt { code: 99, value: b"" });
        message.resize(message.len().next_multiple_of(8), 0);
        let mut header = Header::frame(NodeId::new(1).unwrap(), NodeId::new(2).unwrap(), 0);
        header.flags = header.flags.with(Flags::OPTIONS).with(Flags::SUBHEADER);
        header.len = message.len() as u8;
        let all: Vec<_> = Options::parse(&header, &message).unwrap().map(Result::unwrap).collect();
        assert_eq!(all, [Opt { code: 2, value: b"disk0" }, Opt { code: 99, value: b"" }]);
    }

    proptest! {
        #[test]
        fn random_options_end(noise in prop::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(Options(&noise).count() <= noise.len());
        }
    }
}
