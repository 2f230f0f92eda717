//! The processor's side: takes an image and keeps it.

use super::{FRAGMENT, MESSAGE, Message, send::say};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::{
    fs::{self, File, Permissions},
    io::{self, IoSliceMut, Seek, SeekFrom, Write},
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

/// The largest image in bytes.
const IMAGE: u64 = 1 << 30;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The line ended, or what came makes no sense.
    #[error("the line to the manager broke")]
    Line(#[from] io::Error),
    /// What is there cannot be kept.
    #[error("cannot keep the image at {}", path.display())]
    Keep {
        /// Where.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// It is too large.
    #[error("an image of {0} bytes is offered, {IMAGE} are allowed")]
    TooLarge(u64),
}

/// What is there of one image.
struct Part {
    path: PathBuf,
    file: File,
    have: u64,
    len: u64,
    sum: u32,
}

impl Part {
    /// What a former process left of it, or nothing.
    fn open(store: &Path, len: u64, sum: u32) -> io::Result<Part> {
        let mut name = store.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{len}-{sum:08x}.image"));
        let path = store.with_file_name(name);
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        file.set_permissions(Permissions::from_mode(0o700))?;
        let have = file.metadata()?.len();
        let mut part = Part { path, file, have, len, sum };
        if have > len || (have == len && !part.is_whole()?) {
            part.forget()?;
        }
        Ok(part)
    }

    fn forget(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.have = 0;
        Ok(())
    }

    fn is_whole(&self) -> io::Result<bool> {
        let (mut at, mut sum, mut bytes) = (0, crc32fast::Hasher::new(), vec![0; FRAGMENT]);
        while at < self.len {
            let got = self.file.read_at(&mut bytes, at)?;
            if got == 0 {
                return Ok(false);
            }
            sum.update(bytes.get(..got).unwrap_or_default());
            at += got as u64;
        }
        Ok(sum.finalize() == self.sum)
    }

    /// Takes a fragment, if it is a good one and goes on where the last one ended.
    fn take(&mut self, at: u64, sum: u32, bytes: &[u8]) -> io::Result<()> {
        let fits = at == self.have && bytes.len() as u64 <= self.len - self.have;
        if !fits || crc32fast::hash(bytes) != sum {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)?;
        self.have += bytes.len() as u64;
        if self.have == self.len && !self.is_whole()? {
            self.forget()?;
        }
        Ok(())
    }
}

/// Takes an image; where it is, and the socket of the shared memory that it is to be started with. `store` is a path whose last part gets
/// endings: images are kept there. `told` hears how much there was already, and how much there is to be.
///
/// # Errors
/// Why there is none; the manager is told, if it still listens.
pub fn load(line: &OwnedFd, store: &Path, told: impl Fn(u64, u64)) -> Result<(PathBuf, OwnedFd), LoadError> {
    let loaded = take(line, store, told);
    if let Err(error) = &loaded {
        // It is told anyway by our end.
        let _ = say(line, &Message::Refused(&error.to_string()));
    }
    loaded
}

fn take(line: &OwnedFd, store: &Path, told: impl Fn(u64, u64)) -> Result<(PathBuf, OwnedFd), LoadError> {
    let nonsense = || LoadError::Line(io::ErrorKind::InvalidData.into());
    let mut buffer = vec![0; MESSAGE];
    let mut part: Option<Part> = None;
    loop {
        let (got, descriptor) = hear(line, &mut buffer)?;
        let message = Message::parse(buffer.get(..got).unwrap_or_default()).ok_or_else(nonsense)?;
        match (message, &mut part) {
            (Message::Offer { len, sum }, None) => {
                if len > IMAGE {
                    return Err(LoadError::TooLarge(len));
                }
                let keep = |source| LoadError::Keep { path: store.to_owned(), source };
                let opened = Part::open(store, len, sum).map_err(keep)?;
                told(opened.have, len);
                say(line, &Message::Have(opened.have))?;
                part = Some(opened);
            }
            (Message::Fragment { at, sum, bytes }, Some(part)) => {
                part.take(at, sum, bytes).map_err(|source| LoadError::Keep { path: part.path.clone(), source })?;
                say(line, &Message::Have(part.have))?;
            }
            (Message::Start, Some(part)) if part.have == part.len => {
                forget_others(store, &part.path);
                return Ok((part.path.clone(), descriptor.ok_or_else(nonsense)?));
            }
            _ => return Err(nonsense()),
        }
    }
}

/// Images of this store that are not used any more.
fn forget_others(store: &Path, used: &Path) {
    let (Some(dir), Some(name)) = (store.parent(), store.file_name()) else { return };
    let name = format!("{}.", name.to_string_lossy());
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        if other.starts_with(&name) && other.ends_with(".image") && entry.path() != used {
            // It is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn hear(line: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(line, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut all) => all.next(),
        _ => None,
    });
    match got.bytes {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        bytes => Ok((bytes, descriptor)),
    }
}
