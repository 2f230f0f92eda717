//! How the core's types stand in a frame: as plain numbers.

/// A module for `#[serde(with = …)]`: a type, what stands for it, and the ways there and back.
macro_rules! plain {
    ($name:ident, $type:ty, $plain:ty, $there:expr, $back:expr) => {
        pub(super) mod $name {
            #[allow(unused_imports, reason = "each takes what it needs")]
            use messenger_core::{
                Choice, Code, NodeId, PathState, PortId, Status,
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
plain!(path_state, PathState, u8, |state| *state as u8, |n| {
    use PathState::{Enabled, Failed, Opening, Quiesced};
    [Opening, Enabled, Quiesced, Failed].into_iter().find(|state| *state as u8 == n)
});
plain!(choice, Choice, u8, |choice| *choice as u8, |n| {
    use Choice::{All, First, LocalBest, LocalRoundRobin, RoundRobin};
    [First, RoundRobin, LocalRoundRobin, LocalBest, All].into_iter().find(|choice| *choice as u8 == n)
});
