//! Whether a file is an image that the machine can start: looked at before anything is launched.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The largest image in bytes.
pub const IMAGE_MOST: u64 = 1 << 20;

/// Why a file is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// It cannot be read.
    #[error("cannot read the image {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// It is too large.
    #[error("the image {} has more than {IMAGE_MOST} bytes", .0.display())]
    TooLarge(PathBuf),
    /// It is no 64-bit ELF file.
    #[error("the image {} is no 64-bit ELF program", .0.display())]
    NotAnImage(PathBuf),
    /// It is for another processor.
    #[error("the image {} is for another processor (ELF machine {machine}), x86_64 is wanted", path.display())]
    OtherMachine {
        /// Which.
        path: PathBuf,
        /// The number in it.
        machine: u16,
    },
    /// It is cut short.
    #[error("the image {} is cut short", .0.display())]
    Truncated(PathBuf),
    /// It has no PVH entry.
    #[error("the image {} has no PVH entry: it cannot be started without an operating system", .0.display())]
    NoEntry(PathBuf),
}

/// `O_NONBLOCK` of Linux.
const NONBLOCK: i32 = 0o4000;
const X86_64: u16 = 62;
const NOTE: u32 = 4;
const LOAD: u32 = 1;
/// What a PVH note begins with: lengths of name and value, type, name.
const PVH: [u8; 16] = [4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, b'X', b'e', b'n', 0];

/// Checks a file.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &Path) -> Result<(), ImageError> {
    let read = |source| ImageError::Read { path: path.into(), source };
    let mut bytes = Vec::new();
    // Opening does not wait for the other end of a pipe.
    let file = File::options().read(true).custom_flags(NONBLOCK).open(path).map_err(read)?;
    if !file.metadata().map_err(read)?.is_file() {
        return Err(ImageError::NotAnImage(path.into()));
    }
    file.take(IMAGE_MOST + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() as u64 > IMAGE_MOST {
        return Err(ImageError::TooLarge(path.into()));
    }
    check_bytes(&bytes, path)
}

/// Checks what stands in a file, which is named for the error.
///
/// # Errors
/// What is wrong with it.
pub fn check_bytes(bytes: &[u8], path: &Path) -> Result<(), ImageError> {
    if bytes.get(..6) != Some(&[0x7f, b'E', b'L', b'F', 2, 1]) {
        return Err(ImageError::NotAnImage(path.into()));
    }
    let cut = || ImageError::Truncated(path.into());
    let machine = number::<2>(bytes, 18).ok_or_else(cut)? as u16;
    if machine != X86_64 {
        return Err(ImageError::OtherMachine { path: path.into(), machine });
    }
    let (table, size) = (number::<8>(bytes, 32).ok_or_else(cut)?, number::<2>(bytes, 54).ok_or_else(cut)?);
    let count = number::<2>(bytes, 56).ok_or_else(cut)?;
    let mut entry = false;
    for n in 0..count {
        let at = table.checked_add(n * size).and_then(|at| usize::try_from(at).ok()).ok_or_else(cut)?;
        let kind = number::<4>(bytes, at).ok_or_else(cut)? as u32;
        let field = |offset| number::<8>(bytes, at.checked_add(offset)?).and_then(|n| usize::try_from(n).ok());
        let (from, len) = (field(8).ok_or_else(cut)?, field(32).ok_or_else(cut)?);
        if !matches!(kind, NOTE | LOAD) {
            continue;
        }
        let part = from.checked_add(len).and_then(|end| bytes.get(from..end)).ok_or_else(cut)?;
        entry |= kind == NOTE && part.starts_with(&PVH);
    }
    if entry { Ok(()) } else { Err(ImageError::NoEntry(path.into())) }
}

/// A little-endian number of `N` bytes.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk::<N>()?;
    Some(bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small image: a file header, one program header, the note.
    pub(crate) fn image() -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        bytes[18] = X86_64 as u8;
        (bytes[32], bytes[54], bytes[56]) = (64, 56, 1);
        bytes[64] = NOTE as u8;
        (bytes[64 + 8], bytes[64 + 32]) = (120, 24);
        bytes.extend(PVH);
        bytes.extend(0x20_0000u64.to_le_bytes());
        bytes
    }

    fn said(change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = image();
        change(&mut bytes);
        check_bytes(&bytes, Path::new("x")).unwrap_err().to_string()
    }

    #[test]
    fn a_good_image_is_taken_and_every_truncation_refused() {
        assert!(check_bytes(&image(), Path::new("x")).is_ok());
        for len in 0..image().len() {
            assert!(check_bytes(&image()[..len], Path::new("x")).is_err(), "{len}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(said(|b| b[0] = 0).contains("no 64-bit ELF program"));
        assert!(said(|b| b[18] = 183).contains("ELF machine 183"));
        assert!(said(|b| b[128] = 3).contains("no PVH entry"));
        assert!(said(|b| b[64 + 39] = 0xff).contains("cut short"));
        assert!(said(|b| b[39] = 0xff).contains("cut short"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        std::fs::write(&path, vec![0; IMAGE_MOST as usize + 1]).unwrap();
        assert!(check(&path).unwrap_err().to_string().contains("more than 1048576 bytes"));
        assert!(check(&dir.path().join("none")).unwrap_err().to_string().contains("cannot read"));
    }
}
