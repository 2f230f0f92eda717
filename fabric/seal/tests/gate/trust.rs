//! Who may come in.

use crate::pair::{End, Pair, Seen, ms};
use fabric_seal::{Denial, GateConfig, PublicKey, Secret, Standing, Suite};
use std::time::Duration;

fn deny(pair: &mut Pair) -> (Option<Denial>, Option<Denial>) {
    pair.settle();
    let denied = pair.a.log.iter().find_map(|s| if let Seen::Denied(why) = s { Some(*why) } else { None });
    let turned = pair.b.log.iter().find_map(|s| if let Seen::TurnedAway(_, why) = s { Some(*why) } else { None });
    (denied, turned)
}

fn strangers() -> Pair {
    let (a, b) = (End::new(1, GateConfig::default()), End::new(2, GateConfig::default()));
    Pair { a, b, now: ms(1000), twice: false }
}

fn both(why: Denial) -> (Option<Denial>, Option<Denial>) {
    (Some(why), Some(why))
}

#[test]
fn a_stranger_is_turned_away_and_told_so() {
    let mut pair = strangers();
    pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
    assert_eq!(deny(&mut pair), both(Denial::NotAllowed));
    assert_eq!(pair.b.gate.sessions(), 0);
    pair.pass(Duration::from_secs(60));
    assert_eq!(pair.a.seen(|s| matches!(s, Seen::Denied(_))), 1, "told once");
    // It is let in as soon as it is on the list.
    pair.b.gate.admit(pair.a.gate.public());
    pair.pass(Duration::from_secs(2));
    pair.talk();
}

#[test]
fn who_calls_the_wrong_key_hears_nothing() {
    let mut pair = strangers();
    pair.a.gate.open(pair.now, PublicKey::new([9; 32]), pair.b.at).unwrap();
    pair.pass(Duration::from_secs(5));
    assert_eq!(pair.b.gate.counts().cookies, 0);
    assert!(pair.b.gate.counts().ignored > 3);
}

#[test]
fn revocation_takes_effect_at_once_on_a_running_session() {
    let mut pair = Pair::open(GateConfig::default());
    let session = pair.a.session();
    pair.b.gate.revoke(&pair.a.gate.public());
    pair.b.take_events();
    assert!(pair.b.openers.is_empty() && pair.b.sealers.is_empty(), "{:?}", pair.b.log);
    assert_eq!(pair.b.gate.sessions(), 0);
    let datagram = pair.a.seal(session, b"still me");
    pair.now += Duration::from_secs(1);
    assert_eq!(pair.deliver(true, datagram), Ok(None));
    assert_eq!(deny(&mut pair), both(Denial::Revoked));
    pair.b.gate.admit(pair.a.gate.public());
    pair.pass(Duration::from_secs(2));
    pair.talk();
}

fn invite(pair: &mut Pair, standing: Standing) -> Secret {
    let secret = Secret::random().unwrap();
    pair.b.gate.invite(secret.clone(), standing);
    secret
}

fn come(pair: &mut Pair, secret: &Secret) {
    pair.a.gate.join(pair.now, pair.b.gate.public(), pair.b.at, secret.clone()).unwrap();
    pair.settle();
}

/// PROTOCOL 6.17.
#[test]
fn an_invitation_lets_one_key_in_once() {
    let mut pair = strangers();
    let secret = invite(&mut pair, Standing::Open { until: ms(60_000) });
    come(&mut pair, &secret);
    let guest = pair.a.gate.public();
    assert_eq!(pair.b.seen(|s| *s == Seen::Joined(guest)), 1, "{:?}", pair.b.log);
    assert_eq!(pair.a.seen(|s| matches!(s, Seen::Opened(..))), 1);
    // The same guest may ask again: the last word may have been lost. It is the same joining.
    let id = pair.a.session();
    pair.a.gate.close(id);
    come(&mut pair, &secret);
    assert_eq!(pair.b.seen(|s| matches!(s, Seen::Joined(_))), 1);
    // Another one comes too late.
    let first = std::mem::replace(&mut pair.a, End::new(3, GateConfig::default()));
    come(&mut pair, &secret);
    assert_eq!(deny(&mut pair), both(Denial::InvitationUsed));
    // The first is a member now.
    pair.a = first;
    let id = pair.a.session();
    pair.a.gate.close(id);
    pair.a.take_events();
    pair.pass(Duration::from_secs(10));
    pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
    pair.settle();
    pair.talk();
}

#[test]
fn an_invitation_expires_by_its_makers_clock() {
    let mut pair = strangers();
    let secret = invite(&mut pair, Standing::Open { until: ms(5000) });
    pair.now = ms(5000);
    come(&mut pair, &secret);
    assert_eq!(deny(&mut pair), both(Denial::InvitationExpired));
    let mut pair = strangers();
    let secret = invite(&mut pair, Standing::Expired);
    come(&mut pair, &secret);
    assert_eq!(deny(&mut pair), both(Denial::InvitationExpired));
    assert_eq!(pair.b.seen(|s| matches!(s, Seen::Joined(_))), 0);
}

#[test]
fn an_invitation_that_was_never_made_is_none() {
    let mut pair = strangers();
    invite(&mut pair, Standing::Open { until: ms(60_000) });
    come(&mut pair, &Secret::random().unwrap());
    assert_eq!(deny(&mut pair), both(Denial::NoSuchInvitation));
}

/// Who knows an invitation's id, which travels sealed, but not its secret, does not come in.
///
/// PROTOCOL 6.17.
#[test]
fn the_secret_of_an_invitation_is_proved() {
    let mut pair = strangers();
    let secret = invite(&mut pair, Standing::Open { until: ms(60_000) });
    pair.a.gate.join(pair.now, pair.b.gate.public(), pair.b.at, secret).unwrap();
    // Everything but the last datagram arrives: the session is answered, not confirmed.
    let mut last = Vec::new();
    while let Some((from_a, transmit)) = pair.next() {
        if from_a && transmit.bytes.len() == fabric_seal::OVERHEAD {
            last = transmit.bytes;
        } else {
            pair.deliver(from_a, transmit.bytes).unwrap();
        }
    }
    assert_eq!(pair.b.seen(|s| matches!(s, Seen::Joined(_))), 0);
    let mut forged = last.clone();
    forged[20] ^= 1;
    pair.deliver(true, forged).unwrap();
    assert_eq!(pair.b.seen(|s| matches!(s, Seen::Joined(_))), 0);
    pair.deliver(true, last).unwrap();
    assert_eq!(pair.b.seen(|s| matches!(s, Seen::Joined(_))), 1);
}

#[test]
fn two_guests_with_one_invitation_are_one_too_many() {
    let mut pair = strangers();
    let secret = invite(&mut pair, Standing::Open { until: ms(60_000) });
    let mut third = End::new(3, GateConfig::default());
    let (b, b_at) = (pair.b.gate.public(), pair.b.at);
    pair.a.gate.join(pair.now, b, b_at, secret.clone()).unwrap();
    third.gate.join(pair.now, b, b_at, secret).unwrap();
    for _ in 0..10 {
        for guest in [&mut pair.a, &mut third] {
            while let Some(mut t) = guest.gate.poll_transmit() {
                pair.b.receive(pair.now, guest.at, &mut t.bytes).unwrap();
            }
        }
        while let Some(mut t) = pair.b.gate.poll_transmit() {
            let guest = if t.to == third.at { &mut third } else { &mut pair.a };
            let _ = guest.receive(pair.now, b_at, &mut t.bytes);
        }
    }
    assert_eq!(pair.b.seen(|s| matches!(s, Seen::Joined(_))), 1);
}

#[test]
fn without_a_common_cipher_there_is_no_session() {
    let (a, b) = ([Suite::ChaCha20Poly1305], [Suite::Aes256Gcm]);
    let config = |suites: &[Suite]| GateConfig { suites: suites.to_vec(), ..GateConfig::default() };
    let mut pair = Pair { a: End::new(1, config(&a)), b: End::new(2, config(&b)), now: ms(1000), twice: false };
    pair.b.gate.admit(pair.a.gate.public());
    pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
    assert_eq!(deny(&mut pair), both(Denial::NoCommonSuite));
    assert!(pair.a.sealers.is_empty() && pair.b.sealers.is_empty());
}
