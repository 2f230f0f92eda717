//! The command line.

use super::{
    message_args::{BcastArgs, Outgoing, RecvArgs, SendArgs, TraceArgs, WatchArgs},
    values::{patience, pause, seconds, socket},
};
use crate::{Cidr, Expose, Forward, Mode, SerialArg};
use clap::{Parser, Subcommand, ValueEnum, ValueHint};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Ethernet over messages: a network interface whose peers are the other nodes of a Messenger fabric.
#[derive(Debug, Parser)]
#[command(name = "minet", version, propagate_version = true)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node: make its interface and join the fabric
    Run(Box<RunArgs>),
    /// Show the node itself
    Status(Look),
    /// Show all members of the fabric
    Nodes(Look),
    /// Show all links and why they are as they are
    Links(Look),
    /// Show what happened of late: links, conduits, members
    Events(EventsArgs),
    /// Show all ports
    Ports(Look),
    /// Show all counters
    Stats(StatsArgs),
    /// Show all objects and queues: ports, paths, tickets that wait and since when, streams
    Dump(Look),
    /// Show messages, receipts and responses as they go through
    Trace(TraceArgs),
    /// Show the node's I/O processors, or tell one what to do
    Iop(IopArgs),
    /// Be an I/O processor that is a process: started by a node
    #[command(hide = true)]
    IopProcess {
        /// Its name, for those who look at processes
        name: Option<String>,
        /// Where it listens for a node that is started anew
        door: Option<PathBuf>,
    },
    /// Take an image and be the I/O processor that it is: started by a node
    #[command(hide = true)]
    IopLoad {
        /// Its name, for those who look at processes
        name: String,
        /// Where images are kept: endings are added
        store: PathBuf,
        /// Where it listens for a node that is started anew
        door: Option<PathBuf>,
    },
    /// Measure the way to a member, beneath the interface
    Ping(PingArgs),
    /// Send a message to ports of any node
    Send(Box<SendArgs>),
    /// Send a message to the ports of a name on all other nodes, and show each node's receipt
    Bcast(BcastArgs),
    /// Send a request to ports of any node, and print their answers
    Call(Box<Outgoing>),
    /// Receive messages: open a port of this name and print what comes
    Recv(Box<RecvArgs>),
    /// Watch ports come and go
    Watch(WatchArgs),
    /// Make or show the key pair of a node
    #[command(subcommand)]
    Key(KeyCommand),
    /// Invite a new node: print a text that lets it join once
    Invite(InviteArgs),
    /// Join a fabric with an invitation: make this node's key and configuration
    Join(JoinArgs),
    /// Take this node out without loss: others go around it, what is under way is finished, then it leaves
    Drain(DrainArgs),
    /// Take a node off the list of those that may join; its links end at once
    Revoke(RevokeArgs),
    /// Show the version of the program, of the wire format and of the control protocol
    Version {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script for a shell
    Completion {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory, or print the main one
    Man {
        /// Where to write them
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

/// `minet run`
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Configuration file (TOML); what is given on the command line wins
    #[arg(long, short, env = "MINET_CONFIG", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Only check the configuration: say what the node would be, or what is wrong (exit status 2); nothing is touched
    #[arg(long)]
    pub check: bool,
    /// Name of the node [default: the host's name]
    #[arg(long, short)]
    pub name: Option<String>,
    /// Number of the node, 1 to 4294967294 [default: computed from the name]
    #[arg(long)]
    pub id: Option<u32>,
    /// The fabric to join; only nodes of one fabric link up [default: default]
    #[arg(long)]
    pub fabric: Option<String>,
    /// Where the sockets of this host's nodes are [default: /run/minet]
    #[arg(long, env = "MINET_RUN_DIR", value_hint = ValueHint::DirPath)]
    pub run_dir: Option<PathBuf>,
    /// Name of the first segment's interface [default: minet0]
    #[arg(long)]
    pub interface: Option<String>,
    /// MTU of the first segment's interface in bytes [default: 1500; 65000 where all carriers stay on the host]
    #[arg(long)]
    pub mtu: Option<u32>,
    /// Address with prefix length for the first segment's interface, may be repeated [default: derived from the number]
    #[arg(long)]
    pub address: Vec<Cidr>,
    /// How the first segment's interface shows frames [default: tap]
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Stations may be behind the first segment's interface: it is in a bridge
    #[arg(long)]
    pub learn: bool,
    /// Do not pass on what is meant for other nodes
    #[arg(long)]
    pub no_relay: bool,
    /// Listen for UDP at this address and port
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = socket)]
    pub listen: Option<SocketAddr>,
    /// Greet a peer by UDP at this address and port, may be repeated
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = socket)]
    pub peer: Vec<SocketAddr>,
    /// Carry on the Ethernet of this interface too, may be repeated
    #[arg(long)]
    pub ether: Vec<String>,
    /// Carry on this serial device too, DEVICE or DEVICE:SPEED, may be repeated
    #[arg(long)]
    pub serial: Vec<SerialArg>,
    /// File with the node's key pair, which seals UDP and raw Ethernet
    #[arg(long, env = "MINET_KEY", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
    /// Accept clear text: UDP and raw Ethernet without a key
    #[arg(long)]
    pub insecure: bool,
    /// Become this user when the key was read, by name or number; only what is needed of root's capabilities is kept
    #[arg(long)]
    pub user: Option<String>,
    /// Do not link to nodes of this host through shared memory
    #[arg(long)]
    pub no_shm: bool,
    /// Queues of every interface, one lane (thread) each, 1 to 8 [default: 1]
    #[arg(long)]
    pub queues: Option<usize>,
    /// Bind lanes to these processors, in turn: `0` or `0,2` [default: free]
    #[arg(long, value_delimiter = ',')]
    pub cpus: Vec<usize>,
    /// Write every message on the carriers to a capture file
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub pcap: Option<PathBuf>,
    /// Whose TCP/IP the first segment has: the host's through an interface, or one in this process, which needs no root
    #[arg(long, value_name = "STACK")]
    pub stack: Option<StackArg>,
    /// With `--stack smoltcp`: pass connections to a port of this host on to a node, may be repeated
    #[arg(long, value_name = "[ADDRESS:]PORT:NODE:PORT")]
    pub forward: Vec<Forward>,
    /// With `--stack smoltcp`: pass connections to a port of this node on to this host, may be repeated
    #[arg(long, value_name = "PORT:ADDRESS:PORT")]
    pub expose: Vec<Expose>,
    /// Start an I/O processor of this name: a bare machine in QEMU that joins the first segment, may be repeated
    #[arg(long)]
    pub iop: Vec<String>,
    /// Start an I/O processor of this name that is a process: it needs neither QEMU nor root, may be repeated
    #[arg(long)]
    pub iop_process: Vec<String>,
    /// The image that I/O processors run [default: /usr/lib/minet/iop-x86_64]
    #[arg(long, env = "MINET_IOP_IMAGE", value_hint = ValueHint::FilePath)]
    pub iop_image: Option<PathBuf>,
    /// Log level [default: info; the variable MINET_LOG takes filters]
    #[arg(long, value_name = "LEVEL", value_parser = ["off", "error", "warn", "info", "debug", "trace"])]
    pub log: Option<String>,
}

/// Whose TCP/IP an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StackArg {
    /// The host's kernel, through a TAP interface
    Kernel,
    /// smoltcp in this process: no interface of the host, no root
    Smoltcp,
}

/// Which daemon to ask, and how to print.
#[derive(Clone, Debug, clap::Args)]
pub struct At {
    /// Name of the node on this host; not needed when only one runs
    #[arg(long, short)]
    pub name: Option<String>,
    /// Its fabric
    #[arg(long, default_value = crate::FABRIC)]
    pub fabric: String,
    /// Where its sockets are
    #[arg(long, env = "MINET_RUN_DIR", default_value = crate::RUN_DIR, value_hint = ValueHint::DirPath)]
    pub run_dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which daemon to ask, perhaps about another node.
#[derive(Clone, Debug, clap::Args)]
pub struct Look {
    /// Name or number of another node that is to answer
    #[arg(long, value_name = "NODE")]
    pub on: Option<String>,
    /// Which daemon to ask
    #[command(flatten)]
    pub at: At,
}

/// `minet events`
#[derive(Clone, Debug, clap::Args)]
pub struct EventsArgs {
    /// Go on and show what happens, until interrupted; with --json a line for each event
    #[arg(long, short)]
    pub follow: bool,
    /// Which
    #[command(flatten)]
    pub look: Look,
}

/// `minet stats`
#[derive(Clone, Debug, clap::Args)]
pub struct StatsArgs {
    /// Begin all counters anew after showing them
    #[arg(long, conflicts_with = "on")]
    pub reset: bool,
    /// Show them again every so many seconds, 1 unless told otherwise, until interrupted; with --json a line each time
    #[arg(long, short, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", conflicts_with = "reset",
        value_parser = pause, allow_negative_numbers = true)]
    pub watch: Option<Duration>,
    /// Which
    #[command(flatten)]
    pub look: Look,
}

impl At {
    /// Where that daemon's sockets are.
    pub fn place(&self) -> messenger::Place {
        messenger::Place { run_dir: self.run_dir.clone(), fabric: self.fabric.clone(), name: self.name.clone() }
    }
}

/// `minet iop`
#[derive(Debug, clap::Args)]
pub struct IopArgs {
    /// What to do
    #[command(subcommand)]
    pub command: IopCommand,
}

/// What can be done with I/O processors.
#[derive(Debug, Subcommand)]
pub enum IopCommand {
    /// Show all
    List(At),
    /// Show everything about one
    Show(OneIop),
    /// Insert one while the node runs, and start it
    Add(AddIop),
    /// Take one out in order: what is under way is finished before
    Remove(OneIop),
    /// Start one that is in reset, on hold or failed
    Boot(OneIop),
    /// Have one begin anew
    Reset(OneIop),
    /// Stop one in order until it is booted again
    Hold(OneIop),
    /// Have nobody send one anything new
    Quiesce(OneIop),
    /// Take that back
    Enable(OneIop),
    /// Show the latest lines of one's console
    Console(OneIop),
    /// Show what happened to one of late
    Log(OneIop),
    /// Tell what happens to one as it happens, until it ends
    Watch(OneIop),
    /// Show what one counted, as it tells by a message
    Stats(OneIop),
}

/// `minet iop add`
#[derive(Debug, clap::Args)]
pub struct AddIop {
    /// Its number [default: computed from the name]
    #[arg(long)]
    pub id: Option<u32>,
    /// It is a process of the node's host instead of a machine
    #[arg(long, conflicts_with = "qemu")]
    pub process: bool,
    /// The image it runs [default: /usr/lib/minet/iop-x86_64; of a process the program `minet` itself]
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,
    /// The program it runs on [default: qemu-system-x86_64 or qemu-system-riscv64, as the image is]
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub qemu: Option<PathBuf>,
    /// Its name, and which daemon to ask
    #[command(flatten)]
    pub one: OneIop,
}

/// Which I/O processor.
#[derive(Debug, clap::Args)]
pub struct OneIop {
    /// Its name
    pub iop: String,
    /// Which daemon to ask
    #[command(flatten)]
    pub at: At,
}

/// `minet key`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new key pair in a file that only you can read, and print the public key
    New {
        /// The file, which must not be there yet
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Print the public key of a key file
    Show {
        /// The file
        #[arg(env = "MINET_KEY", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// `minet invite`
#[derive(Debug, clap::Args)]
pub struct InviteArgs {
    /// Name of the new node
    pub new_node: String,
    /// Number of the new node, 1 to 4294967294 [default: computed from the name]
    #[arg(long)]
    pub id: Option<u32>,
    /// Where the new node finds this one by UDP [default: where this one listens]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = socket)]
    pub contact: Option<SocketAddr>,
    /// Minutes until the invitation expires
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=43_200))]
    pub minutes: u64,
    /// Which daemon to ask
    #[command(flatten)]
    pub at: At,
}

/// `minet join`
#[derive(Debug, clap::Args)]
pub struct JoinArgs {
    /// The invitation
    #[arg(env = "MINET_INVITATION", hide_env_values = true)]
    pub invitation: String,
    /// Directory for the key (`NAME.key`, kept when it is there) and the configuration (`NAME.toml`)
    #[arg(long, default_value = "/etc/minet", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Where the node will listen for UDP
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:7400", value_parser = socket)]
    pub listen: SocketAddr,
}

/// `minet revoke`
#[derive(Debug, clap::Args)]
pub struct RevokeArgs {
    /// Name or number of the member, or of the node that was invited
    pub member: String,
    /// Which daemon to ask
    #[command(flatten)]
    pub at: At,
}

/// `minet drain`
#[derive(Debug, clap::Args)]
pub struct DrainArgs {
    /// Take it back: the node stays
    #[arg(long)]
    pub undo: bool,
    /// Seconds to wait until it has left; it goes on to leave after that
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// Which daemon to ask
    #[command(flatten)]
    pub at: At,
}

/// `minet ping`
#[derive(Debug, clap::Args)]
pub struct PingArgs {
    /// Name or number of the member
    pub node: String,
    /// How many requests
    #[arg(long, short, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..),
        allow_negative_numbers = true)]
    pub count: u32,
    /// Seconds between two requests
    #[arg(long, short, value_name = "SECONDS", default_value = "0.2", value_parser = seconds,
        allow_negative_numbers = true)]
    pub interval: Duration,
    /// Seconds to wait for each answer
    #[arg(long, short = 'W', value_name = "SECONDS", default_value = "1", value_parser = patience,
        allow_negative_numbers = true)]
    pub timeout: Duration,
    /// Bytes of payload
    #[arg(long, short, default_value_t = 56, value_parser = clap::value_parser!(u64).range(0..=1024))]
    pub size: u64,
    /// Which daemon to ask
    #[command(flatten)]
    pub at: At,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_value_that_is_none_is_refused_with_what_is_allowed() {
        for (args, allowed) in [
            (&["ping", "b", "--timeout=-1"][..], "0.001 to 60"),
            (&["ping", "b", "-W", "-1"], "0.001 to 60"),
            (&["ping", "b", "--interval", "-0.5"], "0 to 31536000"),
            (&["ping", "b", "--count", "0"], "1.."),
            (&["send", "--to", "x", "--timeout", "-1", "hi"], "0 to 31536000"),
            (&["call", "--to", "x", "--timeout=soon", "hi"], "0 to 31536000"),
            (&["bcast", "x", "--timeout=nan", "hi"], "0 to 31536000"),
            (&["recv", "x", "--timeout", "-1"], "0 to 31536000"),
            (&["recv", "x", "--retain=1e99"], "0 to 31536000"),
            (&["watch", "x", "--timeout", "-1"], "0 to 31536000"),
            (&["trace", "--timeout", "-1"], "0 to 31536000"),
            (&["stats", "--watch", "0"], "0.1 to 31536000"),
            (&["run", "--log", "loud"], "possible values: off, error, warn"),
            (&["run", "--listen", "here"], "such as 192.0.2.1:7400"),
            (&["run", "--peer", "192.0.2.1"], "such as 192.0.2.1:7400"),
        ] {
            let error = Args::try_parse_from([&["minet"], args].concat()).unwrap_err();
            let said = error.to_string();
            assert!(said.contains("invalid value") && said.contains(allowed), "{args:?}: {said}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn what_people_type_is_understood() {
        let args = Args::parse_from(["minet", "events", "-f", "--json"]);
        assert!(matches!(args.command, Command::Events(e) if e.follow && e.look.at.json));
        for (args, every) in [(&["--watch"][..], 1000), (&["--watch", "2.5"], 2500), (&["-w", "--json"], 1000)] {
            let args = Args::parse_from([&["minet", "stats"], args].concat());
            let Command::Stats(stats) = args.command else { panic!() };
            assert_eq!(stats.watch, Some(Duration::from_millis(every)));
        }
        let args = Args::parse_from(["minet", "run", "--check", "--mode", "tun", "--learn", "--no-relay"]);
        let Command::Run(run) = args.command else { panic!() };
        assert_eq!((run.check, run.mode, run.learn, run.no_relay), (true, Some(Mode::Tun), true, true));
        assert!(Args::try_parse_from(["minet", "run", "--mode", "bridge"]).is_err());
        let args = Args::parse_from(["minet", "ping", "b", "-c", "3", "--json"]);
        assert!(matches!(args.command, Command::Ping(p) if p.node == "b" && p.count == 3 && p.at.json));
        let args = Args::parse_from(["minet", "run", "--name", "a", "--address", "10.0.0.1/8", "--peer", "[::1]:7400"]);
        assert!(matches!(args.command, Command::Run(r) if r.address.len() == 1 && r.peer.len() == 1));
        assert!(Args::try_parse_from(["minet", "run", "--address", "10.0.0.1"]).is_err());
        let words = ["--stack", "smoltcp", "--forward", "8080:node7:80", "--expose", "22:127.0.0.1:22"];
        let args = Args::parse_from([&["minet", "run"][..], &words].concat());
        let Command::Run(run) = args.command else { panic!() };
        assert_eq!((run.stack, run.forward.len(), run.expose.len()), (Some(StackArg::Smoltcp), 1, 1));
        assert!(Args::try_parse_from(["minet", "run", "--forward", "8080"]).is_err());
        let args = Args::parse_from(["minet", "iop", "reset", "io1", "--name", "a"]);
        let Command::Iop(IopArgs { command: IopCommand::Reset(one) }) = args.command else { panic!() };
        assert_eq!((&*one.iop, one.at.name.as_deref()), ("io1", Some("a")));
        let args =
            Args::parse_from(["minet", "send", "--to", "x", "--on", "b", "--confirm", "--priority", "high", "hi"]);
        let Command::Send(send) = args.command else { panic!() };
        let to = messenger::To::On { node: "b".into(), name: "x".into() };
        assert_eq!((send.message.to(), send.confirm, send.message.text.as_deref()), (Some(to), true, Some("hi")));
        for wrong in [&["hi"][..], &["hi", "--to", "x", "--all", "x"], &["hi", "--all", "x", "--on", "b"]] {
            assert!(Args::try_parse_from([&["minet", "call"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }
}
