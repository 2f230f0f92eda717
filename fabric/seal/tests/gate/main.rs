//! Two gates that talk, lose, repeat, alter and lie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at what it did not expect")]

mod attack;
mod classes;
mod clauses;
mod flood;
mod life;
mod pair;
mod random;
mod trust;
