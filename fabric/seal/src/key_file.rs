//! The file that holds a node's key pair.
//!
//! ```text
//! # The secret key of a MINET node. Whoever can read it can be that node.
//! secret = 43 characters of base64
//! public = 43 characters of base64
//! ```
//!
//! The public key is there for people, and shows that the file is whole.

use crate::{Identity, PublicKey, Secret};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// No key file is longer.
const MOST: u64 = 4096;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It is not there, or the system does not let us have it.
    #[error("cannot read the key file {path} (`minet key new` makes one)")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be made; one that is there is never replaced.
    #[error("cannot make the key file {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner may read or change it.
    #[error(
        "the key file {path} has mode {mode:03o}: others can read or change it (`chmod 600` it, and make a new key if they did)"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It does not have both keys, or they do not belong together.
    #[error("the key file {path} is damaged or cut short: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

/// Reads and makes key files.
pub struct KeyFile;

impl KeyFile {
    /// Makes a file that only its owner may read. A file that is there already is an error.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn create(path: &Path, identity: &Identity) -> Result<(), KeyFileError> {
        let failed = |source| KeyFileError::Write { path: path.to_path_buf(), source };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let written = file.write_all(KeyFile::emit(identity).as_bytes()).and_then(|()| file.sync_all());
        written.inspect_err(|_| drop(std::fs::remove_file(path))).map_err(failed)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn load(path: &Path) -> Result<Identity, KeyFileError> {
        let failed = |source| KeyFileError::Read { path: path.to_path_buf(), source };
        let damaged = |what| KeyFileError::Damaged { path: path.to_path_buf(), what };
        // What is checked is what was opened. Opening does not wait for the other end of a pipe.
        let mut options = OpenOptions::new();
        let mut file: File = options.read(true).custom_flags(NONBLOCK).open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if !about.is_file() {
            return Err(damaged("it is not a file"));
        }
        let mode = about.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Open { path: path.to_path_buf(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(MOST as usize + 1));
        (&mut file).take(MOST + 1).read_to_string(&mut text).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => damaged("it is not text"),
            _ => failed(e),
        })?;
        if text.len() as u64 > MOST {
            return Err(damaged("it is too long"));
        }
        KeyFile::parse(&text).map_err(damaged)
    }

    /// What stands in a file for this key pair. It has the secret key.
    pub fn emit(identity: &Identity) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "# The secret key of a MINET node. Whoever can read it can be that node.\nsecret = {}\npublic = {}\n",
            PublicKey::new(*identity.secret().expose()),
            identity.public()
        ))
    }

    /// The key pair of a file's text.
    ///
    /// # Errors
    /// What is wrong with it, for [`KeyFileError::Damaged`].
    pub fn parse(text: &str) -> Result<Identity, &'static str> {
        let value = |key: &str| {
            let lines = text.lines().filter_map(|line| line.split_once('='));
            lines.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).next()
        };
        let secret = value("secret").ok_or("there is no secret key in it")?;
        let secret: PublicKey = secret.parse().map_err(|_| "the secret key is not 43 characters of base64")?;
        let public = value("public").ok_or("there is no public key in it")?;
        let public: PublicKey = public.parse().map_err(|_| "the public key is not 43 characters of base64")?;
        let identity = Identity::from_secret(Secret::new(*secret.as_bytes())).map_err(|_| "the secret key is none")?;
        if identity.public() != public {
            return Err("the two keys do not belong together");
        }
        Ok(identity)
    }
}

/// `O_NONBLOCK` of Linux.
const NONBLOCK: i32 = 0o4000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    fn damaged(dir: &Path, bytes: &[u8]) -> String {
        let path = dir.join("damaged");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        KeyFile::load(&path).unwrap_err().to_string()
    }

    #[test]
    fn a_key_survives_in_a_file_of_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let identity = Identity::generate().unwrap();
        KeyFile::create(&path, &identity).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = KeyFile::load(&path).unwrap();
        assert_eq!((again.public(), again.secret()), (identity.public(), identity.secret()));
        assert!(matches!(KeyFile::create(&path, &identity), Err(KeyFileError::Write { .. })), "never replaced");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        KeyFile::create(&path, &Identity::generate().unwrap()).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = KeyFile::load(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::Open { mode: m, .. } if m == mode), "{error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(KeyFile::load(&path).is_ok());
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        KeyFile::create(&path, &Identity::generate().unwrap()).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() - 1 {
            let error = damaged(dir.path(), &whole[..cut]);
            assert!(error.contains("damaged or cut short"), "{cut}: {error}");
        }
        let mut swapped = whole.clone();
        let at = whole.len() - 10;
        swapped[at] = if whole[at] == b'A' { b'B' } else { b'A' };
        assert!(damaged(dir.path(), &swapped).contains("do not belong together"));
        assert!(damaged(dir.path(), &[0xff; 100]).contains("not text"));
        assert!(damaged(dir.path(), &[b'a'; 10_000]).contains("too long"));
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = KeyFile::load(&dir.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("minet key new"), "{error}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(KeyFile::load(dir.path()).unwrap_err().to_string().contains("not a file"));
    }
}
