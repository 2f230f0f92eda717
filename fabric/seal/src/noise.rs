//! The two messages of the handshake, and what keys come out of it.
//!
//! Noise gives two keys, but its state is not wiped by the library that keeps it. So the keys of data are derived from
//! those *and* from a salt that the responder chose, which travels sealed under a key that cannot be had from the state
//! that is left, and which is wiped here.

use crate::{
    Identity, PublicKey, Secret,
    primitives::Primitives,
    wire::{DENIAL_PAYLOAD, INIT_PAYLOAD, PROOF, RESPONSE_PAYLOAD},
};
use aws_lc_rs::hkdf;
use snow::{Builder, HandshakeState};
use zeroize::{Zeroize, Zeroizing};

const NAME: &str = "Noise_IKpsk2_25519_ChaChaPoly_SHA256";
/// What both ends must mean by it.
const LABEL: &[u8] = b"MINET sealed channel 1";
/// The pre-shared key of those who have none.
pub(crate) static NO_PSK: Secret = Secret::new([0; 32]);

/// Length of Noise message 1 and of the two kinds of message 2.
pub(crate) const FIRST: usize = 32 + 48 + INIT_PAYLOAD + 16;
pub(crate) const SECOND: usize = 32 + RESPONSE_PAYLOAD + 16;
pub(crate) const SECOND_DENIAL: usize = 32 + DENIAL_PAYLOAD + 16;

/// A handshake between its first and its second message.
pub(crate) struct Handshake(HandshakeState);

/// What both ends hash before anything else: this protocol, and the clear part of the first message.
fn prologue(index: u32, cookie: &[u8; PROOF]) -> Vec<u8> {
    [LABEL, &index.to_le_bytes(), cookie].concat()
}

impl Handshake {
    /// Begins one; the message is ready to send.
    pub(crate) fn begin(
        identity: &Identity,
        peer: &PublicKey,
        psk: &Secret,
        (index, cookie): (u32, &[u8; PROOF]),
        payload: &[u8; INIT_PAYLOAD],
        fixed: Option<u8>,
    ) -> Option<(Handshake, [u8; FIRST])> {
        let prologue = prologue(index, cookie);
        let builder = Builder::with_resolver(NAME.parse().ok()?, Box::new(Primitives { fixed }));
        let builder = builder.local_private_key(identity.secret().expose()).ok()?.psk(2, psk.expose()).ok()?;
        let builder = builder.remote_public_key(peer.as_bytes()).ok()?.prologue(&prologue).ok()?;
        let mut state = builder.build_initiator().ok()?;
        let mut message = [0; FIRST];
        let len = state.write_message(payload, &mut message).ok()?;
        (len == FIRST).then_some((Handshake(state), message))
    }

    /// Reads the first message: the handshake, whose it is and its payload.
    pub(crate) fn hear(
        identity: &Identity,
        (index, cookie): (u32, &[u8; PROOF]),
        message: &[u8],
        fixed: Option<u8>,
    ) -> Option<(Handshake, PublicKey, [u8; INIT_PAYLOAD])> {
        let prologue = prologue(index, cookie);
        let builder = Builder::with_resolver(NAME.parse().ok()?, Box::new(Primitives { fixed }));
        let builder = builder.local_private_key(identity.secret().expose()).ok()?.prologue(&prologue).ok()?;
        // Which pre-shared key it is, is known only when the peer is.
        let builder = builder.psk(2, NO_PSK.expose()).ok()?;
        let mut state = builder.build_responder().ok()?;
        let mut payload = [0; INIT_PAYLOAD];
        let len = state.read_message(message, &mut payload).ok()?;
        let peer = state.get_remote_static()?.try_into().ok()?;
        (len == INIT_PAYLOAD).then_some((Handshake(state), PublicKey::new(peer), payload))
    }

    /// Writes the second message. With it the responder has the keys: those to open with, those to seal with.
    pub(crate) fn answer(
        mut self,
        psk: &Secret,
        payload: &[u8; RESPONSE_PAYLOAD],
        salt: &Secret,
    ) -> Option<([u8; SECOND], Split)> {
        self.0.set_psk(2, psk.expose()).ok()?;
        let mut message = [0; SECOND];
        let len = self.0.write_message(payload, &mut message).ok()?;
        (len == SECOND).then_some((message, self.split(salt)?))
    }

    /// Writes the second message of a handshake that comes to nothing. It proves who says so, and gives no keys.
    pub(crate) fn deny(mut self, payload: &[u8; DENIAL_PAYLOAD]) -> Option<[u8; SECOND_DENIAL]> {
        let mut message = [0; SECOND_DENIAL];
        let len = self.0.write_message(payload, &mut message).ok()?;
        (len == SECOND_DENIAL).then_some(message)
    }

    /// Reads a denial; `None` when it is not genuine. The handshake goes on waiting.
    pub(crate) fn denied(&mut self, psk: &Secret, message: &[u8]) -> Option<[u8; DENIAL_PAYLOAD]> {
        let mut payload = [0; DENIAL_PAYLOAD];
        self.0.set_psk(2, NO_PSK.expose()).ok()?;
        let read = self.0.read_message(message, &mut payload);
        self.0.set_psk(2, psk.expose()).ok()?;
        (read.ok()? == DENIAL_PAYLOAD).then_some(payload)
    }

    /// Reads the second message; `None` when it is not genuine. The handshake goes on waiting.
    pub(crate) fn conclude(&mut self, message: &[u8]) -> Option<Zeroizing<[u8; RESPONSE_PAYLOAD]>> {
        let mut payload = Zeroizing::new([0; RESPONSE_PAYLOAD]);
        let len = self.0.read_message(message, payload.as_mut_slice()).ok()?;
        (len == RESPONSE_PAYLOAD).then_some(payload)
    }

    /// The keys of data, once both messages are through.
    pub(crate) fn split(mut self, salt: &Secret) -> Option<Split> {
        let (mut from_initiator, mut from_responder) = self.0.dangerously_get_raw_split();
        let mut material = Zeroizing::new([0; 64]);
        material.iter_mut().zip(from_initiator.iter().chain(&from_responder)).for_each(|(to, from)| *to = *from);
        from_initiator.zeroize();
        from_responder.zeroize();
        // What the state keeps of the pre-shared key is no use to anybody.
        let _ = self.0.set_psk(2, NO_PSK.expose());
        let keys = hkdf::Salt::new(hkdf::HKDF_SHA256, salt.expose()).extract(material.as_slice());
        let hash = self.0.get_handshake_hash();
        let direction = |name: &[u8]| {
            let mut key = Secret::new([0; 32]);
            keys.expand(&[LABEL, name, hash], hkdf::HKDF_SHA256).ok()?.fill(key.expose_mut()).ok()?;
            Some(key)
        };
        Some(Split { from_initiator: direction(b" i")?, from_responder: direction(b" r")? })
    }
}

/// One key for each direction.
pub(crate) struct Split {
    pub(crate) from_initiator: Secret,
    pub(crate) from_responder: Secret,
}
