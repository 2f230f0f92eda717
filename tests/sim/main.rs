//! A fabric in one process, under a virtual clock and a seed: real nodes of `messenger-core`, each with a real
//! `minet::Switch` and `Table`, joined by cables that lose, repeat, reorder, delay and break.
//!
//! A failure prints its seed and the state of every node. `MINET_SIM_SEED=<seed>` runs that seed alone,
//! `MINET_SIM_RUNS=<n>` so many seeds instead of the usual number.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at what it did not expect")]

mod cable;
mod check;
mod failover;
mod frames;
mod impostor;
mod members;
mod messages;
mod quality;
mod random;
mod rng;
mod sizes;
mod station;
mod world;
