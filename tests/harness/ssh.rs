//! A real `sshd` in a namespace, and `ssh` and `scp` to it with a key.

use crate::{Error, Net, Netns, Output, Process, Result, SOON, eventually, process};
use std::{ffi::OsStr, fs, path::Path, process::Command};
use tempfile::TempDir;

/// `sshd` insists on a directory `/run/sshd`, which only its package's service makes. So it gets a `/run` of its own (the
/// namespace's mounts are private), with nothing in it but that directory and the net's.
const WITH_OWN_RUN: &str = r#"
    exec 9<"$1" && mount -t tmpfs none /run && mkdir -p /run/sshd "$1" || exit
    mount --no-canonicalize --bind /proc/self/fd/9 "$1" || exit
    exec 9<&-
    shift
    exec "$@"
"#;

/// A running server.
pub struct Sshd {
    process: Process,
    space: Netns,
    address: String,
    dir: TempDir,
}

impl Sshd {
    /// Starts a server with fresh keys at an address of the namespace and waits until it listens.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(net: &Net, space: &Netns, address: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("ssh-").tempdir_in(net.dir());
        let dir = dir.map_err(Error::io("make a directory for keys"))?;
        for key in ["host", "user"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join(key));
            process::run(command)?;
        }
        let host_key = read(&dir.path().join("host.pub"))?;
        write(&dir.path().join("known_hosts"), format!("{address} {host_key}"))?;
        let file = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "ListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n",
            file("host"),
            file("user.pub"),
        );
        write(&dir.path().join("sshd_config"), &config)?;
        // sshd wants to be called by its full path.
        let sshd = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).is_file());
        let sshd = sshd.ok_or_else(|| Error::unexpected("there is no sshd: install openssh-server"))?;
        let (all, config) = (net.dir().display().to_string(), file("sshd_config"));
        let process = space.spawn("sh", &["-c", WITH_OWN_RUN, "sh", &all, sshd, "-D", "-e", "-f", &config])?;
        let mut server = Self { process, space: space.clone(), address: address.to_owned(), dir };
        server.wait_listening()?;
        Ok(server)
    }

    /// Runs a command on the server's side through `ssh`.
    ///
    /// # Errors
    /// The login or the command fails.
    pub fn run(&self, client: &Netns, command: &str) -> Result<Output> {
        let target = format!("root@{}", self.address);
        let mut args = self.options();
        args.extend([target.into(), command.into()]);
        client.run("ssh", &args)
    }

    /// Runs a command on the server's side through an address and a port that lead to it.
    ///
    /// # Errors
    /// The login or the command fails.
    pub fn run_through(&self, client: &Netns, (address, port): (&str, u16), command: &str) -> Result<Output> {
        let mut args = self.options_through(port, "-p");
        args.extend([format!("root@{address}").into(), command.into()]);
        client.run("ssh", &args)
    }

    /// Copies a file through an address and a port that lead to the server.
    ///
    /// # Errors
    /// The copy fails.
    pub fn copy_through(&self, client: &Netns, (address, port): (&str, u16), from: &Path, to: &Path) -> Result<Output> {
        let mut args = self.options_through(port, "-P");
        args.extend([from.into(), format!("root@{address}:{}", to.display()).into()]);
        client.run("scp", &args)
    }

    fn options_through(&self, port: u16, flag: &str) -> Vec<std::ffi::OsString> {
        let alias = format!("HostKeyAlias={}", self.address);
        let own = [flag.to_owned(), port.to_string(), "-o".to_owned(), alias];
        self.options().into_iter().chain(own.map(Into::into)).collect()
    }

    /// Copies a file to a path on the server's side with `scp`.
    ///
    /// # Errors
    /// The copy fails.
    pub fn copy(&self, client: &Netns, from: &Path, to: &Path) -> Result<Output> {
        let mut args = self.options();
        args.extend([from.into(), format!("root@{}:{}", self.address, to.display()).into()]);
        client.run("scp", &args)
    }

    fn options(&self) -> Vec<std::ffi::OsString> {
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        let options = [
            format!("UserKnownHostsFile={}", file("known_hosts")),
            "StrictHostKeyChecking=yes".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            "BatchMode=yes".to_owned(),
            "ConnectTimeout=10".to_owned(),
        ];
        let words = ["-F", "/dev/null", "-i"].map(str::to_owned).into_iter().chain([file("user")]);
        words.chain(options.into_iter().flat_map(|option| ["-o".to_owned(), option])).map(Into::into).collect()
    }

    fn wait_listening(&mut self) -> Result<()> {
        eventually(SOON, "sshd listening", || {
            if !self.process.is_running() {
                return Err(Error::unexpected(format!("sshd ended: {}", self.process.output()?.stderr)));
            }
            let said = self.space.run("ss", &["-Hltn", "sport = :22"])?.stdout;
            Ok((!said.trim().is_empty()).then_some(()))
        })
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))
}

fn write(path: &Path, text: impl AsRef<OsStr>) -> Result<()> {
    fs::write(path, text.as_ref().as_encoded_bytes()).map_err(Error::io(format!("write {}", path.display())))
}
