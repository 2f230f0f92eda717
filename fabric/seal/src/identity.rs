//! Keys that say who a node is.

use crate::{SetupError, primitives};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use std::{fmt, str::FromStr};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 bytes that nobody else may know. Wiped when dropped; never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes the bytes; the caller wipes its own copy.
    pub const fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    /// Fresh random bytes.
    pub fn random() -> Result<Secret, SetupError> {
        let mut secret = Secret([0; 32]);
        aws_lc_rs::rand::fill(&mut secret.0).map_err(|_| SetupError::Random)?;
        Ok(secret)
    }

    /// The bytes. Whoever copies them wipes the copy.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) const fn expose_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Who a node is to others. As text it is 43 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// The text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 43 characters of base64 (`minet key show` prints one)")]
pub struct KeyTextError;

impl PublicKey {
    /// From its bytes.
    pub const fn new(bytes: [u8; 32]) -> PublicKey {
        PublicKey(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyTextError;
    fn from_str(text: &str) -> Result<PublicKey, KeyTextError> {
        let bytes = STANDARD_NO_PAD.decode(text.trim().trim_end_matches('=')).map_err(|_| KeyTextError)?;
        Ok(PublicKey(bytes.try_into().map_err(|_| KeyTextError)?))
    }
}

/// A node's key pair.
#[derive(Clone, Debug)]
pub struct Identity {
    secret: Secret,
    public: PublicKey,
}

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Identity, SetupError> {
        Identity::from_secret(Secret::random()?)
    }

    /// The pair that a secret belongs to.
    ///
    /// # Errors
    /// None in practice: every 32 bytes are a secret.
    pub fn from_secret(secret: Secret) -> Result<Identity, SetupError> {
        let public = primitives::public_of(&secret).ok_or(SetupError::Random)?;
        Ok(Identity { secret, public })
    }

    /// What others may know.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// What nobody else may know.
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alice's pair of RFC 7748, section 6.1.
    #[test]
    fn a_public_key_is_the_published_one() {
        let hex = |text: &str| -> [u8; 32] {
            std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        };
        let secret = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let public = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(Identity::from_secret(Secret::new(secret)).unwrap().public().as_bytes(), &public);
    }

    #[test]
    fn a_key_survives_as_text() {
        let public = Identity::generate().unwrap().public();
        assert_eq!(public.to_string().len(), 43);
        assert_eq!(public.to_string().parse(), Ok(public));
        assert_eq!(format!("{public}=\n").parse(), Ok(public));
        for wrong in ["", "abc", "!", &"A".repeat(42), &"A".repeat(44), &"ä".repeat(43)] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(KeyTextError), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let identity = Identity::from_secret(Secret::new([0x5a; 32])).unwrap();
        let shown = format!("{identity:?} {:?}", identity.secret());
        assert!(!shown.contains("5a") && !shown.contains("90, 90"), "{shown}");
    }
}
