//! What Noise is made of, from `aws-lc-rs`: so that keys lie in memory that is wiped, and so that there is one library of
//! primitives in the program.

use crate::Secret;
use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    digest::{Context, SHA256},
    hmac,
};
use snow::{
    Error,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types::{Cipher, Dh, Hash, Random},
};
use zeroize::Zeroize;

/// Gives Noise its primitives.
pub(crate) struct Primitives {
    /// Where ephemeral keys come from; tests fix them.
    pub(crate) fixed: Option<u8>,
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(match self.fixed {
            Some(byte) => Box::new(Fixed(byte)),
            None => Box::new(System),
        })
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(Curve::default()) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(Sha256(Context::new(&SHA256))) as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::ChaChaPoly).then(|| Box::new(ChaCha(None)) as Box<dyn Cipher>)
    }
}

/// The public key of a secret one.
pub(crate) fn public_of(secret: &Secret) -> Option<crate::PublicKey> {
    let private = PrivateKey::from_private_key(&X25519, secret.expose()).ok()?;
    let public = private.compute_public_key().ok()?;
    public.as_ref().try_into().ok().map(crate::PublicKey::new)
}

struct System;

impl Random for System {
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Error> {
        aws_lc_rs::rand::fill(to).map_err(|_| Error::Rng)
    }
}

/// The same bytes each time.
struct Fixed(u8);

impl Random for Fixed {
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Error> {
        to.iter_mut().zip(0u8..=255).for_each(|(to, n)| *to = n.wrapping_add(self.0));
        Ok(())
    }
}

struct Curve {
    secret: Secret,
    public: [u8; 32],
}

impl Default for Curve {
    fn default() -> Curve {
        Curve { secret: Secret::new([0; 32]), public: [0; 32] }
    }
}

impl Curve {
    fn complete(&mut self) {
        // Every 32 bytes are a secret key; a public key of zeros would be refused by the other end.
        self.public = public_of(&self.secret).map_or([0; 32], |key| *key.as_bytes());
    }
}

impl Dh for Curve {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        self.secret.expose_mut().iter_mut().zip(secret).for_each(|(to, from)| *to = *from);
        self.complete();
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), Error> {
        random.try_fill_bytes(self.secret.expose_mut())?;
        self.complete();
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.secret.expose()
    }

    /// Public keys of small order, which would make the secret known, are refused by the library.
    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let private = PrivateKey::from_private_key(&X25519, self.secret.expose()).map_err(|_| Error::Dh)?;
        let public = UnparsedPublicKey::new(&X25519, public.get(..32).ok_or(Error::Dh)?);
        agree(&private, public, Error::Dh, |shared| {
            out.get_mut(..shared.len()).ok_or(Error::Dh)?.copy_from_slice(shared);
            Ok(())
        })
    }
}

struct Sha256(Context);

impl Hash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0 = Context::new(&SHA256);
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let digest = std::mem::replace(&mut self.0, Context::new(&SHA256)).finish();
        out.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    }

    fn hmac(&mut self, key: &[u8], data: &[u8], out: &mut [u8]) {
        // Noise's keys are exactly one hash long; the rest of the given buffer is padding.
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.get(..32).unwrap_or(key));
        let tag = hmac::sign(&key, data);
        out.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    }

    fn hkdf(&mut self, chain: &[u8], material: &[u8], outputs: usize, a: &mut [u8], b: &mut [u8], c: &mut [u8]) {
        let mut temporary = [0; 32];
        self.hmac(chain, material, &mut temporary);
        let mut input = [0; 33];
        let mut last = 0;
        for (n, out) in [a, b, c].into_iter().take(outputs).enumerate() {
            let at = last;
            if let Some(end) = input.get_mut(at) {
                *end = n as u8 + 1;
            }
            self.hmac(&temporary, input.get(..=at).unwrap_or_default(), out);
            last = 32;
            input.iter_mut().zip(out.iter().take(32)).for_each(|(to, from)| *to = *from);
        }
        temporary.zeroize();
        input.zeroize();
    }
}

struct ChaCha(Option<LessSafeKey>);

impl ChaCha {
    fn nonce(n: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce.iter_mut().skip(4).zip(n.to_le_bytes()).for_each(|(to, from)| *to = from);
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Cipher for ChaCha {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new);
    }

    /// Without a key nothing is written and the length is zero: the other end will refuse that.
    fn encrypt(&self, n: u64, head: &[u8], plain: &[u8], out: &mut [u8]) -> usize {
        let sealed = self.0.as_ref().and_then(|key| {
            let (body, rest) = out.split_at_mut_checked(plain.len())?;
            let tag = rest.get_mut(..16)?;
            key.seal_out_of_place_scatter(Self::nonce(n), Aad::from(head), plain, body, &[], tag).ok()
        });
        if sealed.is_some() { plain.len() + 16 } else { 0 }
    }

    fn decrypt(&self, n: u64, head: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let key = self.0.as_ref().ok_or(Error::Decrypt)?;
        let (body, tag) = sealed.split_last_chunk::<16>().ok_or(Error::Decrypt)?;
        let out = out.get_mut(..body.len()).ok_or(Error::Decrypt)?;
        let opened = key.open_separate_gather(Self::nonce(n), Aad::from(head), body, tag, out);
        opened.map(|()| body.len()).map_err(|_| Error::Decrypt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snow::{Builder, HandshakeState, resolvers::DefaultResolver};

    const NAME: &str = "Noise_IKpsk2_25519_ChaChaPoly_SHA256";

    fn pair(ours_first: bool) -> (HandshakeState, HandshakeState) {
        let (a, b) = ([1; 32], [2; 32]);
        let public = public_of(&Secret::new(b)).unwrap();
        let ours = || Box::new(Primitives { fixed: None });
        let builder = |ours_too: bool| {
            let name = NAME.parse().unwrap();
            if ours_too { Builder::with_resolver(name, ours()) } else { Builder::new(name) }
        };
        let _ = DefaultResolver;
        let initiator = builder(ours_first).prologue(b"p").unwrap().local_private_key(&a).unwrap();
        let initiator = initiator.remote_public_key(public.as_bytes()).unwrap().psk(2, &[9; 32]).unwrap();
        let responder = builder(!ours_first).prologue(b"p").unwrap().local_private_key(&b).unwrap();
        (initiator.build_initiator().unwrap(), responder.psk(2, &[9; 32]).unwrap().build_responder().unwrap())
    }

    /// Another implementation of the same primitives understands us, whichever end we are.
    #[test]
    fn noise_made_of_these_is_noise() {
        for ours_first in [true, false] {
            let (mut a, mut b) = pair(ours_first);
            let (mut wire, mut payload) = ([0; 256], [0; 256]);
            let n = a.write_message(b"one", &mut wire).unwrap();
            assert_eq!(b.read_message(&wire[..n], &mut payload).unwrap(), 3);
            assert_eq!(b.get_remote_static().unwrap(), public_of(&Secret::new([1; 32])).unwrap().as_bytes());
            let n = b.write_message(b"second", &mut wire).unwrap();
            assert_eq!(a.read_message(&wire[..n], &mut payload).unwrap(), 6);
            assert_eq!(&payload[..6], b"second");
            assert_eq!(a.dangerously_get_raw_split(), b.dangerously_get_raw_split());
            assert_eq!(a.get_handshake_hash(), b.get_handshake_hash());
        }
    }

    #[test]
    fn keys_of_small_order_are_refused() {
        let mut own = Curve::default();
        own.set(&[7; 32]);
        let mut one = [0; 32];
        one[0] = 1;
        for public in [[0; 32], one] {
            assert!(own.dh(&public, &mut [0; 32]).is_err());
        }
    }
}
