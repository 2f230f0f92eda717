//! Network namespaces.

use crate::{Error, Output, Process, Result, owner, process};
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::AsFd,
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";

/// A handle to a network namespace. The namespace goes, with every process in it, when its [`crate::Net`] goes.
#[derive(Clone, Debug)]
pub struct Netns {
    name: Arc<str>,
}

/// Counters of an interface, as `ip -s link` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets the host received on it.
    pub rx_packets: u64,
    /// Bytes of them.
    pub rx_bytes: u64,
    /// Packets the host sent on it.
    pub tx_packets: u64,
    /// Bytes of them.
    pub tx_bytes: u64,
    /// Packets dropped on the way in.
    pub rx_dropped: u64,
    /// Bad packets on the way in.
    pub rx_errors: u64,
    /// Packets dropped on the way out.
    pub tx_dropped: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
}

impl Netns {
    pub(crate) fn add(name: String) -> Result<Self> {
        {
            let _gate = owner::hold();
            add(&name)?;
        }
        let space = Self { name: name.into() };
        space.ip(&["link", "set", "lo", "up"])?;
        Ok(space)
    }

    /// Its name, for `ip netns exec NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run inside.
    pub fn command<S: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, args: &[S]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name()]).arg(program).args(args);
        command
    }

    /// Runs a command inside to its end and checks its status.
    ///
    /// # Errors
    /// As [`process::run`].
    pub fn run<S: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, args: &[S]) -> Result<Output> {
        process::run(self.command(program, args))
    }

    /// Runs a command inside that may take `limit`.
    ///
    /// # Errors
    /// As [`process::run`].
    pub fn run_for<S: AsRef<OsStr>>(&self, limit: Duration, program: impl AsRef<OsStr>, args: &[S]) -> Result<Output> {
        process::run_for(self.command(program, args), limit)
    }

    /// Starts a command inside.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn<S: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, args: &[S]) -> Result<Process> {
        Process::spawn(self.command(program, args))
    }

    /// Runs `work` in a thread that has entered the namespace: sockets made there belong to it, also afterwards.
    ///
    /// # Errors
    /// The namespace cannot be entered, or what `work` says.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> Result<T> {
        let what = || format!("work inside {}", self.name());
        let door = File::open(Path::new(NAMES).join(self.name())).map_err(Error::io(what()))?;
        let enter_and_work = || {
            move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        };
        let done = thread::scope(|scope| scope.spawn(enter_and_work).join());
        // A panic of the work is a panic of the caller.
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(Error::io(what()))
    }

    /// A count of the kernel's network stack, as `/proc/net/netstat` has it: `kernel_count("TcpExt", "TCPDSACKRecv")`.
    ///
    /// # Errors
    /// The system refuses, or has no such count.
    pub fn kernel_count(&self, group: &str, name: &str) -> Result<u64> {
        let text = self.inside(|| fs::read_to_string("/proc/thread-self/net/netstat"))?;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(": "));
        let found = match (lines.next(), lines.next()) {
            (Some(names), Some(counts)) => names.split(' ').zip(counts.split(' ')).find(|(other, _)| *other == name),
            _ => None,
        };
        let wrong = || Error::unexpected(format!("the kernel has no count {group} {name}"));
        found.and_then(|(_, count)| count.parse().ok()).ok_or_else(wrong)
    }

    /// `ip ARGS` in this namespace.
    ///
    /// # Errors
    /// As [`process::run`].
    pub fn ip(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new("ip");
        command.args(["-n", self.name()]).args(args);
        process::run(command)
    }

    /// What `ip -json ARGS` says in this namespace.
    ///
    /// # Errors
    /// As [`process::run`], or it is not JSON.
    pub fn ip_json(&self, args: &[&str]) -> Result<serde_json::Value> {
        let words: Vec<&str> = [&["-json"], args].concat();
        let said = self.ip(&words)?.stdout;
        serde_json::from_str(&said).map_err(|error| Error::unexpected(format!("ip {words:?} said {said}: {error}")))
    }

    /// The flags of an interface, such as `UP` and `NO-CARRIER`.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn flags(&self, interface: &str) -> Result<Vec<String>> {
        let links = self.ip_json(&["link", "show", "dev", interface])?;
        let flags = links[0]["flags"].as_array().ok_or_else(|| Error::unexpected(format!("no flags in {links}")))?;
        Ok(flags.iter().filter_map(|flag| flag.as_str().map(str::to_owned)).collect())
    }

    /// The state of an interface as the kernel uses it: `UP`, `DOWN`, `UNKNOWN` for one without a carrier to watch.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn operational_state(&self, interface: &str) -> Result<String> {
        let links = self.ip_json(&["link", "show", "dev", interface])?;
        let state = links[0]["operstate"].as_str();
        state.map(str::to_owned).ok_or_else(|| Error::unexpected(format!("no state in {links}")))
    }

    /// The addresses of an interface that others reach it at (scope global) and that are checked, without prefix length.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn addresses(&self, interface: &str) -> Result<Vec<String>> {
        let said = self.ip_json(&["address", "show", "dev", interface, "scope", "global", "-tentative"])?;
        let rows = said.as_array().into_iter().flatten().filter_map(|row| row["addr_info"].as_array()).flatten();
        Ok(rows.filter_map(|row| row["local"].as_str().map(str::to_owned)).collect())
    }

    /// The counters of an interface.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn traffic(&self, interface: &str) -> Result<Traffic> {
        let links = self.ip_json(&["-statistics", "link", "show", "dev", interface])?;
        let stats = &links[0]["stats64"];
        let count = |side: &str, unit: &str| {
            stats[side][unit].as_u64().ok_or_else(|| Error::unexpected(format!("no {side} {unit} in {links}")))
        };
        Ok(Traffic {
            rx_packets: count("rx", "packets")?,
            rx_bytes: count("rx", "bytes")?,
            tx_packets: count("tx", "packets")?,
            tx_bytes: count("tx", "bytes")?,
            rx_dropped: count("rx", "dropped")?,
            rx_errors: count("rx", "errors")?,
            tx_dropped: count("tx", "dropped")?,
            tx_errors: count("tx", "errors")?,
        })
    }

    /// The neighbour table of an interface: address to MAC, only entries with a MAC.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn neighbours(&self, interface: &str) -> Result<BTreeMap<String, String>> {
        let table = self.ip_json(&["neigh", "show", "dev", interface])?;
        let pair =
            |row: &serde_json::Value| Some((row["dst"].as_str()?.to_owned(), row["lladdr"].as_str()?.to_owned()));
        Ok(table.as_array().into_iter().flatten().filter_map(pair).collect())
    }
}

/// The names of all namespaces of this machine.
pub(crate) fn list() -> Result<Vec<String>> {
    match fs::read_dir(NAMES) {
        Ok(entries) => Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(format!("read {NAMES}"))(error)),
    }
}

/// Removes every namespace whose name starts so, with the processes in it. The caller holds the gate or is alone.
pub(crate) fn remove_all(prefix: &str) {
    for name in list().unwrap_or_default().iter().filter(|name| name.starts_with(prefix)) {
        remove(name);
    }
}

fn add(name: &str) -> Result<()> {
    plain_ip(&["netns", "add", name]).map(drop)
}

fn remove(name: &str) {
    // Twice: a process may have made another between the list and its end.
    for _ in 0..2 {
        let pids = plain_ip(&["netns", "pids", name]).unwrap_or_default();
        for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let _ = plain_ip(&["netns", "delete", name]);
}

/// `ip ARGS` without the harness's own processes: it works while the gate is held.
fn plain_ip(args: &[&str]) -> Result<String> {
    let output = Command::new("ip").args(args).output().map_err(Error::io("start `ip` (is iproute2 installed?)"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    if output.status.success() {
        return Ok(stdout);
    }
    Err(Error::Failed { command: format!("ip {}", args.join(" ")), status: output.status, stdout, stderr })
}
