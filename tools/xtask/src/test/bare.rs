//! The rooms without an operating system, built for a machine that has none.

use super::outcome::Tally;
use crate::{packages, workspace::Workspace};
use minet_tests::Result;
use std::{path::Path, process::Command};

const TARGET: &str = "x86_64-unknown-none";
const ROOMS: &[&str] = &["messenger-core", "minet", "fabric-ring"];

/// Debian's packages with a compiler and the source of its `core` and `alloc`.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// How to build for [`TARGET`] here.
enum Toolchain {
    /// The toolchain in use has the target.
    Own,
    /// Debian's compiler builds `core` and `alloc` from source.
    Debian,
}

/// Builds them.
fn build(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let rooms = ROOMS.iter().flat_map(|room| ["--package", *room]);
    let args: Vec<&str> = ["build", "--quiet", "--target", TARGET].into_iter().chain(rooms).collect();
    let mut command = match toolchain {
        Toolchain::Own => workspace.cargo(&args),
        Toolchain::Debian => {
            let mut command = Command::new("/usr/bin/cargo");
            command.args(args).args(["-Z", "build-std=core,alloc"]).current_dir(&workspace.root);
            command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTUP_TOOLCHAIN");
            command
        }
    };
    command.env("CARGO_TARGET_DIR", workspace.target.join("bare"));
    crate::workspace::show(command)
}

/// Builds them where a toolchain can be found or installed, and says so where not.
pub fn run(workspace: &Workspace, tally: &mut Tally) {
    match toolchain() {
        Some(toolchain) => tally.check("bare metal", || build(workspace, &toolchain)),
        None => tally.skip(
            "bare metal",
            &format!("no toolchain: `rustup target add {TARGET}`, or Debian's packages {}", DEBIAN.join(" ")),
        ),
    }
}

fn toolchain() -> Option<Toolchain> {
    if own_has_target() {
        return Some(Toolchain::Own);
    }
    // Where it cannot be installed the check below says so.
    if !debian_is_there() && Path::new("/usr/bin/apt-get").is_file() {
        let _ = packages::install(DEBIAN);
    }
    debian_is_there().then_some(Toolchain::Debian)
}

fn own_has_target() -> bool {
    let mut command = Command::new("rustc");
    command.args(["--print", "target-libdir", "--target", TARGET]);
    minet_tests::run(command).is_ok_and(|said| Path::new(said.stdout.trim()).is_dir())
}

fn debian_is_there() -> bool {
    ["/usr/bin/rustc", "/usr/bin/cargo", "/usr/lib/rustlib/src/rust/library/core"]
        .iter()
        .all(|path| Path::new(path).exists())
}
