//! What a peer may say on the socket of shared memory.
use fabric::shm::greeting::Said;

pub fn run(input: &[u8]) {
    if let Ok(said) = Said::parse(input) {
        let bytes = said.emit();
        assert_eq!(Said::parse(&bytes), Ok(said), "what is read is what is written");
    }
}
