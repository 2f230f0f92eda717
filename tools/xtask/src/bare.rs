//! The rooms without an operating system, built for a machine that has none, and the image of the I/O processor.

use crate::{packages, workspace::Workspace};
use minet_tests::{Error, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The machines that there are images for: a PC, and RISC-V.
const TARGET: &str = "x86_64-unknown-none";
const RISCV: &str = "riscv64imac-unknown-none-elf";
const IMAGES: [(&str, &str); 2] = [("iop-x86_64", TARGET), ("iop-riscv64", RISCV)];
/// A machine of 32 bits, without 64-bit atomics, that the rooms are checked for. That they fit the others, the images show.
const SMALL: &str = "thumbv7em-none-eabihf";
#[cfg(test)]
const ROOMS: &[&str] = &["messenger-core", "minet", "fabric-ring", "iop-node"];

/// Where the image is built.
const FIRMWARE: &str = "iop/firmware";
/// Its manifest, seen from the workspace.
pub const MANIFEST: &str = "iop/firmware/Cargo.toml";
/// The largest image in bytes.
const IMAGE_MOST: u64 = 1 << 20;

/// Debian's packages with a compiler and the source of its `core` and `alloc`.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// How to build for a machine without an operating system here.
enum Toolchain {
    /// The toolchain in use has its target.
    Own,
    /// Debian's compiler builds `core` and `alloc` from source.
    Debian,
}

/// Builds the images and gives the path of that for a PC: `minet/iop-x86_64` where cargo builds, which is where tests look for
/// it; that for RISC-V is beside it, as `iop-riscv64`.
pub fn build_images(workspace: &Workspace) -> Result<PathBuf> {
    packages::ensure(packages::LINKER)?;
    let [(name, target), others @ ..] = IMAGES;
    for (name, target) in others {
        build_image(workspace, name, target)?;
    }
    build_image(workspace, name, target)
}

fn build_image(workspace: &Workspace, name: &str, target: &str) -> Result<PathBuf> {
    let toolchain = toolchain(target).ok_or_else(|| Error::unexpected(missing(target)))?;
    cargo(workspace, &toolchain, target, &workspace.root.join(FIRMWARE), &["build", "--release", "--quiet"])?;
    let built = workspace.target.join("bare").join(target).join("release/iop");
    let image = workspace.records()?.join(name);
    let length = fs::copy(&built, &image).map_err(Error::io(format!("copy {}", built.display())))?;
    if length > IMAGE_MOST {
        return Err(Error::unexpected(format!("{} has {length} bytes, {IMAGE_MOST} are allowed", image.display())));
    }
    Ok(image)
}

fn cargo(workspace: &Workspace, toolchain: &Toolchain, target: &str, place: &Path, args: &[&str]) -> Result<()> {
    let mut command = match toolchain {
        Toolchain::Own => workspace.cargo(args),
        Toolchain::Debian => {
            let mut command = Command::new("/usr/bin/cargo");
            command.args(args).args(["-Z", "build-std=core,alloc"]);
            command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTUP_TOOLCHAIN");
            command
        }
    };
    command.args(["--target", target]).current_dir(place).env("CARGO_TARGET_DIR", workspace.target.join("bare"));
    crate::workspace::show(command)
}

/// What to do where there is no toolchain for a machine.
fn missing(machine: &str) -> String {
    format!("no toolchain: `rustup target add {machine}`, or Debian's packages {}", DEBIAN.join(" "))
}

/// What the images lack here, if anything.
pub fn images_lack() -> Option<String> {
    IMAGES.into_iter().map(|(_, machine)| machine).find(|machine| toolchain(machine).is_none()).map(missing)
}

/// What the check of the rooms lacks here, if anything.
pub fn rooms_lack() -> Option<String> {
    toolchain(SMALL).is_none().then(|| missing(SMALL))
}

fn toolchain(target: &str) -> Option<Toolchain> {
    if own_has(target) {
        return Some(Toolchain::Own);
    }
    // Where it cannot be installed the check below says so.
    if !debian_is_there() && Path::new("/usr/bin/apt-get").is_file() {
        let _ = packages::install(DEBIAN);
    }
    debian_is_there().then_some(Toolchain::Debian)
}

fn own_has(target: &str) -> bool {
    let mut command = Command::new("rustc");
    command.args(["--print", "target-libdir", "--target", target]);
    minet_tests::run(command).is_ok_and(|said| Path::new(said.stdout.trim()).is_dir())
}

fn debian_is_there() -> bool {
    ["/usr/bin/rustc", "/usr/bin/cargo", "/usr/lib/rustlib/src/rust/library/core"]
        .iter()
        .all(|path| Path::new(path).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rooms below the daemon ask nothing of an operating system: what they need (time, memory, bells) is an argument.
    ///
    /// Rows: MA-09.
    #[test]
    #[ignore = "long: builds `core` for it"]
    fn rooms_fit_a_machine_of_32_bits_without_an_operating_system() {
        let workspace = Workspace::find().unwrap();
        let rooms = ROOMS.iter().flat_map(|room| ["--package", *room]);
        let args: Vec<&str> = ["check", "--quiet"].into_iter().chain(rooms).collect();
        let toolchain = toolchain(SMALL).unwrap_or_else(|| panic!("{}", missing(SMALL)));
        cargo(&workspace, &toolchain, SMALL, &workspace.root, &args).unwrap();
    }
}
