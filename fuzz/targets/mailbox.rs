//! Domains and mailboxes by anybody: a mailbox is a port of its own, from whose name both can be read back.

use messenger_core::Name;
use messenger_mps::{Mailbox, SequenceTag};

/// What stands behind the signs of a part of a port's name.
fn decode(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [byte, more @ ..] = rest {
        rest = more;
        bytes.push(match (byte, more) {
            (b'%', [high, low, more @ ..]) => {
                rest = more;
                u8::from_str_radix(std::str::from_utf8(&[*high, *low]).ok()?, 16).ok()?
            }
            (b'%', _) => return None,
            _ => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

pub fn run(input: &[u8]) {
    if let Some(number) = input.first_chunk() {
        let number = u32::from_le_bytes(*number);
        assert_eq!(SequenceTag::from_number(number).number(), number);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((domain, name)) = text.split_once('\n') else { return };
    match Mailbox::new(domain, name) {
        Ok(mailbox) => {
            let port = mailbox.port();
            assert!(Name::new(&port).is_ok_and(|name| *name == *port), "the name of a port: {port}");
            let parts = port.strip_prefix("mps/").and_then(|rest| rest.split_once('/'));
            let (front, back) = parts.unwrap_or_else(|| panic!("{port}"));
            assert_eq!((decode(front).as_deref(), decode(back).as_deref()), (Some(domain), Some(name)));
            assert_eq!((mailbox.domain(), mailbox.name()), (domain, name));
        }
        Err(_) => {
            let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric());
            let good =
                plain(domain) && (1..=4).contains(&domain.len()) && plain(name) && (1..=50).contains(&name.len());
            assert!(!good, "{domain} {name}");
        }
    }
}
