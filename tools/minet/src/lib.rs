//! The daemon of a MINET node, and what the command `minet` needs to talk to it.
//!
//! It joins the rooms that do not know each other: `messenger-core` concludes, `minet` decides on frames, `fabric`
//! carries, `netif` is the host's interface. It has no protocol of its own but the control socket's.
//!
//! ```no_run
//! let config = minet_node::Config::from_toml("name = \"a\"")?;
//! minet_node::run(config)?; // until SIGTERM
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod cli;
mod clock;
mod config;
pub mod control;
mod daemon;
mod iop_process;
mod lane;
mod seldom;
mod snapshot;
mod socket;
pub mod trust;
mod userspace;

pub use config::{
    Cidr, Config, ConfigError, Ether, Expose, FABRIC, Forward, ForwardError, IOP_IMAGE, Iop, IopKind, Mode, Overrides,
    RUN_DIR, STATE_DIR, Segment, Serial, SerialArg, TrustConfig,
};
pub use daemon::{DaemonError, run};
pub use iop_process::ProcessError;
pub use userspace::UserspaceError;
