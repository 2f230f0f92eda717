//! Signals as something to poll.

use mio::{Interest, Registry, Token, net::UnixStream};
use signal_hook::{consts, low_level::pipe};
use std::io::{self, Read};

/// SIGTERM and SIGINT, as a stream that becomes readable.
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
        let mut stream = UnixStream::from_std(read);
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Signals { stream })
    }

    /// Whether one came.
    pub(super) fn came(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 16]), Ok(n) if n > 0)
    }
}
