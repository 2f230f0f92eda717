//! How the core's types stand in a frame: as plain numbers.

/// A module for `#[serde(with = …)]`: a type, what stands for it, and the ways there and back.
macro_rules! plain {
    ($name:ident, $type:ty, $plain:ty, $there:expr, $back:expr) => {
        pub(super) mod $name {
            #[allow(unused_imports, reason = "each takes what it needs")]
            use messenger_core::{
                Code, NodeId, PortId, Status,
                wire::{Agent, Priority},
            };
            use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

            pub(in crate::protocol) fn serialize<S: Serializer>(value: &$type, out: S) -> Result<S::Ok, S::Error> {
                let there: fn(&$type) -> $plain = $there;
                there(value).serialize(out)
            }

            pub(in crate::protocol) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                let back: fn($plain) -> Option<$type> = $back;
                back(<$plain>::deserialize(from)?).ok_or_else(|| Error::custom("not a value of this type"))
            }
        }
    };
}

plain!(port, PortId, u32, |port| port.to_wire(), |n| Some(PortId::from_wire(n)));
plain!(port_if_any, Option<PortId>, Option<u32>, |port| port.map(PortId::to_wire), |n| Some(n.map(PortId::from_wire)));
plain!(node, NodeId, u32, |node| node.get(), NodeId::new);
plain!(priority, Priority, u8, |priority| *priority as u8, |n| Priority::ALL.get(usize::from(n)).copied());
plain!(status, Status, (u16, u32), |status| (status.code.number(), status.detail), |(code, detail)| Some(Status {
    code: Code::from_number(code),
    detail
}));
plain!(agent, Agent, u8, |agent| u8::from(*agent), |n| Some(Agent::from(n)));
