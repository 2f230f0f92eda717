//! The I/O processors that a node starts.

use super::{Cidr, ConfigError, Overrides, check, name, value};
use messenger_core::{Name, NodeId};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// Where the image is unless told otherwise.
pub const IOP_IMAGE: &str = "/usr/lib/minet/iop-x86_64";
/// I/O processors of one node.
pub const IOPS: usize = 16;

/// What an I/O processor runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IopKind {
    /// A virtual machine of QEMU, without an operating system.
    #[default]
    Qemu,
    /// A process of this host with a network stack of its own.
    Process,
}

/// An I/O processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iop {
    /// Its name.
    pub name: Name,
    /// Its number.
    pub id: NodeId,
    /// What it runs on.
    pub kind: IopKind,
    /// The image it runs; a process is this program itself unless told otherwise.
    pub image: PathBuf,
    /// The program it runs on; `None` for the one that the image wants.
    pub qemu: Option<PathBuf>,
    /// Its addresses; `None` to derive them from its number.
    pub addresses: Option<Vec<Cidr>>,
    /// It gives a sign of life this often; `None` for the node's own interval.
    pub heartbeat: Option<Duration>,
    /// It is deaf after so many intervals without one.
    pub miss_limit: u32,
    /// Whoever asks for it may have it fail.
    pub faults: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IopFile {
    pub(super) name: Option<String>,
    id: Option<u32>,
    #[serde(default)]
    kind: IopKind,
    image: Option<PathBuf>,
    qemu: Option<PathBuf>,
    addresses: Option<Vec<Cidr>>,
    heartbeat_ms: Option<u64>,
    miss_limit: Option<u32>,
    faults: Option<bool>,
}

/// Intervals after which an I/O processor is deaf unless told otherwise: nothing loses messages on the way.
const MISS_LIMIT: u32 = 3;

impl Iop {
    /// From the text of a table of its own, without its name.
    ///
    /// # Errors
    /// The text is none, or a value cannot be used.
    pub fn from_toml(name: &str, text: &str) -> Result<Iop, ConfigError> {
        let file: IopFile = toml::from_str(text)?;
        one(IopFile { name: Some(name.into()), ..file }, None)
    }

    /// One that is added while the node runs, with what is not said as usual.
    ///
    /// # Errors
    /// The name or the number is none.
    pub fn added(
        name: &str,
        id: Option<u32>,
        kind: IopKind,
        image: Option<PathBuf>,
        qemu: Option<PathBuf>,
    ) -> Result<Iop, ConfigError> {
        one(IopFile { name: Some(name.into()), id, kind, image, qemu, ..IopFile::default() }, None)
    }
}

fn one(file: IopFile, image: Option<&PathBuf>) -> Result<Iop, ConfigError> {
    let name = name("iop.name", &file.name.unwrap_or_default())?;
    let id = match file.id {
        None => NodeId::from_name(&name),
        Some(n) => NodeId::new(n).ok_or(value("iop.id", n, "it must be 1 to 4294967294"))?,
    };
    let addresses = file.addresses;
    check("iop.addresses", &name, addresses.as_ref().is_none_or(|a| a.len() <= 4), "it has at most 4 addresses")?;
    let heartbeat = file.heartbeat_ms;
    let right = heartbeat.is_none_or(|ms| (1..=60_000).contains(&ms));
    check("iop.heartbeat_ms", heartbeat.unwrap_or(0), right, "it must be 1 to 60000")?;
    let miss_limit = file.miss_limit.unwrap_or(MISS_LIMIT);
    check("iop.miss_limit", miss_limit, (2..=100).contains(&miss_limit), "it must be 2 to 100")?;
    Ok(Iop {
        name,
        id,
        kind: file.kind,
        image: match file.kind {
            IopKind::Qemu => image.cloned().or(file.image).unwrap_or_else(|| IOP_IMAGE.into()),
            // The kernel's name for it also works when the file was replaced meanwhile.
            IopKind::Process => file.image.unwrap_or_else(|| "/proc/self/exe".into()),
        },
        qemu: file.qemu,
        addresses,
        heartbeat: heartbeat.map(Duration::from_millis),
        miss_limit,
        faults: file.faults.unwrap_or(false),
    })
}

/// Those of the file, then those that the command line names.
pub(super) fn iops(file: Vec<IopFile>, over: &Overrides, own: (&Name, NodeId)) -> Result<Vec<Iop>, ConfigError> {
    let with = |kind| move |name: &String| IopFile { name: Some(name.clone()), kind, ..IopFile::default() };
    let machines = over.iops.iter().map(with(IopKind::Qemu));
    let named = machines.chain(over.iop_processes.iter().map(with(IopKind::Process)));
    let mut all: Vec<Iop> = Vec::new();
    for iop in file.into_iter().chain(named) {
        let one = one(iop, over.iop_image.as_ref())?;
        let twice = *own.0 == one.name || own.1 == one.id || all.iter().any(|i| i.name == one.name || i.id == one.id);
        check("iop.name", &one.name, !twice, "every node needs a name and a number of its own")?;
        all.push(one);
    }
    check("iop", all.len(), all.len() <= IOPS, "a node starts at most 16 I/O processors")?;
    Ok(all)
}
