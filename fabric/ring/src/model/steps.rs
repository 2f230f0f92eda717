//! Stops the calling thread at a chosen store to shared memory, as a kill would.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

thread_local! {
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
}

struct Killed;

/// Called before each store.
pub(crate) fn step() {
    let kill = LEFT.with(|left| match left.get() {
        Some(0) => true,
        Some(n) => {
            left.set(Some(n - 1));
            false
        }
        None => false,
    });
    if kill {
        LEFT.set(None);
        resume_unwind(Box::new(Killed));
    }
}

/// Runs `body` and kills it before its store number `n`. `true` when it was killed, `false` when it came to its end.
/// Whatever `body` owned must be forgotten by it, as a killed process runs no destructors: pass it in by reference.
pub fn kill_at(n: u64, body: impl FnOnce()) -> bool {
    LEFT.set(Some(n));
    let end = catch_unwind(AssertUnwindSafe(body));
    LEFT.set(None);
    match end {
        Ok(()) => false,
        Err(payload) if payload.is::<Killed>() => true,
        Err(other) => resume_unwind(other),
    }
}
