//! What comes in, and what is answered.

use super::{
    Event, Gate, SESSIONS, SESSIONS_OF_PEER, SessionId, Use,
    session::{Answered, Attempt, Generation, Mark, Session, forget},
};
use crate::{
    Address, Denial, InvitationId, PublicKey, Secret, Standing, Suite,
    keys::{self, Made},
    noise::{FIRST, Handshake, NO_PSK},
    wire::{
        COOKIE, DENIAL, DENIAL_PAYLOAD, INIT, INIT_PAYLOAD, KNOCK, Kind, LOST, OVERHEAD, PROOF, RESPONSE,
        RESPONSE_PAYLOAD, kind_of, number, put,
    },
};
use std::time::Duration;
use zeroize::Zeroizing;

/// What the first message says.
struct Wish {
    suites: [u8; 4],
    tag: u32,
    invitation: Option<InvitationId>,
}

impl Wish {
    fn emit(&self) -> [u8; INIT_PAYLOAD] {
        let mut payload = [0; INIT_PAYLOAD];
        let invitation = self.invitation.map_or([0; 16], |id| *id.as_bytes());
        let parts = self.suites.into_iter().chain(self.tag.to_le_bytes()).chain(invitation);
        payload.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        payload
    }

    fn parse(payload: &[u8; INIT_PAYLOAD]) -> Option<Wish> {
        let (suites, rest) = payload.split_first_chunk()?;
        let (tag, rest) = rest.split_first_chunk()?;
        let invitation = InvitationId::from_wire(*rest.first_chunk()?);
        Some(Wish { suites: *suites, tag: u32::from_le_bytes(*tag), invitation })
    }
}

impl Gate {
    /// Takes a datagram that is not for keys which a lane has: a part of a handshake, the first data of a session, or
    /// anything else that came.
    pub fn handle_datagram(&mut self, now: Duration, from: Address, datagram: &mut [u8]) {
        let done = match kind_of(datagram) {
            Some(Kind::Knock) => self.handle_knock(now, from, datagram),
            Some(Kind::Cookie) => self.handle_cookie(now, from, datagram),
            Some(Kind::Init) => self.handle_init(now, from, datagram),
            Some(Kind::Response) => self.handle_response(now, from, datagram),
            Some(Kind::Denial) => self.handle_denial(now, datagram),
            Some(Kind::Lost) => self.handle_lost(now, from, datagram),
            Some(Kind::Data) => self.handle_data(now, from, datagram),
            None => None,
        };
        if done.is_none() {
            self.counts.ignored += 1;
        }
    }

    /// Begins a try, or the next one.
    pub(super) fn try_now(&mut self, now: Duration, id: SessionId) {
        let fresh = self.fresh_index();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.tried = Some(now);
        let attempt = match &mut session.attempt {
            Some(attempt) => attempt,
            none => {
                let Some(index) = fresh else { return };
                self.by_index.insert(index, id);
                none.insert(Attempt::new(now, index))
            }
        };
        attempt.knocked(now);
        let (nonce, to, peer) = (attempt.index, session.address, session.peer);
        let mac = crate::cookie::Knocks::at(&peer).make(nonce);
        self.transmit(to, put(Kind::Knock, nonce, &[&mac]));
    }

    fn handle_knock(&mut self, now: Duration, from: Address, datagram: &[u8]) -> Option<()> {
        let nonce = number(datagram).filter(|_| datagram.len() == KNOCK)?;
        if !self.knocks.check(nonce, datagram.last_chunk::<PROOF>()?) {
            return None;
        }
        self.give_cookie(now, from, nonce);
        Some(())
    }

    fn give_cookie(&mut self, now: Duration, to: Address, nonce: u32) {
        self.counts.cookies += 1;
        let cookie = self.cookies.make(now, &to);
        self.transmit(to, put(Kind::Cookie, nonce, &[&cookie]));
    }

    fn handle_cookie(&mut self, now: Duration, from: Address, datagram: &[u8]) -> Option<()> {
        let index = number(datagram).filter(|_| datagram.len() == COOKIE)?;
        if !self.by_index.contains_key(&index) || !self.limiter.allow(now, &from) {
            return None;
        }
        let cookie = datagram.last_chunk::<PROOF>()?;
        let session = self.sessions.get_mut(self.by_index.get(&index)?)?;
        let attempt = session.attempt.as_mut().filter(|a| a.index == index && a.asks)?;
        let wish = Wish {
            suites: Suite::wishes(&self.config.suites),
            tag: session.tag,
            invitation: session.psk.as_ref().map(InvitationId::of),
        };
        let psk = session.psk.as_ref().unwrap_or(&NO_PSK);
        let begun = Handshake::begin(&self.identity, &session.peer, psk, (index, cookie), &wish.emit(), self.fixed);
        let (handshake, message) = begun?;
        attempt.handshake = Some(handshake);
        attempt.sent = now;
        let to = session.address;
        self.transmit(to, put(Kind::Init, index, &[cookie, &message]));
        Some(())
    }

    fn handle_init(&mut self, now: Duration, from: Address, datagram: &[u8]) -> Option<()> {
        let theirs = number(datagram).filter(|_| datagram.len() == INIT)?;
        let (cookie, message) = datagram.get(8..)?.split_first_chunk::<PROOF>()?;
        if !self.cookies.check(now, &from, cookie) {
            // Perhaps the secret changed meanwhile.
            self.give_cookie(now, from, theirs);
            return Some(());
        }
        if !self.limiter.allow(now, &from) {
            self.counts.limited += 1;
            return Some(());
        }
        let message = message.first_chunk::<FIRST>()?;
        let (handshake, peer, payload) = Handshake::hear(&self.identity, (theirs, cookie), message, self.fixed)?;
        if peer == self.public() {
            return None;
        }
        let wish = Wish::parse(&payload)?;
        let admitted = self.admits(now, &peer, &wish);
        let chosen = Suite::choose(&self.config.suites, wish.suites).ok_or(Denial::NoCommonSuite);
        match admitted.and_then(|psk| Ok((psk, chosen?))) {
            Ok((psk, suite)) => {
                let mark = *datagram.last_chunk()?;
                self.accept(now, from, theirs, mark, handshake, peer, wish, &psk, suite)
            }
            Err(why) => {
                let mut payload = [0; DENIAL_PAYLOAD];
                if let Some(first) = payload.first_mut() {
                    *first = why.into();
                }
                let message = handshake.deny(&payload)?;
                self.transmit(from, put(Kind::Denial, theirs, &[&message]));
                self.counts.turned_away += 1;
                self.events.push_back(Event::TurnedAway { peer, address: from, why });
                Some(())
            }
        }
    }

    /// The pre-shared key with which the peer may come in.
    fn admits(&self, now: Duration, peer: &PublicKey, wish: &Wish) -> Result<Secret, Denial> {
        if self.revoked.contains(peer) {
            return Err(Denial::Revoked);
        }
        match wish.invitation {
            Some(id) => {
                let kept = self.invitations.get(&id).ok_or(Denial::NoSuchInvitation)?;
                kept.admits(now, peer)?;
                Ok(kept.secret.clone())
            }
            None if self.peers.contains(peer) => Ok(NO_PSK.clone()),
            None => Err(Denial::NotAllowed),
        }
    }

    /// The session that a first message is about, or a new one.
    fn session_for(&mut self, peer: PublicKey, from: Address, wish: &Wish) -> Option<SessionId> {
        let mut same = self.sessions.iter().filter(|(_, s)| s.peer == peer);
        let known =
            same.clone().find(|(_, s)| s.tag == wish.tag).or_else(|| same.clone().find(|(_, s)| s.address == from));
        if let Some((id, _)) = known {
            return Some(*id);
        }
        if same.clone().count() >= SESSIONS_OF_PEER {
            // What nobody confirmed gives way; what is open stays.
            let id = same.find(|(_, s)| !s.is_open() && !s.lasting).map(|(id, _)| *id)?;
            self.close(id);
        }
        if self.sessions.len() >= SESSIONS {
            return None;
        }
        Some(self.add_session(Session::new(peer, from, wish.tag, false, None)))
    }

    #[allow(clippy::too_many_arguments, reason = "what a first message said, all of it")]
    fn accept(
        &mut self,
        now: Duration,
        from: Address,
        theirs: u32,
        mark: Mark,
        handshake: Handshake,
        peer: PublicKey,
        wish: Wish,
        psk: &Secret,
        suite: Suite,
    ) -> Option<()> {
        let id = self.session_for(peer, from, &wish)?;
        let wins = self.public() > peer;
        let session = self.sessions.get_mut(&id)?;
        if session.heard.contains(&mark) {
            // The same again, by the network or by somebody. The same answer, while it is waited for: new keys would put out of
            // use those that the peer may have by now.
            let known = session.answered.as_ref().filter(|a| a.mark == mark)?;
            let response = known.response.clone();
            self.transmit(from, response);
            return Some(());
        }
        if let Some(attempt) = &mut session.attempt {
            // Both ends began at once. One of the two handshakes is enough, and both ends know which: that of the
            // greater key, once it is known that the peer can be reached.
            if wins && attempt.is_waiting(now) {
                return Some(());
            }
            attempt.stand_back(now);
        }
        let ours = self.fresh_index()?;
        let salt = match self.fixed {
            Some(byte) => Secret::new([byte; 32]),
            None => Secret::random().ok()?,
        };
        let mut payload = Zeroizing::new([0; RESPONSE_PAYLOAD]);
        let parts = [suite.code(), 0, 0, 0].into_iter().chain(ours.to_le_bytes()).chain(*salt.expose());
        payload.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        let (message, split) = handshake.answer(psk, &payload, &salt)?;
        let Made { keys, own, usage } = keys::make(suite, &split, false, ours, theirs, self.config.lanes)?;
        let session = self.sessions.get_mut(&id)?;
        let generation = Generation { index: ours, theirs, since: now, first: false, suite, own, usage };
        let held = if session.is_open() && wish.invitation.is_none() {
            self.events.push_back(Event::Keys { session: id, keys, using: Use::WhenHeard });
            None
        } else {
            Some(keys)
        };
        session.hear(mark);
        let response = put(Kind::Response, theirs, &[&message]);
        let answered =
            Answered { generation, held, invitation: wish.invitation, from, mark, response: response.clone() };
        let over = session.answered.replace(answered).map(|a| a.generation.index);
        forget(&mut self.events, &mut self.by_index, id, over);
        self.by_index.insert(ours, id);
        self.transmit(from, response);
        Some(())
    }

    fn handle_response(&mut self, now: Duration, from: Address, datagram: &[u8]) -> Option<()> {
        let index = number(datagram).filter(|_| datagram.len() == RESPONSE)?;
        let id = *self.by_index.get(&index)?;
        let session = self.sessions.get_mut(&id)?;
        let attempt = session.attempt.as_mut().filter(|a| a.index == index)?;
        let payload = attempt.handshake.as_mut()?.conclude(datagram.get(8..)?)?;
        // The handshake is read to its end: whatever is wrong now, it is over.
        let handshake = attempt.handshake.take()?;
        let (head, rest) = payload.split_first_chunk::<4>()?;
        let (theirs, salt) = rest.split_first_chunk::<4>()?;
        let suite = Suite::from_code(*head.first()?).filter(|s| self.config.suites.contains(s))?;
        let split = handshake.split(&Secret::new(*salt.first_chunk()?))?;
        let theirs = u32::from_le_bytes(*theirs);
        let Made { keys, mut own, usage } = keys::make(suite, &split, true, index, theirs, self.config.lanes)?;
        // The peer uses the new keys when it hears something under them: an empty message is enough.
        let mut confirmation = vec![0; OVERHEAD];
        own.seal_in_place(&mut confirmation).ok()?;
        session.attempt = None;
        session.denied = None;
        let opened = !session.is_open();
        let moved = session.address != from;
        session.address = from;
        let over = session.rotate(Generation { index, theirs, since: now, first: true, suite, own, usage });
        forget(&mut self.events, &mut self.by_index, id, over);
        self.counts.handshakes += 1;
        if opened {
            self.events.push_back(Event::Opened { session: id, peer: session.peer, address: from });
        } else if moved {
            self.events.push_back(Event::Moved { session: id, address: from });
        }
        self.events.push_back(Event::Keys { session: id, keys, using: Use::Now });
        self.transmit(from, confirmation);
        Some(())
    }

    fn handle_denial(&mut self, now: Duration, datagram: &[u8]) -> Option<()> {
        let index = number(datagram).filter(|_| datagram.len() == DENIAL)?;
        let id = *self.by_index.get(&index)?;
        let session = self.sessions.get_mut(&id)?;
        let attempt = session.attempt.as_mut().filter(|a| a.index == index)?;
        let psk = session.psk.as_ref().unwrap_or(&NO_PSK);
        let payload = attempt.handshake.as_mut()?.denied(psk, datagram.get(8..)?)?;
        let why = Denial::from(*payload.first()?);
        attempt.stand_back(now);
        if session.denied.replace(why) != Some(why) {
            self.events.push_back(Event::Denied { session: id, why });
        }
        Some(())
    }

    /// A word that anybody could have said: it hastens a handshake, and changes nothing else.
    fn handle_lost(&mut self, now: Duration, from: Address, datagram: &[u8]) -> Option<()> {
        let theirs = number(datagram).filter(|_| datagram.len() == LOST)?;
        if !self.lost_limiter.allow(now, &from) {
            return None;
        }
        let of_it = |s: &Session| s.address == from && s.current.as_ref().is_some_and(|g| g.theirs == theirs);
        let (id, _) = self.sessions.iter().find(|(_, s)| of_it(s) && s.may_try(now))?;
        self.try_now(now, *id);
        Some(())
    }

    /// Data for keys that the gate still holds confirms them.
    fn handle_data(&mut self, now: Duration, from: Address, datagram: &mut [u8]) -> Option<()> {
        let index = number(datagram).filter(|_| datagram.len() >= OVERHEAD)?;
        let Some(id) = self.by_index.get(&index).copied() else {
            self.counts.lost += 1;
            if self.lost_limiter.allow(now, &from) {
                self.transmit(from, put(Kind::Lost, index, &[]));
            }
            return Some(());
        };
        let session = self.sessions.get_mut(&id)?;
        let answered = session.answered.as_mut().filter(|a| a.generation.index == index)?;
        let message = answered.held.as_mut()?.opener.open_in_place(datagram).ok()?;
        if let Some(invitation) = answered.invitation {
            return self.handle_guest(id, invitation, from);
        }
        let bytes = (!message.is_empty()).then(|| message.to_vec());
        let Answered { generation, held, .. } = session.answered.take()?;
        session.address = from;
        if let Some(attempt) = session.attempt.take() {
            self.by_index.remove(&attempt.index);
        }
        let opened = !session.is_open();
        let over = session.rotate(generation);
        forget(&mut self.events, &mut self.by_index, id, over);
        self.counts.handshakes += 1;
        if opened {
            self.events.push_back(Event::Opened { session: id, peer: session.peer, address: from });
        }
        self.events.extend(held.map(|keys| Event::Keys { session: id, keys, using: Use::Now }));
        self.events.extend(bytes.map(|bytes| Event::Message { session: id, bytes }));
        Some(())
    }

    /// A guest proved that it has the invitation's secret. It is told so each time it asks.
    fn handle_guest(&mut self, id: SessionId, invitation: InvitationId, from: Address) -> Option<()> {
        let session = self.sessions.get_mut(&id)?;
        let peer = session.peer;
        let mut word = vec![0; OVERHEAD];
        session.answered.as_mut()?.generation.own.seal_in_place(&mut word).ok()?;
        let kept = self.invitations.get_mut(&invitation)?;
        match kept.standing {
            Standing::Used { by } if by == peer => {}
            // Two guests may have begun at once; the first to prove it is the one.
            Standing::Open { .. } => {
                kept.standing = Standing::Used { by: peer };
                self.counts.handshakes += 1;
                self.admit(peer);
                self.events.push_back(Event::Joined { peer, invitation, address: from });
            }
            Standing::Used { .. } | Standing::Expired => {
                self.close(id);
                return None;
            }
        }
        self.transmit(from, word);
        Some(())
    }
}
