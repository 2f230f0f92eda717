//! The Message Passing Service for C: the library `libmps`, and `include/mps.h`.
//!
//! It is the crate `messenger-mps` behind the names of the source document. C has no owners, so this room keeps what they are
//! for: tables of the handles, buffers and received messages that are live, so that one that is null, stale or foreign is
//! refused and not followed. Messages, timers and what is outstanding are not here: they are the daemon's.
//!
//! `include/mps.h` is made by `cbindgen` from `src/sys` and the statuses of `messenger-mps`; `tests/header.rs` checks that it is the
//! one that belongs to the code, and writes it with `MPS_HEADER=write`.

mod library;
mod sys;
