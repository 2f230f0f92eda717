//! System packages that a task needs, installed where that is possible.

use minet_tests::{Error, Result, clean_up_on_signals, undisturbed};
use std::{
    env, fs,
    io::{Read, Seek},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
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

/// Installs the packages of the programs that are not there; their services stay off.
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

/// Installs these Debian packages; nothing to do for none. No service of theirs is started meanwhile. A signal that ends this
/// process waits for the end of the installation; it goes on by itself to its end when this process is killed.
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
    let Some(apt_get) = which("apt-get") else { return Err(by_hand("this system has no apt-get")) };
    if !rustix::process::geteuid().is_root() {
        return Err(by_hand("installing packages needs root"));
    }
    clean_up_on_signals()?;
    eprintln!("installing: {}", packages.join(" "));
    remove_dead_guard(Path::new(POLICY));
    // Stale lists are no reason to give up: the packages may still be found.
    let _ = run_guarded(&apt_get, &["update"]);
    run_guarded(&apt_get, &[&["install", "--yes", "--no-install-recommends"], packages].concat())
        .map_err(|error| by_hand(&error.to_string()))
}

/// What Debian asks before it starts a service; 101 is "no".
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// The words by which a guard of ours is known.
const MARK: &str = "# made by `cargo xtask` while process";

/// Runs the rest of its arguments while the first one, a file, forbids services to start. A file that is there already is
/// somebody else's and stays. It waits for what it runs also when it is told to end, and then removes the file.
const GUARDED: &str = r#"
    policy=$1 mark=$2
    shift 2
    trap 'exit 1' HUP INT TERM
    if (set -C; printf '%s\n' '#!/bin/sh' "$mark $$ installs packages" 'exit 101' >"$policy") 2>/dev/null; then
        trap 'rm -f "$policy"' EXIT
        chmod 755 "$policy"
    fi
    "$@"
"#;

/// Whole, also when the user interrupts: half an installation would outlive us. So it is in a process group of its own, where
/// Ctrl-C does not come, and writes to a file: a pipe would break when this process is killed.
fn run_guarded(program: &Path, args: &[&str]) -> Result<()> {
    let said = tempfile::tempfile().map_err(Error::io("make a file for what apt-get says"))?;
    let share = || said.try_clone().map_err(Error::io("share a file"));
    let mut command = Command::new("sh");
    command.args(["-c", GUARDED, "guarded", POLICY, MARK]).arg(program).args(args);
    command.env("DEBIAN_FRONTEND", "noninteractive").current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(share()?).stderr(share()?);
    let status = undisturbed("apt-get", || command.status()).map_err(Error::io("start apt-get"))?;
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    let mut said = said;
    let read = said.rewind().and_then(|()| said.read_to_string(&mut text));
    let text = read.map_or_else(|error| error.to_string(), |_| text.trim().to_owned());
    Err(Error::unexpected(format!("apt-get {} failed: {text}", args.join(" "))))
}

/// Removes a guard whose process was killed before it could.
fn remove_dead_guard(policy: &Path) {
    let text = fs::read_to_string(policy).unwrap_or_default();
    let process = text.lines().find_map(|line| line.strip_prefix(MARK)).and_then(|rest| rest.split_whitespace().next());
    if process.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
        // If it cannot be removed, services stay off: the installation works all the same.
        let _ = fs::remove_file(policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dead_guard_of_ours_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy-rc.d");
        // No process has this number: it is above the greatest the kernel gives.
        let dead = format!("#!/bin/sh\n{MARK} 4194305 installs packages\nexit 101\n");
        let alive = dead.replace("4194305", &std::process::id().to_string());
        let theirs = "#!/bin/sh\nexit 101\n".to_owned();
        for (text, stays) in [(&dead, false), (&alive, true), (&theirs, true)] {
            fs::write(&policy, text).unwrap();
            remove_dead_guard(&policy);
            assert_eq!(policy.exists(), stays, "{text}");
        }
    }

    #[test]
    fn the_guard_stands_while_the_command_runs_and_spares_others() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy-rc.d");
        let run = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", GUARDED, "guarded"]).arg(&policy).args([MARK, "sh", "-c", script, "sh"]).arg(&policy);
            command.status().unwrap().code()
        };
        assert_eq!(run("\"$1\"; test $? = 101 && exit 7"), Some(7), "it says no, and the status is the command's");
        assert!(!policy.exists());
        fs::write(&policy, "theirs").unwrap();
        assert_eq!(run("grep -q theirs \"$1\""), Some(0));
        assert_eq!(fs::read_to_string(&policy).unwrap(), "theirs");
    }
}
