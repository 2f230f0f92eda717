//! Two ends in one process.
/// One end.
pub struct End;
