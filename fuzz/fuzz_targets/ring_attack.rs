#![no_main]

#[path = "../targets/ring_attack.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| target::run(input));
