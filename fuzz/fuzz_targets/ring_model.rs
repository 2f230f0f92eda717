//! Steps of both ends of a ring, compared with the model.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fabric_ring::model::run(input));
