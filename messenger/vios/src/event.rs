//! Events: triggers that tell which object changed and to which version, never how.

use crate::PacketError;
use messenger::PortSpec;

/// What kind of event; callers register by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// An object was made, changed or removed.
    Lifecycle,
    /// Something went wrong.
    Alert,
}

/// A trigger. Who gets it reads the object anew: it says nothing of the content, so that nobody works with old content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What kind.
    pub class: Class,
    /// Which object.
    pub key: String,
    /// The version that it has at least.
    pub version: u64,
}

/// The kind of ports that get events.
const KIND: &str = "vios";
/// The longest key, in bytes.
const KEY_MOST: usize = 255;

impl Class {
    const ALL: [Class; 2] = [Class::Lifecycle, Class::Alert];

    /// The property of a port that is told events of this class.
    const fn property(self) -> &'static str {
        match self {
            Class::Lifecycle => "lifecycle",
            Class::Alert => "alert",
        }
    }

    /// Whom an event of this class is for.
    pub(crate) fn pattern(self) -> String {
        format!("kind={KIND} {}=yes", self.property())
    }
}

/// A port that is told events of these classes.
pub(crate) fn registered(name: &str, classes: &[Class]) -> PortSpec {
    let properties = Class::ALL.into_iter().filter(|class| classes.contains(class));
    PortSpec {
        kind: Some(KIND.to_owned()),
        properties: properties.map(|class| (class.property().to_owned(), "yes".to_owned())).collect(),
        ..PortSpec::named(name)
    }
}

impl Event {
    /// Reads the payload of an event.
    ///
    /// # Errors
    /// [`PacketError`]: it is none.
    pub fn parse(payload: &[u8]) -> Result<Event, PacketError> {
        let (class, rest) = payload.split_first().ok_or(PacketError::Truncated)?;
        let (version, key) = rest.split_first_chunk().ok_or(PacketError::Truncated)?;
        let class = match class {
            1 => Class::Lifecycle,
            2 => Class::Alert,
            _ => return Err(PacketError::Field("class")),
        };
        let key = std::str::from_utf8(key).ok().filter(|key| key.len() <= KEY_MOST);
        let key = key.ok_or(PacketError::Field("key"))?.to_owned();
        Ok(Event { class, key, version: u64::from_le_bytes(*version) })
    }

    /// The payload of an event.
    ///
    /// # Errors
    /// [`PacketError::Field`]: the key is longer than 255 bytes.
    pub fn emit(&self) -> Result<Vec<u8>, PacketError> {
        if self.key.len() > KEY_MOST {
            return Err(PacketError::Field("key"));
        }
        let class = match self.class {
            Class::Lifecycle => 1,
            Class::Alert => 2,
        };
        Ok([&[class], &self.version.to_le_bytes()[..], self.key.as_bytes()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An event has a class, a key and a version, and no room for anything else.
    ///
    /// PROTOCOL 14.8.
    /// Rows: VI-48.
    #[test]
    fn an_event_is_a_key_and_a_version() {
        let event = Event { class: Class::Alert, key: "adapter/7".into(), version: 0x0102 };
        let bytes = event.emit().unwrap();
        assert_eq!(bytes, b"\x02\x02\x01\0\0\0\0\0\0adapter/7");
        assert_eq!(Event::parse(&bytes), Ok(event));
        assert_eq!(Event::parse(b"\x03\0\0\0\0\0\0\0\0x"), Err(PacketError::Field("class")));
        assert_eq!(Event::parse(b"\x01\0\0\0\0\0\0\0"), Err(PacketError::Truncated));
        let long = Event { class: Class::Lifecycle, key: "k".repeat(256), version: 0 };
        assert_eq!(long.emit(), Err(PacketError::Field("key")));
    }

    #[test]
    fn callers_are_found_by_their_classes() {
        let spec = registered("vios/x", &[Class::Alert]);
        assert_eq!(spec.properties, [("alert".to_owned(), "yes".to_owned())]);
        assert_eq!(Class::Lifecycle.pattern(), "kind=vios lifecycle=yes");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(event) = Event::parse(&bytes) {
                prop_assert_eq!(event.emit().unwrap(), bytes);
            }
        }
    }
}
