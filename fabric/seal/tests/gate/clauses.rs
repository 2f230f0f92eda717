//! A peer that is made from the clauses of `PROTOCOL.md` alone, with another implementation of Noise and of its primitives, and
//! with keys derived step by step: a gate understands it, and it understands the gate.

use crate::pair::{End, at, ms};
use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    digest, hmac,
};
use fabric_seal::{Denial, Event, GateConfig, Keys};
use snow::{Builder, HandshakeState};

const INDEX: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &parts.concat()).as_ref().to_vec()
}

/// What is answered to a datagram.
fn answer(end: &mut End, datagram: &[u8]) -> Vec<u8> {
    end.gate.handle_datagram(ms(1000), at(9), &mut datagram.to_vec());
    let transmit = end.gate.poll_transmit().expect("an answer");
    assert_eq!((transmit.to, end.gate.poll_transmit()), (at(9), None));
    assert!(transmit.bytes.len() <= datagram.len(), "no answer is longer than the question");
    transmit.bytes
}

/// Knock, cookie, init: the answer to that, and our handshake.
fn greet(end: &mut End) -> (Vec<u8>, HandshakeState) {
    let door = *end.gate.public().as_bytes();
    let key = digest::digest(&digest::SHA256, &[&b"MINET knock"[..], &door].concat());
    let knock = [&[0x81, 1, 0, 0][..], &INDEX, &mac(key.as_ref(), &[&INDEX])[..16]].concat();
    assert_eq!(knock.len(), 24);
    let cookie = answer(end, &knock);
    assert_eq!((cookie.len(), &cookie[..4], &cookie[4..8]), (24, &[0x82, 1, 0, 0][..], &INDEX[..]));
    let cookie = &cookie[8..];
    let prologue = [&b"MINET sealed channel 1"[..], &INDEX, cookie].concat();
    let noise = Builder::new("Noise_IKpsk2_25519_ChaChaPoly_SHA256".parse().unwrap());
    let noise = noise.prologue(&prologue).unwrap().local_private_key(&[7; 32]).unwrap();
    let mut noise = noise.remote_public_key(&door).unwrap().psk(2, &[0; 32]).unwrap().build_initiator().unwrap();
    // ChaCha20-Poly1305 and nothing else, a tag, no invitation.
    let payload = [&[3, 0, 0, 0][..], &[1, 2, 3, 4], &[0; 16]].concat();
    let mut first = [0; 120];
    assert_eq!(noise.write_message(&payload, &mut first).unwrap(), 120);
    let init = [&[0x83, 1, 0, 0][..], &INDEX, cookie, &first].concat();
    assert_eq!(init.len(), 144);
    // Without a good cookie it is answered with one.
    let mut without = init.clone();
    without[8..24].fill(0);
    assert_eq!(answer(end, &without)[..4], [0x82, 1, 0, 0]);
    (answer(end, &init), noise)
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn cipher(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).unwrap())
}

/// A data datagram for who has this index.
fn data(key: &LessSafeKey, index: &[u8], counter: u64, message: &[u8]) -> Vec<u8> {
    let head = [&[0x8f, 1, 0, 0][..], index, &counter.to_le_bytes()].concat();
    let mut body = message.to_vec();
    key.seal_in_place_append_tag(nonce(counter), Aad::from(&head), &mut body).unwrap();
    [head, body].concat()
}

/// PROTOCOL 6.1, 6.2, 6.3, 6.4, 6.5, 6.8, 6.9 and 6.11.
#[test]
fn who_reads_the_clauses_opens_a_session() {
    let mut end = End::new(1, GateConfig::default());
    let identity = fabric_seal::Identity::from_secret(fabric_seal::Secret::new([7; 32])).unwrap();
    end.gate.admit(identity.public());
    let (response, mut noise) = greet(&mut end);
    assert_eq!((response.len(), &response[..4], &response[4..8]), (96, &[0x84, 1, 0, 0][..], &INDEX[..]));
    let mut payload = [0; 40];
    assert_eq!(noise.read_message(&response[8..], &mut payload).unwrap(), 40);
    assert_eq!(payload[..4], [3, 0, 0, 0], "the suite");
    let (theirs, salt) = (&payload[4..8], &payload[8..]);
    // HKDF as RFC 5869 has it.
    let (k1, k2) = noise.dangerously_get_raw_split();
    let extracted = mac(salt, &[&k1, &k2]);
    let hash = noise.get_handshake_hash().to_vec();
    let key = |name: &[u8]| cipher(&mac(&extracted, &[b"MINET sealed channel 1", name, &hash, &[1]]));
    let (from_us, to_us) = (key(b" i"), key(b" r"));
    // Stream 15 carries no message; it is what opens the session.
    end.gate.handle_datagram(ms(1000), at(9), &mut data(&from_us, theirs, 15 << 56, b""));
    let mut keys: Option<Keys> = None;
    while let Some(event) = end.gate.poll_event() {
        if let Event::Keys { keys: made, .. } = event {
            keys = Some(made);
        }
    }
    let mut keys = keys.expect("a session");
    assert_eq!(keys.index().to_le_bytes(), theirs);
    for (counter, message) in [(0, &b"hello"[..]), (1, b""), (3 << 56, b"another lane")] {
        let mut datagram = data(&from_us, theirs, counter, message);
        assert_eq!(keys.opener.open_in_place(&mut datagram).map(|m| m.to_vec()), Ok(message.to_vec()));
    }
    for n in 0..3u64 {
        let mut datagram = [0; 37];
        keys.sealers[0].seal_from(b"reply", &mut datagram).unwrap();
        assert_eq!(datagram[..16], [&[0x8f, 1, 0, 0][..], &INDEX, &n.to_le_bytes()].concat());
        let (head, body) = datagram.split_at_mut(16);
        assert_eq!(to_us.open_in_place(nonce(n), Aad::from(&*head), body).unwrap(), b"reply");
    }
}

/// PROTOCOL 6.6.
#[test]
fn who_reads_the_clauses_is_told_why_it_may_not() {
    let mut end = End::new(1, GateConfig::default());
    let (denial, mut noise) = greet(&mut end);
    assert_eq!((denial.len(), &denial[..4], &denial[4..8]), (64, &[0x85, 1, 0, 0][..], &INDEX[..]));
    let mut payload = [0xff; 8];
    assert_eq!(noise.read_message(&denial[8..], &mut payload).unwrap(), 8);
    assert_eq!(payload, [1, 0, 0, 0, 0, 0, 0, 0], "not allowed");
    let reasons = [Denial::NotAllowed, Denial::Revoked, Denial::NoSuchInvitation, Denial::InvitationUsed];
    let reasons = [&reasons[..], &[Denial::InvitationExpired, Denial::NoCommonSuite]].concat();
    for (code, reason) in (1u8..).zip(reasons) {
        assert_eq!(Denial::from(code), reason);
    }
    assert_eq!((end.gate.sessions(), end.gate.poll_event().is_some()), (0, true), "it is told of, and that is all");
}
