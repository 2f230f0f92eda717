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
    #[error("the image {} is for another processor (ELF machine {machine}): {wanted} is wanted", path.display())]
    OtherMachine {
        /// Which.
        path: PathBuf,
        /// The number in it.
        machine: u16,
        /// What would be right.
        wanted: &'static str,
    },
    /// It is cut short.
    #[error("the image {} is cut short", .0.display())]
    Truncated(PathBuf),
    /// It has no entry that a machine can begin at.
    #[error("the image {} has no entry (PVH on x86_64): it cannot be started without an operating system", .0.display())]
    NoEntry(PathBuf),
}

/// The processor that an image of a machine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// A PC.
    X86_64,
    /// QEMU's `virt` with a RISC-V processor.
    Riscv64,
}

/// `O_NONBLOCK` of Linux.
const NONBLOCK: i32 = 0o4000;
const X86_64: u16 = 62;
const RISCV: u16 = 243;
const NOTE: u32 = 4;
const LOAD: u32 = 1;
/// What a PVH note begins with: lengths of name and value, type, name.
const PVH: [u8; 16] = [4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, b'X', b'e', b'n', 0];

/// Checks the program of a process by its first bytes: it is for this host. The system refuses the rest.
///
/// # Errors
/// What is wrong with it.
pub fn check_program(path: &Path) -> Result<(), ImageError> {
    let own = head(Path::new("/proc/self/exe"))?;
    let theirs = head(path)?;
    match machine(&theirs, path)? {
        machine if own.get(18..20) == Some(&machine.to_le_bytes()) => Ok(()),
        machine => Err(ImageError::OtherMachine { path: path.into(), machine, wanted: "a program for this host" }),
    }
}

/// The first bytes of a file.
fn head(path: &Path) -> Result<[u8; 20], ImageError> {
    let read = |source| ImageError::Read { path: path.into(), source };
    let mut head = [0; 20];
    match open(path)?.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ImageError::NotAnImage(path.into())),
        Err(error) => Err(read(error)),
        Ok(()) => Ok(head),
    }
}

/// Opens a file; what is none is no image. It does not wait for the other end of a pipe.
fn open(path: &Path) -> Result<File, ImageError> {
    let read = |source| ImageError::Read { path: path.into(), source };
    let file = File::options().read(true).custom_flags(NONBLOCK).open(path).map_err(read)?;
    match file.metadata().map_err(read)?.is_file() {
        true => Ok(file),
        false => Err(ImageError::NotAnImage(path.into())),
    }
}

/// Checks the image of a machine; which one it is for.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &Path) -> Result<Arch, ImageError> {
    let read = |source| ImageError::Read { path: path.into(), source };
    let mut bytes = Vec::new();
    open(path)?.take(IMAGE_MOST + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() as u64 > IMAGE_MOST {
        return Err(ImageError::TooLarge(path.into()));
    }
    check_bytes(&bytes, path)
}

/// The machine in a 64-bit ELF file.
fn machine(bytes: &[u8], path: &Path) -> Result<u16, ImageError> {
    if bytes.get(..6) != Some(&[0x7f, b'E', b'L', b'F', 2, 1]) {
        return Err(ImageError::NotAnImage(path.into()));
    }
    Ok(number::<2>(bytes, 18).ok_or_else(|| ImageError::Truncated(path.into()))? as u16)
}

/// Checks what stands in a file, which is named for the error; which processor it is for.
///
/// # Errors
/// What is wrong with it.
pub fn check_bytes(bytes: &[u8], path: &Path) -> Result<Arch, ImageError> {
    let arch = match machine(bytes, path)? {
        X86_64 => Arch::X86_64,
        RISCV => Arch::Riscv64,
        machine => return Err(ImageError::OtherMachine { path: path.into(), machine, wanted: "x86_64 or riscv64" }),
    };
    let cut = || ImageError::Truncated(path.into());
    let start = number::<8>(bytes, 24).ok_or_else(cut)?;
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
        entry |= match arch {
            Arch::X86_64 => kind == NOTE && part.starts_with(&PVH),
            Arch::Riscv64 => {
                let begin = field(24).ok_or_else(cut)? as u64;
                kind == LOAD && (begin..begin.saturating_add(len as u64)).contains(&start)
            }
        };
    }
    if entry { Ok(arch) } else { Err(ImageError::NoEntry(path.into())) }
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
        assert_eq!(check_bytes(&image(), Path::new("x")).unwrap(), Arch::X86_64);
        for len in 0..image().len() {
            assert!(check_bytes(&image()[..len], Path::new("x")).is_err(), "{len}");
        }
    }

    #[test]
    fn another_processor_begins_where_its_header_says() {
        let mut bytes = image();
        bytes[18] = RISCV as u8;
        assert!(check_bytes(&bytes, Path::new("x")).unwrap_err().to_string().contains("no entry"));
        bytes[64] = LOAD as u8;
        (bytes[24 + 3], bytes[64 + 24 + 3]) = (0x80, 0x80);
        assert_eq!(check_bytes(&bytes, Path::new("x")).unwrap(), Arch::Riscv64);
        bytes[24] = 24;
        assert!(check_bytes(&bytes, Path::new("x")).is_err(), "behind the end of what is loaded");
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(said(|b| b[0] = 0).contains("no 64-bit ELF program"));
        assert!(said(|b| b[18] = 183).contains("ELF machine 183): x86_64 or riscv64 is wanted"));
        assert!(said(|b| b[128] = 3).contains("no entry (PVH on x86_64)"));
        assert!(said(|b| b[64 + 39] = 0xff).contains("cut short"));
        assert!(said(|b| b[39] = 0xff).contains("cut short"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        std::fs::write(&path, vec![0; IMAGE_MOST as usize + 1]).unwrap();
        assert!(check(&path).unwrap_err().to_string().contains("more than 1048576 bytes"));
        assert!(check_program(&path).unwrap_err().to_string().contains("no 64-bit ELF program"));
        assert!(check_program(Path::new("/proc/self/exe")).is_ok());
        assert!(check(&dir.path().join("none")).unwrap_err().to_string().contains("cannot read"));
    }
}
