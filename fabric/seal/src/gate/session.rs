//! One session: what is tried, what is answered, and the keys in use.

use crate::{
    Address, Denial, Event, InvitationId, Keys, PublicKey, Sealer, Secret, SessionId, Suite, noise::Handshake,
    sealer::Usage, wire::TAG,
};
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// The first wait for an answer; it doubles.
const WAIT_FIRST: Duration = Duration::from_millis(50);
/// The longest.
pub(super) const WAIT_LONGEST: Duration = Duration::from_secs(1);
/// How long after the last one a handshake may begin without need.
pub(super) const CALM: Duration = Duration::from_millis(500);

/// First messages of a session that are known again. A peer makes none more often than every 50 ms, and a cookie that one needs is
/// good for minutes at most; who repeats one that is older gets a response whose keys nobody confirms.
const HEARD: usize = 64;

/// What tells one first message from all others: the seal on it, which was checked.
pub(super) type Mark = [u8; TAG];

/// A session with a peer.
pub(super) struct Session {
    pub(super) peer: PublicKey,
    pub(super) address: Address,
    /// The same at both ends for the session's life, so that a peer that moved finds it again.
    pub(super) tag: u32,
    /// We opened it: it is tried for as long as it is not closed.
    pub(super) lasting: bool,
    /// The secret of the invitation we come with.
    pub(super) psk: Option<Secret>,
    pub(super) attempt: Option<Attempt>,
    pub(super) answered: Option<Answered>,
    pub(super) current: Option<Generation>,
    pub(super) previous: Option<Generation>,
    /// The last first messages that were answered.
    pub(super) heard: VecDeque<Mark>,
    pub(super) denied: Option<Denial>,
    pub(super) tried: Option<Duration>,
    /// When time was last looked at.
    pub(super) looked: Duration,
}

/// Our own try.
pub(super) struct Attempt {
    /// Knock's nonce, then the keys' index.
    pub(super) index: u32,
    /// The first message went out, and when.
    pub(super) handshake: Option<Handshake>,
    pub(super) sent: Duration,
    /// A cookie is waited for, or a better one is welcome.
    pub(super) asks: bool,
    pub(super) began: Duration,
    pub(super) again_at: Duration,
    wait: Duration,
}

/// The peer's try, answered and not confirmed.
pub(super) struct Answered {
    pub(super) generation: Generation,
    /// Held until the peer confirms; lanes have them already when the session is open.
    pub(super) held: Option<Keys>,
    pub(super) invitation: Option<InvitationId>,
    pub(super) from: Address,
    /// What was answered, and the answer.
    pub(super) mark: Mark,
    pub(super) response: Vec<u8>,
}

/// Keys that were handed out.
pub(super) struct Generation {
    pub(super) index: u32,
    pub(super) theirs: u32,
    pub(super) since: Duration,
    /// We began the handshake.
    pub(super) first: bool,
    pub(super) suite: Suite,
    pub(super) own: Sealer,
    pub(super) usage: Arc<Usage>,
}

impl Generation {
    pub(super) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    pub(super) fn was_heard(&self) -> bool {
        self.usage.opened.load(Ordering::Relaxed) > 0
    }
}

impl Attempt {
    pub(super) fn new(now: Duration, index: u32) -> Attempt {
        Attempt { index, handshake: None, sent: now, asks: false, began: now, again_at: now, wait: WAIT_FIRST }
    }

    /// A knock goes out now.
    pub(super) fn knocked(&mut self, now: Duration) {
        self.asks = true;
        self.again_at = now + self.wait;
        self.wait = (self.wait * 2).min(WAIT_LONGEST);
    }

    /// A first message is under way that may still be answered.
    pub(super) fn is_waiting(&self, now: Duration) -> bool {
        self.handshake.is_some() && now.saturating_sub(self.sent) < 2 * WAIT_LONGEST
    }

    /// Leaves it to the peer for a while.
    pub(super) fn stand_back(&mut self, now: Duration) {
        self.handshake = None;
        self.asks = false;
        self.wait = WAIT_LONGEST;
        self.again_at = now + WAIT_LONGEST;
    }
}

impl Session {
    pub(super) fn new(peer: PublicKey, address: Address, tag: u32, lasting: bool, psk: Option<Secret>) -> Session {
        Session {
            peer,
            address,
            tag,
            lasting,
            psk,
            attempt: None,
            answered: None,
            current: None,
            previous: None,
            heard: VecDeque::new(),
            denied: None,
            tried: None,
            looked: Duration::ZERO,
        }
    }

    pub(super) fn hear(&mut self, mark: Mark) {
        if self.heard.len() >= HEARD {
            self.heard.pop_front();
        }
        self.heard.push_back(mark);
    }

    pub(super) fn is_open(&self) -> bool {
        self.current.is_some()
    }

    pub(super) fn suite(&self) -> Option<Suite> {
        self.current.as_ref().map(|g| g.suite)
    }

    /// A try is not under way and was not just now.
    pub(super) fn may_try(&self, now: Duration) -> bool {
        self.attempt.is_none() && self.tried.is_none_or(|at| now.saturating_sub(at) >= CALM)
    }

    /// Every index that leads here.
    pub(super) fn indexes(&self) -> impl Iterator<Item = u32> {
        let attempt = self.attempt.as_ref().map(|a| a.index);
        let answered = self.answered.as_ref().map(|a| a.generation.index);
        let used = [&self.current, &self.previous].into_iter().flatten().map(|g| g.index);
        attempt.into_iter().chain(answered).chain(used).collect::<Vec<_>>().into_iter()
    }

    /// New keys come into use; those in use go on opening, those before are over. Returns the index that is.
    pub(super) fn rotate(&mut self, new: Generation) -> Option<u32> {
        let last = self.current.replace(new);
        // The handshake may begin again in its own time.
        let over = std::mem::replace(&mut self.previous, last);
        over.map(|g| g.index)
    }
}

/// Tells that keys are over.
pub(super) fn forget(
    events: &mut VecDeque<Event>,
    by_index: &mut std::collections::HashMap<u32, SessionId>,
    session: SessionId,
    index: Option<u32>,
) {
    if let Some(index) = index {
        by_index.remove(&index);
        events.push_back(Event::Forget { session, index });
    }
}
