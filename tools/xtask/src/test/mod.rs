//! `cargo xtask test`: everything that must hold, one closing line.

mod again;
mod outcome;
mod suites;

use crate::{
    bare, demo,
    instructions::{self, Outcome},
    packages,
    workspace::Workspace,
};
use minet_tests::{Error, Result};
use outcome::Tally;
pub use outcome::{Run, TestName};
use std::time::Instant;

/// With examples, whose features are those of the lints: what both depend on is checked once.
const DOCUMENTATION: [&str; 7] = ["doc", "--workspace", "--no-deps", "--quiet", "--lib", "--bins", "--examples"];

/// The name of a check.
const COUNTS: &str = "instruction counts";

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
    outcome::forget(&workspace.records()?)?;
    if let Err(error) = packages::ensure(packages::NETWORK) {
        eprintln!("{error}");
    }
    tally.check("format", || {
        workspace.show_cargo(&["fmt", "--all", "--check"])?;
        workspace.show_cargo(&["fmt", "--manifest-path", bare::MANIFEST, "--check"])
    });
    tally.check("lints", || {
        workspace.show_cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
    });
    if args.quick {
        tally.skip("documentation", "--quick");
    } else {
        tally.check("documentation", || {
            let mut command = workspace.cargo(&DOCUMENTATION);
            command.env("RUSTDOCFLAGS", "-D warnings");
            crate::workspace::show(command)
        });
    }
    // Before the suites: some boot them.
    let machine = match if args.quick { Some("--quick".to_owned()) } else { bare::images_lack() } {
        None => {
            tally.check("images of the I/O processor", || bare::build_images(workspace).map(drop));
            packages::ensure(packages::MACHINE).err().map(|error| error.to_string())
        }
        Some(why) => {
            tally.skip("images of the I/O processor", &why);
            Some(why)
        }
    };
    let rooms = if args.quick { None } else { bare::rooms_lack() };
    let lacking = machine.clone();
    suites::run(workspace, args.quick, suites::Lacking { machine, rooms }, &mut tally)?;
    if args.quick {
        tally.skip(COUNTS, "--quick");
    } else {
        count(workspace, &mut tally);
    }
    show_processors(workspace, lacking, &mut tally);
    outcome::keep(&tally, &workspace.commit(), &workspace.records()?)?;
    println!("\n{}", tally.story(begun.elapsed()));
    println!("{}", tally.closing_line());
    Ok(tally.is_good())
}

/// The demonstration of I/O processors, with what was built for the tests.
fn show_processors(workspace: &Workspace, lacking: Option<String>, tally: &mut Tally) {
    const NAME: &str = "demonstration of I/O processors";
    let lacking = lacking.or_else(|| (!rustix::process::geteuid().is_root()).then(|| "it needs root".to_owned()));
    if let Some(why) = lacking {
        return tally.skip(NAME, &why);
    }
    tally.check(NAME, || {
        let report = demo::iop::show(suites::minet(workspace), &bare::build_images(workspace)?)?;
        print!("{}", report.table());
        if report.is_good() { Ok(()) } else { Err(Error::unexpected("a row was not shown")) }
    });
}

/// Instruction counts of the pieces.
fn count(workspace: &Workspace, tally: &mut Tally) {
    match instructions::check(workspace) {
        Ok(Outcome::Skipped(why)) => tally.skip(COUNTS, &why),
        Ok(Outcome::Good) => tally.check(COUNTS, || Ok(())),
        Ok(Outcome::Regressions(all)) => tally.check(COUNTS, || Err(Error::unexpected(all.join("; ")))),
        Err(error) => tally.check(COUNTS, || Err(error)),
    }
}

/// The last run of the tests; `None` where none is kept.
pub fn last_run(workspace: &Workspace) -> Result<Option<Run>> {
    outcome::kept(&workspace.records()?)
}
