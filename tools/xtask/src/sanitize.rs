//! `cargo xtask sanitize`: the rooms with unsafe code, and the seal's exchange, under sanitizers and in Miri; and what goes on a
//! wire or into shared memory in Miri as a machine of the other byte order. Needs a nightly compiler, and minutes.

use crate::workspace::{Workspace, show};
use minet_tests::{Error, Result, run};
use std::{process::Command, time::Instant};

/// Options of `cargo xtask sanitize`.
#[derive(clap::Args)]
pub struct Args {
    /// Only these steps, such as address or byte-order
    #[arg(value_name = "STEP")]
    only: Vec<String>,
}

/// A machine with the most significant byte first.
const BIG_ENDIAN: &str = "s390x-unknown-linux-gnu";
/// What Miri is told: files may be read, and a test may keep its vectors to its end.
const MIRI: (&str, &str) = ("MIRIFLAGS", "-Zmiri-disable-isolation -Zmiri-ignore-leaks");

/// One way of looking.
struct Step {
    name: &'static str,
    /// What it looks for.
    looks: &'static str,
    /// Runs of `cargo` with a nightly compiler; `HOST` stands for this machine's target.
    runs: &'static [&'static [&'static str]],
    environment: (&'static str, &'static str),
    /// A component of the compiler beside it.
    component: Option<&'static str>,
}

const STEPS: &[Step] = &[
    Step {
        name: "address",
        looks: "AddressSanitizer and LeakSanitizer: the ring, the seal's exchange, carriers, the interface, C callers",
        runs: &[&[
            "test",
            "--target",
            "HOST",
            "-p",
            "fabric-ring",
            "-p",
            "fabric-seal",
            "-p",
            "fabric",
            "-p",
            "iop",
            "-p",
            "netif",
            "-p",
            "messenger",
            "-p",
            "messenger-mps-c",
            "--lib",
            "--tests",
        ]],
        environment: ("RUSTFLAGS", "-Zsanitizer=address"),
        component: None,
    },
    Step {
        name: "thread",
        looks: "ThreadSanitizer: the ring between threads, the seal's exchange",
        runs: &[
            &[
                "test",
                "--target",
                "HOST",
                "-Zbuild-std",
                "-p",
                "fabric-ring",
                "--lib",
                "--test",
                "threads",
                "--test",
                "exchange",
            ],
            &["test", "--target", "HOST", "-Zbuild-std", "-p", "fabric-seal", "--test", "gate"],
        ],
        environment: ("RUSTFLAGS", "-Zsanitizer=thread"),
        component: Some("rust-src"),
    },
    Step {
        name: "miri",
        looks: "undefined behaviour in the ring, by an interpreter",
        runs: &[&["miri", "test", "-p", "fabric-ring", "--lib", "--test", "exchange"]],
        environment: MIRI,
        component: Some("miri"),
    },
    Step {
        name: "byte-order",
        looks: "the formats of wires and of shared memory, read and written by a big-endian machine",
        runs: &[
            &["miri", "test", "--target", BIG_ENDIAN, "-p", "messenger-core", "--test", "vectors"],
            &[
                "miri",
                "test",
                "--target",
                BIG_ENDIAN,
                "-p",
                "messenger-core",
                "--lib",
                "--",
                "survive",
                "over_old_bytes",
                "mac_and_node",
            ],
            &["miri", "test", "--target", BIG_ENDIAN, "-p", "fabric-ring", "--lib", "--test", "exchange"],
            &["miri", "test", "--target", BIG_ENDIAN, "-p", "iop-node", "--lib", "--", "table::", "bus::", "board::"],
            &[
                "miri",
                "test",
                "--target",
                BIG_ENDIAN,
                "-p",
                "messenger-vios",
                "--lib",
                "--",
                "as_recorded",
                "an_event_is",
            ],
            &[
                "miri",
                "test",
                "--target",
                BIG_ENDIAN,
                "-p",
                "minet",
                "--lib",
                "--",
                "parse_and_emit",
                "byte_by_byte",
                "rfc1071",
            ],
        ],
        environment: MIRI,
        component: Some("miri"),
    },
];

/// Runs it; whether nothing was found.
pub fn run_steps(args: &Args, workspace: &Workspace) -> Result<bool> {
    if let Some(unknown) = args.only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        return Err(Error::unexpected(format!("there is no step {unknown}; there are {}", known.join(", "))));
    }
    let host = host()?;
    let mut lines = Vec::new();
    let mut good = true;
    for step in STEPS.iter().filter(|step| args.only.is_empty() || args.only.iter().any(|name| name == step.name)) {
        println!("== {}: {}", step.name, step.looks);
        let begun = Instant::now();
        let done = step.component.map_or(Ok(()), has).and_then(|()| step.run(workspace, &host));
        good &= done.is_ok();
        let told = done.map_or_else(|error| error.to_string(), |()| "nothing found".to_owned());
        lines.push([step.name.to_owned(), format!("{} s", begun.elapsed().as_secs()), told]);
    }
    print!("\n{}", crate::table::columns(&lines));
    Ok(good)
}

impl Step {
    fn run(&self, workspace: &Workspace, host: &str) -> Result<()> {
        let (name, value) = self.environment;
        self.runs.iter().try_for_each(|args| {
            let args: Vec<&str> = args.iter().map(|arg| if *arg == "HOST" { host } else { arg }).collect();
            let mut command = nightly(&[&["cargo"], &args[..]].concat());
            // A folder for each: the flags differ.
            let target = workspace.target.join("sanitize").join(self.name);
            command.current_dir(&workspace.root).env(name, value).env("CARGO_TARGET_DIR", target);
            show(command)
        })
    }
}

/// A command of the nightly toolchain, whichever toolchain this runs under.
fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]).args(args);
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}

/// The target that the nightly compiler builds for by itself.
fn host() -> Result<String> {
    let lacks = |_| {
        Error::unexpected(
            "there is no nightly compiler, which sanitizers and Miri need: \
             `rustup toolchain install nightly --component rust-src,miri`",
        )
    };
    let said = run(nightly(&["rustc", "-vV"])).map_err(lacks)?.stdout;
    host_in(&said).ok_or_else(|| Error::unexpected("rustc does not say what it builds for"))
}

fn host_in(said: &str) -> Option<String> {
    said.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// Whether the nightly toolchain has a component.
fn has(component: &str) -> Result<()> {
    let mut command = Command::new("rustup");
    command.args(["component", "list", "--installed", "--toolchain", "nightly"]);
    let said = run(command)?.stdout;
    if said.lines().any(|line| line.starts_with(component)) {
        return Ok(());
    }
    Err(Error::unexpected(format!("it needs `rustup component add {component} --toolchain nightly`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_host_is_read() {
        let said = "rustc 1.97.0-nightly\nbinary: rustc\nhost: riscv64gc-unknown-linux-gnu\nrelease: 1.97.0-nightly\n";
        assert_eq!(host_in(said).as_deref(), Some("riscv64gc-unknown-linux-gnu"));
        assert_eq!(host_in(""), None);
    }

    /// A room that gets unsafe code is looked at, or its name stands here with the reason.
    #[test]
    fn every_room_with_unsafe_code_is_looked_at() {
        let elsewhere = [
            // Counts allocations in a benchmark; nothing of the product.
            "minet-pieces",
            // System calls of the harness.
            "minet-tests",
        ];
        let workspace = Workspace::find().unwrap();
        let looked: BTreeSet<&str> =
            STEPS.iter().flat_map(|step| step.runs).flat_map(|run| run.iter().copied()).collect();
        for package in &workspace.packages {
            let forbids = package.targets.iter().any(|(_, root)| {
                root.ends_with("src/lib.rs")
                    && std::fs::read_to_string(root).is_ok_and(|text| text.contains("forbid(unsafe_code)"))
            });
            let is_program = package.targets.iter().all(|(_, root)| !root.ends_with("src/lib.rs"));
            let is_known = elsewhere.contains(&package.name.as_str()) || looked.contains(package.name.as_str());
            assert!(forbids || is_program || is_known, "{} may have unsafe code", package.name);
        }
    }
}
