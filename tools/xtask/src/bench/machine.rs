//! `cargo xtask iop`: builds the image of the I/O processor; with `--measure`, what it costs and how fast it comes back.

use super::{
    figures::median,
    page::{self, Bystander},
};
use crate::{bare, packages, workspace::Workspace};
use minet_tests::{
    Config, Error, Net, Node, Ping, Result, SOON, clean_leftovers, eventually, exact_processor_seconds,
    proportional_kib,
};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// The marked section of BENCH.md.
const TASK: &str = "cargo xtask iop --measure";

/// How often it is booted, reset and stopped.
const ROUNDS: u64 = 9;
/// Echo requests, and the time between two.
const PINGS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(10);
/// The node's heartbeat in milliseconds and how many may be missed: the daemon's own defaults.
const HEARTBEAT: (u32, u32) = (500, 4);
/// The name of the processor, its number and its address.
const NAME: &str = "io1";
const ID: u32 = 9;
const ADDRESS: &str = "10.77.0.9";

/// Options of `cargo xtask iop`.
#[derive(clap::Args)]
pub struct Args {
    /// Boot it too, and measure it against its budgets (needs root and QEMU)
    #[arg(long)]
    measure: bool,
    /// Write BENCH.md
    #[arg(long, requires = "measure")]
    write: bool,
}

/// A figure and the most it may be.
struct Budget {
    name: &'static str,
    unit: &'static str,
    /// One a round.
    values: Vec<f64>,
    most: f64,
}

/// Runs it; whether every budget was kept.
pub fn run(args: &Args, workspace: &Workspace) -> Result<bool> {
    let image = bare::build_images(workspace)?;
    println!("{}", image.display());
    if !args.measure {
        return Ok(true);
    }
    packages::ensure(&[packages::NETWORK, packages::MACHINE].concat())?;
    clean_leftovers()?;
    let minet = workspace.build_minet(true)?;
    let bystander = Bystander::new();
    let (budgets, besides) = measure(&minet, &image)?;
    let text = format!("{}\n{besides}\n", table(&budgets));
    print!("{text}");
    if args.write {
        page::write(&workspace.root, TASK, &format!("{}\n\n{text}", bystander.circumstances(&workspace.root)))?;
    }
    Ok(budgets.iter().all(Budget::is_kept))
}

/// One node and its processor, alone.
fn measure(minet: &Path, image: &Path) -> Result<(Vec<Budget>, String)> {
    let bytes = fs::metadata(image).map_err(Error::io(format!("look at {}", image.display())))?.len();
    let net = Net::with_binary(minet.to_owned())?;
    let config = Config::new("a", 1).heartbeat(HEARTBEAT.0, HEARTBEAT.1).iop(NAME, ID, image);
    let node = Node::start(&net, &net.space("a")?, config)?;
    let operational = |lives: u64| {
        eventually(SOON, "an operational I/O processor", || {
            let iop = iop(&node)?;
            let seen = iop["state"] == "operational" && iop["lives"].as_u64() >= Some(lives);
            if seen { Ok(Some(iop)) } else { Err(Error::unexpected(iop.to_string())) }
        })
        .map_err(|error| node.with_log(error.to_string()))
    };
    let lives = || Ok(iop(&node)?["lives"].as_u64().unwrap_or_default());
    operational(1)?;

    let (mut boots, mut resets, mut silences) = (Vec::new(), Vec::new(), Vec::new());
    let mut spent = Vec::new();
    for _ in 0..ROUNDS {
        let next = lives()? + 1;
        node.ask(&["iop", "hold", NAME])?;
        let begun = Instant::now();
        node.ask(&["iop", "boot", NAME])?;
        let pid = process(&operational(next)?)?;
        boots.push(begun.elapsed().as_secs_f64());
        spent.push(exact_processor_seconds(pid)?);

        let begun = Instant::now();
        node.ask(&["iop", "reset", NAME])?;
        let pid = process(&operational(next + 1)?)?;
        resets.push(begun.elapsed().as_secs_f64());

        // Deaf, while its process lives.
        node.space().run("kill", &["-STOP", &pid.to_string()])?;
        let begun = Instant::now();
        eventually(SOON, "a fault", || Ok((iop(&node)?["state"] != "operational").then_some(())))?;
        silences.push(begun.elapsed().as_secs_f64() * 1e3 / f64::from(HEARTBEAT.0));
        operational(next + 2)?;
    }

    let pings = Ping::new(ADDRESS, PINGS).every(PAUSE).run(node.space())?;
    let pid = process(&operational(1)?)?;
    let status = node.space().run("curl", &["--silent", "--show-error", &format!("http://{ADDRESS}/")])?.stdout;
    let heap = status.lines().find_map(|line| line.strip_prefix("memory ")).unwrap_or("? of ? bytes");
    let besides = format!(
        "Of its memory the heap uses {heap}. QEMU takes {:.1} MiB of the host, and until the processor is operational \
         {:.2} s of the host's processors (median of the boots): what a boot takes besides, it waits for them. \
         {} of {PINGS} echo requests were answered. A heartbeat is {} ms, {} may be missed. Times hold the command's own start, and a look every 10 ms.",
        proportional_kib(pid)? as f64 / 1024.0,
        median(spent).unwrap_or_default(),
        pings.received,
        HEARTBEAT.0,
        HEARTBEAT.1,
    );
    let one = |name, unit, values, most| Budget { name, unit, values, most };
    let budgets = vec![
        one("image", "KiB", vec![bytes as f64 / 1024.0], 1024.0),
        one("boot to operational", "s", boots, 1.0),
        one("reset to operational", "s", resets, 1.5),
        one("memory of the machine", "MiB", vec![memory(pid)?], 16.0),
        one("a deaf one is found", "heartbeats", silences, 3.0),
        one("ping p50, host to processor", "ms", pings.median().map(|us| us / 1e3).into_iter().collect(), 2.0),
    ];
    Ok((budgets, besides))
}

fn iop(node: &Node) -> Result<Value> {
    Ok(node.ask(&["iop", "list"])?["iops"][0].clone())
}

/// What it runs on.
fn process(iop: &Value) -> Result<u32> {
    let pid = iop["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    pid.ok_or_else(|| Error::unexpected(format!("an I/O processor without a process: {iop}")))
}

/// The memory that a machine of QEMU was given, in MiB.
fn memory(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/cmdline");
    let line = fs::read_to_string(&path).map_err(Error::io(format!("read {path}")))?;
    let mut words = line.split('\0').skip_while(|word| *word != "-m");
    words
        .nth(1)
        .and_then(|mib| mib.parse().ok())
        .ok_or_else(|| Error::unexpected(format!("{path} does not tell the machine's memory: {line}")))
}

impl Budget {
    /// The middle of the rounds.
    fn value(&self) -> Option<f64> {
        median(self.values.clone())
    }

    fn is_kept(&self) -> bool {
        self.value().is_some_and(|value| value <= self.most)
    }
}

fn table(budgets: &[Budget]) -> String {
    let mut text = String::from("| | median | worst | at most | |\n| --- | ---: | ---: | ---: | --- |\n");
    for budget in budgets {
        let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
        let worst = budget.values.iter().copied().reduce(f64::max);
        text += &format!(
            "| {}, {} | {} | {} | {} | {} |\n",
            budget.name,
            budget.unit,
            figure(budget.value()),
            figure(worst),
            budget.most,
            if budget.is_kept() { "kept" } else { "**missed**" }
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_judged_and_the_worst_is_told() {
        let budget = |values: &[f64]| Budget { name: "boot", unit: "s", values: values.to_vec(), most: 1.0 };
        let text = table(&[budget(&[0.5, 3.0, 0.75]), budget(&[1.5]), budget(&[])]);
        assert!(text.contains("| boot, s | 0.75 | 3.00 | 1 | kept |"), "{text}");
        assert!(text.contains("| boot, s | 1.50 | 1.50 | 1 | **missed** |"), "{text}");
        assert!(text.contains("| boot, s | – | – | 1 | **missed** |"), "what was not measured is not kept: {text}");
    }
}
