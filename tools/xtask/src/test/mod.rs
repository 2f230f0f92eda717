//! `cargo xtask test`: everything that must hold, one closing line.

mod outcome;
mod suites;

use crate::{
    bare,
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
            let mut command = workspace.cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
            command.env("RUSTDOCFLAGS", "-D warnings");
            crate::workspace::show(command)
        });
    }
    let toolchain = if args.quick { None } else { bare::image_toolchain() };
    // Before the suites: some boot it.
    let lacking = match &toolchain {
        Some(toolchain) => {
            tally.check("image of the I/O processor", || bare::build_image(workspace, toolchain).map(drop));
            packages::ensure(packages::MACHINE).err().map(|error| error.to_string())
        }
        None => {
            tally.skip("image of the I/O processor", &why(args.quick));
            Some(why(args.quick))
        }
    };
    suites::run(workspace, args.quick, lacking, &mut tally)?;
    if args.quick {
        tally.skip("instruction counts", "--quick");
    } else {
        count(workspace, &mut tally);
    }
    outcome::keep(&tally, &workspace.records()?)?;
    println!("\n{}", tally.story(begun.elapsed()));
    println!("{}", tally.closing_line());
    Ok(tally.is_good())
}

/// Why there is nothing for a bare machine.
fn why(quick: bool) -> String {
    if quick { "--quick".to_owned() } else { bare::missing() }
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
