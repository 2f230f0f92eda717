//! What time brings: tries repeated, keys replaced and forgotten.

use super::{
    Event, Gate, PATIENCE, SessionId,
    session::{CALM, Session, forget},
};
use std::{sync::atomic::Ordering, time::Duration};

/// How often numbers that lanes write are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// And when nothing is under way.
const LOOK_RARELY: Duration = Duration::from_secs(1);
/// A rekey that does not come to an end is given up after so long, and begun again.
const REKEY_PATIENCE: Duration = Duration::from_secs(10);

impl Gate {
    /// When [`Gate::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.sessions.values().map(|s| self.due(s)).min()
    }

    /// When a session wants something.
    fn due(&self, session: &Session) -> Duration {
        let attempt = session.attempt.as_ref().map(|a| a.again_at);
        let answered = session.answered.as_ref().map(|a| a.generation.since + PATIENCE);
        let keys = session.current.as_ref().filter(|_| session.attempt.is_none());
        let keys =
            keys.map(|g| self.rekey_at(g.first, g.since).max(session.tried.map_or(Duration::ZERO, |at| at + CALM)));
        let over =
            [&session.current, &session.previous].into_iter().flatten().map(|g| g.since + self.config.expire_after);
        let look = if session.answered.is_some() { LOOK } else { LOOK_RARELY };
        let look = session.looked + look;
        [attempt, answered, keys].into_iter().flatten().chain(over).chain([look]).min().unwrap_or(look)
    }

    /// When keys are to be replaced: by the end that began, or, somewhat later, by the other.
    fn rekey_at(&self, first: bool, since: Duration) -> Duration {
        let after = self.config.rekey_after;
        since + if first { after } else { after + after / 4 }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        let due: Vec<SessionId> = self.sessions.iter().filter(|(_, s)| self.due(s) <= now).map(|(id, _)| *id).collect();
        due.into_iter().for_each(|id| self.attend(now, id));
    }

    fn attend(&mut self, now: Duration, id: SessionId) {
        let (rekey_bytes, expire_after) = (self.config.rekey_bytes, self.config.expire_after);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.looked = now;
        // Keys that lanes have for later are in use when something came under them.
        if let Some(answered) = session.answered.take_if(|a| a.held.is_none() && a.generation.was_heard()) {
            let index = answered.generation.index;
            session.address = answered.from;
            if let Some(attempt) = session.attempt.take() {
                self.by_index.remove(&attempt.index);
            }
            let over = session.rotate(answered.generation);
            forget(&mut self.events, &mut self.by_index, id, over);
            self.counts.handshakes += 1;
            self.events.push_back(Event::Switch { session: id, index });
        }
        if let Some(stale) = session.answered.take_if(|a| now.saturating_sub(a.generation.since) >= PATIENCE) {
            forget(&mut self.events, &mut self.by_index, id, Some(stale.generation.index));
        }
        for generation in [&mut session.previous, &mut session.current] {
            let over = generation.take_if(|g| g.age(now) >= expire_after).map(|g| g.index);
            forget(&mut self.events, &mut self.by_index, id, over);
        }
        if !session.is_open() {
            let waiting = session.answered.is_some();
            if !session.lasting && !waiting {
                return self.close(id);
            }
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session
            .attempt
            .as_ref()
            .is_some_and(|a| session.current.is_some() && now.saturating_sub(a.began) >= REKEY_PATIENCE)
            && let Some(attempt) = session.attempt.take()
        {
            self.by_index.remove(&attempt.index);
        }
        let Some(session) = self.sessions.get(&id) else { return };
        let wanted = match (&session.attempt, &session.current) {
            (Some(attempt), _) => attempt.again_at <= now,
            (None, None) => session.lasting,
            (None, Some(g)) => {
                let used_up = g.usage.sealed.load(Ordering::Relaxed) >= rekey_bytes;
                (self.rekey_at(g.first, g.since) <= now || used_up) && session.may_try(now)
            }
        };
        if wanted {
            self.try_now(now, id);
        }
    }
}
