//! The test harness: network namespaces, cables and bridges between them, and `minet` nodes inside.
//!
//! Everything made here belongs to this process and goes with it: on drop (a panic too), on SIGINT, SIGTERM and
//! SIGHUP, and after a SIGKILL by a guard, or at the next start of any process that uses the harness. Every command's exit
//! status is checked. Nothing waits by sleeping: [`eventually`] looks until it sees.
//!
//! It drives the command `minet` from outside and knows no other room, so `xtask` uses it as well as the tests.
//!
//! ```no_run
//! use minet_tests::{Config, Net, Node, SOON};
//! # fn main() -> minet_tests::Result<()> {
//! let net = Net::new()?;
//! let (left, right) = (net.space("a")?, net.space("b")?);
//! let a = Node::start(&net, &left, Config::new("a", 1))?;
//! let _b = Node::start(&net, &right, Config::new("b", 2))?;
//! a.wait_members(2, SOON)?;
//! left.run("ping", &["-c", "1", "10.77.0.2"])?;
//! # Ok(()) }
//! ```

mod config;
mod dhcp;
mod error;
mod guard;
mod iperf;
mod multicast;
mod netns;
mod node;
mod owner;
mod ping;
mod process;
mod ssh;
mod sys;
mod underlay;
mod usage;
mod wait;

pub use config::{Config, Trust};
pub use dhcp::DhcpServer;
pub use error::{Error, Result};
pub use iperf::{Iperf, IperfReport};
pub use multicast::Listener;
pub use netns::{Netns, Traffic};
pub use node::{Node, minet_binary, xtask_binary};
pub use owner::{
    Net, clean_leftovers, clean_up_on_signals, leave_the_end_to_signals, left_behind, left_by, undisturbed,
};
pub use ping::{Ping, PingReport, Pinging};
pub use process::{OWNER, Output, Process, children, command_line, run, run_for};
pub use ssh::Sshd;
pub use underlay::{bridge, cable};
pub use usage::{exact_processor_seconds, processor_seconds, processor_times, proportional_kib};
pub use wait::{SOON, eventually};
