//! `cargo xtask bench`: our carriers beside a veth pair, between two namespaces, in turn.
//!
//! ```text
//!   left  u0 10.98.0.1 ------ veth ------ 10.98.0.2 u0  right
//!   left  minet0 10.77.0.1 == MINET over shared memory, or over UDP through that veth == 10.77.0.2 minet0  right
//! ```
//!
//! Absolute numbers drift with the machine, so what counts is the ratio to veth of the same round; each figure is the
//! median of the rounds. Beside ours, on request: bare prototypes of a data path, and what a user would pick instead.

mod compare;
mod figures;
mod floors;
mod limits;
pub mod machine;
mod measure;
mod messages;
pub mod page;
mod peers;
mod plot;
mod rig;
pub mod scale;
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
const LIMITS: &str = "cargo xtask bench --limits";
const PEERS: &str = "cargo xtask bench --peers";

/// Where the picture is, seen from BENCH.md.
const PICTURE: &str = "docs/bench.svg";

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Short rounds, under five minutes; BENCH.md stays as it is
    #[arg(long)]
    quick: bool,
    /// How often everything is measured: 3 times, with --quick 2 times
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Only ways whose name has one of these in it, such as `UDP,vde`, and veth; BENCH.md stays as it is
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    only: Vec<String>,
    /// Beside prototypes too, built from this folder or the one that MINET_LIMITS names
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    limits: Option<String>,
    /// Beside what a user would pick instead too, as far as it can be installed
    #[arg(long)]
    peers: bool,
    /// Messages between processes instead of frames; with --peers, --rounds and --write as above
    #[arg(long, conflicts_with_all = ["quick", "only", "limits", "json"])]
    messages: bool,
    /// Write BENCH.md after --quick or --messages too
    #[arg(long)]
    write: bool,
    /// Every figure and floor as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A peer that cannot be measured, and why.
type Missing = (&'static str, String);

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
    if args.messages {
        return messages::run(workspace, args.rounds.unwrap_or(3), args.peers, args.write);
    }
    packages::ensure(&[packages::NETWORK, NEEDS].concat())?;
    clean_leftovers()?;
    let minet = workspace.build_minet(true)?;
    let (subjects, missing) = subjects(args, workspace)?;

    let (rounds, seconds) = if args.quick { (2, 1) } else { (3, 2) };
    let rounds = args.rounds.unwrap_or(rounds);
    let bystander = Bystander::new();
    let figures = measure_all(&subjects, &minet, rounds, seconds, args.quick);
    let circumstances = bystander.circumstances(&workspace.root);

    let judged = judged(&subjects);
    let sections = sections(&figures, &judged, &missing, args.peers);
    for (_, text) in &sections {
        println!("\n{text}");
    }
    if (!args.quick || args.write) && args.only.is_empty() {
        for (task, text) in &sections {
            let how = format!("{rounds} rounds, {seconds} s a figure. {circumstances}");
            page::write(&workspace.root, task, &format!("{how}\n\n{text}"))?;
        }
        if args.peers {
            draw(&figures, &workspace.root)?;
        }
    }
    if let Some(file) = &args.json {
        let floors: Vec<_> = judged.iter().map(|floor| floor.json(&figures)).collect();
        let all = json!({"circumstances": circumstances, "figures": figures.json(), "floors": floors});
        fs::write(file, format!("{all:#}\n")).map_err(Error::io(format!("write {}", file.display())))?;
    }
    Ok(verdict(&figures, &judged))
}

/// What is measured, and which peers cannot be.
fn subjects(args: &Args, workspace: &Workspace) -> Result<(Vec<Subject>, Vec<Missing>)> {
    let (mut all, mut missing) = (ways::all(), Vec::new());
    if let Some(folder) = &args.limits {
        all.extend(limits::subjects(&limits::folder(folder)?, workspace)?);
    }
    if args.peers {
        let (there, lacking) = peers::subjects();
        all.extend(there);
        missing = lacking;
    }
    let wanted = |way: Way| {
        let named = |words: &String| way.name().to_lowercase().contains(&words.to_lowercase());
        way == Way::Veth || args.only.is_empty() || args.only.iter().any(named)
    };
    all.retain(|subject| wanted(subject.way));
    Ok((all, missing))
}

/// The floors of what is measured.
fn judged(subjects: &[Subject]) -> Vec<&'static Floor> {
    static ALL: &[Floor] = &FLOORS;
    ALL.iter().filter(|floor| subjects.iter().any(|subject| floor.is_of(subject.way))).collect()
}

/// The tables, each under the task whose section of BENCH.md it is.
fn sections(figures: &Figures, judged: &[&Floor], missing: &[Missing], peers: bool) -> Vec<(&'static str, String)> {
    let of = |wanted: fn(Way) -> bool| figures.ways().into_iter().filter(|way| wanted(*way)).collect::<Vec<_>>();
    let ours = of(|way| !matches!(way, Way::Prototype(_) | Way::Peer(_)));
    let ours = format!("{}\n{}", page::table(figures, &ours, &Metric::ALL), page::floors(figures, judged));
    let mut sections = vec![(OURS, ours)];
    if figures.ways().iter().any(|way| matches!(way, Way::Prototype(_))) {
        let prototypes = of(|way| !matches!(way, Way::Peer(_)));
        sections.push((LIMITS, page::table(figures, &prototypes, &Metric::ALL)));
    }
    if peers {
        let ways = of(|way| !matches!(way, Way::Prototype(_)));
        let picture = format!("![Throughput and latency beside peers]({PICTURE})\n\n");
        sections.push((PEERS, picture + &compare::text(figures, &ways, missing)));
    }
    sections
}

/// The picture of everything that was measured.
fn draw(figures: &Figures, root: &Path) -> Result<()> {
    let file = root.join(PICTURE);
    let what = || format!("write {}", file.display());
    fs::create_dir_all(file.parent().unwrap_or(root)).map_err(Error::io(what()))?;
    fs::write(&file, plot::svg(figures, &figures.ways())).map_err(Error::io(what()))
}

/// Names the floors that were missed and ends with the line that counts; whether all held.
fn verdict(figures: &Figures, judged: &[&Floor]) -> bool {
    let missed: Vec<_> = judged.iter().filter(|floor| !floor.is_held(figures)).collect();
    for floor in &missed {
        let reached = floor.reached(figures).map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
        println!("missed: {}: {reached}", floor.name());
    }
    println!("floors: {} of {} held", judged.len() - missed.len(), judged.len());
    missed.is_empty()
}

/// Every subject in every round. What fails is told and has no figure.
fn measure_all(subjects: &[Subject], minet: &Path, rounds: usize, seconds: u32, quick: bool) -> Figures {
    let mut figures = Figures::default();
    for round in 1..=rounds {
        // What is not ours moves less and need not be measured twice in a hurry.
        let wanted =
            |subject: &&Subject| !(quick && round > 1 && matches!(subject.way, Way::Prototype(_) | Way::Peer(_)));
        for subject in subjects.iter().filter(wanted) {
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
