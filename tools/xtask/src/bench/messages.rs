//! `cargo xtask bench --messages`: messages between processes of one host, through its daemon, against their budgets; with `--peers`
//! beside libraries that a program would pick instead.
//!
//! The example `pace` of the package `messenger` measures and prints a figure a line; figures are the medians of the rounds.

use super::{
    figures::median,
    page::{self, Bystander},
};
use crate::{packages, workspace::Workspace};
use minet_tests::{Config, Net, Node, Result, clean_leftovers, run_for};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The marked section of BENCH.md.
const TASK: &str = "cargo xtask bench --messages";
/// One run of a program.
const LIMIT: Duration = Duration::from_secs(120);

/// Figures by name, one a round.
type Figures = BTreeMap<String, Vec<f64>>;

/// What a figure is compared with: another one of the same round, or nothing.
struct Budget {
    name: &'static str,
    figure: &'static str,
    of: Option<&'static str>,
    bound: Bound,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}
use Bound::{AtLeast, AtMost};

const fn budget(name: &'static str, figure: &'static str, of: Option<&'static str>, bound: Bound) -> Budget {
    Budget { name, figure, of, bound }
}

const BUDGETS: [Budget; 7] = [
    budget("64 B, send to receipt, in wake-up round trips", "receipt µs", Some("wake µs"), AtMost(1.5)),
    budget("64 B, send to receipt, both sides look before they sleep, µs", "receipt, both look, µs", None, AtMost(3.0)),
    budget("64 B unconfirmed, a second", "plain /s", None, AtLeast(1e6)),
    budget("64 B confirmed, a second", "confirmed /s", None, AtLeast(3e5)),
    budget("1 MiB, part of memcpy", "large B/s", Some("memcpy B/s"), AtLeast(0.5)),
    budget("10,000 ports, 100,000 tickets: send to receipt", "receipt in a crowd µs", Some("receipt µs"), AtMost(1.2)),
    budget("10,000 ports, 100,000 tickets: unconfirmed", "plain in a crowd /s", Some("plain /s"), AtLeast(1.0 / 1.2)),
];

/// What is told besides: the name, the figure, by how much it is divided.
const BESIDES: [(&str, &str, f64); 6] = [
    ("wake-up round trip between two processes (pipes), µs", "wake µs", 1.0),
    ("64 B, request to answer of another process, µs", "answer µs", 1.0),
    ("memcpy of 1 MiB, GB/s", "memcpy B/s", 1e9),
    ("1 MiB, GB/s", "large B/s", 1e9),
    ("memory of the daemon for a named port, bytes", "port B", 1.0),
    ("for a request of 64 B without an answer, its ticket and its place in the port, bytes", "ticket B", 1.0),
];

/// Runs it; whether every budget was kept.
pub fn run(workspace: &Workspace, rounds: usize, peers: bool, write: bool) -> Result<bool> {
    packages::ensure(packages::NETWORK)?;
    clean_leftovers()?;
    let minet = workspace.build_minet(true)?;
    workspace.show_cargo(&["build", "--release", "--package", "messenger", "--example", "pace"])?;
    let pace = workspace.target.join("release/examples/pace");
    let compiled = if peers { compile(workspace)? } else { Vec::new() };
    let bystander = Bystander::new();
    let (mut figures, mut others) = (Figures::new(), BTreeMap::<&str, Figures>::new());
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        measure(&minet, &pace, &mut figures)?;
        for (name, program) in &compiled {
            let said = run_for(Command::new(program), LIMIT)?.stdout;
            note(&said, others.entry(name).or_default());
        }
    }
    let text = format!("{}{}", table(&figures), beside(&figures, &others));
    print!("{text}");
    if write {
        let how = format!("{rounds} rounds. {}", bystander.circumstances(&workspace.root));
        page::write(&workspace.root, TASK, &format!("{how}\n\n{text}"))?;
    }
    let kept = BUDGETS.iter().filter(|budget| budget.is_kept(&figures)).count();
    println!("floors: {kept} of {} held", BUDGETS.len());
    Ok(kept == BUDGETS.len())
}

/// One node, alone, and processes that are its guests.
fn measure(minet: &Path, pace: &Path, figures: &mut Figures) -> Result<()> {
    let net = Net::with_binary(minet.to_owned())?;
    let node = Node::start(&net, &net.space("a")?, Config::new("a", 1))?;
    let mut command = Command::new(pace);
    command.arg(node.run_dir()).args([&node.config().fabric, node.name(), &node.pid().to_string()]);
    let said = run_for(command, LIMIT).map_err(|error| node.with_log(error.to_string()))?.stdout;
    eprint!("{said}");
    note(&said, figures);
    Ok(())
}

/// Takes the figures of a program: a name and a number a line.
fn note(said: &str, figures: &mut Figures) {
    for line in said.lines() {
        if let Some((name, value)) = line.rsplit_once(' ')
            && let Ok(value) = value.parse()
        {
            figures.entry(name.to_owned()).or_default().push(value);
        }
    }
}

impl Budget {
    /// The middle of the rounds.
    fn reached(&self, figures: &Figures) -> Option<f64> {
        let values = figures.get(self.figure)?;
        match self.of {
            None => median(values.clone()),
            Some(of) => median(values.iter().zip(figures.get(of)?).map(|(value, of)| value / of).collect()),
        }
    }

    fn is_kept(&self, figures: &Figures) -> bool {
        self.reached(figures).is_some_and(|value| match self.bound {
            AtLeast(least) => value >= least,
            AtMost(most) => value <= most,
        })
    }
}

/// As people read it.
fn number(value: f64) -> String {
    if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn table(figures: &Figures) -> String {
    let mut text = String::from("| | median | budget | |\n| --- | ---: | ---: | --- |\n");
    for budget in &BUDGETS {
        let reached = budget.reached(figures).map_or("–".to_owned(), number);
        let bound = match budget.bound {
            AtLeast(least) => format!("≥ {}", number(least)),
            AtMost(most) => format!("≤ {}", number(most)),
        };
        let verdict = if budget.is_kept(figures) { "held" } else { "**missed**" };
        text += &format!("| {} | {reached} | {bound} | {verdict} |\n", budget.name);
    }
    text += "\n| besides | median |\n| --- | ---: |\n";
    for (name, figure, part) in BESIDES {
        let value = figures.get(figure).and_then(|values| median(values.clone()));
        text += &format!("| {name} | {} |\n", value.map_or("–".to_owned(), |value| number(value / part)));
    }
    text
}

/// The table of peers, if there are any.
fn beside(ours: &Figures, others: &BTreeMap<&str, Figures>) -> String {
    if others.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n| 64 B, two processes | round trip µs | one way, a second | promises |\n| --- | ---: | ---: | --- |\n",
    );
    let own = (
        "MINET, request and answer through the daemon",
        ours,
        "the queue outlives the process, a receipt tells what was stored, a death is told, full is an answer",
    );
    let row = |(name, figures, promises): (&str, &Figures, &str)| {
        let figure = |name: &str| figures.get(name).and_then(|all| median(all.clone())).map_or("–".to_owned(), number);
        format!("| {name} | {} | {} | {promises} |\n", figure("answer µs"), figure("plain /s"))
    };
    text += &row(own);
    for (name, figures) in others {
        text += &row((
            *name,
            figures,
            "none of these: what waits dies with its process, what is too much is dropped or waits",
        ));
    }
    text
}

/// Programs of peers that could be compiled here.
fn compile(workspace: &Workspace) -> Result<Vec<(&'static str, PathBuf)>> {
    let sources = workspace.root.join("tools/xtask/src/bench/messages");
    let mut programs = Vec::new();
    for (name, package, source, options) in [
        ("nng 1.5, ipc", "libnng-dev", "peer.c", &["-DNNG", "-lnng"][..]),
        ("ZeroMQ 4.3, ipc", "libzmq3-dev", "peer.c", &["-DZMQ", "-lzmq"]),
        ("NATS 2.9 (core), through its server", "nats-server", "nats.c", &[]),
    ] {
        let program = workspace.records()?.join(format!("peer-{package}"));
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-o"]).arg(&program).arg(sources.join(source)).args(options).arg("-lpthread");
        let installed = match package {
            "nats-server" => packages::ensure(&[("nats-server", package)]),
            library => packages::install(&[library]),
        };
        match installed.and_then(|()| run_for(cc, LIMIT)) {
            Ok(_) => programs.push((name, program)),
            Err(error) => eprintln!("{name} is not measured: {error}"),
        }
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_compared_round_by_round() {
        let mut figures = Figures::new();
        note("wake µs 10\nreceipt µs 14\nnonsense\nplain /s 1000001\n", &mut figures);
        note("wake µs 20\nreceipt µs 40\nplain /s 900000\n", &mut figures);
        note("wake µs 10\nreceipt µs 11\nplain /s 1200000\n", &mut figures);
        let text = table(&figures);
        assert!(text.contains("in wake-up round trips | 1.40 | ≤ 1.50 | held |"), "{text}");
        assert!(text.contains("64 B unconfirmed, a second | 1000001 | ≥ 1000000 | held |"), "{text}");
        assert!(
            text.contains("64 B confirmed, a second | – | ≥ 300000 | **missed** |"),
            "what was not measured is missed"
        );
    }
}
