//! An invitation as text: all that a new node needs, in one word.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use fabric_seal::{PublicKey, Secret, fingerprint};
use messenger_core::{Name, NodeId};
use std::{fmt, net::SocketAddr, str::FromStr};
use zeroize::Zeroizing;

/// What the text begins with.
const PREFIX: &str = "minet-invitation-";
/// Version of the form.
const VERSION: u8 = 1;
/// Bytes at the end that show that the text is whole.
const CHECK: usize = 8;
/// No invitation is longer.
const MOST: usize = 2048;

/// An invitation. Whoever has the text can use it, once, until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The fabric.
    pub fabric: Name,
    /// The new node's number.
    pub node: NodeId,
    /// The new node's name.
    pub name: Name,
    /// Where the node that invites is.
    pub contact: SocketAddr,
    /// Its number.
    pub contact_node: NodeId,
    /// Its name.
    pub contact_name: Name,
    /// Its public key.
    pub contact_key: PublicKey,
    /// What proves that one is invited.
    pub secret: Secret,
    /// Until when, in seconds since 1970 by the clock of the node that invites. For people: that node judges.
    pub until: u64,
}

/// Why a text is no invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It begins with something else.
    #[error("this is no invitation: one begins with `{PREFIX}`")]
    NoInvitation,
    /// It was cut, or characters were changed.
    #[error("the invitation was altered or cut short: copy all of it")]
    Altered,
    /// It was made by a later version.
    #[error("the invitation has form {0}, this version reads form {VERSION}")]
    Version(u8),
}

impl fmt::Display for Token {
    /// This is the secret itself: it is shown to whom it is for, and never logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Zeroizing::new(Vec::with_capacity(512));
        bytes.push(VERSION);
        bytes.extend_from_slice(self.secret.expose());
        bytes.extend_from_slice(self.contact_key.as_bytes());
        bytes.extend_from_slice(&self.until.to_le_bytes());
        bytes.extend_from_slice(&self.node.get().to_le_bytes());
        bytes.extend_from_slice(&self.contact_node.get().to_le_bytes());
        for text in [&*self.fabric, &*self.name, &*self.contact_name, &*self.contact.to_string()] {
            bytes.push(text.len() as u8);
            bytes.extend_from_slice(text.as_bytes());
        }
        let check = fingerprint(&bytes);
        bytes.extend_from_slice(check.get(..CHECK).unwrap_or_default());
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes));
        write!(f, "{PREFIX}{}", *text)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Token, TokenError> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(TokenError::NoInvitation)?;
        if body.len() > MOST {
            return Err(TokenError::Altered);
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Altered)?);
        let (body, check) = bytes.split_last_chunk::<CHECK>().ok_or(TokenError::Altered)?;
        if fingerprint(body).first_chunk() != Some(check) {
            return Err(TokenError::Altered);
        }
        match body.split_first() {
            Some((&VERSION, rest)) => parse(rest).ok_or(TokenError::Altered),
            Some((&other, _)) => Err(TokenError::Version(other)),
            None => Err(TokenError::Altered),
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Token> {
    let (secret, rest) = bytes.split_first_chunk::<32>()?;
    let (key, rest) = rest.split_first_chunk::<32>()?;
    let (until, rest) = rest.split_first_chunk::<8>()?;
    let (node, rest) = rest.split_first_chunk::<4>()?;
    let (contact_node, mut rest) = rest.split_first_chunk::<4>()?;
    let mut text = || {
        let (len, after) = rest.split_first()?;
        let (text, after) = after.split_at_checked(usize::from(*len))?;
        rest = after;
        std::str::from_utf8(text).ok()
    };
    let (fabric, name, contact_name, contact) = (text()?, text()?, text()?, text()?);
    // Names become names of files.
    let name_of = |text: &str| Name::new(text).ok().filter(|_| !text.contains('/') && !text.starts_with('.'));
    Some(Token {
        fabric: name_of(fabric)?,
        node: NodeId::new(u32::from_le_bytes(*node))?,
        name: name_of(name)?,
        contact: contact.parse().ok()?,
        contact_node: NodeId::new(u32::from_le_bytes(*contact_node))?,
        contact_name: name_of(contact_name)?,
        contact_key: PublicKey::new(*key),
        secret: Secret::new(*secret),
        until: u64::from_le_bytes(*until),
    })
    .filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        let name = |text| Name::new(text).unwrap();
        Token {
            fabric: name("default"),
            node: NodeId::new(7).unwrap(),
            name: name("new"),
            contact: "10.1.2.3:7400".parse().unwrap(),
            contact_node: NodeId::new(1).unwrap(),
            contact_name: name("a"),
            contact_key: PublicKey::new([3; 32]),
            secret: Secret::new([4; 32]),
            until: 2_000_000_000,
        }
    }

    #[test]
    fn an_invitation_survives_as_text() {
        let text = token().to_string();
        assert!(!text.contains(char::is_whitespace));
        assert_eq!(text.parse(), Ok(token()));
        assert_eq!(format!("  {text}\n").parse(), Ok(token()));
    }

    /// PROTOCOL 6.18.
    #[test]
    fn an_invitation_is_these_bytes() {
        let text = token().to_string();
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix("minet-invitation-").unwrap()).unwrap();
        let (body, check) = bytes.split_last_chunk::<8>().unwrap();
        let numbers = [&2_000_000_000u64.to_le_bytes()[..], &[7, 0, 0, 0, 1, 0, 0, 0]].concat();
        let texts = b"\x07default\x03new\x01a\x0d10.1.2.3:7400";
        assert_eq!(body, [&[1][..], &[4; 32], &[3; 32], &numbers, texts].concat());
        assert_eq!(check, &fingerprint(body)[..8]);
    }

    #[test]
    fn an_invitation_altered_anywhere_says_so() {
        let text = token().to_string();
        for at in PREFIX.len()..text.len() {
            let mut altered: Vec<char> = text.chars().collect();
            altered[at] = if altered[at] == 'A' { 'B' } else { 'A' };
            let altered: String = altered.into_iter().collect();
            assert_eq!(altered.parse::<Token>(), Err(TokenError::Altered), "{at}");
            assert_eq!(text[..at].parse::<Token>(), Err(TokenError::Altered), "{at}");
        }
        assert_eq!("".parse::<Token>(), Err(TokenError::NoInvitation));
        assert_eq!("minet-invitation-ü".parse::<Token>(), Err(TokenError::Altered));
        assert_eq!(format!("{text}AAAA").parse::<Token>(), Err(TokenError::Altered));
    }

    #[test]
    fn a_later_form_is_named() {
        let mut bytes = vec![9, 1, 2, 3];
        bytes.extend_from_slice(&fingerprint(&bytes)[..CHECK]);
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        assert_eq!(text.parse::<Token>(), Err(TokenError::Version(9)));
    }
}
