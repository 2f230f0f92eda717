//! The command line of the verbs for messages.

use super::{args::At, values::seconds};
use clap::{Args, ValueEnum};
use messenger::{Priority, To};
use std::time::Duration;

/// Whom a message is for.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// To the first port of this name
    #[arg(long, value_name = "NAME")]
    pub to: Option<String>,
    /// To every port that this pattern matches: `disk/*`, `kind=disk speed>=100`
    #[arg(long)]
    pub pattern: Option<String>,
    /// To the port of this name on every other node
    #[arg(long, value_name = "NAME")]
    pub all: Option<String>,
}

/// Which of a port's four areas it is for.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Urgency {
    /// Before all others
    Urgent,
    /// Before the usual
    High,
    /// The usual
    #[default]
    Normal,
    /// After the usual
    Low,
}

impl From<Urgency> for Priority {
    fn from(urgency: Urgency) -> Priority {
        match urgency {
            Urgency::Urgent => Priority::Urgent,
            Urgency::High => Priority::High,
            Urgency::Normal => Priority::Normal,
            Urgency::Low => Priority::Low,
        }
    }
}

/// How a message is sent.
#[derive(Clone, Debug, Args)]
pub struct How {
    /// Which area of a port it is for
    #[arg(long, value_enum, default_value_t)]
    pub priority: Urgency,
    /// A number for the receiver
    #[arg(long, default_value_t = 0)]
    pub tag: u32,
    /// Seconds to wait for receipts or answers
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Duration,
    /// Which daemon to ask
    #[command(flatten)]
    pub at: At,
}

/// A message.
#[derive(Clone, Debug, Args)]
pub struct Outgoing {
    /// What it says [default: standard input]
    pub text: Option<String>,
    /// Whom it is for
    #[command(flatten)]
    pub target: Target,
    /// Name or number of the node whose port is meant
    #[arg(long, value_name = "NODE", conflicts_with_all = ["pattern", "all"])]
    pub on: Option<String>,
    /// How it is sent
    #[command(flatten)]
    pub how: How,
}

impl Outgoing {
    /// Whom it is for.
    pub fn to(&self) -> Option<To> {
        let Target { to, pattern, all } = self.target.clone();
        let named = to.map(|name| match self.on.clone() {
            Some(node) => To::On { node, name },
            None => To::Name(name),
        });
        named.or(pattern.map(To::Pattern)).or(all.map(To::Everywhere))
    }
}

/// `minet send`
#[derive(Clone, Debug, Args)]
pub struct SendArgs {
    /// Wait until each target's node says that it has the message
    #[arg(long)]
    pub confirm: bool,
    /// The message
    #[command(flatten)]
    pub message: Outgoing,
}

/// `minet bcast`
#[derive(Clone, Debug, Args)]
pub struct BcastArgs {
    /// Name of the ports
    #[arg(value_name = "NAME")]
    pub port: String,
    /// What it says [default: standard input]
    pub text: Option<String>,
    /// How it is sent
    #[command(flatten)]
    pub how: How,
}

impl BcastArgs {
    /// The same as a message that is confirmed.
    pub fn send(&self) -> SendArgs {
        let BcastArgs { port, text, how } = self.clone();
        let target = Target { to: None, pattern: None, all: Some(port) };
        SendArgs { confirm: true, message: Outgoing { text, target, on: None, how } }
    }
}

/// `minet trace`
#[derive(Clone, Debug, Args)]
pub struct TraceArgs {
    /// Only to or from this node
    #[arg(long)]
    pub node: Option<String>,
    /// Only to or from ports of this name
    #[arg(long)]
    pub port: Option<String>,
    /// Only what was sent to this name or pattern
    #[arg(long, value_name = "NAME")]
    pub path: Option<String>,
    /// Only of this operation code
    #[arg(long)]
    pub opcode: Option<u16>,
    /// End after so many messages
    #[arg(long, short)]
    pub count: Option<u64>,
    /// End when nothing went through for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Bytes of each payload to take, at most 512
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(0..=512))]
    pub snap: u16,
    /// Write the messages to a capture file, too, for Wireshark with tools/wireshark/minet.lua
    #[arg(long, value_hint = clap::ValueHint::FilePath)]
    pub pcap: Option<std::path::PathBuf>,
    /// Which daemon to ask
    #[command(flatten)]
    pub at: At,
}

/// `minet recv`
#[derive(Clone, Debug, Args)]
pub struct RecvArgs {
    /// Name of the port; it is opened if it is not there, and taken over if it lost its receiver
    pub port: String,
    /// End after so many messages
    #[arg(long, short)]
    pub count: Option<u64>,
    /// End when none came for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Print what came byte for byte, with no end of line behind it
    #[arg(long)]
    pub raw: bool,
    /// Answer every message that wants it with this; without it who asked is refused when this process ends
    #[arg(long, value_name = "TEXT")]
    pub answer: Option<String>,
    /// Keep the port and its messages for so many seconds after the end
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub retain: Option<Duration>,
    /// What kind of thing the port is
    #[arg(long)]
    pub kind: Option<String>,
    /// A property of the port, may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = property)]
    pub property: Vec<(String, String)>,
    /// The name is unique on the whole fabric
    #[arg(long)]
    pub fabric_wide: bool,
    /// Bytes that the port holds of each priority
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20)]
    pub room: u32,
    /// Which daemon to ask
    #[command(flatten)]
    pub at: At,
}

/// `minet watch`
#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// Which ports: `disk/*`, `kind=disk speed>=100`
    pub pattern: String,
    /// End after so many changes
    #[arg(long, short)]
    pub count: Option<u64>,
    /// End when nothing changed for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Which daemon to ask
    #[command(flatten)]
    pub at: At,
}

fn property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a property is KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
