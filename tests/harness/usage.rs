//! What a process uses.

use crate::{Error, Result};
use rustix::{io::Errno, param::clock_ticks_per_second};
use std::{fs, io};

/// Processor time that a process has used, its ended threads too, in seconds; the kernel counts in ticks, 10 ms mostly.
///
/// # Errors
/// It has ended.
pub fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
    // After the name: state is field 3, user and system time are 14 and 15, in ticks.
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / clock_ticks_per_second() as f64)
}

/// Processor time that the threads of a process that run now have used, in seconds, to the nanosecond.
///
/// # Errors
/// It has ended, or the kernel keeps no such count.
pub fn exact_processor_seconds(pid: u32) -> Result<f64> {
    let tasks = format!("/proc/{pid}/task");
    let mut nanoseconds = 0;
    for task in fs::read_dir(&tasks).map_err(Error::io(format!("read {tasks}")))?.flatten() {
        let path = task.path().join("schedstat");
        let said = match fs::read_to_string(&path) {
            // A thread that ended after it was listed: what it used counts no more.
            Err(error) if is_gone(&error) => continue,
            said => said.map_err(Error::io(format!("read {}", path.display())))?,
        };
        let first = said.split_whitespace().next().and_then(|field| field.parse::<u64>().ok());
        nanoseconds += first.ok_or_else(|| Error::unexpected(format!("schedstat said {said}")))?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// Memory of a process in KiB, what it shares divided among those who share it.
///
/// # Errors
/// It has ended, or belongs to somebody else.
pub fn proportional_kib(pid: u32) -> Result<u64> {
    let said = read(&format!("/proc/{pid}/smaps_rollup"))?;
    let line = said.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| Error::unexpected(format!("smaps_rollup said {said}")))
}

/// Time that all processors spent since they began, in ticks: user, nice, system, idle, input and output, interrupts, soft interrupts,
/// and what the host took for others. Empty where the kernel does not tell.
pub fn processor_times() -> Vec<f64> {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    first.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect()
}

/// What the kernel says of a thread that has ended: no such file, or, when that was open already, no such process.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io(format!("read {path}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{self, Command};

    #[test]
    fn a_process_uses_something() {
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let pid = child.id();
        let used = || (exact_processor_seconds(pid).unwrap(), processor_seconds(pid).unwrap());
        while used().0 < 0.05 || used().1 == 0.0 {}
        assert!(proportional_kib(pid).unwrap() > 10);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(exact_processor_seconds(pid).is_err() && processor_seconds(pid).is_err());
    }

    #[test]
    fn threads_that_end_meanwhile_are_no_error() {
        let enough = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !enough.load(std::sync::atomic::Ordering::Relaxed) {
                    std::thread::spawn(|| {}).join().unwrap();
                }
            });
            let said: Vec<_> = (0..2000).map(|_| exact_processor_seconds(process::id())).collect();
            enough.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(said.iter().all(Result::is_ok), "{said:?}");
        });
    }
}
