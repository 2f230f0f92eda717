//! `cargo xtask instructions`: how many instructions each piece of the frame path takes, against what is recorded.
//!
//! Counted by callgrind, so that a busy machine does not hide a regression. Set-up is taken out by the difference of two
//! runs. Another compiler makes other instructions: then nothing is compared.

mod baseline;
mod count;

use crate::{
    packages::{self, Need},
    table,
    workspace::Workspace,
};
use baseline::Baseline;
use minet_tests::Result;

/// What counts.
const NEEDS: &[Need] = &[("valgrind", "valgrind")];

/// More than this part over the baseline is a regression.
const TOLERANCE: f64 = 0.05;

/// Options of `cargo xtask instructions`.
#[derive(clap::Args)]
pub struct Args {
    /// Make what is counted now the baseline, tests/instructions.toml
    #[arg(long)]
    record: bool,
}

/// What came of a comparison.
pub enum Outcome {
    /// Every piece is within its bound.
    Good,
    /// These are not, in words.
    Regressions(Vec<String>),
    /// Nothing could be compared.
    Skipped(String),
}

/// Runs it; whether there is no regression.
pub fn run(args: &Args, workspace: &Workspace) -> Result<bool> {
    if args.record {
        let now = counted(workspace)?;
        print!("{}", now.table(None));
        now.write(&workspace.root)?;
        println!("recorded in {}", baseline::FILE);
        return Ok(true);
    }
    Ok(match check(workspace)? {
        Outcome::Good => {
            println!("no piece takes over {:.0} % more instructions than recorded", TOLERANCE * 100.0);
            true
        }
        Outcome::Regressions(all) => {
            all.iter().for_each(|one| println!("regression: {one}"));
            false
        }
        Outcome::Skipped(why) => {
            println!("skipped: {why}");
            true
        }
    })
}

/// Counts and compares, with the table on the screen.
pub fn check(workspace: &Workspace) -> Result<Outcome> {
    let Some(baseline) = Baseline::read(&workspace.root)? else {
        return Ok(Outcome::Skipped("nothing is recorded: `cargo xtask instructions --record`".to_owned()));
    };
    let compiler = count::compiler()?;
    if compiler != baseline.compiler {
        let why = format!("recorded with {}, this is {compiler}", baseline.compiler);
        return Ok(Outcome::Skipped(why));
    }
    let now = counted(workspace)?;
    print!("{}", now.table(Some(&baseline)));
    let regressions = now.regressions(&baseline);
    Ok(if regressions.is_empty() { Outcome::Good } else { Outcome::Regressions(regressions) })
}

fn counted(workspace: &Workspace) -> Result<Baseline> {
    packages::ensure(NEEDS)?;
    let program = count::build(workspace)?;
    let counts = count::names(&program)?.into_iter().map(|name| {
        let counted = count::instructions(&program, &name)?;
        Ok((name, counted))
    });
    Ok(Baseline { compiler: count::compiler()?, counts: counts.collect::<Result<_>>()? })
}

impl Baseline {
    /// Pieces that take too many instructions, or are gone.
    fn regressions(&self, before: &Self) -> Vec<String> {
        let judge = |(name, then): &(String, u64)| match self.of(name) {
            None => Some(format!("{name} is recorded and no longer counted")),
            Some(now) if now as f64 > *then as f64 * (1.0 + TOLERANCE) => {
                Some(format!("{name}: {now} instructions, recorded {then}, {}", change(now, *then)))
            }
            Some(_) => None,
        };
        before.counts.iter().filter_map(judge).collect()
    }

    fn table(&self, before: Option<&Self>) -> String {
        let row = |(name, now): &(String, u64)| {
            let then = before.and_then(|before| before.of(name));
            let words =
                then.map_or_else(|| "new".to_owned(), |then| format!("recorded {then}, {}", change(*now, then)));
            [name.clone(), now.to_string(), if before.is_some() { words } else { String::new() }]
        };
        table::columns(&self.counts.iter().map(row).collect::<Vec<_>>())
    }
}

fn change(now: u64, then: u64) -> String {
    format!("{:+.1} %", 100.0 * (now as f64 / (then.max(1)) as f64 - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(counts: &[(&str, u64)]) -> Baseline {
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Baseline { compiler: "rustc 1".to_owned(), counts }
    }

    #[test]
    fn only_what_grew_by_more_than_a_twentieth_is_a_regression() {
        let before = of(&[("same", 100), ("little", 100), ("much", 100), ("gone", 100)]);
        let now = of(&[("same", 100), ("little", 105), ("much", 106), ("new", 7)]);
        let found = now.regressions(&before);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], "much: 106 instructions, recorded 100, +6.0 %");
        assert!(found[1].starts_with("gone"), "{found:?}");
        assert!(now.table(Some(&before)).contains("new     7    new"), "{}", now.table(Some(&before)));
    }
}
