//! Child processes that end with their handle, and commands whose status is checked.

use crate::{Error, Result, guard, owner, sys, wait::Deadline};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

/// How long a command may take when the caller says nothing.
const LIMIT: Duration = Duration::from_secs(60);

/// In the environment of every process started here, and of what that starts: whose it is.
pub const OWNER: &str = "MINET_TESTS_OWNER";

/// What a command said.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A child process. Dropping it kills it; so does the end of the thread that started it.
pub struct Process {
    child: Child,
    line: String,
    stdout: Option<File>,
    stderr: Option<File>,
}

/// Runs a command to its end, one minute at most.
///
/// # Errors
/// It cannot be started, hangs, or its status is not success.
pub fn run(command: Command) -> Result<Output> {
    run_for(command, LIMIT)
}

/// Runs a command to its end, `limit` at most.
///
/// # Errors
/// As [`run`].
pub fn run_for(command: Command, limit: Duration) -> Result<Output> {
    Process::spawn(command)?.finish(limit)
}

/// A command as a person would type it.
pub fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The processes that this one has started and that still run, a line each; its guard is not one of them.
///
/// # Errors
/// `/proc` cannot be read.
pub fn children() -> Result<Vec<String>> {
    let own = std::process::id().to_string();
    let guard = guard::id().map(|id| id.to_string());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").map_err(Error::io("read /proc"))?.flatten() {
        if guard.is_some() && entry.file_name().to_str() == guard.as_deref() {
            continue;
        }
        // One that has ended meanwhile is none.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        if after_name.split_whitespace().nth(1) == Some(&own) {
            found.push(stat.chars().take_while(|c| *c != ')').chain([')']).collect());
        }
    }
    Ok(found)
}

/// The processes that an owner's processes have started and that still run, at any depth, a line each.
pub(crate) fn descendants(owner: &str) -> Result<Vec<String>> {
    let (mark, own) = (format!("{OWNER}={owner}"), std::process::id().to_string());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").map_err(Error::io("read /proc"))?.flatten() {
        let Some(pid) = entry.file_name().to_str().map(str::to_owned).filter(|pid| *pid != own) else { continue };
        // One that has ended meanwhile, or is nobody's any more, has none.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|word| word == mark.as_bytes()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(format!("{pid} {}", String::from_utf8_lossy(&line).replace('\0', " ")));
        }
    }
    Ok(found)
}

/// Kills what [`descendants`] finds, until there is nothing: a compiler started by one that is killed may come once more.
pub(crate) fn end_descendants(owner: &str) {
    for _ in 0..10 {
        let Ok(found) = descendants(owner) else { return };
        if found.is_empty() {
            return;
        }
        let pids = found.iter().filter_map(|line| Pid::from_raw(line.split(' ').next()?.parse().ok()?));
        // What has ended meanwhile is no trouble.
        for pid in pids {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Process {
    /// Starts a command; its output is kept for [`Process::finish`].
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(command: Command) -> Result<Self> {
        let (stdout, stderr) = (scratch()?, scratch()?);
        Self::start(command, Some(stdout), Some(stderr))
    }

    /// Starts a command; what it says is added to the file `log`.
    ///
    /// # Errors
    /// It cannot be started, or the file cannot be written.
    pub fn spawn_logged(command: Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.map_err(Error::io(format!("write {}", log.display())))?;
        Self::start(command, None, Some(file))
    }

    /// Starts a command with the input and output it was given.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn_as_is(command: Command) -> Result<Self> {
        Self::begin(command, None, None)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The command line it was started with.
    pub fn command_line(&self) -> &str {
        &self.line
    }

    /// Sends a signal; one to a process that has ended does nothing.
    pub fn signal(&self, signal: Signal) {
        // The child is not reaped before `wait`, so the number is still its own.
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end; `None` after `limit`.
    ///
    /// # Errors
    /// The system refuses to wait.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let what = || format!("wait for `{}`", self.line);
        if let Some(status) = self.child.try_wait().map_err(Error::io(what()))? {
            return Ok(Some(status));
        }
        let pid = Pid::from_raw(self.child.id() as i32).ok_or_else(|| Error::unexpected("a child without a number"))?;
        let end = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| Error::io(what())(errno.into()))?;
        let deadline = Deadline::after(limit);
        while let Some(left) = deadline.left() {
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            match poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&left)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => break,
                Err(errno) => return Err(Error::io(what())(errno.into())),
            }
        }
        self.child.try_wait().map_err(Error::io(what()))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end and checks the status.
    ///
    /// # Errors
    /// It hangs (it is killed then), or its status is not success.
    pub fn finish(mut self, limit: Duration) -> Result<Output> {
        let status = self.wait(limit)?;
        let command = self.line.clone();
        if status.is_none() {
            self.kill();
        }
        let Output { stdout, stderr } = self.output()?;
        match status {
            None => Err(Error::Hung { command, limit, stdout, stderr }),
            Some(status) if !status.success() => Err(Error::Failed { command, status, stdout, stderr }),
            Some(_) => Ok(Output { stdout, stderr }),
        }
    }

    /// What it has said until now.
    ///
    /// # Errors
    /// The kept output cannot be read.
    pub fn output(&self) -> Result<Output> {
        Ok(Output { stdout: text(self.stdout.as_ref())?, stderr: text(self.stderr.as_ref())? })
    }

    /// Ends it now (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn start(mut command: Command, stdout: Option<File>, stderr: Option<File>) -> Result<Self> {
        let share = |file: &File| file.try_clone().map_err(Error::io("share an output file"));
        let err = stderr.as_ref().map(share).transpose()?;
        let out = stdout.as_ref().or(stderr.as_ref()).map(share).transpose()?;
        command.stdin(Stdio::null()).stdout(out.map_or(Stdio::null(), Stdio::from));
        command.stderr(err.map_or(Stdio::null(), Stdio::from));
        // A log is read through its path.
        let stderr = stdout.is_some().then_some(stderr).flatten();
        Self::begin(command, stdout, stderr)
    }

    fn begin(mut command: Command, stdout: Option<File>, stderr: Option<File>) -> Result<Self> {
        let line = command_line(&command);
        command.env(OWNER, owner::own_name());
        sys::die_with_parent(&mut command);
        let _still_alive = owner::hold();
        let child = command.spawn().map_err(Error::io(format!("start `{line}`")))?;
        Ok(Self { child, line, stdout, stderr })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn scratch() -> Result<File> {
    tempfile::tempfile().map_err(Error::io("make a file for a command's output"))
}

fn text(file: Option<&File>) -> Result<String> {
    let Some(file) = file else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    // Not through the position of the file: the child writes there.
    loop {
        match file.read_at(&mut part, bytes.len() as u64).map_err(Error::io("read a command's output"))? {
            0 => break,
            read => bytes.extend(part.iter().take(read)),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_status_are_told() {
        assert_eq!(run(shell("echo good")).unwrap().stdout, "good\n");
        let told = run(shell("echo some; echo bad >&2; exit 3")).unwrap_err().to_string();
        assert!(told.contains("exit status: 3") && told.contains("some") && told.contains("bad"), "{told}");
    }

    #[test]
    fn a_command_that_hangs_is_killed() {
        let error = run_for(shell("echo before; exec sleep 1000"), Duration::from_millis(200)).unwrap_err();
        assert!(matches!(&error, Error::Hung { stdout, .. } if stdout == "before\n"), "{error}");
    }

    #[test]
    fn a_child_ends_with_the_thread_that_started_it() {
        let mut process = std::thread::spawn(|| Process::spawn(shell("exec sleep 1000")).unwrap()).join().unwrap();
        assert!(process.wait(Duration::from_secs(10)).unwrap().is_some());
    }
}
