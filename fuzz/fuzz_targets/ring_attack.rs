//! A ring whose memory changes under it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fabric_ring::model::attack(input));
