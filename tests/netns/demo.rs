//! The demonstration, run as a person runs it, with few rows: what it prints, and that nothing of it stays wherever it is ended.

use minet_tests::{Error, Net, Process, Result, SOON, eventually, left_by, run, xtask_binary};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::{
    fs,
    os::unix::{
        fs::PermissionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};
use tempfile::TempDir;

/// Longer than the rows that are run here take on a busy machine.
const LONG: Duration = Duration::from_secs(120);

struct Demo {
    process: Process,
}

impl Demo {
    fn start(net: &Net, args: &[&str]) -> Result<Demo> {
        let mut command = Command::new(xtask_binary()?);
        command.args(["demo", "--minet"]).arg(net.minet()?).args(args);
        Demo::of(command)
    }

    /// In a process group of its own, as a shell has it.
    fn of(mut command: Command) -> Result<Demo> {
        command.process_group(0);
        Ok(Demo { process: Process::spawn(command)? })
    }

    /// Waits until it has said this, on standard error.
    fn says(&mut self, words: &str) -> Result<()> {
        eventually(LONG, words, || {
            let said = self.process.output()?.stderr;
            Ok((said.contains(words) || !self.process.is_running()).then_some(()))
        })?;
        let said = self.process.output()?.stderr;
        if said.contains(words) {
            Ok(())
        } else {
            Err(Error::unexpected(format!("it ended without {words:?}: {said}")))
        }
    }

    /// Ctrl-C goes to the whole group, the others to the process alone.
    fn signal(&self, signal: Signal) {
        match Pid::from_raw(self.process.id() as i32) {
            Some(group) if signal == Signal::INT => kill_process_group(group, signal).unwrap(),
            _ => self.process.signal(signal),
        }
    }

    fn ends(&mut self) -> Result<ExitStatus> {
        let status = self.process.wait(LONG)?;
        status.ok_or_else(|| Error::unexpected(format!("it does not end: {}", self.process.output().unwrap().stderr)))
    }

    /// After it has ended: no namespace, no file, no process of any depth, no interface outside. Only processes may take a
    /// moment to die, and after SIGKILL all of it.
    fn left_nothing(&self, signal: Option<Signal>, before: &[String]) -> Result<()> {
        let left = left_by(self.process.id())?;
        let lasting = left.iter().any(|line| !line.starts_with("process "));
        assert!(!lasting || signal == Some(Signal::KILL), "{signal:?} left {left:?}");
        eventually(SOON, "the end of all of it", || match left_by(self.process.id())? {
            left if left.is_empty() => Ok(Some(())),
            left => Err(Error::unexpected(format!("{signal:?} left {left:?}"))),
        })?;
        assert_eq!(interfaces()?, before, "{signal:?}");
        Ok(())
    }
}

/// Those of the namespace that the tests are started in.
fn interfaces() -> Result<Vec<String>> {
    let entries = fs::read_dir("/sys/class/net").map_err(Error::io("list the interfaces"))?;
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| Error::unexpected(format!("no JSON ({error}): {text}")))
}

#[test]
fn some_rows_are_shown_and_the_last_one_says_that_nothing_is_left() -> Result<()> {
    let (net, before) = (Net::new()?, interfaces()?);
    let mut demo = Demo::start(&net, &["--json", "--only", "five members,relay,arping,DHCP,counters"])?;
    let status = demo.ends()?;
    let said = demo.process.output()?;
    assert!(status.success(), "{status}: {}{}", said.stdout, said.stderr);
    let shown = json(&said.stdout)?;
    let rows = shown["rows"].as_array().unwrap();
    assert!(rows.len() == 6 && rows.iter().all(|row| row["ok"] == true), "{shown}");
    let last = "0 namespaces, 0 processes, 0 run-time directories, 0 interfaces";
    assert_eq!((&rows[5]["name"], &rows[5]["figure"]), (&"nothing left behind".into(), &last.into()));
    demo.left_nothing(None, &before)
}

/// Each namespace has a line that works, and there is one that asks.
#[test]
fn what_is_kept_is_told_with_lines_to_type() -> Result<()> {
    let (net, before) = (Net::new()?, interfaces()?);
    let mut demo = Demo::start(&net, &["--keep", "--json", "--only", "five members"])?;
    let said = eventually(LONG, "the table", || {
        let said = demo.process.output()?;
        Ok((said.stdout.ends_with('\n') || !demo.process.is_running()).then_some(said))
    })?;
    assert!(demo.process.is_running(), "{}", said.stderr);
    let shown = json(&said.stdout)?;
    let spaces = shown["namespaces"].as_array().unwrap();
    let names: Vec<&str> = spaces.iter().filter_map(|space| space["node"].as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        run(command).map(|output| output.stdout)
    };
    for space in spaces {
        let typed = space["type"].as_str().unwrap();
        assert_eq!(typed, format!("ip netns exec {} bash", space["namespace"].as_str().unwrap()));
        let inside = shell(&format!("{typed} -c 'ip -o -4 address show dev minet0'"))?;
        assert!(inside.contains(&format!("{}/", space["ipv4"].as_str().unwrap())), "{inside}");
    }
    assert_eq!(shell(shown["ask"].as_str().unwrap())?.lines().count(), 6, "a heading and five nodes");
    demo.signal(Signal::INT);
    assert_eq!(demo.ends()?.code(), Some(130));
    demo.left_nothing(Some(Signal::INT), &before)
}

/// Ended before anything is there, while namespaces are made, in the middle of its rows, and while it cleans up.
#[test]
fn wherever_it_is_ended_nothing_stays() -> Result<()> {
    let (net, before) = (Net::new()?, interfaces()?);
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::KILL, 0)] {
        for point in ["at once", "namespaces", "arping", "clean shutdown"] {
            let mut demo = Demo::start(&net, &["--only", "five members,arping,tcpdump,clean shutdown"])?;
            match point {
                "at once" => {}
                "namespaces" => eventually(LONG, "its first namespace", || {
                    let left = left_by(demo.process.id())?;
                    Ok(left.iter().any(|line| line.starts_with("namespace ")).then_some(()))
                })?,
                row => demo.says(&format!("{row}: "))?,
            }
            demo.signal(signal);
            let ended = demo.ends()?;
            let by_signal = ended.signal() == Some(signal.as_raw());
            let fine = match (signal, point) {
                (Signal::KILL, _) => by_signal,
                // Before it has begun anything it may just go.
                (_, "at once") => by_signal || ended.code() == Some(status),
                // It may have been faster.
                (_, "clean shutdown") => ended.success() || ended.code() == Some(status),
                _ => ended.code() == Some(status),
            };
            assert!(fine, "{signal:?} at {point}: {ended}: {}", demo.process.output()?.stderr);
            demo.left_nothing(Some(signal), &before)?;
        }
    }
    Ok(())
}

/// Builds nothing and does not end; what else it is asked, the real one does.
const ENDLESS_CARGO: &str = r#"#!/bin/sh
[ "$1" = build ] || exec "$REAL" "$@"
echo "the build: begins" >&2
sleep 1000 &
wait
"#;

/// The compilers that cargo has started end with it.
#[test]
fn ended_while_it_builds_nothing_stays() -> Result<()> {
    let (_turn, before) = (Net::new()?, interfaces()?);
    let dir = tempfile::tempdir().map_err(Error::io("make a directory"))?;
    let cargo = dir.path().join("cargo");
    fs::write(&cargo, ENDLESS_CARGO).map_err(Error::io("write a script"))?;
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).map_err(Error::io("make a script runnable"))?;
    for signal in [Signal::INT, Signal::TERM] {
        let mut command = Command::new(xtask_binary()?);
        let real = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        command.arg("demo").env("REAL", real).env("CARGO", &cargo);
        let mut demo = Demo::of(command)?;
        demo.says("the build: begins")?;
        demo.signal(signal);
        assert_eq!(demo.ends()?.code(), Some(128 + signal.as_raw()));
        demo.left_nothing(Some(signal), &before)?;
    }
    Ok(())
}

/// A machine on which programs are missing and `apt-get` is slow: it says what it does in the file `said`, and waits for the file
/// `go` where it is told to.
struct Machine {
    dir: TempDir,
}

const SLOW_APT: &str = r#"#!/bin/sh
cd "${0%/*}" || exit
trap 'echo interrupted >>said' HUP INT TERM
echo "$1 begins" >>said
/usr/sbin/policy-rc.d
echo "a service is asked for: $?" >>said
if [ "$1" = "$(cat waits)" ]; then
    while [ ! -e go ]; do sleep 0.02; done
fi
echo "$1 ends" >>said
"#;

/// With the directory's own `sbin`, in which nothing is, for `/usr/sbin`; nobody else sees it.
const ON_IT: &str = r#"mount --bind "$0/sbin" /usr/sbin && PATH=$0:$PATH && export PATH && exec "$@""#;

impl Machine {
    fn new(waits: &str) -> Result<Machine> {
        let machine = Machine { dir: tempfile::tempdir().map_err(Error::io("make a directory"))? };
        fs::create_dir(machine.path("sbin")).map_err(Error::io("make a directory"))?;
        machine.write("apt-get", SLOW_APT)?;
        machine.write("waits", waits)?;
        fs::set_permissions(machine.path("apt-get"), fs::Permissions::from_mode(0o755))
            .map_err(Error::io("make a script runnable"))?;
        Ok(machine)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.path(name), text).map_err(Error::io(format!("write {name}")))
    }

    fn policy(&self) -> Option<String> {
        fs::read_to_string(self.path("sbin/policy-rc.d")).ok()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    fn says(&self, words: &str) -> Result<()> {
        eventually(LONG, words, || Ok(self.said().contains(words).then_some(())))
    }

    fn demo(&self) -> Result<Demo> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", ON_IT]).arg(self.dir.path()).arg(xtask_binary()?).arg("demo");
        Demo::of(command)
    }
}

/// No service starts; a signal waits for the end; when the demonstration is killed the installation goes on to its end, with the guard
/// up to then; and a guard that somebody else put there stays.
#[test]
fn an_installation_is_never_cut_short_and_starts_no_service() -> Result<()> {
    let (_turn, before) = (Net::new()?, interfaces()?);
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let machine = Machine::new("install")?;
        let mut demo = machine.demo()?;
        machine.says("install begins\na service is asked for: 101\n")?;
        demo.signal(signal);
        if signal == Signal::KILL {
            assert_eq!(demo.ends()?.signal(), Some(9));
        } else {
            demo.says("apt-get is at work")?;
            assert!(demo.process.is_running());
        }
        assert!(machine.policy().is_some());
        machine.write("go", "")?;
        if signal != Signal::KILL {
            assert_eq!(demo.ends()?.code(), Some(128 + signal.as_raw()));
        }
        machine.says("install ends")?;
        eventually(SOON, "the end of the guard", || Ok(machine.policy().is_none().then_some(())))?;
        assert!(!machine.said().contains("interrupted"), "{signal:?}: {}", machine.said());
        demo.left_nothing(Some(signal), &before)?;
    }
    Ok(())
}

#[test]
fn after_a_signal_no_installation_is_begun_and_the_policy_of_others_stays() -> Result<()> {
    let (_turn, before) = (Net::new()?, interfaces()?);
    let machine = Machine::new("update")?;
    let theirs = "#!/bin/sh\nexit 104\n";
    machine.write("sbin/policy-rc.d", theirs)?;
    fs::set_permissions(machine.path("sbin/policy-rc.d"), fs::Permissions::from_mode(0o755))
        .map_err(Error::io("make a script runnable"))?;
    let mut demo = machine.demo()?;
    machine.says("update begins\na service is asked for: 104\n")?;
    demo.signal(Signal::INT);
    demo.says("apt-get is at work")?;
    machine.write("go", "")?;
    assert_eq!(demo.ends()?.code(), Some(130));
    assert!(machine.said().contains("update ends") && !machine.said().contains("install"), "{}", machine.said());
    assert_eq!(machine.policy().as_deref(), Some(theirs));
    assert!(Path::new("/usr/sbin/sshd").exists(), "the real directory is as it was");
    demo.left_nothing(Some(Signal::INT), &before)
}
