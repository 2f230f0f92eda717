//! One node's doorkeeper on one carrier: who may come in, handshakes, and when keys are new or over.
//!
//! A session with a peer, seen from one end:
//!
//! | state \ event | cookie | response | init | data for held keys | denial |
//! | --- | --- | --- | --- | --- | --- |
//! | knocking | init is sent: waiting | *ignored* | answered | — | *ignored* |
//! | waiting | init is sent again | **open** | answered, unless the tie is ours | — | tries rarely |
//! | answered | — | — | answered anew | **open** | — |
//! | open | *as knocking* while it rekeys | new keys | new keys, used when first heard | *ignored: the lanes have them* | *ignored* |
//!
//! Nothing is remembered of anybody who has not shown a cookie, which only somebody who receives at that address has. An
//! answered session that the peer does not confirm is forgotten after [`PATIENCE`]: an old first message sent again
//! costs that and no more.

mod handshake;
mod session;
mod timing;

use crate::{
    Address, Denial, Identity, InvitationId, Keys, PublicKey, Secret, SetupError, Standing, Suite,
    cookie::{Cookies, Knocks},
    invitation::Kept,
    limiter::Limiter,
};
use session::Session;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

/// How an unconfirmed session is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Sessions of all peers together.
const SESSIONS: usize = 4096;
/// Sessions of one peer: one for each path to it.
const SESSIONS_OF_PEER: usize = 8;
/// Datagrams that may wait to be sent. Handshakes repeat themselves, so what does not fit is dropped.
const OUT: usize = 1024;

/// What a gate is made from.
#[derive(Clone, Debug)]
pub struct GateConfig {
    /// The ciphers it takes, the best first.
    pub suites: Vec<Suite>,
    /// Threads that send, 1 to 15: so many sealers come with every set of keys.
    pub lanes: u8,
    /// Keys are replaced when they are so old.
    pub rekey_after: Duration,
    /// Keys are forgotten when they are so old.
    pub expire_after: Duration,
    /// Keys are replaced when one sealer sealed so many bytes.
    pub rekey_bytes: u64,
}

impl Default for GateConfig {
    fn default() -> GateConfig {
        GateConfig {
            suites: Suite::preferred(),
            lanes: 1,
            rekey_after: Duration::from_secs(120),
            expire_after: Duration::from_secs(240),
            rekey_bytes: crate::sealer::SOFT_BYTES,
        }
    }
}

/// A session of one gate. Never used again by that gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u32);

/// A datagram for the carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: Address,
    /// The whole datagram.
    pub bytes: Vec<u8>,
}

/// What a set of keys is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Seal with them from now on.
    Now,
    /// Open with them, and seal with them from the moment when something was opened with them.
    WhenHeard,
}

/// What changed.
pub enum Event {
    /// A session is open; its keys follow.
    Opened {
        /// Which.
        session: SessionId,
        /// With whom.
        peer: PublicKey,
        /// Where that is.
        address: Address,
    },
    /// Keys for a session. Those before go on opening until they are forgotten.
    Keys {
        /// Which.
        session: SessionId,
        /// They.
        keys: Keys,
        /// From when on to seal with them.
        using: Use,
    },
    /// Keys given for later use are in use at the peer: all lanes seal with them now.
    Switch {
        /// Which session.
        session: SessionId,
        /// The keys' index.
        index: u32,
    },
    /// These keys are over.
    Forget {
        /// Which session.
        session: SessionId,
        /// The keys' index.
        index: u32,
    },
    /// The peer proved to be somewhere else now.
    Moved {
        /// Which session.
        session: SessionId,
        /// Where it is.
        address: Address,
    },
    /// A message came with the first datagram of an open session.
    Message {
        /// Which session.
        session: SessionId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// The peer does not let us in. Told when it is news.
    Denied {
        /// Which session.
        session: SessionId,
        /// Why.
        why: Denial,
    },
    /// We do not let a peer in.
    TurnedAway {
        /// Who.
        peer: PublicKey,
        /// Where it is.
        address: Address,
        /// Why.
        why: Denial,
    },
    /// A new peer came in with an invitation, which is used now. It may open sessions from here on.
    Joined {
        /// Who.
        peer: PublicKey,
        /// With which.
        invitation: InvitationId,
        /// Where it is.
        address: Address,
    },
    /// A session is over.
    Closed {
        /// Which.
        session: SessionId,
    },
}

/// Counts since the gate was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Knocks answered with a cookie.
    pub cookies: u64,
    /// Handshakes done as either end.
    pub handshakes: u64,
    /// Datagrams that were no part of any handshake: forged, cut, late, of no known kind.
    pub ignored: u64,
    /// First messages not looked at because too many came.
    pub limited: u64,
    /// Peers turned away.
    pub turned_away: u64,
    /// Data for keys that nobody knows.
    pub lost: u64,
}

/// One node's doorkeeper on one carrier.
pub struct Gate {
    identity: Identity,
    config: GateConfig,
    cookies: Cookies,
    knocks: Knocks,
    limiter: Limiter,
    lost_limiter: Limiter,
    peers: BTreeSet<PublicKey>,
    revoked: BTreeSet<PublicKey>,
    invitations: BTreeMap<InvitationId, Kept>,
    sessions: BTreeMap<SessionId, Session>,
    by_index: HashMap<u32, SessionId>,
    next_session: u32,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
    counts: Counts,
    /// Ephemeral keys and indexes of test vectors.
    fixed: Option<u8>,
}

impl Gate {
    /// A gate that lets nobody in yet.
    ///
    /// # Errors
    /// No random bytes, no cipher, or a wrong number of lanes.
    pub fn new(identity: Identity, config: GateConfig) -> Result<Gate, SetupError> {
        if config.suites.is_empty() || config.suites.len() > 4 {
            return Err(SetupError::NoSuite);
        }
        if !(1..crate::keys::STREAMS).contains(&config.lanes) {
            return Err(SetupError::Streams);
        }
        Ok(Gate {
            cookies: Cookies::new(Duration::ZERO)?,
            knocks: Knocks::at(&identity.public()),
            limiter: Limiter::new(),
            lost_limiter: Limiter::new(),
            peers: BTreeSet::new(),
            revoked: BTreeSet::new(),
            invitations: BTreeMap::new(),
            sessions: BTreeMap::new(),
            by_index: HashMap::new(),
            next_session: 0,
            out: VecDeque::new(),
            events: VecDeque::new(),
            counts: Counts::default(),
            fixed: None,
            identity,
            config,
        })
    }

    /// The node's own public key.
    pub const fn public(&self) -> PublicKey {
        self.identity.public()
    }

    /// Lets a key in from now on, also one that was revoked.
    pub fn admit(&mut self, peer: PublicKey) {
        self.revoked.remove(&peer);
        self.peers.insert(peer);
    }

    /// Lets a key in no more; its sessions and keys end at once.
    pub fn revoke(&mut self, peer: &PublicKey) {
        self.peers.remove(peer);
        self.revoked.insert(*peer);
        let over: Vec<SessionId> = self.sessions.iter().filter(|(_, s)| s.peer == *peer).map(|(id, _)| *id).collect();
        over.into_iter().for_each(|session| self.close(session));
    }

    /// Takes note of an invitation, or of how it stands now.
    pub fn invite(&mut self, secret: Secret, standing: Standing) -> InvitationId {
        let id = InvitationId::of(&secret);
        self.invitations.insert(id, Kept { secret, standing });
        id
    }

    /// Forgets the invitations that are not to be kept.
    pub fn keep_invitations(&mut self, keep: impl Fn(&Secret) -> bool) {
        self.invitations.retain(|_, kept| keep(&kept.secret));
    }

    /// Opens a session with a peer at an address, and keeps trying until it is closed. The peer is admitted by that.
    ///
    /// # Errors
    /// Too many sessions, or the peer is this node.
    pub fn open(&mut self, now: Duration, peer: PublicKey, at: Address) -> Result<SessionId, SetupError> {
        self.begin(now, peer, at, None)
    }

    /// As [`Gate::open`], with the secret of an invitation that the peer made.
    ///
    /// # Errors
    /// Too many sessions, or the peer is this node.
    pub fn join(
        &mut self,
        now: Duration,
        peer: PublicKey,
        at: Address,
        invitation: Secret,
    ) -> Result<SessionId, SetupError> {
        self.begin(now, peer, at, Some(invitation))
    }

    fn begin(
        &mut self,
        now: Duration,
        peer: PublicKey,
        at: Address,
        psk: Option<Secret>,
    ) -> Result<SessionId, SetupError> {
        if peer == self.public() {
            return Err(SetupError::Own);
        }
        if self.sessions.len() >= SESSIONS {
            return Err(SetupError::Full);
        }
        self.admit(peer);
        let tag = self.random()?;
        let id = self.add_session(Session::new(peer, at, tag, true, psk));
        self.try_now(now, id);
        Ok(id)
    }

    /// Ends a session and its keys at once.
    pub fn close(&mut self, session: SessionId) {
        let Some(over) = self.sessions.remove(&session) else { return };
        for index in over.indexes() {
            self.by_index.remove(&index);
            self.events.push_back(Event::Forget { session, index });
        }
        self.events.push_back(Event::Closed { session });
    }

    /// The link over a session went silent: perhaps the peer lost its keys. New ones are asked for; the present ones
    /// go on until then.
    pub fn renew(&mut self, now: Duration, session: SessionId) {
        if self.sessions.get(&session).is_some_and(|s| s.may_try(now)) {
            self.try_now(now, session);
        }
    }

    /// A lane opened a datagram of this session that came from another address.
    pub fn moved(&mut self, session: SessionId, address: Address) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.address = address;
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// What changed, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The counts.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Sessions that there are, also those that are not open yet.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// With whom a session is.
    pub fn peer(&self, session: SessionId) -> Option<PublicKey> {
        self.sessions.get(&session).map(|s| s.peer)
    }

    /// Whether there is a session with a peer at an address, open or on its way to be.
    pub fn meets(&self, peer: &PublicKey, at: &Address) -> bool {
        self.sessions.values().any(|session| session.peer == *peer && session.address == *at)
    }

    /// The cipher of a session that is open.
    pub fn suite(&self, session: SessionId) -> Option<Suite> {
        self.sessions.get(&session)?.suite()
    }

    fn add_session(&mut self, session: Session) -> SessionId {
        let id = SessionId(self.next_session);
        self.next_session = self.next_session.wrapping_add(1);
        self.sessions.insert(id, session);
        id
    }

    fn transmit(&mut self, to: Address, bytes: Vec<u8>) {
        if self.out.len() < OUT {
            self.out.push_back(Transmit { to, bytes });
        }
    }

    fn random(&self) -> Result<u32, SetupError> {
        if let Some(fixed) = self.fixed {
            return Ok(u32::from_le_bytes([fixed; 4]));
        }
        let mut bytes = [0; 4];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SetupError::Random)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// An index that no live keys of this gate have.
    fn fresh_index(&self) -> Option<u32> {
        let tries = std::iter::repeat_with(|| self.random().ok()).take(32).flatten();
        tries
            .enumerate()
            .map(|(n, index)| index.wrapping_add(n as u32))
            .find(|i| *i != 0 && !self.by_index.contains_key(i))
    }
}
