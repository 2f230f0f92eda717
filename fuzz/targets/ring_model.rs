//! Steps of both ends of a ring, compared with the model.

pub fn run(input: &[u8]) {
    fabric_ring::model::run(input);
}
