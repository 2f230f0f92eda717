//! The daemon of a MINET node, and what the command `minet` needs to talk to it.
mod config;
pub use config::{Cidr, Config, ConfigError, FABRIC, Mode, Overrides, RUN_DIR, Segment};
