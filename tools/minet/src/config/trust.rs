//! The part of the configuration that says who may join.

use super::{ConfigError, check, name, value};
use crate::trust::Member;
use fabric_seal::Suite;
use messenger_core::{Name, NodeId};
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Where a daemon keeps who joined and who was revoked, unless told otherwise.
pub const STATE_DIR: &str = "/var/lib/minet";

/// What sealing needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustConfig {
    /// The file with the node's key pair.
    pub key: PathBuf,
    /// The file with who joined and who was revoked.
    pub book: PathBuf,
    /// The ciphers that may be used, the best first.
    pub suites: Vec<Suite>,
    /// Keys are replaced after so long.
    pub rekey: Duration,
    /// Who may join.
    pub members: Vec<Member>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrustFile {
    key: Option<PathBuf>,
    book: Option<PathBuf>,
    ciphers: Option<Vec<String>>,
    rekey_s: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerFile {
    pub(super) address: Option<SocketAddr>,
    name: Option<String>,
    id: Option<u32>,
    key: Option<String>,
}

/// The part that says who may join; none when there is no key.
pub(super) fn trust(
    file: TrustFile,
    key: Option<PathBuf>,
    peers: &[PeerFile],
    (fabric, own): (&Name, &Name),
) -> Result<Option<TrustConfig>, ConfigError> {
    let mut members: Vec<Member> = Vec::new();
    for peer in peers {
        let Some(member) = member(peer)? else { continue };
        let twice = members.iter().any(|m| m.name == member.name || m.node == member.node || m.key == member.key);
        // One member may have several addresses.
        let same = members.iter().any(|m| (&m.name, m.node, m.key) == (&member.name, member.node, member.key));
        check("peer", &member.name, !twice || same, "every member needs a name, an id and a key of its own")?;
        members.push(member);
    }
    let suites = match file.ciphers {
        None => Suite::preferred(),
        Some(list) => {
            let allowed = "it must be aes-128-gcm, aes-256-gcm or chacha20-poly1305";
            let suites: Result<Vec<Suite>, _> =
                list.iter().map(|text| text.parse().map_err(|()| value("trust.ciphers", text, allowed))).collect();
            suites?
        }
    };
    check("trust.ciphers", "[]", !suites.is_empty() && suites.len() <= 4, "one to three ciphers must be allowed")?;
    let rekey = file.rekey_s.unwrap_or(120);
    check("trust.rekey_s", rekey, (1..=3600).contains(&rekey), "it must be 1 to 3600")?;
    let book = file.book.unwrap_or_else(|| PathBuf::from(STATE_DIR).join(&**fabric).join(format!("{own}.trust")));
    let key = key.or(file.key);
    Ok(key.map(|key| TrustConfig { key, book, suites, rekey: Duration::from_secs(rekey), members }))
}

/// A peer that has a key, if it does.
fn member(peer: &PeerFile) -> Result<Option<Member>, ConfigError> {
    let Some(key) = &peer.key else {
        let anything = peer.name.as_deref().map(str::to_owned).or(peer.id.map(|id| id.to_string()));
        return match anything {
            Some(what) => Err(value("peer.key", what, "a peer with a name or an id needs its public key as well")),
            None => Ok(None),
        };
    };
    let parsed = key.parse().map_err(|_| {
        value("peer.key", key, "it must be 43 characters of base64: `minet key show` on that node prints them")
    })?;
    let Some(text) = &peer.name else { return Err(value("peer.key", key, "a peer with a key needs its name as well")) };
    let name = name("peer.name", text)?;
    let node = match peer.id {
        None => NodeId::from_name(&name),
        Some(n) => NodeId::new(n).ok_or(value("peer.id", n, "it must be 1 to 4294967294"))?,
    };
    Ok(Some(Member { node, name, key: parsed, address: peer.address }))
}
