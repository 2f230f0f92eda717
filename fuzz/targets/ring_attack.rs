//! A ring whose memory changes under it.

pub fn run(input: &[u8]) {
    fabric_ring::model::attack(input);
}
