//! Names of nodes, segments and ports.

use alloc::boxed::Box;
use core::{borrow::Borrow, fmt, ops::Deref};

/// A name: 1 to [`Name::MAX`] bytes of UTF-8 without control characters, NUL or white space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// No character at all.
    Empty,
    /// More than [`Name::MAX`] bytes; carries how many there were.
    TooLong(usize),
    /// A control character, NUL or white space; carries its byte offset.
    BadCharacter(usize),
    /// Not UTF-8 from this byte offset on.
    NotUtf8(usize),
}

impl Name {
    /// The longest name, in bytes.
    pub const MAX: usize = 63;

    /// Checks `text`.
    pub fn new(text: &str) -> Result<Name, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > Self::MAX {
            return Err(NameError::TooLong(text.len()));
        }
        match text.char_indices().find(|(_, c)| c.is_control() || c.is_whitespace()) {
            Some((at, _)) => Err(NameError::BadCharacter(at)),
            None => Ok(Name(text.into())),
        }
    }

    /// Checks bytes as a peer sent them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Name, NameError> {
        if bytes.len() > Self::MAX {
            return Err(NameError::TooLong(bytes.len()));
        }
        Name::new(core::str::from_utf8(bytes).map_err(|e| NameError::NotUtf8(e.valid_up_to()))?)
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => write!(f, "name is empty"),
            NameError::TooLong(n) => write!(f, "name has {n} bytes, at most {} are allowed", Name::MAX),
            NameError::BadCharacter(at) => {
                write!(f, "name has a control character or white space at byte {at}")
            }
            NameError::NotUtf8(at) => write!(f, "name is not UTF-8 at byte {at}"),
        }
    }
}

impl core::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_people_call_their_machines() {
        for good in ["a", "node-7", "io/disk0", "minet/lan", "größe"] {
            assert_eq!(&*Name::new(good).unwrap(), good);
        }
    }

    /// PROTOCOL 3.1.
    #[test]
    fn says_what_is_wrong() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new(&"x".repeat(64)), Err(NameError::TooLong(64)));
        assert_eq!(Name::new("a b"), Err(NameError::BadCharacter(1)));
        assert_eq!(Name::new("a\0"), Err(NameError::BadCharacter(1)));
        assert_eq!(Name::from_bytes(b"ok\xff"), Err(NameError::NotUtf8(2)));
        assert_eq!(Name::from_bytes(&[b'x'; 65536]), Err(NameError::TooLong(65536)));
    }
}
