//! One test for each class of flaw that others of our kind have had (tinc, nebula, kronosnet, TIPC, WireGuard's kin).

use crate::pair::{End, Pair, Seen, ms};
use fabric_seal::{GateConfig, Identity, Keys, Opener, Refused, Sealer, Secret, Suite, kind_of};
use std::io::{Read, Seek, SeekFrom};

/// Lengths that a peer says are never believed: there are none in the datagrams, and those of the buffers are checked.
#[test]
fn class_unchecked_lengths() {
    let mut pair = Pair::open(GateConfig::default());
    for len in (0..2000).chain([65_507, 65_535, 100_000]) {
        for fill in [0x00, 0x8f, 0xff] {
            let mut bytes = vec![fill; len];
            let _ = pair.b.receive(pair.now, pair.a.at, &mut bytes);
            bytes.iter_mut().zip([0x8f, 1, 0, 0]).for_each(|(to, from)| *to = from);
            let index = *pair.b.openers.keys().next().unwrap();
            bytes.iter_mut().skip(4).zip(index.to_le_bytes()).for_each(|(to, from)| *to = from);
            assert!(pair.b.receive(pair.now, pair.a.at, &mut bytes).map_or(true, |m| m.is_none()));
        }
    }
    pair.talk();
}

/// The index in a datagram chooses the keys and says nothing about who sent it: the keys do.
#[test]
fn class_trusted_link_ids() {
    let mut pair = Pair::open(GateConfig::default());
    let mut other = End::new(3, GateConfig::default());
    pair.b.gate.admit(other.gate.public());
    other.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
    for _ in 0..6 {
        while let Some(mut t) = other.gate.poll_transmit() {
            pair.b.receive(pair.now, other.at, &mut t.bytes).unwrap();
        }
        while let Some(mut t) = pair.b.gate.poll_transmit() {
            other.receive(pair.now, pair.b.at, &mut t.bytes).unwrap();
        }
    }
    // The other node writes the index of a's keys into what it seals: nobody takes it for a's.
    let session = other.session();
    let (mut datagram, of_a) = (other.seal(session, b"I am a"), pair.a.session());
    let genuine = pair.a.seal(of_a, b"I am a");
    datagram[4..8].copy_from_slice(&genuine[4..8]);
    assert_eq!(pair.deliver(true, datagram), Err(Refused::Forged));
    assert_eq!(pair.deliver(true, genuine), Ok(Some(b"I am a".to_vec())));
}

/// The bytes of a value in a box before it is dropped, and what lies there afterwards. Nothing else is allocated in
/// between, so that the place is not used again; its first bytes belong to the allocator then.
fn before_and_after<T>(value: T) -> (Vec<u8>, Vec<u8>) {
    let boxed = std::hint::black_box(Box::new(value));
    let (at, len) = (std::ptr::from_ref(&*boxed).addr(), size_of::<T>());
    let (mut before, mut after) = (vec![0; len], vec![0; len]);
    let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut look = |bytes: &mut [u8]| {
        memory.seek(SeekFrom::Start(at as u64)).unwrap();
        memory.read_exact(bytes).unwrap();
    };
    look(&mut before);
    drop(boxed);
    look(&mut after);
    (before, after)
}

/// Secrets are overwritten where they lie when their owner is dropped: a secret, an identity, and the gate that took it.
/// What moving a value leaves behind elsewhere is not shown.
#[test]
fn class_keys_not_wiped() {
    let secret = Secret::random().unwrap();
    // Half of it is enough to know it by, and is not where an allocator writes.
    let half = &secret.expose()[16..];
    let holds = |bytes: &[u8]| bytes.windows(half.len()).any(|w| w == half);
    let identity = || Identity::from_secret(secret.clone()).unwrap();
    let gate = fabric_seal::Gate::new(identity(), GateConfig::default()).unwrap();
    for (before, after) in [before_and_after(secret.clone()), before_and_after(identity()), before_and_after(gate)] {
        assert!(holds(&before), "the search finds what is there");
        assert!(!holds(&after), "it is still there");
    }
    // The test would see it if nothing were wiped.
    let (before, after) = before_and_after(*secret.expose());
    assert!(holds(&before) && holds(&after));
}

/// A window belongs to one thread: an opener cannot be shared between two that receive, nor copied.
///
/// PROTOCOL 6.10.
#[test]
fn class_replay_window_race() {
    trait Ambiguous<A> {
        fn is() {}
    }
    struct Copied;
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: Clone> Ambiguous<Copied> for T {}
    // These would not compile if the types could be cloned.
    let _ = <Opener as Ambiguous<_>>::is;
    let _ = <Sealer as Ambiguous<_>>::is;
    let _ = <Keys as Ambiguous<_>>::is;
    // And opening needs the opener for itself.
    let _: fn(&mut Opener, &'static mut [u8]) -> Result<&'static mut [u8], Refused> = |o, d| o.open_in_place(d);
    // The window is noted only after the seal was found whole: a forged counter does not shut a genuine one out.
    let mut pair = Pair::open(GateConfig::default());
    let session = pair.a.session();
    let genuine = pair.a.seal(session, b"genuine");
    let mut forged = genuine.clone();
    forged[8..14].copy_from_slice(&[0xff; 6]);
    assert_eq!(pair.deliver(true, forged), Err(Refused::Forged));
    assert_eq!(pair.deliver(true, genuine), Ok(Some(b"genuine".to_vec())));
}

/// No list of ciphers, no datagram and no answer leads to a session without one, or with one that an end does not want.
#[test]
fn class_downgrade_to_no_cipher() {
    // What is not sealed is nothing to a gate, whatever a link's clear text would be.
    let mut pair = Pair::open(GateConfig::default());
    for kind in 0..=0x7f {
        let clear = [kind, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(kind_of(&clear), None);
        let before = pair.b.gate.counts().ignored;
        pair.b.gate.handle_datagram(pair.now, pair.a.at, &mut clear.to_vec());
        assert_eq!(pair.b.gate.counts().ignored, before + 1);
    }
    // An end that takes only one cipher gets that one or nothing; the list travels sealed, so nobody else can shorten it.
    for (ours, theirs, chosen) in [
        (vec![Suite::Aes256Gcm], Suite::preferred(), Some(Suite::Aes256Gcm)),
        (Suite::preferred(), vec![Suite::ChaCha20Poly1305], Some(Suite::ChaCha20Poly1305)),
        (vec![Suite::Aes256Gcm], vec![Suite::ChaCha20Poly1305], None),
    ] {
        let config = |suites| GateConfig { suites, ..GateConfig::default() };
        let mut pair =
            Pair { a: End::new(1, config(ours)), b: End::new(2, config(theirs)), now: ms(1000), twice: false };
        pair.b.gate.admit(pair.a.gate.public());
        pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
        pair.settle();
        assert_eq!(pair.a.sealers.keys().next().and_then(|s| pair.a.gate.suite(*s)), chosen);
        assert_eq!(pair.b.seen(|s| matches!(s, Seen::Opened(..))), usize::from(chosen.is_some()));
    }
}

/// There are no signatures here. What is malleable in their place: a public key has several encodings (the top bit, values
/// beyond the prime), and keys of small order give a secret that anybody knows. None of them is another name of a peer, and
/// none opens a session.
#[test]
fn class_signature_malleability() {
    let mut pair = Pair::open(GateConfig::default());
    let twin = {
        let mut bytes = *pair.b.gate.public().as_bytes();
        bytes[31] ^= 0x80;
        fabric_seal::PublicKey::new(bytes)
    };
    assert_ne!(twin, pair.b.gate.public());
    let mut stranger = End::new(4, GateConfig::default());
    pair.b.gate.admit(stranger.gate.public());
    stranger.gate.open(pair.now, twin, pair.b.at).unwrap();
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one] {
        stranger.gate.open(pair.now, fabric_seal::PublicKey::new(weak), pair.b.at).unwrap();
    }
    for _ in 0..6 {
        while let Some(mut t) = stranger.gate.poll_transmit() {
            pair.b.receive(pair.now, stranger.at, &mut t.bytes).unwrap();
        }
        while let Some(mut t) = pair.b.gate.poll_transmit() {
            stranger.receive(pair.now, pair.b.at, &mut t.bytes).unwrap();
        }
    }
    assert!(stranger.sealers.is_empty());
    // A tag has one form: no other bytes open the same datagram (every bit of it is tried in `attack`).
    pair.talk();
}
