//! What a process uses.

use crate::{Error, Result};
use rustix::param::clock_ticks_per_second;
use std::fs;

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
        let said = read(&task.path().join("schedstat").display().to_string())?;
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

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io(format!("read {path}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn a_process_uses_something() {
        let pid = process::id();
        let before = exact_processor_seconds(pid).unwrap();
        let mut sum = 0_u64;
        while exact_processor_seconds(pid).unwrap() < before + 0.03 {
            sum = (0..1000).fold(sum, u64::wrapping_add);
        }
        assert!(processor_seconds(pid).unwrap() > 0.0, "{sum}");
        assert!(proportional_kib(pid).unwrap() > 100);
        assert!(processor_seconds(0).is_err());
    }
}
