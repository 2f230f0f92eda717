//! What came out: checks and tests, counted alike.

use minet_tests::{Error, Result};
use std::{
    fs,
    io::ErrorKind,
    path::Path,
    time::{Duration, Instant},
};

/// What ran: the commit, then a line for each test: verdict, package, target, path of the test, with tabs.
const KEPT: &str = "tests.txt";

/// A test as cargo knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestName {
    /// The package.
    pub package: String,
    /// The target: library, binary or test program.
    pub target: String,
    /// The path of the function, such as `header::tests::round_trip`.
    pub path: String,
}

/// How one test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ran and held.
    Passed,
    /// It did not hold while the host took the processors, and held when it ran again, alone.
    Again,
    /// It ran and did not.
    Failed,
    /// It did not run.
    Skipped,
}

/// All verdicts of a run.
pub struct Tally {
    tests: Vec<(TestName, Verdict)>,
    checks: Vec<(String, Verdict, String)>,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { tests: Vec::new(), checks: Vec::new() }
    }

    /// Runs a check and keeps how it ended.
    pub fn check(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        println!("== {name}");
        let begun = Instant::now();
        let (verdict, note) = match work() {
            Ok(()) => (Verdict::Passed, format!("{:.1} s", begun.elapsed().as_secs_f64())),
            Err(error) => {
                eprintln!("{error}");
                (Verdict::Failed, error.to_string().lines().next().unwrap_or_default().to_owned())
            }
        };
        self.checks.push((name.to_owned(), verdict, note));
    }

    /// Keeps that a check was left out.
    pub fn skip(&mut self, name: &str, why: &str) {
        println!("== {name}: skipped, {why}");
        self.checks.push((name.to_owned(), Verdict::Skipped, why.to_owned()));
    }

    /// Keeps how a test ended.
    pub fn test(&mut self, name: TestName, verdict: Verdict) {
        self.tests.push((name, verdict));
    }

    /// Changes how a test ended.
    pub fn judge_again(&mut self, name: &TestName, verdict: Verdict) {
        for (_, old) in self.tests.iter_mut().filter(|(test, _)| test == name) {
            *old = verdict;
        }
    }

    /// How many ended so.
    pub fn count(&self, wanted: Verdict) -> usize {
        let tests = self.tests.iter().map(|(_, verdict)| verdict);
        let checks = self.checks.iter().map(|(_, verdict, _)| verdict);
        tests.chain(checks).filter(|verdict| **verdict == wanted).count()
    }

    /// Whether nothing failed and something passed.
    pub fn is_good(&self) -> bool {
        self.count(Verdict::Failed) == 0 && self.count(Verdict::Passed) > 0
    }

    /// The last line.
    pub fn closing_line(&self) -> String {
        let [passed, failed, skipped] =
            [Verdict::Passed, Verdict::Failed, Verdict::Skipped].map(|verdict| self.count(verdict));
        let again = match self.count(Verdict::Again) {
            0 => String::new(),
            again => format!(", {again} passed only when run again: the host took the processors"),
        };
        format!("{passed} passed, {failed} failed, {skipped} skipped{again}")
    }

    /// What a person wants to know above the last line.
    pub fn story(&self, took: Duration) -> String {
        let mut rows: Vec<[String; 3]> = Vec::new();
        for (name, verdict, note) in &self.checks {
            rows.push([format!("{verdict:?}").to_lowercase(), name.clone(), note.clone()]);
        }
        for (test, verdict) in self.tests.iter().filter(|(_, verdict)| *verdict != Verdict::Passed) {
            let word = format!("{verdict:?}").to_lowercase();
            rows.push([word, format!("{} {}::{}", test.package, test.target, test.path), String::new()]);
        }
        format!("{}in {:.0} s", crate::table::columns(&rows), took.as_secs_f64())
    }
}

/// A run of the tests that was kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Of which commit, and whether files were changed.
    pub commit: String,
    /// The tests that passed.
    pub passed: Vec<TestName>,
    /// The tests that failed.
    pub failed: Vec<TestName>,
}

/// Forgets the last run: one that is broken off leaves none.
pub fn forget(dir: &Path) -> Result<()> {
    let file = dir.join(KEPT);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", file.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Writes what ran for `cargo xtask coverage`.
pub fn keep(tally: &Tally, commit: &str, dir: &Path) -> Result<()> {
    let mut text = format!("{commit}\n");
    for (test, verdict) in &tally.tests {
        let word = format!("{verdict:?}").to_lowercase();
        text += &format!("{word}\t{}\t{}\t{}\n", test.package, test.target, test.path);
    }
    let file = dir.join(KEPT);
    fs::write(&file, text).map_err(Error::io(format!("write {}", file.display())))
}

/// Reads what [`keep`] wrote; nothing where no run was kept.
pub fn kept(dir: &Path) -> Result<Option<Run>> {
    let file = dir.join(KEPT);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(format!("read {}", file.display()))(error)),
    };
    let mut lines = text.lines();
    let mut run = Run { commit: lines.next().unwrap_or_default().to_owned(), ..Run::default() };
    for line in lines {
        let mut parts = line.split('\t').map(str::to_owned);
        let (Some(verdict), Some(package), Some(target), Some(path)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let test = TestName { package, target, path };
        match verdict.as_str() {
            "passed" | "again" => run.passed.push(test),
            "failed" => run.failed.push(test),
            _ => {}
        }
    }
    Ok(Some(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> TestName {
        TestName { package: "p".into(), target: "t".into(), path: path.into() }
    }

    #[test]
    fn counts_and_closing_line() {
        let mut tally = Tally::new();
        assert!(!tally.is_good(), "nothing passed is not good");
        tally.test(name("a::b"), Verdict::Passed);
        tally.check("good", || Ok(()));
        tally.skip("later", "why not");
        assert!(tally.is_good());
        tally.test(name("c"), Verdict::Failed);
        tally.check("bad", || Err(Error::unexpected("no")));
        assert_eq!(tally.closing_line(), "2 passed, 2 failed, 1 skipped");
        assert!(!tally.is_good());
    }

    #[test]
    fn what_passed_alone_is_in_the_closing_line() {
        let mut tally = Tally::new();
        tally.test(name("a"), Verdict::Passed);
        tally.test(name("b"), Verdict::Failed);
        assert!(!tally.is_good());
        tally.judge_again(&name("b"), Verdict::Again);
        assert!(tally.is_good());
        let told = "1 passed, 0 failed, 0 skipped, 1 passed only when run again: the host took the processors";
        assert_eq!(tally.closing_line(), told);
    }

    #[test]
    fn what_ran_is_kept_until_the_next_run_begins() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(kept(dir.path()).unwrap(), None);
        let mut tally = Tally::new();
        tally.test(name("a::b"), Verdict::Passed);
        tally.test(name("c"), Verdict::Failed);
        tally.test(name("d"), Verdict::Skipped);
        keep(&tally, "0123abc", dir.path()).unwrap();
        let run = Run { commit: "0123abc".into(), passed: vec![name("a::b")], failed: vec![name("c")] };
        assert_eq!(kept(dir.path()).unwrap(), Some(run));
        forget(dir.path()).unwrap();
        forget(dir.path()).unwrap();
        assert_eq!(kept(dir.path()).unwrap(), None);
    }
}
