//! The program `pieces` under callgrind.

use crate::workspace::Workspace;
use minet_tests::{Error, Result, run, run_for};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Where the pieces are.
const BENCH: [&str; 4] = ["--package", "minet-pieces", "--bench", "pieces"];

/// How often a piece runs, in two runs: their difference has no set-up in it. Not the first times: tables grow then.
const FEW: u64 = 100;
const MANY: u64 = 300;

/// No build takes longer.
const BUILD: Duration = Duration::from_secs(3600);

/// Builds it as `cargo bench` would.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let json = ["--release", "--message-format", "json-render-diagnostics"];
    let said = run_for(workspace.cargo(&[&["build"], &BENCH[..], &json[..]].concat()), BUILD)?.stdout;
    let program = |line: &str| {
        let said: Value = serde_json::from_str(line).ok()?;
        (said["target"]["name"] == "pieces").then_some(PathBuf::from(said["executable"].as_str()?))
    };
    said.lines().find_map(program).ok_or_else(|| Error::unexpected("cargo built no program `pieces`"))
}

/// What the program can run.
pub fn names(program: &Path) -> Result<Vec<String>> {
    let mut command = Command::new(program);
    command.arg("--names");
    Ok(run(command)?.stdout.lines().map(str::to_owned).collect())
}

/// Instructions for one run of a piece.
pub fn instructions(program: &Path, name: &str) -> Result<u64> {
    let (few, many) = (total(program, name, FEW)?, total(program, name, MANY)?);
    Ok(many.saturating_sub(few) / (MANY - FEW))
}

/// The compiler in use.
pub fn compiler() -> Result<String> {
    let mut command = Command::new("rustc");
    command.arg("--version");
    Ok(run(command)?.stdout.trim().to_owned())
}

fn total(program: &Path, name: &str, count: u64) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    command.args(["--repeat", name, &count.to_string()]);
    let said = run(command)?.stderr;
    collected(&said).ok_or_else(|| Error::unexpected(format!("callgrind said: {said}")))
}

/// `==123== Collected : 456`
fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_callgrind_says() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 27182\n"), Some(27182));
        assert_eq!(collected("==1== Events    : Ir\n"), None);
    }
}
