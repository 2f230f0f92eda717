//! `cargo xtask bench`: our carriers beside a veth pair, between two namespaces, in turn.
//!
//! ```text
//!   left  u0 10.98.0.1 ------ veth ------ 10.98.0.2 u0  right
//!   left  minet0 10.77.0.1 == MINET over shared memory, or over UDP through that veth == 10.77.0.2 minet0  right
//! ```
//!
//! Absolute numbers drift with the machine, so what counts is the ratio to veth of the same round; each figure is the
//! median of the rounds. Beside ours, on request: bare prototypes of a data path, and what a user would pick instead.

mod figures;
mod floors;
mod measure;
mod page;
mod rig;
mod ways;

use crate::{
    packages::{self, Need},
    workspace::Workspace,
};
use figures::{Figures, Metric, Way};
use floors::{FLOORS, Floor};
use minet_tests::{Error, Result, clean_leftovers};
use page::Bystander;
use rig::{Rig, Standing};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Programs of a measurement beside those of the tests.
const NEEDS: &[Need] = &[("sockperf", "sockperf"), ("taskset", "util-linux")];

/// The marked sections of BENCH.md.
const OURS: &str = "cargo xtask bench";

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Short rounds, under five minutes; BENCH.md stays as it is
    #[arg(long)]
    quick: bool,
    /// How often everything is measured: 3 times, with --quick 2 times
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Only ways whose name has this in it, such as `UDP`, and veth; BENCH.md stays as it is
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// Write BENCH.md after --quick too
    #[arg(long)]
    write: bool,
    /// Every figure and floor as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Sets something up in a rig.
type Stand = Box<dyn Fn(&Rig) -> Result<Standing>>;

/// Something to measure.
pub struct Subject {
    way: Way,
    metrics: &'static [Metric],
    stand: Stand,
}

impl Subject {
    fn new(way: Way, metrics: &'static [Metric], stand: impl Fn(&Rig) -> Result<Standing> + 'static) -> Self {
        Self { way, metrics, stand: Box::new(stand) }
    }

    /// Sets it up between new namespaces and takes its metrics.
    fn measure(&self, minet: &Path, seconds: u32, mut tell: impl FnMut(Metric, f64)) -> Result<()> {
        let rig = Rig::set(minet.to_owned())?;
        let standing = (self.stand)(&rig)?;
        standing.wait(&rig)?;
        let mut failed = None;
        measure::take(&rig, &standing, self.metrics, seconds, |metric, value| match value {
            Ok(value) => tell(metric, value),
            Err(error) => failed = Some(Error::unexpected(format!("{}: {error}", metric.name()))),
        });
        failed.map_or(Ok(()), Err)
    }
}

/// Runs it; whether every floor held.
pub fn run(args: &Args, workspace: &Workspace) -> Result<bool> {
    packages::ensure(&[packages::NETWORK, NEEDS].concat())?;
    clean_leftovers()?;
    let minet = workspace.build_minet(true)?;
    let wanted = |way: Way| {
        let named = |words: &String| way.name().to_lowercase().contains(&words.to_lowercase());
        way == Way::Veth || args.only.as_ref().is_none_or(named)
    };
    let subjects: Vec<Subject> = ways::all().into_iter().filter(|subject| wanted(subject.way)).collect();

    let (rounds, seconds) = if args.quick { (2, 1) } else { (3, 2) };
    let rounds = args.rounds.unwrap_or(rounds);
    let bystander = Bystander::new();
    let figures = measure_all(&subjects, &minet, rounds, seconds);
    let circumstances = bystander.circumstances(&workspace.root);
    let rounds = format!("{rounds} rounds, {seconds} s a figure. ");

    let ways: Vec<Way> = subjects.iter().map(|subject| subject.way).collect();
    let judged: Vec<&Floor> = FLOORS.iter().filter(|floor| ways.iter().any(|way| floor.is_of(*way))).collect();
    let ours = format!("{}\n{}", page::table(&figures, &ways, &Metric::ALL), page::floors(&figures, &judged));
    println!("\n{ours}");
    if (!args.quick || args.write) && args.only.is_none() {
        page::write(&workspace.root, OURS, &format!("{rounds}{circumstances}\n\n{ours}"))?;
    }
    let (held, missed): (Vec<&Floor>, Vec<&Floor>) = judged.iter().partition(|floor| floor.is_held(&figures));
    if let Some(file) = &args.json {
        let floors: Vec<_> = judged.iter().map(|floor| floor.json(&figures)).collect();
        let all = json!({"circumstances": circumstances, "figures": figures.json(), "floors": floors});
        fs::write(file, format!("{all:#}\n")).map_err(Error::io(format!("write {}", file.display())))?;
    }
    for floor in &missed {
        let reached = floor.reached(&figures).map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
        println!("missed: {}: {reached}", floor.name());
    }
    println!("floors: {} of {} held", held.len(), judged.len());
    Ok(missed.is_empty())
}

/// Every subject in every round. What fails is told and has no figure.
fn measure_all(subjects: &[Subject], minet: &Path, rounds: usize, seconds: u32) -> Figures {
    let mut figures = Figures::default();
    for round in 1..=rounds {
        for subject in subjects {
            eprintln!("round {round} of {rounds}: {}", subject.way.name());
            let done = subject.measure(minet, seconds, |metric, value| {
                eprintln!("  {}: {value:.2}", metric.name());
                figures.add(round, subject.way, metric, value);
            });
            if let Err(error) = done {
                eprintln!("  {error}");
            }
        }
    }
    figures
}
