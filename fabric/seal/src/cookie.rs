//! Proof that a peer receives what is sent to its address, without remembering it.
//!
//! A cookie is a MAC over the address under a secret that nobody else knows and that is replaced every minute; the one
//! before it still counts. It also says that the first message of a handshake is new: it is hashed into it, so that an old
//! message cannot be given a new cookie.

use crate::{Address, PublicKey, Secret, SetupError, wire::PROOF};
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Context, SHA256},
    hmac,
};
use std::time::Duration;

/// How long a secret makes cookies; they are taken for as long again.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);

/// Makes and checks cookies.
pub(crate) struct Cookies {
    now: hmac::Key,
    before: hmac::Key,
    since: Duration,
}

impl Cookies {
    pub(crate) fn new(now: Duration) -> Result<Cookies, SetupError> {
        Ok(Cookies { now: fresh()?, before: fresh()?, since: now })
    }

    /// Replaces the secret when its time is over.
    fn turn(&mut self, now: Duration) {
        let age = now.saturating_sub(self.since);
        if age < PERIOD {
            return;
        }
        // Without random bytes the old secret goes on: it is still a secret.
        let (Ok(next), Ok(spare)) = (fresh(), fresh()) else { return };
        let last = std::mem::replace(&mut self.now, next);
        self.before = if age < 2 * PERIOD { last } else { spare };
        self.since = now;
    }

    pub(crate) fn make(&mut self, now: Duration, from: &Address) -> [u8; PROOF] {
        self.turn(now);
        short(&self.now, from.as_bytes())
    }

    pub(crate) fn check(&mut self, now: Duration, from: &Address, cookie: &[u8; PROOF]) -> bool {
        self.turn(now);
        [&self.now, &self.before].iter().any(|key| equal(&short(key, from.as_bytes()), cookie))
    }
}

/// A knock's MAC: shows that the sender knows whom it wants, so that a scanner gets no answer.
pub(crate) struct Knocks(hmac::Key);

impl Knocks {
    pub(crate) fn at(door: &PublicKey) -> Knocks {
        let mut key = Context::new(&SHA256);
        key.update(b"MINET knock");
        key.update(door.as_bytes());
        Knocks(hmac::Key::new(hmac::HMAC_SHA256, key.finish().as_ref()))
    }

    pub(crate) fn make(&self, nonce: u32) -> [u8; PROOF] {
        short(&self.0, &nonce.to_le_bytes())
    }

    pub(crate) fn check(&self, nonce: u32, mac: &[u8; PROOF]) -> bool {
        equal(&self.make(nonce), mac)
    }
}

fn fresh() -> Result<hmac::Key, SetupError> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, Secret::random()?.expose()))
}

fn short(key: &hmac::Key, data: &[u8]) -> [u8; PROOF] {
    hmac::sign(key, data).as_ref().first_chunk().copied().unwrap_or_default()
}

fn equal(a: &[u8; PROOF], b: &[u8; PROOF]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PROTOCOL 6.3.
    #[test]
    fn a_cookie_is_for_one_address_and_for_some_time() {
        let at = |n| Address::from([n; 6]);
        let mut cookies = Cookies::new(Duration::ZERO).unwrap();
        let cookie = cookies.make(Duration::from_secs(1), &at(1));
        assert!(cookies.check(Duration::from_secs(2), &at(1), &cookie));
        assert!(!cookies.check(Duration::from_secs(2), &at(2), &cookie));
        assert!(cookies.check(Duration::from_secs(61), &at(1), &cookie), "the secret before still counts");
        assert!(!cookies.check(Duration::from_secs(122), &at(1), &cookie));
        assert!(!cookies.check(Duration::from_secs(122), &at(1), &[0; PROOF]));
        let cookie = cookies.make(Duration::from_secs(122), &at(1));
        assert!(!cookies.check(Duration::from_secs(1000), &at(1), &cookie), "nothing counts after a long sleep");
    }

    /// PROTOCOL 6.2.
    #[test]
    fn a_knock_is_for_one_door() {
        let (door, other) = (PublicKey::new([1; 32]), PublicKey::new([2; 32]));
        let mac = Knocks::at(&door).make(7);
        assert!(Knocks::at(&door).check(7, &mac));
        assert!(!Knocks::at(&door).check(8, &mac));
        assert!(!Knocks::at(&other).check(7, &mac));
    }
}
