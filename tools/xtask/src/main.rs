//! The project's own tasks, one command: `cargo xtask demo | test | coverage | sanitize | bench | scale | instructions | iop`.
//!
//! It runs tools and the built binaries from outside and knows only the test harness.

mod bare;
mod bench;
mod coverage;
mod demo;
mod instructions;
mod packages;
mod sanitize;
mod table;
mod test;
mod workspace;

use clap::{Parser, Subcommand};
use minet_tests::{Result, leave_the_end_to_signals};
use std::process::ExitCode;
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Tasks of the MINET project")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Five nodes on one Ethernet, shown with ordinary tools in a table; leaves nothing behind (needs root)
    Demo(demo::Args),
    /// Format, lints, documentation, every test, the bare-metal build; ends with `N passed, N failed, N skipped`
    Test(test::Args),
    /// Each row of tests/checklist.tsv with the test that shows it, judged by the last `cargo xtask test`
    Coverage(coverage::Args),
    /// The rooms with unsafe code and the seal under sanitizers and in Miri, and wire formats as a big-endian machine (nightly)
    Sanitize(sanitize::Args),
    /// Builds the image that I/O processors run, and prints its path; measures it against its budgets
    Iop(bench::machine::Args),
    /// Instructions of the pieces of the frame path, against what is recorded
    Instructions(instructions::Args),
    /// Our carriers beside veth, in turn; writes BENCH.md and ends with `floors: N of M held` (needs root)
    Bench(bench::Args),
    /// What 2, 5, 8 and 32 nodes on one host cost, idle and with one pair busy (needs root)
    Scale(bench::scale::Args),
}

fn main() -> ExitCode {
    let done = Workspace::find().and_then(|workspace| run(Cli::parse().task, &workspace));
    // What a signal has ended is no failure.
    leave_the_end_to_signals();
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well.
fn run(task: Task, workspace: &Workspace) -> Result<bool> {
    match task {
        Task::Demo(args) => demo::run(&args, workspace),
        Task::Test(args) => test::run(&args, workspace),
        Task::Sanitize(args) => sanitize::run_steps(&args, workspace),
        Task::Iop(args) => bench::machine::run(&args, workspace),
        Task::Instructions(args) => instructions::run(&args, workspace),
        Task::Bench(args) => bench::run(&args, workspace),
        Task::Scale(args) => bench::scale::run(&args, workspace),
        Task::Coverage(args) => coverage::run(&args, workspace),
    }
}
