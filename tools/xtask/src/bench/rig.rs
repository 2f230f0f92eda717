//! The two namespaces, and what stands between them.

use minet_tests::{Error, Net, Netns, Node, Ping, Process, Result, cable, eventually, processor_seconds};
use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a way may take until it answers.
const START: Duration = Duration::from_secs(20);

/// Two namespaces joined by a veth pair `u0`, and a third one for switches.
pub struct Rig {
    /// Where clients are.
    pub left: Netns,
    /// Where servers are.
    pub right: Netns,
    /// Where a switch between the two may be.
    pub middle: Netns,
    /// The owner of them all.
    pub net: Net,
}

/// Addresses of `u0`, left and right.
pub const UNDERLAY: [&str; 2] = ["10.98.0.1", "10.98.0.2"];

/// Addresses of an overlay, left and right, where it does not bring its own.
pub const OVERLAY: [&str; 2] = ["10.97.0.1", "10.97.0.2"];

/// Something that carries frames between the two, until it is dropped.
pub struct Standing {
    /// The address of the left end.
    pub left: String,
    /// The address of the right end.
    pub right: String,
    /// Programs that run for it.
    pub processes: Vec<Process>,
    /// Nodes of ours.
    pub nodes: Vec<Node>,
    /// What must pass before it is measured, such as a path MTU being found.
    pub settle: Duration,
}

impl Rig {
    /// Makes them.
    pub fn set(minet: PathBuf) -> Result<Self> {
        let net = Net::with_binary(minet)?;
        let (left, right, middle) = (net.space("left")?, net.space("right")?, net.space("middle")?);
        let slash = UNDERLAY.map(|address| format!("{address}/24"));
        cable((&left, "u0", &[&slash[0]]), (&right, "u0", &[&slash[1]]))?;
        Ok(Self { left, right, middle, net })
    }

    /// Left, then right.
    pub fn ends(&self) -> [&Netns; 2] {
        [&self.left, &self.right]
    }

    /// Waits for an interface at each end, gives it the overlay's address and takes it up.
    pub fn configure(&self, interfaces: [&str; 2], mtu: Option<u32>) -> Result<()> {
        for ((space, interface), address) in self.ends().into_iter().zip(interfaces).zip(OVERLAY) {
            let there = || space.ip(&["link", "show", "dev", interface]).map(Some);
            eventually(START, &format!("interface {interface}"), there)?;
            space.ip(&["address", "add", &format!("{address}/24"), "dev", interface])?;
            if let Some(mtu) = mtu {
                space.ip(&["link", "set", interface, "mtu", &mtu.to_string()])?;
            }
            space.ip(&["link", "set", interface, "up"])?;
        }
        Ok(())
    }

    /// Starts a program in a namespace.
    pub fn spawn(&self, space: &Netns, program: &str, args: &[&dyn Display]) -> Result<Process> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        space.spawn(program, &args)
    }

    /// A file of this rig.
    pub fn file(&self, name: &str) -> PathBuf {
        self.net.dir().join(name)
    }

    /// Writes a file of this rig.
    pub fn write(&self, path: &Path, text: &str) -> Result<()> {
        let what = || format!("write {}", path.display());
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(Error::io(what()))?;
        }
        fs::write(path, text).map_err(Error::io(what()))
    }
}

impl Standing {
    /// Between these addresses, without a program.
    pub fn between([left, right]: [&str; 2]) -> Self {
        Self {
            left: left.to_owned(),
            right: right.to_owned(),
            processes: Vec::new(),
            nodes: Vec::new(),
            settle: Duration::ZERO,
        }
    }

    /// Between the overlay's addresses, carried by these programs.
    pub fn carried_by(processes: Vec<Process>) -> Self {
        Self { processes, ..Self::between(OVERLAY) }
    }

    /// Measured only after so long.
    pub fn settling(self, seconds: u64) -> Self {
        Self { settle: Duration::from_secs(seconds), ..self }
    }

    /// Waits until the right end answers, and lets it settle with a little traffic.
    pub fn wait(&self, rig: &Rig) -> Result<()> {
        let answer = || Ping::new(&self.right, 1).with(&["-W", "1"]).run(&rig.left).map(Some);
        eventually(START, "an answer of the other side", answer).map_err(|error| self.with_words(&error))?;
        let pings = self.settle.as_millis() / 200;
        if pings > 0 {
            Ping::new(&self.right, pings as u32).every(Duration::from_millis(200)).run(&rig.left)?;
        }
        Ok(())
    }

    /// Processor time of its programs and nodes until now, in seconds; nothing where there are none.
    pub fn spent(&self) -> Result<Option<f64>> {
        let pids: Vec<u32> = self.processes.iter().map(Process::id).chain(self.nodes.iter().map(Node::pid)).collect();
        let all = pids.iter().flat_map(|pid| [*pid].into_iter().chain(children(*pid)));
        let spent = all.map(processor_seconds).sum::<Result<f64>>()?;
        Ok((!pids.is_empty()).then_some(spent))
    }

    /// The last words of its programs.
    fn with_words(&self, error: &Error) -> Error {
        let words = |process: &Process| {
            let said = process.output().map(|said| said.stdout + &said.stderr).unwrap_or_default();
            let last = said.lines().rev().find(|line| !line.trim().is_empty())?;
            Some(format!("; {}: {last}", process.command_line().split_whitespace().nth(3)?))
        };
        Error::unexpected(format!("{error}{}", self.processes.iter().filter_map(words).collect::<String>()))
    }
}

/// The processes that the main thread of a process started.
fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}
