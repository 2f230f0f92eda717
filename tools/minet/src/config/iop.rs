//! The I/O processors that a node starts.

use super::{Cidr, ConfigError, check, name, value};
use messenger_core::{Name, NodeId};
use serde::Deserialize;
use std::path::PathBuf;

/// Where the image is unless told otherwise.
pub const IOP_IMAGE: &str = "/usr/lib/minet/iop-x86_64";
/// I/O processors of one node.
const IOPS: usize = 16;

/// An I/O processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iop {
    /// Its name.
    pub name: Name,
    /// Its number.
    pub id: NodeId,
    /// The image it runs.
    pub image: PathBuf,
    /// The program it runs on.
    pub qemu: PathBuf,
    /// Its addresses; `None` to derive them from its number.
    pub addresses: Option<Vec<Cidr>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IopFile {
    pub(super) name: Option<String>,
    id: Option<u32>,
    image: Option<PathBuf>,
    qemu: Option<PathBuf>,
    addresses: Option<Vec<Cidr>>,
}

/// Those of the file, then those that the command line names.
pub(super) fn iops(
    file: Vec<IopFile>,
    named: &[String],
    image: Option<&PathBuf>,
    own: (&Name, NodeId),
) -> Result<Vec<Iop>, ConfigError> {
    let named = named.iter().map(|name| IopFile { name: Some(name.clone()), ..IopFile::default() });
    let mut all: Vec<Iop> = Vec::new();
    for iop in file.into_iter().chain(named) {
        let name = name("iop.name", &iop.name.unwrap_or_default())?;
        let id = match iop.id {
            None => NodeId::from_name(&name),
            Some(n) => NodeId::new(n).ok_or(value("iop.id", n, "it must be 1 to 4294967294"))?,
        };
        let twice = *own.0 == name || own.1 == id || all.iter().any(|i| i.name == name || i.id == id);
        check("iop.name", &name, !twice, "every node needs a name and a number of its own")?;
        let addresses = iop.addresses;
        check("iop.addresses", &name, addresses.as_ref().is_none_or(|a| a.len() <= 4), "it has at most 4 addresses")?;
        let image = image.cloned().or(iop.image).unwrap_or_else(|| IOP_IMAGE.into());
        let qemu = iop.qemu.unwrap_or_else(|| iop::qemu::PROGRAM.into());
        all.push(Iop { name, id, image, qemu, addresses });
    }
    check("iop", all.len(), all.len() <= IOPS, "a node starts at most 16 I/O processors")?;
    Ok(all)
}
