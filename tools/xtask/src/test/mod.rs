//! `cargo xtask test`: everything that must hold, one closing line.

mod bare;
mod outcome;
mod suites;

use crate::{
    instructions::{self, Outcome},
    packages,
    workspace::Workspace,
};
use minet_tests::{Error, Result};
use outcome::Tally;
pub use outcome::TestName;
use std::time::Instant;

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    /// Under three minutes: without documentation, model checking, the bare-metal build, instruction
    /// counts and tests marked long
    #[arg(long)]
    quick: bool,
}

/// Runs it; whether nothing failed.
pub fn run(args: &Args, workspace: &Workspace) -> Result<bool> {
    let begun = Instant::now();
    let mut tally = Tally::new();
    if let Err(error) = packages::ensure(packages::NETWORK) {
        eprintln!("{error}");
    }
    tally.check("format", || workspace.show_cargo(&["fmt", "--all", "--check"]));
    tally.check("lints", || {
        workspace.show_cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
    });
    if args.quick {
        tally.skip("documentation", "--quick");
    } else {
        tally.check("documentation", || {
            let mut command = workspace.cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
            command.env("RUSTDOCFLAGS", "-D warnings");
            crate::workspace::show(command)
        });
    }
    suites::run(workspace, args.quick, &mut tally)?;
    if args.quick {
        tally.skip("bare metal", "--quick");
        tally.skip("instruction counts", "--quick");
    } else {
        bare::run(workspace, &mut tally);
        count(workspace, &mut tally);
    }
    outcome::keep(&tally, &workspace.records()?)?;
    println!("\n{}", tally.story(begun.elapsed()));
    println!("{}", tally.closing_line());
    Ok(tally.is_good())
}

/// Instruction counts of the pieces.
fn count(workspace: &Workspace, tally: &mut Tally) {
    const NAME: &str = "instruction counts";
    match instructions::check(workspace) {
        Ok(Outcome::Skipped(why)) => tally.skip(NAME, &why),
        Ok(Outcome::Good) => tally.check(NAME, || Ok(())),
        Ok(Outcome::Regressions(all)) => tally.check(NAME, || Err(Error::unexpected(all.join("; ")))),
        Err(error) => tally.check(NAME, || Err(error)),
    }
}

/// The tests that passed in the last run; `None` where none is kept.
pub fn passed_tests(workspace: &Workspace) -> Result<Option<Vec<TestName>>> {
    outcome::kept(&workspace.records()?)
}
