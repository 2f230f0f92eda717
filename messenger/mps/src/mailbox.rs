//! The name of a mailbox, and of the port that is one.

use crate::Error;
use std::fmt::{self, Write};

/// Characters of a domain at the most.
const DOMAIN_MOST: usize = 4;
/// Bytes of a port's name at the most.
const PORT_NAME_MOST: usize = 63;
/// What ports of mailboxes begin with.
const PREFIX: &str = "mps/";

/// A domain and a name in it, checked: what a session has open. The same one may be open on each storage processor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    domain: String,
    name: String,
    /// Both as they stand in a port's name.
    encoded: String,
}

impl Mailbox {
    /// Checks a domain of one to four characters and a name of at least one. Any character may be in them; what stands for
    /// one in the name of a port may be longer (PROTOCOL.md 13.1), and all of it has at most 59 bytes, with a stroke between.
    ///
    /// # Errors
    /// [`Error::Domain`] or [`Error::MailboxName`].
    pub fn new(domain: &str, name: &str) -> Result<Mailbox, Error> {
        if domain.is_empty() || domain.chars().count() > DOMAIN_MOST {
            return Err(Error::Domain { length: domain.chars().count() });
        }
        let mut encoded = String::new();
        encode(&mut encoded, domain, true);
        encoded.push('/');
        encode(&mut encoded, name, false);
        let most = PORT_NAME_MOST - PREFIX.len();
        if name.is_empty() || encoded.len() > most {
            return Err(Error::MailboxName { length: encoded.len(), most });
        }
        Ok(Mailbox { domain: domain.to_owned(), name: name.to_owned(), encoded })
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The name in its domain.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its port.
    pub fn port(&self) -> String {
        format!("{PREFIX}{}", self.encoded)
    }
}

/// Puts a text into a port's name: what cannot stand there, the sign of it, and in a domain the stroke behind it, as bytes.
fn encode(out: &mut String, text: &str, is_domain: bool) {
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() || c == '%' || (is_domain && c == '/') {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // A string takes all.
                let _ = write!(out, "%{byte:02x}");
            }
        } else {
            out.push(c);
        }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    /// Rows: MP-07.
    #[test]
    fn a_domain_has_four_characters_and_a_name_any_text() {
        let mailbox = Mailbox::new("MGMT", "größe 大").unwrap();
        assert_eq!(mailbox.port(), "mps/MGMT/größe%20大");
        assert_eq!((mailbox.domain(), mailbox.name()), ("MGMT", "größe 大"));
        assert!(Mailbox::new("größ", "x").is_ok(), "characters count, not bytes");
        for (domain, name) in [("MGMTS", "x"), ("", "x"), ("MGMT", ""), ("MGMT", &"x".repeat(55))] {
            let error = Mailbox::new(domain, name).unwrap_err();
            assert_eq!(error.status(), Status::Invalid, "{domain} {name}: {error}");
        }
        assert_eq!(Mailbox::new("MGMT", &"x".repeat(54)).unwrap().port().len(), 63);
        assert_eq!(Mailbox::new("A", "nul\0").unwrap().to_string(), "A/nul%00");
        // The stroke between the two is the first one.
        assert_ne!(Mailbox::new("a/b", "c").unwrap().port(), Mailbox::new("a", "b/c").unwrap().port());
    }

    proptest! {
        /// "13.1 Different mailboxes have different ports."
        ///
        /// Rows: MP-08.
        #[test]
        fn different_mailboxes_have_different_ports(a in "\\PC{1,4}", b in ".{1,8}", c in "\\PC{1,4}", d in ".{1,8}") {
            if let (Ok(one), Ok(other)) = (Mailbox::new(&a, &b), Mailbox::new(&c, &d)) {
                prop_assert_eq!(one == other, one.port() == other.port());
                prop_assert!(!one.port().chars().any(|c| c.is_control() || c.is_whitespace()));
            }
        }
    }
}
