//! The ciphers of data datagrams, and which of them two ends take.

use crate::{Refused, SealError, Secret, wire::TAG};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use std::fmt;

/// A cipher with authentication. There is none that does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// AES-GCM with a key of 128 bits: the fastest where the processor has AES.
    Aes128Gcm,
    /// AES-GCM with a key of 256 bits.
    Aes256Gcm,
    /// ChaCha20-Poly1305: the fastest elsewhere.
    ChaCha20Poly1305,
}

/// Suites in the order in which a node wants them, as the handshake carries them: zeros at the end.
pub(crate) type Wishes = [u8; 4];

impl Suite {
    /// All, the best for this processor first.
    pub fn preferred() -> Vec<Suite> {
        if has_aes() {
            vec![Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305]
        } else {
            vec![Suite::ChaCha20Poly1305, Suite::Aes128Gcm, Suite::Aes256Gcm]
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Suite::Aes128Gcm => 1,
            Suite::Aes256Gcm => 2,
            Suite::ChaCha20Poly1305 => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Suite> {
        [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305].into_iter().find(|s| s.code() == code)
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Suite::Aes128Gcm => &AES_128_GCM,
            Suite::Aes256Gcm => &AES_256_GCM,
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        }
    }

    /// The list as it travels.
    pub(crate) fn wishes(list: &[Suite]) -> Wishes {
        let mut wishes = [0; 4];
        wishes.iter_mut().zip(list).for_each(|(wish, suite)| *wish = suite.code());
        wishes
    }

    /// What two ends use: ChaCha20-Poly1305 when one of them wants it most, for that one has no fast AES and would suffer
    /// more; else the suite whose places in both lists are least together.
    pub(crate) fn choose(own: &[Suite], theirs: Wishes) -> Option<Suite> {
        let place = |suite: Suite| theirs.iter().position(|code| *code == suite.code());
        let common = own.iter().enumerate().filter_map(|(at, suite)| Some((at, place(*suite)?, *suite)));
        let rank = |(at, there, suite): &(usize, usize, Suite)| {
            let wanted_most = *suite == Suite::ChaCha20Poly1305 && (*at == 0 || *there == 0);
            (!wanted_most, at + there, suite.code())
        };
        common.min_by_key(rank).map(|(_, _, suite)| suite)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Suite::Aes128Gcm => "aes-128-gcm",
            Suite::Aes256Gcm => "aes-256-gcm",
            Suite::ChaCha20Poly1305 => "chacha20-poly1305",
        })
    }
}

impl std::str::FromStr for Suite {
    type Err = ();
    fn from_str(text: &str) -> Result<Suite, ()> {
        Suite::preferred().into_iter().find(|s| s.to_string() == text).ok_or(())
    }
}

fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

/// One direction's cipher with its key. Wiping the key when it is dropped is left to the library.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    pub(crate) fn new(suite: Suite, key: &Secret) -> Option<Cipher> {
        let bytes = key.expose().get(..suite.algorithm().key_len())?;
        Some(Cipher(LessSafeKey::new(UnboundKey::new(suite.algorithm(), bytes).ok()?)))
    }

    pub(crate) fn seal(&self, n: u64, head: &[u8], body: &mut [u8], tag: &mut [u8; TAG]) -> Result<(), SealError> {
        let sealed = self.0.seal_in_place_separate_tag(nonce(n), Aad::from(head), body);
        let fresh = sealed.map_err(|_| SealError::Length)?;
        tag.copy_from_slice(fresh.as_ref().first_chunk::<TAG>().ok_or(SealError::Length)?);
        Ok(())
    }

    /// Seals `plain` into `body` of the same length, and the tag behind it.
    pub(crate) fn seal_from(
        &self,
        n: u64,
        head: &[u8],
        plain: &[u8],
        body: &mut [u8],
        tag: &mut [u8; TAG],
    ) -> Result<(), SealError> {
        let sealed = self.0.seal_out_of_place_scatter(nonce(n), Aad::from(head), plain, body, &[], tag);
        sealed.map_err(|_| SealError::Length)
    }

    pub(crate) fn open(&self, n: u64, head: &[u8], body: &mut [u8], tag: &[u8; TAG]) -> Result<(), Refused> {
        let opened = self.0.open_in_place_separate_tag(nonce(n), Aad::from(head), tag, body);
        opened.map(drop).map_err(|_| Refused::Forged)
    }
}

fn nonce(n: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce.iter_mut().skip(4).zip(n.to_le_bytes()).for_each(|(to, from)| *to = from);
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Suite::*;

    /// PROTOCOL 6.7.
    #[test]
    fn two_ends_agree_whoever_asks() {
        let lists: [&[Suite]; 6] = [
            &[Aes128Gcm, Aes256Gcm, ChaCha20Poly1305],
            &[ChaCha20Poly1305, Aes128Gcm, Aes256Gcm],
            &[Aes256Gcm],
            &[ChaCha20Poly1305],
            &[Aes256Gcm, ChaCha20Poly1305],
            &[],
        ];
        for a in lists {
            for b in lists {
                let chosen = Suite::choose(a, Suite::wishes(b));
                assert_eq!(chosen, Suite::choose(b, Suite::wishes(a)), "{a:?} {b:?}");
                assert!(chosen.is_none_or(|s| a.contains(&s) && b.contains(&s)));
                assert_eq!(chosen.is_none(), !a.iter().any(|s| b.contains(s)));
            }
        }
        assert_eq!(Suite::choose(lists[0], Suite::wishes(lists[0])), Some(Aes128Gcm));
        assert_eq!(Suite::choose(lists[0], Suite::wishes(lists[1])), Some(ChaCha20Poly1305));
    }

    #[test]
    fn no_code_means_no_cipher() {
        assert_eq!((0..=255).filter_map(Suite::from_code).count(), 3);
        assert_eq!(Suite::from_code(0), None);
        assert_eq!(Suite::choose(&Suite::preferred(), [0; 4]), None);
        assert_eq!(Suite::choose(&Suite::preferred(), [200; 4]), None);
    }

    #[test]
    fn names_survive() {
        for suite in Suite::preferred() {
            assert_eq!(suite.to_string().parse(), Ok(suite));
        }
        assert!("none".parse::<Suite>().is_err());
    }
}
