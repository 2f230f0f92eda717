//! What lets one unknown key in, once.

use crate::{Denial, PublicKey, Secret};
use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use std::{fmt, time::Duration};

/// Names an invitation without giving its secret away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvitationId([u8; 16]);

impl InvitationId {
    /// The id of the invitation with this secret.
    pub fn of(secret: &Secret) -> InvitationId {
        let mut hash = Context::new(&SHA256);
        hash.update(b"MINET invitation");
        hash.update(secret.expose());
        InvitationId(hash.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// From the bytes that travel; `None` for those that say that there is none.
    pub(crate) fn from_wire(bytes: [u8; 16]) -> Option<InvitationId> {
        (bytes != [0; 16]).then_some(InvitationId(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How an invitation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Good until then, by the clock of the node that made it.
    Open {
        /// Until when.
        until: Duration,
    },
    /// Over.
    Expired,
    /// Somebody joined with it. The same one may come again: the last word may have been lost.
    Used {
        /// Who.
        by: PublicKey,
    },
}

/// An invitation as its maker keeps it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) secret: Secret,
    pub(crate) standing: Standing,
}

impl Kept {
    /// Whether `peer` may come in with it now.
    pub(crate) fn admits(&self, now: Duration, peer: &PublicKey) -> Result<(), Denial> {
        match self.standing {
            Standing::Open { until } if now < until => Ok(()),
            Standing::Open { .. } | Standing::Expired => Err(Denial::InvitationExpired),
            Standing::Used { by } if by == *peer => Ok(()),
            Standing::Used { .. } => Err(Denial::InvitationUsed),
        }
    }
}

/// SHA-256 of some bytes: shows that a text was copied whole.
pub fn fingerprint(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(bytes);
    hash.finish().as_ref().first_chunk().copied().unwrap_or_default()
}
