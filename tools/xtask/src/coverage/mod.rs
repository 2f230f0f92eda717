//! `cargo xtask coverage`: which rows of the checklist, and which clauses of the protocol, a test shows that ran and passed.

mod checklist;
mod claims;
mod protocol;

use crate::{
    test::{Run, last_run},
    workspace::Workspace,
};
use checklist::Row;
use claims::Claim;
use minet_tests::Result;
use std::collections::BTreeMap;

/// Options of `cargo xtask coverage`.
#[derive(clap::Args)]
pub struct Args {
    /// Only the rows of one section, such as A.1
    #[arg(long)]
    section: Option<String>,
    /// The clauses of PROTOCOL.md instead of the rows
    #[arg(long, conflicts_with = "section")]
    clauses: bool,
}

/// Prints it; always good: a missing row is no failure of this command.
pub fn run(args: &Args, workspace: &Workspace) -> Result<bool> {
    let rows = checklist::read(&workspace.root.join("tests/checklist.tsv"))?;
    let claims = claims::find(workspace)?;
    let run = last_run(workspace)?;
    match &run {
        None => println!("no whole run of the tests is kept, so nothing is shown: `cargo xtask test` first\n"),
        Some(run) if run.commit != workspace.commit() => {
            println!("the last run was of {}, this is {}\n", run.commit, workspace.commit());
        }
        Some(_) => {}
    }
    let run = run.unwrap_or_default();
    for claim in &claims {
        for id in claim.rows.iter().filter(|id| !rows.iter().any(|row| row.id == **id)) {
            println!("{} names {id}, which is no row", claim.place);
        }
    }
    let clauses = protocol::clauses(&workspace.root.join("PROTOCOL.md"))?;
    let shown_clauses = shown(&claims, &run, |claim| &claim.clauses);
    let of_clauses = clauses.iter().filter(|clause| shown_clauses.contains_key(clause.as_str())).count();
    if args.clauses {
        let by = |clause: &String| shown_clauses.get(clause.as_str()).map_or_else(|| told(&[]), |claims| told(claims));
        let lines: Vec<[String; 2]> = clauses.iter().map(|clause| [clause.clone(), by(clause)]).collect();
        print!("{}", crate::table::columns(&lines));
        println!("{of_clauses} of {} clauses shown", clauses.len());
        return Ok(true);
    }
    let shown = shown(&claims, &run, |claim| &claim.rows);
    let wanted = |row: &&Row| args.section.as_ref().is_none_or(|section| row.section == *section);
    let line = |row: &Row| {
        let by = shown.get(row.id.as_str()).map_or_else(|| "missing".to_owned(), |claims| told(claims));
        [row.id.clone(), row.text.clone(), by]
    };
    let wanted_rows: Vec<&Row> = rows.iter().filter(wanted).collect();
    let lines: Vec<[String; 3]> = wanted_rows.iter().map(|row| line(row)).collect();
    print!("{}", crate::table::columns(&lines));
    let count = |rows: &[&Row]| rows.iter().filter(|row| shown.contains_key(row.id.as_str())).count();
    if let Some(section) = &args.section {
        println!("{} of {} rows of {section} shown", count(&wanted_rows), wanted_rows.len());
    }
    println!("{of_clauses} of {} clauses shown", clauses.len());
    println!("{} of {} rows shown", count(&rows.iter().collect::<Vec<_>>()), rows.len());
    Ok(true)
}

/// Which of the ids that claims name a test shows.
fn shown<'a>(
    claims: &'a [Claim],
    run: &Run,
    ids: impl Fn(&'a Claim) -> &'a [String],
) -> BTreeMap<&'a str, Vec<&'a Claim>> {
    let mut shown: BTreeMap<&str, Vec<&Claim>> = BTreeMap::new();
    for claim in claims.iter().filter(|claim| run.passed.iter().any(|test| claim.is(test))) {
        for id in ids(claim) {
            shown.entry(id).or_default().push(claim);
        }
    }
    // One that failed speaks against what it names, whatever others say.
    for claim in claims.iter().filter(|claim| run.failed.iter().any(|test| claim.is(test))) {
        for id in ids(claim) {
            shown.remove(id.as_str());
        }
    }
    shown
}

/// The tests of a row: the first in full, the number of others.
fn told(claims: &[&Claim]) -> String {
    match claims {
        [] => "missing".to_owned(),
        [one] => one.told(),
        [first, others @ ..] => format!("{} and {} more", first.told(), others.len()),
    }
}
