//! An invitation that somebody copied: one that is good says the same again, and one that was altered or cut is none.

use fabric_seal::{PublicKey, Secret};
use messenger_core::{Name, NodeId};
use minet_node::trust::Token;
use std::net::SocketAddr;

pub fn run(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(token) = text.parse::<Token>()
    {
        // The address may be written in other ways than ours; the meaning stays.
        assert_eq!(token.to_string().parse(), Ok(token));
    }
    let Some((head, names)) = input.split_first_chunk::<90>() else { return };
    let (text, end) = (String::from_utf8_lossy(names), head[89]);
    let mut words = text.split(' ').filter_map(|word| Name::new(word).ok());
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (Some(fabric), Some(name), Some(contact_name)) = (words.next(), words.next(), words.next()) else { return };
    let (Some(node), Some(contact_node)) = (NodeId::new(number(0)), NodeId::new(number(4))) else { return };
    let ip = if end & 1 == 0 { [head[8]; 4].into() } else { std::net::IpAddr::from([head[8]; 16]) };
    let token = Token {
        fabric,
        node,
        name,
        contact: SocketAddr::new(ip, u16::from_le_bytes([head[9], head[10]])),
        contact_node,
        contact_name,
        contact_key: head[11..].first_chunk().map_or_else(|| unreachable!(), |key| PublicKey::new(*key)),
        secret: head[43..].first_chunk().map_or_else(|| unreachable!(), |key| Secret::new(*key)),
        until: u64::from(number(75)) << 32 | u64::from(number(79)),
    };
    let text = token.to_string();
    let is_file_name = |name: &Name| !name.contains('/') && !name.starts_with('.');
    let usable = [&token.fabric, &token.name, &token.contact_name].into_iter().all(is_file_name);
    assert_eq!(text.parse().ok(), usable.then_some(token), "names become names of files");
    let mut altered = text.into_bytes();
    let at = usize::from(u16::from_le_bytes([head[83], head[84]])) % altered.len();
    altered[at] ^= 1 << (head[85] % 7);
    let altered = String::from_utf8_lossy(&altered).into_owned();
    // White space around it is no part of it.
    assert!(altered.parse::<Token>().is_err(), "an altered invitation");
    assert!(altered[..at].parse::<Token>().is_err(), "one that was cut");
}
