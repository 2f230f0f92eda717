//! Signals as something to poll.

use mio::{Interest, Registry, Token, net::UnixStream};
use signal_hook::{consts, low_level::pipe};
use std::{
    ffi::c_int,
    fs,
    io::{self, Read},
};

/// SIGTERM, SIGINT and SIGHUP (the terminal went away), as a stream that becomes readable.
pub(super) struct Signals {
    stream: UnixStream,
}

impl Signals {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Signals> {
        let (read, write) = std::os::unix::net::UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        for signal in [consts::SIGTERM, consts::SIGINT] {
            pipe::register(signal, write.try_clone()?)?;
        }
        // Who starts it with `nohup` wants it to outlive the terminal.
        if !is_ignored(consts::SIGHUP) {
            pipe::register(consts::SIGHUP, write.try_clone()?)?;
        }
        let mut stream = UnixStream::from_std(read);
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Signals { stream })
    }

    /// Whether one came.
    pub(super) fn came(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 16]), Ok(n) if n > 0)
    }
}

/// Whether this process was started with a signal ignored.
fn is_ignored(signal: c_int) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores(&status, signal)
}

/// What the kernel says in `SigIgn`: a bit for each signal, that of signal 1 the lowest.
fn ignores(status: &str, signal: c_int) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask.checked_shr((signal - 1) as u32).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_ignored_is_found() {
        let status = "Name:\tminet\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, consts::SIGHUP) && ignores(status, consts::SIGPIPE));
        assert!(!ignores(status, consts::SIGTERM) && !ignores("", consts::SIGHUP));
    }
}
