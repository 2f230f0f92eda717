//! A node under test: `minet run` in a namespace, and what it says about itself.

use crate::{Config, Error, Net, Netns, Process, Result, SOON, Traffic, eventually, process, processor_seconds};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

/// How many lines of a log an error shows.
const TAIL: usize = 30;

/// A running `minet run`. Dropping it kills it.
pub struct Node {
    config: Config,
    space: Netns,
    run_dir: PathBuf,
    file: PathBuf,
    log: PathBuf,
    minet: PathBuf,
    process: Process,
}

/// The command `minet`: `MINET_BIN`, or what was built beside the running program.
///
/// # Errors
/// There is none.
pub fn minet_binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("MINET_BIN").map(PathBuf::from) {
        let wrong = || Error::unexpected(format!("MINET_BIN is {}, which is no file", path.display()));
        return if path.is_file() { Ok(path) } else { Err(wrong()) };
    }
    let missing = "there is no binary `minet`: build it (`cargo build -p minet-node`) or set MINET_BIN";
    built("minet")?.ok_or_else(|| Error::unexpected(missing))
}

/// The project's own tasks, as `cargo xtask` built them.
///
/// # Errors
/// There are none.
pub fn xtask_binary() -> Result<PathBuf> {
    built("xtask")?.ok_or_else(|| Error::unexpected("there is no binary `xtask`: build it (`cargo build -p xtask`)"))
}

/// A program of the workspace.
fn built(program: &str) -> Result<Option<PathBuf>> {
    let own = env::current_exe().map_err(Error::io("find the running program"))?;
    // target/debug/deps/test-0123 and target/debug/xtask: look beside it, above it, and in the other profile.
    let above = own.ancestors().skip(1).take(3);
    let mut places = above.flat_map(|dir| ["", "debug", "release"].map(|part| dir.join(part).join(program)));
    Ok(places.find(|path| path.is_file()))
}

impl Node {
    /// Starts a node and waits until it answers.
    ///
    /// # Errors
    /// It does not start; the end of its log is told.
    pub fn start(net: &Net, space: &Netns, config: Config) -> Result<Self> {
        let mut node = Self::launch(net, space, config)?;
        node.wait_ready()?;
        Ok(node)
    }

    /// Starts a node and does not wait.
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn launch(net: &Net, space: &Netns, mut config: Config) -> Result<Self> {
        let run_dir = config.run_dir.get_or_insert_with(|| net.dir().join("run")).clone();
        fs::create_dir_all(&run_dir).map_err(Error::io(format!("make {}", run_dir.display())))?;
        let own = |kind: &str| net.dir().join(format!("{}-{}.{kind}", config.fabric, config.name));
        let (file, log) = (own("toml"), own("log"));
        fs::write(&file, config.toml()).map_err(Error::io(format!("write {}", file.display())))?;
        let minet = net.minet()?;
        let process = Self::run(&minet, space, &config, &file, &log)?;
        Ok(Self { config, space: space.clone(), run_dir, file, log, minet, process })
    }

    fn run(minet: &Path, space: &Netns, config: &Config, file: &Path, log: &Path) -> Result<Process> {
        let own = minet.display().to_string();
        let user = config.user.map(|user| user.to_string());
        let user = user.as_deref().map(|user| ["--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all"]);
        let words = [user.as_ref().map_or(&[][..], |user| &user[..]), &[&own, "run", "--log", &config.log, "--config"]];
        let words = words.concat();
        let (program, args) = match user {
            Some(_) => ("setpriv", &words[..]),
            None => (&*own, words.get(1..).unwrap_or_default()),
        };
        let mut command = space.command(program, args);
        command.arg(file);
        Process::spawn_logged(command, log)
    }

    /// What it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Its namespace.
    pub fn space(&self) -> &Netns {
        &self.space
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its run-time directory.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Its control socket.
    pub fn control(&self) -> PathBuf {
        self.run_dir.join(&self.config.fabric).join(format!("{}.ctl", self.config.name))
    }

    /// All that it has logged.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(&self.log).map_err(Error::io(format!("read {}", self.log.display())))
    }

    /// A `minet` command that asks this node.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.space.command(&self.minet, args);
        command.args(["--name", &self.config.name, "--fabric", &self.config.fabric, "--run-dir"]).arg(&self.run_dir);
        command
    }

    /// What `minet ARGS --json` says of this node.
    ///
    /// # Errors
    /// It does not answer, or not with JSON.
    pub fn ask(&self, args: &[&str]) -> Result<Value> {
        let said = process::run(self.command(&[args, &["--json"]].concat()))?.stdout;
        serde_json::from_str(&said).map_err(|error| Error::unexpected(format!("minet {args:?} said {said}: {error}")))
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// It ends or does not answer soon.
    pub fn wait_ready(&mut self) -> Result<()> {
        let ready = eventually(SOON, "an answer of the daemon", || {
            // A daemon that has ended will never answer.
            if !self.process.is_running() {
                return Ok(Some(false));
            }
            self.ask(&["status"]).map(|_| Some(true))
        });
        match ready {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.with_log("it ended while it started".to_owned())),
            Err(error) => Err(self.with_log(error.to_string())),
        }
    }

    /// Waits until it knows `count` members, itself too, each is up, and the kernel uses its interface.
    ///
    /// # Errors
    /// Not within `limit`; the end of its log is told.
    pub fn wait_members(&self, count: usize, limit: Duration) -> Result<()> {
        let all_up = || {
            let said = self.ask(&["nodes"])?;
            let nodes = said["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
            let up = nodes.iter().filter(|node| node["state"] == "up" || node["state"] == "self").count();
            if up != count {
                return Err(Error::unexpected(format!("{up} are up in {said}")));
            }
            if self.config.mode == "smoltcp" {
                return Ok(Some(()));
            }
            // A carrier that has just come is taken up by the kernel with a delay; until then it drops what is sent.
            let state = self.space.operational_state(&self.config.interface)?;
            let told = || Error::unexpected(format!("{} is {state}", self.config.interface));
            if count == 1 || state != "DOWN" { Ok(Some(())) } else { Err(told()) }
        };
        eventually(limit, &format!("{count} members up at {}", self.config.name), all_up)
            .map_err(|error| self.with_log(error.to_string()))
    }

    /// The row of another node in what `minet nodes` says.
    ///
    /// # Errors
    /// It does not answer, or does not know that node.
    pub fn member(&self, name: &str) -> Result<Value> {
        let said = self.ask(&["nodes"])?;
        let row = said["nodes"].as_array().into_iter().flatten().find(|row| row["name"] == name);
        row.cloned().ok_or_else(|| Error::unexpected(format!("{} does not know {name}: {said}", self.config.name)))
    }

    /// Waits until it sees another node in a state: `up` or `down`. A node it forgot is down.
    ///
    /// # Errors
    /// Not within `limit`; the end of its log is told.
    pub fn wait_state(&self, name: &str, state: &str, limit: Duration) -> Result<()> {
        let what = format!("{name} {state} at {}", self.config.name);
        let look = || match self.member(name) {
            Ok(row) if row["state"] == state => Ok(Some(())),
            Ok(row) => Err(Error::unexpected(row.to_string())),
            Err(_) if state == "down" => self.ask(&["status"]).map(|_| Some(())),
            Err(error) => Err(error),
        };
        eventually(limit, &what, look).map_err(|error| self.with_log(error.to_string()))
    }

    /// A number of `minet stats`: `kind` is `rx_packets`, or `drops/REASON`, or `counters/NAME`. 0 where there is none.
    ///
    /// # Errors
    /// It does not answer.
    pub fn count(&self, kind: &str) -> Result<u64> {
        let said = self.ask(&["stats"])?;
        Ok(said["segments"][0].pointer(&format!("/{kind}")).and_then(Value::as_u64).unwrap_or(0))
    }

    /// Its counters of the interface.
    ///
    /// # Errors
    /// It does not answer.
    pub fn traffic(&self) -> Result<Traffic> {
        let said = self.ask(&["stats"])?;
        let count = |kind: &str| {
            let number = said["segments"][0][kind].as_u64();
            number.ok_or_else(|| Error::unexpected(format!("no {kind} in {said}")))
        };
        Ok(Traffic {
            rx_packets: count("rx_packets")?,
            rx_bytes: count("rx_bytes")?,
            tx_packets: count("tx_packets")?,
            tx_bytes: count("tx_bytes")?,
            rx_dropped: count("rx_dropped")?,
            rx_errors: count("rx_errors")?,
            tx_dropped: count("tx_dropped")?,
            tx_errors: count("tx_errors")?,
        })
    }

    /// Processor time it has used, in seconds.
    ///
    /// # Errors
    /// It has ended.
    pub fn processor_seconds(&self) -> Result<f64> {
        processor_seconds(self.pid())
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Whether its process runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end within `limit`.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.wait(limit)?.ok_or_else(|| self.with_log(format!("it runs on after {limit:?}")))
    }

    /// Asks it to end (SIGTERM) and checks that it does, with success.
    ///
    /// # Errors
    /// It does not end, or ends badly.
    pub fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM);
        let status = self.wait_end(SOON)?;
        if status.success() { Ok(()) } else { Err(self.with_log(format!("it ended with {status}"))) }
    }

    /// Starts it again after it ended, without waiting.
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn relaunch(&mut self) -> Result<()> {
        self.process.kill();
        self.process = Self::run(&self.minet, &self.space, &self.config, &self.file, &self.log)?;
        Ok(())
    }

    /// An error about this node, with the end of its log.
    pub fn with_log(&self, what: String) -> Error {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n");
        Error::unexpected(format!("node {}: {what}\n--- the end of its log\n{tail}\n---", self.config.name))
    }
}
