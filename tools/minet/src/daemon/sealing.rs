//! The gate of all sealed carriers, as the control thread holds it: who may come in, whose session is which link, and what
//! lanes are told of keys.

mod seeking;
mod spot;

use super::Lanes;
use crate::{
    config::TrustConfig,
    control::{InviteReport, RevokeReport},
    lane::Command,
    trust::{Book, BookError, Invited, Member, Token},
};
use fabric::{Amend, Channel};
use fabric_seal::{
    Address, Counts, Event, Gate, GateConfig, KeyFile, KeyFileError, Keys, PublicKey, Secret, SessionId, SetupError,
    Use,
};
use messenger_core::{LinkId, Name, NodeId, Time};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub(super) use spot::Spot;

/// How often refusals of one kind are logged.
const QUIET: Duration = Duration::from_secs(10);

/// Why nothing can be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The gate.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// What the control thread has to do.
pub(super) enum Task {
    /// A session with this member is open: it wants a link.
    Link { session: SessionId, member: Member, spot: Spot, lasting: bool },
    /// The link of a session is over.
    Close { link: LinkId },
    /// The peer of a channel is somewhere else.
    Moved { channel: Channel, spot: Spot },
    /// A message for a link.
    Message { link: LinkId, bytes: Vec<u8> },
}

/// The gate and what hangs on it.
pub(super) struct Sealing {
    gate: Gate,
    book: Book,
    /// Sessions that have a link: it, its carrier and its channel there.
    links: BTreeMap<SessionId, (LinkId, usize, Channel)>,
    seeking: seeking::Seeking,
    /// Sessions that this node opened.
    lasting: BTreeMap<SessionId, Member>,
    logged: BTreeMap<PublicKey, Duration>,
    lanes: usize,
}

/// One change for each lane.
type Amends = Vec<Amend>;

fn since_start(now: Time) -> Duration {
    Duration::from_nanos(now.as_nanos())
}

fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Sealing {
    /// Reads key and book.
    pub(super) fn new(config: &TrustConfig, lanes: usize, now: Time) -> Result<Sealing, SealingError> {
        let identity = KeyFile::load(&config.key)?;
        let book = Book::open(Some(&config.book), config.members.clone())?;
        let gate = GateConfig {
            suites: config.suites.clone(),
            lanes: u8::try_from(lanes).unwrap_or(u8::MAX),
            rekey_after: config.rekey,
            expire_after: config.rekey * 2,
            ..GateConfig::default()
        };
        let mut gate = Gate::new(identity, gate)?;
        book.members().filter(|m| m.key != gate.public()).map(|m| m.key).collect::<Vec<_>>().into_iter().for_each(
            |key| {
                gate.admit(key);
            },
        );
        book.revoked().for_each(|key| gate.revoke(key));
        for invited in book.invitations() {
            gate.invite(invited.secret.clone(), invited.standing(wall(), since_start(now)));
        }
        let (links, lasting, logged) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Sealing { gate, book, links, seeking: seeking::Seeking::default(), lasting, logged, lanes })
    }

    /// The node's own public key.
    pub(super) fn public(&self) -> PublicKey {
        self.gate.public()
    }

    /// The gate's counts.
    pub(super) fn counts(&self) -> Counts {
        self.gate.counts()
    }

    /// Calls every member that has an address.
    pub(super) fn call_all(&mut self, now: Time) {
        let callable: Vec<Member> = self.book.members().filter(|m| m.address.is_some()).cloned().collect();
        for member in callable {
            let Some(address) = member.address else { continue };
            match self.gate.open(since_start(now), member.key, address.into()) {
                Ok(session) => drop(self.lasting.insert(session, member)),
                Err(SetupError::Own) => log::debug!("udp {address}: this node itself is on its list"),
                Err(e) => log::error!("udp {address}: no session with {}: {e}", member.name),
            }
        }
    }

    /// When the gate wants to run.
    pub(super) fn timeout(&self) -> Option<Time> {
        self.gate.poll_timeout().map(|at| Time::ZERO + at)
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.give_up(since_start(now));
        self.gate.handle_timeout(since_start(now));
    }

    /// A datagram that no lane has keys for.
    pub(super) fn handle_datagram(&mut self, now: Time, from: Spot, mut bytes: Vec<u8>) {
        let Some(from) = from.to_gate() else { return };
        self.gate.handle_datagram(since_start(now), from, &mut bytes);
    }

    /// A lane heard a peer from somewhere else.
    pub(super) fn moved(&mut self, lanes: &Lanes, channel: Channel, spot: Spot) {
        let is_it = |(_, carrier, other): &(LinkId, usize, Channel)| (*carrier, *other) == (spot.carrier, channel);
        let session = self.links.iter().find(|(_, place)| is_it(place)).map(|(session, _)| *session);
        let (Some(session), Some(at)) = (session, spot.to_gate()) else { return };
        self.gate.moved(session, at);
        self.tell(lanes, session, (0..self.lanes).map(|_| Amend::Move { address: spot.at }).collect());
    }

    /// A link is up no more: perhaps the peer lost its keys.
    pub(super) fn renew(&mut self, now: Time, link: LinkId) {
        if let Some(session) = self.session_of(link) {
            self.gate.renew(since_start(now), session);
        }
    }

    /// A link is gone for good: so is its session.
    pub(super) fn forget(&mut self, link: LinkId) {
        if let Some(session) = self.session_of(link) {
            self.links.remove(&session);
            self.lasting.remove(&session);
            self.gate.close(session);
        }
    }

    fn session_of(&self, link: LinkId) -> Option<SessionId> {
        self.links.iter().find(|(_, (l, ..))| *l == link).map(|(s, _)| *s)
    }

    /// What is said of a link's cipher.
    pub(super) fn cipher(&self, session: SessionId) -> String {
        self.gate.suite(session).map_or(String::new(), |suite| format!(", {suite}"))
    }

    /// The link of a session was made: what follows of it goes to this channel.
    pub(super) fn linked(&mut self, session: SessionId, link: LinkId, carrier: usize, channel: Channel) {
        self.links.insert(session, (link, carrier, channel));
    }

    /// A session that can have no link now.
    pub(super) fn close(&mut self, session: SessionId) {
        self.lasting.remove(&session);
        self.gate.close(session);
    }

    /// Gives the lanes what the gate has for them. The next task is for the control thread; it asks again until there is
    /// none. Datagrams go out behind the keys that they announce.
    pub(super) fn next_task(&mut self, now: Time, lanes: &Lanes) -> Option<Task> {
        while let Some(event) = self.gate.poll_event() {
            match event {
                Event::Opened { session, peer, address } => {
                    if let Some(task) = self.opened(session, peer, address) {
                        return Some(task);
                    }
                }
                Event::Keys { session, keys, using } => self.give(lanes, session, keys, using),
                Event::Switch { session, index } => {
                    self.tell(lanes, session, (0..self.lanes).map(|_| Amend::Switch { index }).collect());
                }
                Event::Forget { session, index } => {
                    self.tell(lanes, session, (0..self.lanes).map(|_| Amend::Forget { index }).collect());
                }
                Event::Moved { session, address } => {
                    if let Some(spot) = Spot::from_gate(&address)
                        && let Some((_, carrier, channel)) = self.links.get(&session).copied()
                        && carrier == spot.carrier
                    {
                        self.tell(lanes, session, (0..self.lanes).map(|_| Amend::Move { address: spot.at }).collect());
                        return Some(Task::Moved { channel, spot });
                    }
                }
                Event::Message { session, bytes } => {
                    if let Some((link, ..)) = self.links.get(&session) {
                        return Some(Task::Message { link: *link, bytes });
                    }
                }
                Event::Denied { session, why } => {
                    let who = self.lasting.get(&session).map_or("a peer".into(), |m| m.name.to_string());
                    log::warn!("{who} does not let this node in: {why} (its key is {})", self.gate.public());
                }
                Event::TurnedAway { peer, address, why } => self.turned_away(since_start(now), peer, address, why),
                Event::Joined { peer, invitation, address } => match self.book.join(&invitation, peer) {
                    Ok(m) => log::info!("{} (id {}) joined from {} with key {peer}", m.name, m.node, told(&address)),
                    Err(e) => {
                        log::error!("{peer} from {} cannot join: {e}", told(&address));
                        if !self.book.members().any(|m| m.key == peer) {
                            self.gate.revoke(&peer);
                        }
                    }
                },
                Event::Closed { session } => {
                    self.lasting.remove(&session);
                    self.seeking.forget(session);
                    if let Some((link, ..)) = self.links.remove(&session) {
                        return Some(Task::Close { link });
                    }
                }
            }
        }
        let mailbox = lanes.mailboxes.last()?;
        while let Some(transmit) = self.gate.poll_transmit() {
            let Some(Spot { carrier, at }) = Spot::from_gate(&transmit.to) else { continue };
            mailbox.give(Command::SendTo { carrier, to: at, bytes: transmit.bytes });
        }
        None
    }

    fn opened(&mut self, session: SessionId, peer: PublicKey, address: Address) -> Option<Task> {
        self.seeking.forget(session);
        let member = self.book.member(&peer).cloned();
        match (member, Spot::from_gate(&address), self.links.contains_key(&session)) {
            (Some(member), Some(spot), false) => {
                let lasting = self.lasting.contains_key(&session);
                Some(Task::Link { session, member, spot, lasting })
            }
            // The link is there still: it gets new keys.
            (Some(_), Some(_), true) => None,
            _ => {
                self.gate.close(session);
                None
            }
        }
    }

    fn turned_away(&mut self, now: Duration, peer: PublicKey, address: Address, why: fabric_seal::Denial) {
        let last = self.logged.get(&peer).copied();
        if last.is_some_and(|last| now.saturating_sub(last) < QUIET) {
            return;
        }
        if self.logged.len() >= 1024 {
            self.logged.clear();
        }
        self.logged.insert(peer, now);
        log::warn!("{} with key {peer} is not let in: {why}", told(&address));
    }

    /// New keys: a sealer for each lane, the opener for the one that receives.
    fn give(&mut self, lanes: &Lanes, session: SessionId, keys: Keys, using: Use) {
        let (index, now) = (keys.index(), using == Use::Now);
        let Keys { opener, sealers } = keys;
        let last = sealers.len().saturating_sub(1);
        let mut opener = Some(opener);
        let amends = sealers.into_iter().enumerate();
        let amends = amends.map(|(at, sealer)| Amend::Keys {
            index,
            sealer,
            opener: if at == last { opener.take() } else { None },
            now,
        });
        let amends = amends.collect();
        self.tell(lanes, session, amends);
    }

    /// Tells the lanes. A session without a link has no channel that could have keys.
    fn tell(&mut self, lanes: &Lanes, session: SessionId, amends: Amends) {
        let Some((_, carrier, channel)) = self.links.get(&session).copied() else { return };
        for (mailbox, amend) in lanes.mailboxes.iter().zip(amends) {
            mailbox.give(Command::Amend { carrier, channel, amend: Box::new(amend) });
        }
    }

    /// Makes an invitation.
    pub(super) fn invite(&mut self, now: Time, wanted: Wanted<'_>) -> Result<InviteReport, String> {
        let name = Name::new(wanted.name).map_err(|e| e.to_string())?;
        if name.contains('/') || name.starts_with('.') {
            return Err(format!("{name} is no name: it must not have a `/` or begin with a dot"));
        }
        let node = match wanted.id {
            None => NodeId::from_name(&name),
            Some(n) => NodeId::new(n).ok_or("the number must be 1 to 4294967294")?,
        };
        if name == *wanted.own.1 || node == wanted.own.0 {
            return Err("this node has that name or number itself".to_owned());
        }
        let contact = wanted.contact.or(wanted.listen).filter(|c| !c.ip().is_unspecified() && c.port() != 0);
        let contact = contact.ok_or("say with --contact at which address and port the new node finds this one")?;
        let secret = Secret::random().map_err(|e| e.to_string())?;
        let made = wall();
        let until = made + wanted.minutes.clamp(1, 43_200) * 60;
        let invited = Invited { secret: secret.clone(), node, name: name.clone(), made, until, used_by: None };
        let standing = invited.standing(made, since_start(now));
        self.book.invite(invited).map_err(|e| chain(&e))?;
        self.gate.invite(secret.clone(), standing);
        self.sync_invitations();
        let token = Token {
            fabric: wanted.fabric.clone(),
            node,
            name: name.clone(),
            contact,
            contact_node: wanted.own.0,
            contact_name: wanted.own.1.clone(),
            contact_key: self.gate.public(),
            secret,
            until,
        };
        log::info!("{name} (id {node}) is invited for {} minutes", wanted.minutes);
        Ok(InviteReport { invitation: token.to_string(), name: name.to_string(), id: node.get(), until })
    }

    /// Invitations that the book has no more are over.
    fn sync_invitations(&mut self) {
        let open: Vec<Secret> = self.book.invitations().map(|i| i.secret.clone()).collect();
        self.gate.keep_invitations(|secret| open.contains(secret));
    }

    /// Takes a member off the list; its links end at once.
    pub(super) fn revoke(&mut self, who: &str) -> Result<RevokeReport, String> {
        let keys = match self.book.revoke(who) {
            Ok(keys) => keys,
            Err(e @ BookError::Nobody(_)) => return Err(e.to_string()),
            // It is revoked here; only the next start would not know.
            Err(e) => {
                let known: Vec<PublicKey> = self.book.revoked().copied().collect();
                known.iter().for_each(|key| self.gate.revoke(key));
                return Err(format!("revoked until the next start only: {}", chain(&e)));
            }
        };
        for key in &keys {
            self.gate.revoke(key);
            log::warn!("{who} with key {key} is revoked");
        }
        self.sync_invitations();
        Ok(RevokeReport { keys: keys.iter().map(PublicKey::to_string).collect() })
    }
}

/// What an invitation is asked for with.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) id: Option<u32>,
    pub(super) contact: Option<SocketAddr>,
    pub(super) minutes: u64,
    pub(super) listen: Option<SocketAddr>,
    pub(super) own: (NodeId, &'a Name),
    pub(super) fabric: &'a Name,
}

/// A gate's address, for people.
fn told(address: &Address) -> String {
    Spot::from_gate(address).map_or_else(|| address.to_string(), |spot| spot.to_string())
}

/// An error and what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
