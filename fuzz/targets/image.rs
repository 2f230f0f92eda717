//! A file that is said to be an image for a machine: one that is taken has all of its parts, and more behind them does no harm.

use iop::image::{Arch, check_bytes};
use std::path::Path;

const PVH: &[u8] = &[4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, b'X', b'e', b'n', 0];

pub fn run(bytes: &[u8]) {
    let path = Path::new("image");
    match check_bytes(bytes, path) {
        Ok(Arch::Riscv64) => {
            assert!(bytes.starts_with(&[0x7f, b'E', b'L', b'F', 2, 1]) && bytes[18..20] == [243, 0]);
            let longer = [bytes, &[0xa5; 64]].concat();
            assert_eq!(check_bytes(&longer, path).unwrap(), Arch::Riscv64, "more behind it");
        }
        Ok(Arch::X86_64) => {
            assert!(bytes.starts_with(&[0x7f, b'E', b'L', b'F', 2, 1]) && bytes[18..20] == [62, 0]);
            assert!(bytes.windows(PVH.len()).any(|part| part == PVH), "it has an entry");
            let longer = [bytes, &[0xa5; 64]].concat();
            assert!(check_bytes(&longer, path).is_ok(), "more behind it");
            let note = bytes.windows(PVH.len()).position(|part| part == PVH).unwrap_or_default();
            assert!(check_bytes(&bytes[..note + PVH.len() - 1], path).is_err(), "cut before there is a whole note");
        }
        Err(error) => assert!(error.to_string().contains("image")),
    }
}
