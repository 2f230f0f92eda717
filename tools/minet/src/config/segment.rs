//! Interfaces, one a segment.

use super::{Cidr, ConfigError, Expose, Forward, MTU, MTU_ON_ONE_HOST, check, name};
use messenger_core::Name;
use serde::Deserialize;

/// How an interface shows frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// TAP with offloads: the fast one
    #[default]
    Tap,
    /// TAP without offloads
    Plain,
    /// TUN: IP packets without an Ethernet header
    Tun,
    /// No interface of the host: TCP/IP in this process
    Smoltcp,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The broadcast domain it joins.
    pub name: Name,
    /// The interface's name on this host.
    pub interface: String,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// How it shows frames.
    pub mode: Mode,
    /// Addresses to set; `None` to derive them from the node's number.
    pub addresses: Option<Vec<Cidr>>,
    /// It stays, with its addresses, when the daemon ends, and the next start takes it over.
    pub keep: bool,
    /// Stations may be behind it (it is in a bridge).
    pub learn: bool,
    /// Broadcast frames a second that one source may send.
    pub broadcast_limit: u32,
    /// Ports of this host that lead to nodes; with a user-space stack.
    pub forwards: Vec<Forward>,
    /// Ports of the interface that lead to this host; with a user-space stack.
    pub exposes: Vec<Expose>,
}

/// One in the file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SegmentFile {
    pub(super) name: Option<String>,
    pub(super) interface: Option<String>,
    pub(super) mtu: Option<u32>,
    #[serde(default)]
    pub(super) mode: Mode,
    pub(super) addresses: Option<Vec<Cidr>>,
    pub(super) queues: Option<usize>,
    pub(super) keep: Option<bool>,
    pub(super) learn: Option<bool>,
    pub(super) broadcast_limit: Option<u32>,
    #[serde(default)]
    pub(super) forward: Vec<Forward>,
    #[serde(default)]
    pub(super) expose: Vec<Expose>,
}

pub(super) fn segment(file: SegmentFile, on_one_host: bool) -> Result<Segment, ConfigError> {
    let userspace = file.mode == Mode::Smoltcp;
    let interface = file.interface.unwrap_or_else(|| if userspace { "smoltcp" } else { "minet0" }.into());
    let learn = file.learn.unwrap_or(false);
    // Memory carries any size, and a large one costs the kernel less. A bridge would take it over for all its ports.
    let large = on_one_host && matches!(file.mode, Mode::Tap | Mode::Smoltcp) && !learn;
    let mtu = file.mtu.unwrap_or(if large { MTU_ON_ONE_HOST } else { MTU });
    let fine = (1..=15).contains(&interface.len())
        && !interface.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control() || c == '%')
        && !matches!(&*interface, "." | "..");
    check("segment.interface", &interface, fine, "it must have 1 to 15 characters, no `/`, `:`, `%` or white space")?;
    check("segment.mtu", mtu, (576..=65_521).contains(&mtu), "it must be 576 to 65521")?;
    if userspace {
        let few = file.addresses.as_ref().is_none_or(|all| all.len() <= 4);
        check("segment.addresses", &interface, few, "a user-space stack (`mode = \"smoltcp\"`) has at most 4")?;
        check("segment.learn", learn, !learn, "there are no stations behind a user-space stack")?;
        check("segment.mtu", mtu, mtu >= 1280, "a user-space stack needs at least 1280")?;
    }
    let allowed = "it needs a user-space stack (`mode = \"smoltcp\"` or `--stack smoltcp`)";
    if let Some(forward) = file.forward.first() {
        check("segment.forward", forward, userspace, allowed)?;
    }
    if let Some(expose) = file.expose.first() {
        check("segment.expose", expose, userspace, allowed)?;
    }
    for (i, one) in file.forward.iter().enumerate() {
        let twice = file.forward.iter().take(i).any(|other| other.listen == one.listen);
        check("segment.forward", one, !twice, "two forwards cannot listen at one port")?;
    }
    for (i, one) in file.expose.iter().enumerate() {
        let twice = file.expose.iter().take(i).any(|other| other.port == one.port);
        check("segment.expose", one, !twice, "a port of the interface leads to one place")?;
    }
    let keep = file.keep.unwrap_or(false);
    check("segment.keep", keep, !keep || file.mode == Mode::Tap, "only an interface of mode `tap` can be kept")?;
    Ok(Segment {
        keep,
        name: name("segment.name", file.name.as_deref().unwrap_or("lan"))?,
        interface,
        mtu,
        mode: file.mode,
        addresses: file.addresses,
        learn,
        broadcast_limit: file.broadcast_limit.unwrap_or(10_000),
        forwards: file.forward,
        exposes: file.expose,
    })
}
