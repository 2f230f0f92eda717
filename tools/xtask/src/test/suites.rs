//! Every test of the workspace through plain `cargo test`, its output shown and read.

use super::{
    again::{self, Failure, STOLEN_MOST},
    outcome::{Tally, TestName, Verdict},
};
use crate::{bench::page::Bystander, workspace::Workspace};
use minet_tests::{Error, Process, Result, run_for};
use serde_json::Value;
use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader, pipe},
    num::NonZero,
    path::PathBuf,
    process::Command,
    thread::available_parallelism,
    time::Duration,
};

/// No run of all tests takes longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// The package whose namespace tests need root.
const NETWORK_TESTS: &str = "minet-tests";
/// Its tests in namespaces.
const NAMESPACES: &str = "netns";
/// Its simulator.
const SIMULATOR: &str = "sim";

/// A test program: its package and target.
type Program = (String, String);

/// Tests that failed, and the part of the processors, in per cent, that the host took while their command ran.
type Failures = Vec<(TestName, f64)>;

/// The tests of that package that need nothing but the compiler.
const PLAIN_TESTS: [&str; 7] = ["--lib", "--test", "arrows", "--test", "corpus", "--test", "sim"];

/// The tests that boot the image of the I/O processor.
const MACHINE_TESTS: &str = "bare_machine::";
/// The test that checks the rooms for machines without an operating system.
const ROOMS_TESTS: &str = "bare::";

/// What some tests lack here, in words.
pub struct Lacking {
    /// To boot the image of the I/O processor.
    pub machine: Option<String>,
    /// To check the rooms without an operating system.
    pub rooms: Option<String>,
}

/// Where [`run`] leaves the command `minet`.
pub fn minet(workspace: &Workspace) -> PathBuf {
    workspace.target.join("debug/minet")
}

/// Builds and runs all tests.
pub fn run(workspace: &Workspace, quick: bool, lacking: Lacking, tally: &mut Tally) -> Result<()> {
    let mut programs = HashMap::new();
    // The command, the C library and the examples, which tests start. Together, and with examples: so what they depend on is
    // built once, with the features that tests use too.
    let mut is_built = false;
    tally.check("build", || {
        workspace.show_cargo(&["build", "--workspace", "--lib", "--bins", "--examples"]).map(|()| is_built = true)
    });
    tally.check("build of the tests", || built(workspace).map(|found| programs = found));
    if !is_built || programs.is_empty() {
        return Ok(());
    }

    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        tally.skip("tests in namespaces and of carriers", "they need root");
    }
    let rooms = !quick && lacking.rooms.is_none();
    let mut options = vec!["--no-fail-fast", "--color", "never", "--"];
    if !quick {
        options.push("--include-ignored");
    }
    for (what, tests, lacking) in [
        ("tests of an I/O processor", MACHINE_TESTS, lacking.machine),
        ("rooms without an operating system", ROOMS_TESTS, lacking.rooms),
    ] {
        if let (Some(lacking), false) = (lacking, quick) {
            tally.skip(what, &lacking);
            options.extend(["--skip", tests]);
        }
    }
    if quick {
        tally.skip("documentation tests and model checking", "--quick");
    }
    // One after the other: many tests watch times.
    let mut commands = before(workspace, is_root, &options);
    commands.extend(timeless(workspace, is_root, quick, rooms));
    if is_root {
        commands.push(in_namespaces(workspace, &options));
    }
    let mut failures = Failures::new();
    for command in commands {
        failures.extend(tests(command, &programs, tally)?);
    }
    look_again(workspace, &programs, failures, tally)
}

/// Gives what failed for want of processors another try.
fn look_again(
    workspace: &Workspace,
    programs: &HashMap<String, Program>,
    failures: Failures,
    tally: &mut Tally,
) -> Result<()> {
    let whole = |(name, stolen): (TestName, f64)| {
        let program = |(_, (package, target)): &(&String, &Program)| *package == name.package && *target == name.target;
        let program = programs.iter().find(program)?.0.into();
        let dir = workspace.packages.iter().find(|package| package.name == name.package)?.dir.clone();
        Some(Failure { name, program, dir, stolen })
    };
    // A test that is no program of its own, as examples in documentation, watches no time.
    let known: Option<Vec<Failure>> = failures.iter().cloned().map(whole).collect();
    let verdicts = match known.filter(|all| again::deserve(all)) {
        Some(known) => again::run(known, &minet(workspace), again::WAITS)?,
        None => failures.into_iter().map(|(name, _)| (name, Verdict::Failed)).collect(),
    };
    for (name, verdict) in verdicts {
        if verdict == Verdict::Failed {
            println!("test {} ... FAILED", name.path);
        }
        tally.judge_again(&name, verdict);
    }
    Ok(())
}

/// The tests in namespaces. Chosen in the whole workspace, as all others are: so features are the same and nothing is built twice.
fn in_namespaces(workspace: &Workspace, options: &[&str]) -> Command {
    let mut command = workspace.cargo(&[&["test", "--workspace", "--test", NAMESPACES], options].concat());
    command.env("MINET_BIN", minet(workspace));
    if env::var_os("RUST_TEST_THREADS").is_none() {
        let threads = 2 * available_parallelism().map_or(1, NonZero::get);
        command.env("RUST_TEST_THREADS", threads.to_string());
    }
    command
}

/// All others but those of [`timeless`]: many wait for something, so they have the processors for themselves. Without root, those that
/// need none.
fn before(workspace: &Workspace, is_root: bool, options: &[&str]) -> Vec<Command> {
    let others = |test: &&String| *test != NAMESPACES && *test != SIMULATOR;
    let mut commands = Vec::new();
    if is_root {
        let all = workspace.packages.iter().flat_map(|package| package.tests.iter().filter(others));
        let chosen: Vec<&str> = all.flat_map(|test| ["--test", test]).collect();
        let kinds = ["test", "--workspace", "--lib", "--bins", "--examples", "--benches"];
        commands.push(workspace.cargo(&[&kinds[..], &chosen, options, &["--skip", ROOMS_TESTS]].concat()));
    } else {
        let network = ["test", "--workspace", "--all-targets", "--exclude", NETWORK_TESTS];
        commands.push(workspace.cargo(&[&network[..], options].concat()));
        let plain = [&["test", "--package", NETWORK_TESTS][..], &PLAIN_TESTS[..], options].concat();
        commands.push(workspace.cargo(&plain));
    }
    for command in &mut commands {
        command.env("MINET_BIN", minet(workspace));
    }
    commands
}

/// Those that only compute or compile, however long it takes: the simulator (its clock is virtual), the rooms on a machine without an
/// operating system, examples in documentation, model checking.
fn timeless(workspace: &Workspace, is_root: bool, quick: bool, rooms: bool) -> Vec<Command> {
    let cargo = |args: &[&str]| workspace.cargo(args);
    let ignored: &[&str] = if quick { &[] } else { &["--include-ignored"] };
    let options = ["--no-fail-fast", "--color", "never", "--"];
    let mut commands = Vec::new();
    if is_root {
        let simulator = ["test", "--workspace", "--test", SIMULATOR];
        commands.push(cargo(&[&simulator[..], &options, ignored].concat()));
    }
    if is_root && rooms {
        let own = ["test", "--workspace", "--bin", "xtask"];
        commands.push(cargo(&[&own[..], &options, &[ROOMS_TESTS], ignored].concat()));
    }
    if !quick {
        commands.push(cargo(&["test", "--workspace", "--doc", "--no-fail-fast", "--color", "never"]));
        commands.push(loom(workspace));
    }
    commands
}

/// The test programs cargo makes, by path.
fn built(workspace: &Workspace) -> Result<HashMap<String, Program>> {
    let args = ["test", "--workspace", "--all-targets", "--no-run", "--message-format", "json-render-diagnostics"];
    let said = run_for(workspace.cargo(&args), LONGEST)?.stdout;
    let program = |line: &str| {
        let said: Value = serde_json::from_str(line).ok()?;
        let path = said["executable"].as_str()?.to_owned();
        let source = said["target"]["src_path"].as_str()?;
        let owns = |target: &(String, PathBuf)| target.1.as_os_str() == source;
        let package = workspace.packages.iter().find(|package| package.targets.iter().any(owns))?;
        Some((path, (package.name.clone(), said["target"]["name"].as_str()?.to_owned())))
    };
    Ok(said.lines().filter_map(program).collect())
}

/// Runs `cargo test`, shows what it says and keeps each verdict; what failed.
fn tests(mut command: Command, programs: &HashMap<String, Program>, tally: &mut Tally) -> Result<Failures> {
    let (bystander, mut failed) = (Bystander::new(), Vec::new());
    println!("== {}", minet_tests::command_line(&command));
    let (reader, writer) = pipe().map_err(Error::io("make a pipe"))?;
    let twin = writer.try_clone().map_err(Error::io("share a pipe"))?;
    command.stdout(writer).stderr(twin);
    // The command's own ends of the pipe are closed with it, else the reading would not end.
    let mut process = Process::spawn_as_is(command)?;
    let mut program = (String::new(), String::new());
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.map_err(Error::io("read what the tests say"))?;
        let mut line = String::from_utf8_lossy(&line).into_owned();
        if let Some(next) = program_of(&line, programs) {
            program = next;
        } else if let Some((path, verdict)) = verdict_of(&line) {
            let (package, target) = program.clone();
            let name = TestName { package, target, path };
            if verdict == Verdict::Failed {
                failed.push(name.clone());
            }
            tally.test(name, verdict);
            let stolen = bystander.stolen();
            if verdict == Verdict::Failed && stolen >= STOLEN_MOST {
                line = line.replace("FAILED", &format!("failed; judged at the end, the host takes {stolen:.0} %"));
            }
        }
        println!("{line}");
    }
    let status = process.wait(LONGEST)?;
    // A test program that crashes says no verdict: its end counts.
    if !status.is_some_and(|status| status.success()) && failed.is_empty() {
        tally.check("test programs end well", || Err(Error::unexpected("a test program did not end well")));
    }
    let stolen = bystander.stolen();
    Ok(failed.into_iter().map(|name| (name, stolen)).collect())
}

/// `Running unittests src/lib.rs (target/debug/deps/fabric-0123)` and `Doc-tests fabric`.
fn program_of(line: &str, programs: &HashMap<String, Program>) -> Option<Program> {
    let line = line.trim_start();
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some((package.to_owned(), "doc".to_owned()));
    }
    let path = line.strip_prefix("Running ")?.rsplit_once('(')?.1.strip_suffix(')')?;
    let found = programs.iter().find(|(built, _)| built.ends_with(path.trim_start_matches("./")));
    Some(found.map_or_else(|| (path.to_owned(), String::new()), |(_, program)| program.clone()))
}

/// `test a::b ... ok`, `… FAILED`, `… ignored, why`; with `#[should_panic]`: `test a - should panic ... ok`.
fn verdict_of(line: &str) -> Option<(String, Verdict)> {
    let (path, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let verdict = match verdict {
        "ok" => Verdict::Passed,
        "FAILED" => Verdict::Failed,
        other if other.starts_with("ignored") => Verdict::Skipped,
        _ => return None,
    };
    let path = path.split_once(" - should panic").map_or(path, |(path, _)| path);
    Some((path.to_owned(), verdict))
}

/// The ring under loom, in a build of its own.
fn loom(workspace: &Workspace) -> Command {
    let args = ["test", "--package", "fabric-ring", "--release", "--test", "loom", "--color", "never"];
    let mut command = workspace.cargo(&args);
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", workspace.target.join("loom"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_test_are_read() {
        let passed = |path: &str| Some((path.to_owned(), Verdict::Passed));
        assert_eq!(verdict_of("test a::b ... ok"), passed("a::b"));
        assert_eq!(verdict_of("test a::b - should panic ... ok"), passed("a::b"));
        assert_eq!(verdict_of("test c ... FAILED"), Some(("c".into(), Verdict::Failed)));
        assert_eq!(verdict_of("test c ... ignored, long: minutes"), Some(("c".into(), Verdict::Skipped)));
        assert_eq!(verdict_of("test result: ok. 8 passed; 0 failed"), None);
        assert_eq!(verdict_of("test x has been running for over 60 seconds"), None);
    }

    #[test]
    fn programs_are_told_apart() {
        let programs = HashMap::from([
            ("/t/debug/deps/minet-01".to_owned(), ("minet".to_owned(), "minet".to_owned())),
            ("/t/debug/deps/minet-02".to_owned(), ("minet-node".to_owned(), "minet".to_owned())),
        ]);
        let of = |line| program_of(line, &programs);
        let second = Some(("minet-node".to_owned(), "minet".to_owned()));
        assert_eq!(of("     Running unittests src/main.rs (t/debug/deps/minet-02)"), second);
        assert_eq!(of("   Doc-tests fabric"), Some(("fabric".to_owned(), "doc".to_owned())));
        assert_eq!(of("running 8 tests"), None);
    }
}
