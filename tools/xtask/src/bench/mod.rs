//! `cargo xtask bench`: our carriers beside a veth pair, between the same two namespaces, in turn.
//!
//! ```text
//!   left  u0 10.98.0.1 ------ veth ------ 10.98.0.2 u0  right
//!   left  minet0 10.77.0.1 == MINET over shared memory, or over UDP through that veth == 10.77.0.2 minet0  right
//! ```
//!
//! Absolute numbers drift with the machine, so what counts is the ratio to veth of the same round; each figure is the
//! median of the rounds.

mod figures;
mod page;
mod rig;

use crate::{packages, workspace::Workspace};
use figures::{Figures, Metric, Way};
use minet_tests::{Result, clean_leftovers};
use rig::Rig;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    /// One short round; BENCH.md stays as it is
    #[arg(long)]
    quick: bool,
}

/// A ratio to veth that must be reached.
pub struct Floor {
    /// On this way.
    pub way: Way,
    /// By this metric.
    pub metric: Metric,
    /// At least.
    pub ratio: f64,
}

/// The floors of "First light".
pub const FLOORS: [Floor; 2] = [
    Floor { way: Way::Shm, metric: Metric::Tcp, ratio: 0.45 },
    Floor { way: Way::Udp, metric: Metric::Tcp, ratio: 0.30 },
];

/// Runs it; whether every floor held.
pub fn run(args: &Args, workspace: &Workspace) -> Result<bool> {
    packages::ensure(packages::NETWORK)?;
    clean_leftovers()?;
    let minet = workspace.build_minet(true)?;
    let load = page::load();
    let rig = Rig::set(minet)?;
    let (rounds, seconds) = if args.quick { (1, 1) } else { (3, 2) };
    let mut figures = Figures::new();
    for round in 1..=rounds {
        for way in Way::ALL {
            eprintln!("round {round} of {rounds}: {}", way.name());
            rig.measure(way, seconds, |metric, value| {
                eprintln!("  {}: {value:.2}", metric.name());
                figures.add(way, metric, value);
            })?;
        }
    }
    let table = page::table(&figures);
    print!("\n{table}");
    if !args.quick {
        page::write(&workspace.root, &load, &table)?;
    }
    let held = FLOORS.iter().filter(|floor| figures.ratio(floor.way, floor.metric) >= Some(floor.ratio)).count();
    println!("floors: {held} of {} held", FLOORS.len());
    Ok(held == FLOORS.len())
}
