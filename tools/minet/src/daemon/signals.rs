//! Signals as something to poll.

use mio::{Interest, Registry, Token, net::UnixStream};
use signal_hook::{consts, low_level::pipe};
use std::{
    fs,
    io::{self, Read},
};

/// SIGTERM and SIGINT, and SIGHUP unless it is ignored (`nohup`), as a stream that becomes readable.
pub(super) struct Signals {
    stream: UnixStream,
}

impl Signals {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Signals> {
        let (read, write) = std::os::unix::net::UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let hangup = (!is_ignored(consts::SIGHUP)).then_some(consts::SIGHUP);
        for signal in [consts::SIGTERM, consts::SIGINT].into_iter().chain(hangup) {
            pipe::register(signal, write.try_clone()?)?;
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

/// Whether this process was started with a signal ignored. Where the kernel does not say, it was not.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
