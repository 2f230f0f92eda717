//! behind
