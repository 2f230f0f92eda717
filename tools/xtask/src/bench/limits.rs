//! Bare prototypes of a data path, built from a folder the user names: what this machine gives at most, this hour.

use super::{
    Subject,
    figures::{Metric, Way},
    rig::{Rig, Standing, UNDERLAY},
    ways,
};
use crate::workspace::{Workspace, show};
use minet_tests::{Error, Process, Result};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Names the folder where the option has no value.
const VARIABLE: &str = "MINET_LIMITS";

/// The interfaces that a prototype makes.
const INTERFACES: [&str; 2] = ["mna", "mnb"];

/// A program of the folder, its options, and what it stands on.
struct Prototype {
    name: &'static str,
    program: &'static str,
    args: &'static [&'static str],
    mtu: Option<u32>,
    /// Whether the underlay segments datagrams; `None` for what needs no underlay.
    segmentation: Option<bool>,
}

/// One thread a node, as ours.
static PROTOTYPES: [Prototype; 5] = [
    Prototype {
        name: "prototype: ring, asleep",
        program: "tapshm",
        args: &["--threads", "1"],
        mtu: None,
        segmentation: None,
    },
    Prototype {
        name: "prototype: ring, spins and yields",
        program: "tapshm",
        args: &["--threads", "1", "--spin", "50", "--yield", "1"],
        mtu: None,
        segmentation: None,
    },
    Prototype {
        name: "prototype: ring, MTU 65000",
        program: "tapshm",
        args: &["--threads", "1"],
        mtu: Some(65000),
        segmentation: None,
    },
    Prototype {
        name: "prototype: UDP",
        program: "tapudp",
        args: &["--single", "1"],
        mtu: None,
        segmentation: Some(true),
    },
    Prototype {
        name: "prototype: UDP without segmentation",
        program: "tapudp",
        args: &["--single", "1"],
        mtu: None,
        segmentation: Some(false),
    },
];

/// The folder: the option's value, or what the environment says where it has none.
pub fn folder(option: &str) -> Result<PathBuf> {
    if !option.is_empty() {
        return Ok(option.into());
    }
    let named = env::var_os(VARIABLE).map(PathBuf::from);
    named.ok_or_else(|| Error::unexpected(format!("say where the prototypes are: --limits=DIR, or {VARIABLE}")))
}

/// Builds the prototypes in the target directory, from a copy: the folder may belong to somebody else.
pub fn subjects(folder: &Path, workspace: &Workspace) -> Result<Vec<Subject>> {
    let built = workspace.records()?.join("limits");
    copy(folder, &built)?;
    part_from_ours(&built.join("Cargo.toml"))?;
    let manifest = built.join("Cargo.toml").display().to_string();
    let target = built.join("target");
    let programs = ["--bin", "tapshm", "--bin", "tapudp"];
    let mut command = workspace.cargo(&[&["build", "--release", "--manifest-path", &manifest], &programs[..]].concat());
    command.env("CARGO_TARGET_DIR", &target);
    show(command)?;
    let subject = |prototype: &'static Prototype| {
        let program = target.join("release").join(prototype.program);
        let metrics: &[Metric] = match prototype.segmentation {
            Some(false) => &[Metric::Tcp, Metric::Cost],
            _ => &Metric::ALL,
        };
        Subject::new(Way::Prototype(prototype.name), metrics, move |rig| prototype.stand(&program, rig))
    };
    Ok(PROTOTYPES.iter().map(subject).collect())
}

impl Prototype {
    /// One process makes both ends and enters both namespaces.
    fn stand(&self, program: &Path, rig: &Rig) -> Result<Standing> {
        if self.segmentation == Some(false) {
            ways::without_segmentation(rig)?;
        }
        let mut command = Command::new(program);
        for ((space, interface), address) in rig.ends().into_iter().zip(INTERFACES).zip(UNDERLAY) {
            command.args([space.name(), interface]);
            if self.segmentation.is_some() {
                command.arg(address);
            }
        }
        command.args(self.args);
        let process = Process::spawn(command)?;
        rig.configure(INTERFACES, self.mtu)?;
        Ok(Standing::carried_by(vec![process]))
    }
}

/// The manifest and the sources; what cargo made of them is not copied.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let what = || format!("copy {} to {}", from.display(), to.display());
    fs::create_dir_all(to).map_err(Error::io(what()))?;
    for entry in fs::read_dir(from).map_err(Error::io(what()))?.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" {
            copy(&path, &to.join(name))?;
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "toml" || kind == "lock") {
            fs::copy(&path, to.join(name)).map_err(Error::io(what()))?;
        }
    }
    Ok(())
}

/// The target directory may lie in our workspace, which they are no part of.
fn part_from_ours(manifest: &Path) -> Result<()> {
    let what = || format!("change {}", manifest.display());
    let text = fs::read_to_string(manifest).map_err(Error::io(what()))?;
    if text.contains("[workspace]") {
        return Ok(());
    }
    fs::write(manifest, text + "\n[workspace]\n").map_err(Error::io(what()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_manifest_and_sources_are_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for name in ["Cargo.toml", "README.md", "src/bin/one.rs", "target/release/big.rs"] {
            let path = from.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        copy(&from, &to).unwrap();
        assert!(to.join("Cargo.toml").is_file() && to.join("src/bin/one.rs").is_file());
        assert!(!to.join("README.md").exists() && !to.join("target").exists());
    }

    #[test]
    fn a_folder_that_is_named_is_taken() {
        assert_eq!(folder("some/where").unwrap(), Path::new("some/where"));
    }
}
