//! A key file by anybody: one that is good has two keys that belong together, and is written so that it is read again.

use fabric_seal::{Identity, KeyFile, Secret};

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match KeyFile::parse(text) {
        Ok(identity) => again(&identity),
        Err(told) => assert!(!told.is_empty()),
    }
    let Some(secret) = input.first_chunk::<32>() else { return };
    let Ok(identity) = Identity::from_secret(Secret::new(*secret)) else { return };
    again(&identity);
    // One byte of the two keys is another one.
    let mut altered = KeyFile::emit(&identity).as_bytes().to_vec();
    let at = altered.len() - 1 - usize::from(secret[0]) % 43;
    altered[at - 1] ^= 1 << (secret[1] % 7);
    let altered = String::from_utf8_lossy(&altered);
    assert!(KeyFile::parse(&altered).is_err(), "an altered key: {altered}");
}

fn again(identity: &Identity) {
    let read = KeyFile::parse(&KeyFile::emit(identity)).unwrap_or_else(|e| panic!("what was written can be read: {e}"));
    assert!(read.public() == identity.public() && read.secret() == identity.secret());
}
