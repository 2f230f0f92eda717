//! What a node tells of its ports' names: the payload of a message of opcode [`Names::OPCODE`] to a node's own port.

use super::{
    WireError,
    cursor::{Reader, Writer},
};
use crate::{Name, PortId};
use alloc::{sync::Arc, vec::Vec};

/// The opcode of a message to a node's own port that takes a request back: its transaction and slot are the request's.
pub const WITHDRAWN: u16 = 17;

/// Where a name is unique.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// On its node.
    #[default]
    Node,
    /// On the whole fabric.
    Fabric,
}

/// A named port as the fabric knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Name,
    /// Where the name is unique.
    pub scope: Scope,
    /// Of two nodes that claim one name of the fabric, the higher claim has it; of equal ones that of the lower node.
    pub claim: u64,
    /// What kind of thing it is.
    pub kind: Option<Name>,
    /// Properties: key and value.
    pub properties: Vec<(Name, Name)>,
}

/// Names of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// All there are; otherwise what changed since the message before.
    pub all: bool,
    /// Of all there are: more come in the next message.
    pub more: bool,
    /// Ports that have a name now, and ports that have none any more.
    pub changes: Vec<(PortId, Option<Arc<Entry>>)>,
}

impl Names {
    /// The opcode of the message.
    pub const OPCODE: u16 = 16;

    /// Changes of one message at the most: more than a node can have ports of is a lie.
    pub const MOST: usize = 65_536;

    /// Reads a payload. Bytes behind the known fields are a later version's and are skipped.
    pub fn parse(body: &[u8]) -> Result<Names, WireError> {
        let mut r = Reader::new(body);
        let flags = r.u8()?;
        let count = r.u32()?;
        if count as usize > Self::MOST {
            return Err(WireError::Field("count"));
        }
        let mut changes = Vec::new();
        for _ in 0..count {
            let port = PortId::from_wire(r.u32()?);
            let entry = match r.u8()? {
                0 => None,
                what => Some(Arc::new(Entry {
                    scope: if what == 1 { Scope::Node } else { Scope::Fabric },
                    claim: r.u64()?,
                    name: r.name()?,
                    kind: optional(&mut r)?,
                    properties: (0..r.u8()?).map(|_| Ok((r.name()?, r.name()?))).collect::<Result<_, _>>()?,
                })),
            };
            changes.push((port, entry));
        }
        Ok(Names { all: flags & 1 != 0, more: flags & 2 != 0, changes })
    }

    /// The same in messages of about `most` bytes each.
    pub fn parts(self, most: usize) -> Vec<Names> {
        let Names { all, more, changes } = self;
        let (mut parts, mut size) = (Vec::from([Names { all, more, changes: Vec::new() }]), 0);
        for change in changes {
            let mut bytes = Vec::new();
            Names { all, more, changes: Vec::from([change.clone()]) }.emit(&mut bytes);
            if size > 0 && size + bytes.len() > most {
                if let Some(last) = parts.last_mut() {
                    last.more = all;
                }
                parts.push(Names { all, more, changes: Vec::new() });
                size = 0;
            }
            size += bytes.len();
            if let Some(last) = parts.last_mut() {
                last.changes.push(change);
            }
        }
        parts
    }

    /// Appends the payload. Properties beyond 255 are left out.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        w.u8(u8::from(self.all) | u8::from(self.more) << 1).u32(u32::try_from(self.changes.len()).unwrap_or(u32::MAX));
        for (port, entry) in &self.changes {
            w.u32(port.to_wire());
            let Some(entry) = entry else {
                w.u8(0);
                continue;
            };
            w.u8(if entry.scope == Scope::Node { 1 } else { 2 }).u64(entry.claim).name(&entry.name);
            match &entry.kind {
                Some(kind) => w.name(kind),
                None => w.u8(0),
            };
            let properties = &entry.properties[..entry.properties.len().min(255)];
            w.u8(properties.len() as u8);
            for (key, value) in properties {
                w.name(key).name(value);
            }
        }
    }
}

/// A name, or nothing where its length is 0.
fn optional(r: &mut Reader<'_>) -> Result<Option<Name>, WireError> {
    match r.u8()? {
        0 => Ok(None),
        len => Name::from_bytes(r.bytes(usize::from(len))?).map(Some).map_err(|_| WireError::Field("name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    /// PROTOCOL 8.1.
    #[test]
    fn survives_the_wire_and_every_truncation_is_an_answer() {
        let name = |n: &str| Name::new(n).unwrap();
        let entry = |kind: Option<Name>, scope| {
            let properties = vec![(name("speed"), name("1000"))];
            Some(Arc::new(Entry { name: name("io/disk0"), scope, claim: u64::MAX, kind, properties }))
        };
        let port = |index| PortId { index, generation: 0xffff };
        let names = Names {
            all: true,
            more: true,
            changes: vec![
                (port(1), entry(Some(name("disk")), Scope::Fabric)),
                (port(2), None),
                (port(3), entry(None, Scope::Node)),
            ],
        };
        let mut out = Vec::new();
        names.emit(&mut out);
        assert_eq!(Names::parse(&out), Ok(names));
        for n in 0..out.len() {
            assert!(Names::parse(&out[..n]).is_err(), "{n}");
        }
    }

    /// A payload may be large, and what is made of it is larger.
    #[test]
    fn more_names_than_a_node_can_have_are_refused() {
        let gone = |count: u32| [&[1][..], &count.to_le_bytes(), &[0; 5].repeat(count as usize)].concat();
        let most = Names::MOST as u32;
        assert_eq!(Names::parse(&gone(most)).map(|names| names.changes.len()), Ok(Names::MOST));
        assert_eq!(Names::parse(&gone(most + 1)), Err(WireError::Field("count")));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Names::parse(&noise);
        }
    }
}
