//! The virtio-net header in front of frames: what is understood is written back with the same meaning.
use minet::VirtioNet;

pub fn run(input: &[u8]) {
    if let Some(read) = VirtioNet::parse(input) {
        assert!(input.len() >= VirtioNet::LEN);
        assert_eq!(VirtioNet::parse(&read.emit()), Some(read));
    } else {
        assert!(input.len() < VirtioNet::LEN);
    }
}
