//! System packages that a task needs, installed where that is possible.

use minet_tests::{Error, Result, undisturbed};
use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A program and the Debian package that has it.
pub type Need = (&'static str, &'static str);

/// What the namespace tests and the demonstration use.
pub const NETWORK: &[Need] = &[
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("arping", "iputils-arping"),
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("scp", "openssh-client"),
    ("iperf3", "iperf3"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("dnsmasq", "dnsmasq-base"),
    ("busybox", "busybox"),
    ("ethtool", "ethtool"),
    ("nc", "netcat-openbsd"),
    ("ps", "procps"),
    ("sysctl", "procps"),
    ("socat", "socat"),
    ("curl", "curl"),
    ("setpriv", "util-linux"),
    // Programs of tests are compiled, with the headers of the C library.
    ("cc", "build-essential"),
];

/// What tests that boot a bare machine use besides.
pub const MACHINE: &[Need] = &[("qemu-system-x86_64", "qemu-system-x86"), ("qemu-system-riscv64", "qemu-system-misc")];

/// What links an image for another processor.
pub const LINKER: &[Need] = &[("riscv64-linux-gnu-ld", "binutils-riscv64-linux-gnu")];

/// Where programs are, also those that only root has in its path.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(extra).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// Installs the packages of the programs that are not there.
///
/// # Errors
/// It cannot: the message names what to install by hand.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing = |(program, package): &Need| which(program).is_none().then_some(*package);
    let mut packages: Vec<&str> = needs.iter().filter_map(missing).collect();
    packages.sort_unstable();
    packages.dedup();
    install(&packages)?;
    match needs.iter().find(|(program, _)| which(program).is_none()) {
        Some((program, package)) => {
            Err(Error::unexpected(format!("{package} is installed but {program} is not there")))
        }
        None => Ok(()),
    }
}

/// As [`ensure`], for programs whose packages start services: they stay off.
///
/// # Errors
/// As [`ensure`].
pub fn ensure_stopped(needs: &[Need]) -> Result<()> {
    const POLICY: &str = "/usr/sbin/policy-rc.d";
    if needs.iter().all(|(program, _)| which(program).is_some()) {
        return Ok(());
    }
    if Path::new(POLICY).exists() {
        return ensure(needs);
    }
    let what = || format!("write {POLICY}");
    fs::write(POLICY, "#!/bin/sh\nexit 101\n").map_err(Error::io(what()))?;
    let runnable = fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).map_err(Error::io(what()));
    let done = runnable.and_then(|()| ensure(needs));
    fs::remove_file(POLICY).map_err(Error::io(format!("remove {POLICY}")))?;
    done
}

/// Installs these Debian packages; nothing to do for none.
///
/// # Errors
/// It cannot: the message names what to install by hand.
pub fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = |why: &str| {
        Error::unexpected(format!("{why}; please install by hand (Debian's names): {}", packages.join(" ")))
    };
    if !Path::new("/usr/bin/apt-get").is_file() {
        return Err(by_hand("this system has no apt-get"));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(by_hand("installing packages needs root"));
    }
    println!("installing: {}", packages.join(" "));
    // Stale lists are no reason to give up: the packages may still be found.
    let _ = apt_get(&["update"]);
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
        .map_err(|error| by_hand(&error.to_string()))
}

/// Whole, also when the user interrupts: half an installation would outlive us.
fn apt_get(args: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    let output = undisturbed(|| command.output()).map_err(Error::io("start apt-get"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::unexpected(format!("apt-get {} failed: {said}", args.join(" "))))
}
