//! What a peer may say on the socket of shared memory.
#![no_main]

use fabric::shm::greeting::Said;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(said) = Said::parse(input) {
        let bytes = said.emit();
        assert_eq!(Said::parse(&bytes), Ok(said), "what is read is what is written");
    }
});
