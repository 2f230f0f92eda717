//! What came out: checks and tests, counted alike.

use minet_tests::{Error, Result};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Tests that passed, one a line: package, target, path of the test, with tabs.
pub const PASSED: &str = "passed.txt";

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
        format!("{passed} passed, {failed} failed, {skipped} skipped")
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

/// Writes the passed tests for `cargo xtask coverage`.
pub fn keep(tally: &Tally, dir: &Path) -> Result<()> {
    let passed = tally.tests.iter().filter(|(_, verdict)| *verdict == Verdict::Passed);
    let text: String = passed.map(|(test, _)| format!("{}\t{}\t{}\n", test.package, test.target, test.path)).collect();
    let file = dir.join(PASSED);
    fs::write(&file, text).map_err(Error::io(format!("write {}", file.display())))
}

/// Reads what [`keep`] wrote; nothing where no run was kept.
pub fn kept(dir: &Path) -> Result<Option<Vec<TestName>>> {
    let file = dir.join(PASSED);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(format!("read {}", file.display()))(error)),
    };
    let test = |line: &str| {
        let mut parts = line.split('\t').map(str::to_owned);
        Some(TestName { package: parts.next()?, target: parts.next()?, path: parts.next()? })
    };
    Ok(Some(text.lines().filter_map(test).collect()))
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
    fn passed_tests_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(kept(dir.path()).unwrap(), None);
        let mut tally = Tally::new();
        tally.test(name("a::b"), Verdict::Passed);
        tally.test(name("c"), Verdict::Failed);
        keep(&tally, dir.path()).unwrap();
        assert_eq!(kept(dir.path()).unwrap(), Some(vec![name("a::b")]));
    }
}
