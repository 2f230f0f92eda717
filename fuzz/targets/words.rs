//! Small texts of a configuration and a command line: what is read is said the same way and read again.

use fabric_seal::{PublicKey, Suite};
use messenger_core::Name;
use minet_node::{Cidr, SerialArg};
use std::{fmt::Display, str::FromStr};

fn again<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        let said = read.to_string();
        assert!(said.parse::<T>().is_ok_and(|again| again == read), "{text}: {said}");
    }
}

pub fn run(input: &[u8]) {
    assert_eq!(Name::from_bytes(input).ok(), std::str::from_utf8(input).ok().and_then(|text| Name::new(text).ok()));
    let Ok(text) = std::str::from_utf8(input) else { return };
    again::<Cidr>(text);
    again::<PublicKey>(text);
    again::<Suite>(text);
    if let Ok(name) = Name::new(text) {
        assert!(*name == *text && (1..=Name::MAX).contains(&name.len()) && name.split_whitespace().eq([text]));
    }
    let Ok(SerialArg { device, speed }) = text.parse();
    let said = device.display().to_string() + &speed.map_or_else(String::new, |speed| format!(":{speed}"));
    assert!(text == said || speed.is_some(), "{text}: {said}");
}
