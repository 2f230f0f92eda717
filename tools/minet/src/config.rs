//! What a daemon is told: one TOML file, the command line over it, a default for every key.
//!
//! ```
//! let config = minet_node::Config::from_toml("name = \"a\"\n[[segment]]\nmtu = 9000\n").unwrap();
//! assert_eq!(config.segments[0].mtu, 9000);
//! ```

mod address;
mod forward;
mod iop;
mod media;
mod segment;
mod trust;

use messenger_core::{Name, NameError, NodeId, Policy};
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use address::Cidr;
pub use forward::{Expose, Forward, ForwardError};
pub use iop::{IOP_IMAGE, IOPS, Iop, IopKind};
pub use media::{Ether, Serial, SerialArg};
pub use segment::{Mode, Segment};
pub use trust::{STATE_DIR, TrustConfig};

use segment::{SegmentFile, segment};
use trust::{PeerFile, TrustFile};

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The text is not TOML, or a key is unknown or of the wrong type.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// The same, of a file.
    #[error("{path} is no configuration: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: toml::de::Error,
    },
    /// A name is none.
    #[error("key `{key}`: {source}")]
    Name {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
    /// A value is out of its bounds.
    #[error("key `{key}`: {} is not allowed, {allowed}", if value.is_empty() { "an empty text" } else { value })]
    Value {
        /// Which key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        allowed: &'static str,
    },
}

/// A whole configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The node's name.
    pub name: Name,
    /// Its number.
    pub id: NodeId,
    /// The fabric it belongs to.
    pub fabric: Name,
    /// Where sockets of this host's nodes are.
    pub run_dir: PathBuf,
    /// Carriers that leave the host may be in clear text.
    pub insecure: bool,
    /// The user that the daemon becomes, by name or number; none to stay who started it.
    pub user: Option<String>,
    /// The kernel refuses what the running daemon has no use for. Programs that it starts could not run either.
    pub seccomp: bool,
    /// Passes on what is meant for others.
    pub relay: bool,
    /// Queues of every interface, and lanes.
    pub queues: usize,
    /// How long a lane looks for work before it sleeps.
    pub spin: Duration,
    /// Processors that lanes are bound to, in turn; none to leave them free.
    pub cpus: Vec<usize>,
    /// A capture file of everything on the carriers.
    pub pcap: Option<PathBuf>,
    /// Links to other nodes of this host through shared memory.
    pub shm: bool,
    /// Bytes of a ring, a power of two.
    pub ring: usize,
    /// Where to listen for UDP.
    pub udp: Option<SocketAddr>,
    /// Peers to greet by UDP in clear text.
    pub peers: Vec<SocketAddr>,
    /// Ethernets to carry on.
    pub ethers: Vec<Ether>,
    /// Serial lines to carry on.
    pub serials: Vec<Serial>,
    /// What sealing needs; with it all UDP is sealed, and Ethernets are unless told otherwise; without it nothing is.
    pub trust: Option<TrustConfig>,
    /// An idle link gives a sign of life this often.
    pub heartbeat: Duration,
    /// A link is silent after so many of them.
    pub miss_limit: u32,
    /// What is demanded of links where there is a choice.
    pub policy: Policy,
    /// The interfaces.
    pub segments: Vec<Segment>,
    /// The I/O processors it starts.
    pub iops: Vec<Iop>,
    /// A directory where I/O processors are put in and taken out.
    pub iop_slots: Option<PathBuf>,
}

pub use messenger::{FABRIC, RUN_DIR};

/// MTU of an interface unless told otherwise, in bytes.
pub const MTU: u32 = 1500;
/// The same, of a node all of whose carriers stay on its host.
pub const MTU_ON_ONE_HOST: u32 = 65_000;

/// Processors that can be named.
const CPUS: usize = 1024;
/// Interfaces of one node.
const SEGMENTS: usize = 16;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    id: Option<u32>,
    fabric: Option<String>,
    run_dir: Option<PathBuf>,
    insecure: Option<bool>,
    user: Option<String>,
    seccomp: Option<bool>,
    relay: Option<bool>,
    queues: Option<usize>,
    spin_us: Option<u64>,
    cpus: Option<Vec<usize>>,
    pcap: Option<PathBuf>,
    #[serde(default)]
    shm: ShmFile,
    #[serde(default)]
    udp: UdpFile,
    #[serde(default)]
    peer: Vec<PeerFile>,
    #[serde(default)]
    ether: Vec<media::EtherFile>,
    #[serde(default)]
    serial: Vec<media::SerialFile>,
    #[serde(default)]
    trust: TrustFile,
    #[serde(default)]
    link: LinkFile,
    #[serde(default)]
    segment: Vec<SegmentFile>,
    #[serde(default)]
    iop: Vec<iop::IopFile>,
    iop_slots: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShmFile {
    enable: Option<bool>,
    ring_kib: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UdpFile {
    listen: Option<SocketAddr>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkFile {
    heartbeat_ms: Option<u64>,
    miss_limit: Option<u32>,
    detect_ms: Option<u64>,
    loss_percent: Option<u16>,
    delay_ms: Option<u64>,
    hold_ms: Option<u64>,
    damp: Option<bool>,
}

/// What the command line says over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--name`
    pub name: Option<String>,
    /// `--id`
    pub id: Option<u32>,
    /// `--fabric`
    pub fabric: Option<String>,
    /// `--run-dir`
    pub run_dir: Option<PathBuf>,
    /// `--interface`, of the first segment
    pub interface: Option<String>,
    /// `--mtu`, of the first segment
    pub mtu: Option<u32>,
    /// `--address`, of the first segment
    pub addresses: Vec<Cidr>,
    /// `--mode`, of the first segment
    pub mode: Option<Mode>,
    /// `--learn`, of the first segment
    pub learn: bool,
    /// `--no-relay`
    pub no_relay: bool,
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--peer`, in addition to the file's
    pub peers: Vec<SocketAddr>,
    /// `--ether`, in addition to the file's
    pub ethers: Vec<String>,
    /// `--serial`, in addition to the file's
    pub serials: Vec<SerialArg>,
    /// `--insecure`
    pub insecure: bool,
    /// `--user`
    pub user: Option<String>,
    /// `--key`
    pub key: Option<PathBuf>,
    /// `--no-shm`
    pub no_shm: bool,
    /// `--queues`
    pub queues: Option<usize>,
    /// `--cpus`
    pub cpus: Vec<usize>,
    /// `--pcap`
    pub pcap: Option<PathBuf>,
    /// `--stack`, of the first segment: whether it is in this process
    pub userspace: Option<bool>,
    /// `--forward`, in addition to the first segment's
    pub forwards: Vec<Forward>,
    /// `--expose`, in addition to the first segment's
    pub exposes: Vec<Expose>,
    /// `--iop`, in addition to the file's
    pub iops: Vec<String>,
    /// `--iop-process`, in addition to the file's
    pub iop_processes: Vec<String>,
    /// `--iop-image`, of all that are machines
    pub iop_image: Option<PathBuf>,
}

impl Config {
    /// From a file's text alone.
    pub fn from_toml(text: &str) -> Result<Config, ConfigError> {
        Config::new(Some(text), &Overrides::default())
    }

    /// From a file and the command line.
    pub fn load(path: Option<PathBuf>, over: &Overrides) -> Result<Config, ConfigError> {
        match path {
            None => Config::new(None, over),
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Config::new(Some(&text), over).map_err(|error| match error {
                    ConfigError::Syntax(source) => ConfigError::File { path, source },
                    other => other,
                }),
                Err(source) => Err(ConfigError::Read { path, source }),
            },
        }
    }

    /// Whether everything over UDP is sealed.
    pub fn is_sealed(&self) -> bool {
        self.udp.is_some() && self.trust.is_some()
    }

    /// Whether a carrier that `insecure` had to allow is in clear text.
    pub fn is_in_clear(&self) -> bool {
        self.udp.is_some() && !self.is_sealed() || self.ethers.iter().any(|ether| !ether.sealed)
    }

    /// Whether any carrier is sealed.
    pub fn seals_any(&self) -> bool {
        let mut media = self.ethers.iter().map(|e| e.sealed).chain(self.serials.iter().map(|s| s.sealed));
        self.is_sealed() || media.any(|sealed| sealed)
    }

    /// From a file's text and the command line.
    pub fn new(text: Option<&str>, over: &Overrides) -> Result<Config, ConfigError> {
        let mut file: File = text.map(toml::from_str).transpose()?.unwrap_or_default();
        if file.segment.is_empty() {
            file.segment.push(SegmentFile::default());
        }
        if let Some(first) = file.segment.first_mut() {
            first.interface = over.interface.clone().or(first.interface.take());
            first.mtu = over.mtu.or(first.mtu);
            first.mode = over.mode.unwrap_or(first.mode);
            first.learn = over.learn.then_some(true).or(first.learn);
            if !over.addresses.is_empty() {
                first.addresses = Some(over.addresses.clone());
            }
            first.mode = match (over.userspace, first.mode) {
                (Some(true), _) => Mode::Smoltcp,
                (Some(false), Mode::Smoltcp) => Mode::Tap,
                (_, mode) => mode,
            };
            first.forward.extend(over.forwards.iter().cloned());
            first.expose.extend(over.exposes.iter().cloned());
        }
        let name = name("name", &over.name.clone().or(file.name).unwrap_or_else(host_name))?;
        let id = match over.id.or(file.id) {
            None => NodeId::from_name(&name),
            Some(n) => NodeId::new(n).ok_or(value("id", n, "it must be 1 to 4294967294"))?,
        };
        let fabric = over.fabric.clone().or(file.fabric);
        let queues = over.queues.or(file.queues).or(file.segment.iter().filter_map(|s| s.queues).max()).unwrap_or(1);
        let ring_kib = file.shm.ring_kib.unwrap_or(1024);
        let heartbeat = file.link.heartbeat_ms.unwrap_or(500);
        let miss_limit = file.link.miss_limit.unwrap_or(4);
        let spin = file.spin_us.unwrap_or(50);
        let insecure = over.insecure || file.insecure.unwrap_or(false);
        let udp = over.listen.or(file.udp.listen);
        check("queues", queues, (1..=8).contains(&queues), "it must be 1 to 8")?;
        let cpus = if over.cpus.is_empty() { file.cpus.unwrap_or_default() } else { over.cpus.clone() };
        for cpu in &cpus {
            check("cpus", cpu, *cpu < CPUS, "a processor's number must be 0 to 1023")?;
        }
        check("spin_us", spin, spin <= 10_000, "it must be at most 10000")?;
        let ring_ok = (256..=65_536).contains(&ring_kib) && ring_kib.is_power_of_two();
        check("shm.ring_kib", ring_kib, ring_ok, "it must be a power of two from 256 to 65536")?;
        check("link.heartbeat_ms", heartbeat, (10..=60_000).contains(&heartbeat), "it must be 10 to 60000")?;
        check("link.miss_limit", miss_limit, (2..=100).contains(&miss_limit), "it must be 2 to 100")?;
        let policy = policy(&file.link)?;
        let fabric = self::name("fabric", fabric.as_deref().unwrap_or(FABRIC))?;
        let trust = trust::trust(file.trust, over.key.clone(), &file.peer, (&fabric, &name))?;
        let own = file.peer.iter().filter_map(|p| p.address);
        let peers: Vec<SocketAddr> = own.chain(over.peers.iter().copied()).collect();
        if let (Some(peer), None) = (peers.first(), udp) {
            return Err(value(
                "peer.address",
                peer,
                "a peer needs `udp.listen` to be set, for example \"0.0.0.0:7400\"",
            ));
        }
        match (udp, insecure, &trust) {
            (Some(listen), false, None) => {
                let allowed = "UDP needs a key: make one with `minet key new FILE` and name it in `trust.key` or with \
                               `--key` (`insecure = true` or `--insecure` accepts clear text instead)";
                return Err(value("udp.listen", listen, allowed));
            }
            (_, _, Some(trust)) => {
                let sealed = |peer: &SocketAddr| trust.members.iter().any(|m| m.address == Some(*peer));
                if let Some(peer) = peers.iter().find(|peer| !sealed(peer)) {
                    let allowed =
                        "a sealed peer needs its `key` and `name` in `[[peer]]` (`minet key show` on that node)";
                    return Err(value("peer.address", peer, allowed));
                }
            }
            _ => {}
        }
        let ethers = media::ethers(file.ether, &over.ethers, insecure, trust.is_some())?;
        let serials = media::serials(file.serial, &over.serials, trust.is_some())?;
        let mut distinct: Vec<SocketAddr> = Vec::new();
        for peer in peers {
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            check("peer.address", peer, peer.port() != 0, "its port must not be 0")?;
            let reachable = udp.is_none_or(|l| l.is_ipv6() == peer.is_ipv6());
            check("peer.address", peer, reachable, "it must be of the same family (IPv4 or IPv6) as `udp.listen`")?;
            if !distinct.contains(&peer) {
                distinct.push(peer);
            }
        }
        let peers = distinct;
        let count = file.segment.len();
        check("segment", count, count <= SEGMENTS, "a node has at most 16 interfaces")?;
        let on_one_host = udp.is_none() && ethers.is_empty() && serials.is_empty();
        let segments: Vec<Segment> =
            file.segment.into_iter().map(|s| segment(s, on_one_host)).collect::<Result<_, _>>()?;
        for (i, s) in segments.iter().enumerate() {
            let twice = segments.iter().take(i).any(|t| t.name == s.name || t.interface == s.interface);
            check("segment", &s.name, !twice, "every segment needs a name and an interface of its own")?;
        }
        let iops = iop::iops(file.iop, over, (&name, id))?;
        let starts = !iops.is_empty() || file.iop_slots.is_some();
        let seccomp = file.seccomp.unwrap_or(!starts);
        let allowed = "a node with I/O processors starts programs, which would inherit the filter: leave it out";
        check("seccomp", seccomp, !seccomp || !starts, allowed)?;
        Ok(Config {
            user: over.user.clone().or(file.user),
            seccomp,
            iops,
            iop_slots: file.iop_slots,
            id,
            fabric,
            run_dir: over.run_dir.clone().or(file.run_dir).unwrap_or_else(|| RUN_DIR.into()),
            insecure,
            relay: !over.no_relay && file.relay.unwrap_or(true),
            queues,
            spin: Duration::from_micros(spin),
            cpus,
            pcap: over.pcap.clone().or(file.pcap),
            shm: !over.no_shm && file.shm.enable.unwrap_or(true),
            ring: ring_kib * 1024,
            udp,
            peers,
            ethers,
            serials,
            trust,
            heartbeat: Duration::from_millis(heartbeat),
            miss_limit,
            policy,
            segments,
            name,
        })
    }
}

fn policy(file: &LinkFile) -> Result<Policy, ConfigError> {
    let plain = Policy::default();
    let millis = |key, given: Option<u64>, or: Duration, allowed: std::ops::RangeInclusive<u64>, text| {
        let Some(ms) = given else { return Ok::<Duration, ConfigError>(or) };
        check(key, ms, ms == 0 || allowed.contains(&ms), text)?;
        Ok(Duration::from_millis(ms))
    };
    let loss = file.loss_percent.unwrap_or(plain.loss / 10);
    check("link.loss_percent", loss, loss <= 100, "it must be 0 (never) to 100")?;
    Ok(Policy {
        detect: millis(
            "link.detect_ms",
            file.detect_ms,
            plain.detect,
            10..=60_000,
            "it must be 0 (never) or 10 to 60000",
        )?,
        loss: loss * 10,
        delay: millis("link.delay_ms", file.delay_ms, plain.delay, 1..=60_000, "it must be 0 (never) to 60000")?,
        hold: millis("link.hold_ms", file.hold_ms, plain.hold, 0..=600_000, "it must be 0 to 600000")?,
        damp: file.damp.unwrap_or(plain.damp),
    })
}

fn name(key: &'static str, text: &str) -> Result<Name, ConfigError> {
    let name = Name::new(text).map_err(|source| ConfigError::Name { key, source })?;
    // Names of nodes and fabrics become names of files.
    check(key, text, !text.contains('/') && !text.starts_with('.'), "it must not have a `/` or begin with a dot")?;
    Ok(name)
}

fn check(key: &'static str, given: impl ToString, fine: bool, allowed: &'static str) -> Result<(), ConfigError> {
    if fine { Ok(()) } else { Err(value(key, given, allowed)) }
}

fn value(key: &'static str, given: impl ToString, allowed: &'static str) -> ConfigError {
    ConfigError::Value { key, value: given.to_string(), allowed }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn every_key_has_a_default() {
        let config = Config::new(None, &Overrides { name: Some("a".into()), ..Overrides::default() }).unwrap();
        assert_eq!((&*config.name, config.id, &*config.fabric), ("a", NodeId::from_name("a"), "default"));
        assert_eq!(config.segments.len(), 1);
        assert_eq!((&*config.segments[0].interface, config.segments[0].mtu), ("minet0", MTU_ON_ONE_HOST));
    }

    #[test]
    fn the_command_line_wins() {
        let over = Overrides { mtu: Some(9000), id: Some(7), ..Overrides::default() };
        let config = Config::new(Some("name='a'\nid=1\n[[segment]]\nmtu=1400"), &over).unwrap();
        assert_eq!((config.id.get(), config.segments[0].mtu), (7, 9000));
        let over = Overrides { mode: Some(Mode::Plain), learn: true, no_relay: true, ..Overrides::default() };
        let text = "name='a'\nrelay=true\n[[segment]]\nmode='tun'\nlearn=false\n[[segment]]\nname='b'\ninterface='b'";
        let config = Config::new(Some(text), &over).unwrap();
        let of = |n: usize| (config.segments[n].mode, config.segments[n].learn);
        assert_eq!((config.relay, of(0), of(1)), (false, (Mode::Plain, true), (Mode::Tap, false)));
        let config = Config::new(Some(text), &Overrides::default()).unwrap();
        assert_eq!((config.relay, config.segments[0].mode, config.segments[0].learn), (true, Mode::Tun, false));
    }

    #[test]
    fn errors_say_what_was_wrong_and_what_would_be_right() {
        assert!(error("nmae='a'").contains("unknown field `nmae`"));
        assert!(error("name='a b'").contains("key `name`: name has a control character or white space at byte 1"));
        assert!(error("name='../x'").contains("key `name`"));
        assert!(error(&format!("name='{}'", "x".repeat(99))).contains("at most 63"));
        assert!(error("name='a'\nid=0").contains("it must be 1 to 4294967294"));
        assert!(error("name='a'\n[[segment]]\ninterface='way-too-long-name'").contains("1 to 15"));
        assert!(error("name='a'\n[[segment]]\nmtu=70000").contains("576 to 65521"));
        assert!(error("name='a'\n[[segment]]\naddresses=['10.0.0.1/33']").contains("at most 32"));
        assert!(error("name='a'\n[udp]\nlisten='10.0.0.1'").contains("socket address"));
        assert!(error("name='a'\n[udp]\nlisten='10.0.0.1:1'").contains("insecure = true"));
        assert!(error("name='a'\n[[peer]]\naddress='10.0.0.1:1'").contains("udp.listen"));
        let udp = "name='a'\ninsecure=true\n[udp]\nlisten='10.0.0.1:1'\n";
        assert!(error(&format!("{udp}[[peer]]\naddress='[fd00::1]:1'")).contains("same family"));
        assert!(error(&format!("{udp}[[peer]]\naddress='10.0.0.2:0'")).contains("must not be 0"));
        let twice = format!("{udp}[[peer]]\naddress='10.0.0.2:1'\n[[peer]]\naddress='10.0.0.2:1'");
        assert_eq!(Config::from_toml(&twice).unwrap().peers.len(), 1);
        assert!(error("name='a'\n[shm]\nring_kib=1000").contains("power of two"));
        assert!(error("name='a'\n[link]\ndetect_ms=5").contains("10 to 60000"));
        assert!(error("name='a'\n[link]\nloss_percent=101").contains("0 (never) to 100"));
        assert!(error("name='a'\n[[segment]]\n[[segment]]").contains("of its own"));
        assert!(error("name='a'\n[[segment]]\nkeep=true\nmode='tun'").contains("segment.keep"));
        assert!(error("name='a'\n[[iop]]\nname='a'").contains("of its own"));
        assert!(error("name='a'\nseccomp=true\n[[iop]]\nname='x'").contains("key `seccomp`"));
        assert!(error("name='a'\n[[iop]]\nid=3").contains("iop.name"));
        assert!(error("name='a'\n[[iop]]\nname='x'\nmiss_limit=1").contains("iop.miss_limit"));
        assert!(error("name='a'\n[[iop]]\nname='x'\nheartbeat_ms=0").contains("iop.heartbeat_ms"));
        let stack = "name='a'\n[[segment]]\nmode='smoltcp'\n";
        assert!(error("name='a'\n[[segment]]\nforward=['80:b:80']").contains("--stack smoltcp"));
        assert!(error("name='a'\n[[segment]]\nexpose=['80:127.0.0.1:80']").contains("--stack smoltcp"));
        assert!(error(&format!("{stack}forward=['b:80']")).contains("a form like"));
        assert!(error(&format!("{stack}forward=['80:b:80','80:c:80']")).contains("two forwards"));
        assert!(error(&format!("{stack}expose=['80:127.0.0.1:80','80:127.0.0.1:81']")).contains("leads to one place"));
        assert!(error(&format!("{stack}learn=true")).contains("no stations"));
        assert!(error(&format!("{stack}mtu=576")).contains("at least 1280"));
    }
}
