//! What failed while the host took the processors, once more and alone.
//!
//! Tests of outages, of rates and of clocks watch real time. Where the host gives the processors to others, a test that waits 300 ms for a
//! program may wait for one that was not let run. So a failure counts at once where the host took little; where it took much, the
//! test has more tries, one at a time, each when the host takes less (or when that was waited for long enough), and the closing line
//! says how many needed them.

use super::outcome::{TestName, Verdict};
use crate::bench::page::Bystander;
use minet_tests::{Error, Process, Result, command_line};
use std::{
    hint,
    path::{Path, PathBuf},
    process::Command,
    thread::{self, available_parallelism},
    time::{Duration, Instant},
};

/// Per cent of the processors that the host may take for others before a test that watches time is no judge any more.
pub const STOLEN_MOST: f64 = 3.0;
/// More failures than this are not for want of processors.
const MOST: usize = 25;
/// How often each is tried again.
const TRIES: u32 = 3;
/// Per cent that the host may take when a test is tried again.
const CALM: f64 = 10.0;
/// So long all tries together wait for that, as a rule; and between two looks.
pub const WAITS: Duration = Duration::from_secs(900);
const PAUSE: Duration = Duration::from_secs(15);
/// What the host takes shows only while the processors are wanted: so long for each look.
const LOOK: Duration = Duration::from_secs(1);
/// No test takes longer.
const LONGEST: Duration = Duration::from_secs(600);

/// A test that failed, and how to run it alone.
pub struct Failure {
    /// The test.
    pub name: TestName,
    /// Its program.
    pub program: PathBuf,
    /// Where it runs: the directory of its package.
    pub dir: PathBuf,
    /// Per cent of the processors that the host took while its program ran.
    pub stolen: f64,
}

/// Whether all of these deserve another look: there are few, and the host took much.
pub fn deserve(failures: &[Failure]) -> bool {
    failures.len() <= MOST && failures.iter().all(|failure| failure.stolen >= STOLEN_MOST)
}

/// Runs each alone; [`Verdict::Again`] where it passes now.
pub fn run(failures: Vec<Failure>, minet: &Path, waits: Duration) -> Result<Vec<(TestName, Verdict)>> {
    let mut verdicts = Vec::new();
    let patient = Instant::now() + waits;
    for failure in failures {
        let mut verdict = Verdict::Failed;
        for _ in 0..TRIES {
            wait_for_calm(patient);
            let mut command = Command::new(&failure.program);
            command.args(["--include-ignored", "--exact", &failure.name.path]).current_dir(&failure.dir);
            command.env("MINET_BIN", minet);
            println!("== again, since the host took {:.0} %: {}", failure.stolen, command_line(&command));
            let status = Process::spawn_as_is(command)?.wait(LONGEST)?;
            if status.ok_or_else(|| Error::unexpected("a test did not end"))?.success() {
                verdict = Verdict::Again;
                break;
            }
        }
        verdicts.push((failure.name, verdict));
    }
    Ok(verdicts)
}

/// Waits until the host takes little, until then at most.
fn wait_for_calm(patient: Instant) {
    loop {
        let taken = taken_now();
        if taken <= CALM || Instant::now() + PAUSE >= patient {
            return;
        }
        println!("== the host takes {taken:.0} %: waiting for less");
        thread::sleep(PAUSE);
    }
}

/// Per cent of the processors that the host takes now, while all of them are wanted.
fn taken_now() -> f64 {
    let (bystander, end) = (Bystander::new(), Instant::now() + LOOK);
    thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(|| {
                while Instant::now() < end {
                    hint::spin_loop();
                }
            });
        }
    });
    bystander.stolen()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(program: &str, path: &str, stolen: f64) -> Failure {
        let name = TestName { package: "p".into(), target: "t".into(), path: path.into() };
        Failure { name, program: program.into(), dir: ".".into(), stolen }
    }

    #[test]
    fn a_quiet_machine_gives_no_second_try() {
        assert!(deserve(&[failure("true", "a", 40.0), failure("true", "b", STOLEN_MOST)]));
        assert!(!deserve(&[failure("true", "a", 40.0), failure("true", "b", STOLEN_MOST - 0.1)]));
        let many: Vec<Failure> = (0..=MOST).map(|_| failure("true", "a", 40.0)).collect();
        assert!(!deserve(&many));
    }

    #[test]
    fn a_host_that_takes_all_is_not_waited_for_without_end() {
        let begun = Instant::now();
        wait_for_calm(begun + PAUSE);
        assert!(begun.elapsed() < PAUSE);
    }

    #[test]
    fn what_passes_alone_is_told_apart_from_what_fails_again() {
        let ran =
            run(vec![failure("true", "a", 9.0), failure("false", "b", 9.0)], "minet".as_ref(), Duration::ZERO).unwrap();
        let verdicts: Vec<Verdict> = ran.into_iter().map(|(_, verdict)| verdict).collect();
        assert_eq!(verdicts, [Verdict::Again, Verdict::Failed]);
    }
}
