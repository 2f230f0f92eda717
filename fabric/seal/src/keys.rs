//! The keys of one handshake, as they are handed to the threads that use them.

use crate::{Opener, Sealer, Suite, noise::Split, sealer::Usage, suite::Cipher};
use std::sync::Arc;

/// One handshake's keys. They are moved to where they are used and wiped when they are dropped.
pub struct Keys {
    /// Opens what the peer seals. It belongs to the one thread that receives.
    pub opener: Opener,
    /// One for each sending thread; each has counters of its own, so that nobody shares any.
    pub sealers: Vec<Sealer>,
}

impl Keys {
    /// What peers address datagrams for these keys to. Unique among a gate's live keys.
    pub fn index(&self) -> u32 {
        self.opener.index()
    }

    /// The cipher.
    pub fn suite(&self) -> Suite {
        self.opener.suite()
    }
}

/// What a gate keeps of keys that it handed out.
pub(crate) struct Made {
    pub(crate) keys: Keys,
    /// The gate's own sealer.
    pub(crate) own: Sealer,
    pub(crate) usage: Arc<Usage>,
}

/// The streams of a channel: one a sending thread, and one of the gate.
pub(crate) const STREAMS: u8 = 16;

/// Keys from a handshake: `ours` and `theirs` are the indexes, `first` whether we began it.
pub(crate) fn make(suite: Suite, split: &Split, first: bool, ours: u32, theirs: u32, lanes: u8) -> Option<Made> {
    let (seal, open) = if first {
        (&split.from_initiator, &split.from_responder)
    } else {
        (&split.from_responder, &split.from_initiator)
    };
    let usage = Arc::new(Usage::default());
    let sealer = |stream| Some(Sealer::new(Cipher::new(suite, seal)?, theirs, stream, usage.clone()));
    let sealers = (0..lanes).map(sealer).collect::<Option<Vec<_>>>()?;
    let opener = Opener::new(Cipher::new(suite, open)?, suite, ours, usage.clone());
    Some(Made { keys: Keys { opener, sealers }, own: sealer(STREAMS - 1)?, usage })
}
