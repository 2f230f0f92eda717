//! The virtio-net header in front of frames: what is understood is written back with the same meaning.
#![no_main]

use minet::VirtioNet;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some(read) = VirtioNet::parse(input) {
        assert!(input.len() >= VirtioNet::LEN);
        assert_eq!(VirtioNet::parse(&read.emit()), Some(read));
    } else {
        assert!(input.len() < VirtioNet::LEN);
    }
});
