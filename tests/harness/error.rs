//! What can go wrong, told so that a person sees the command and what it said.

use std::{fmt, io, process::ExitStatus, time::Duration};

/// A result of the harness.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something of a test or demonstration did not work.
#[derive(thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A command ended with a status that is not success.
    #[error("`{command}` failed, {status}\n--- stdout\n{stdout}--- stderr\n{stderr}---")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote.
        stdout: String,
        /// What it complained about.
        stderr: String,
    },
    /// A command did not end in its time; it was killed.
    #[error("`{command}` did not end within {limit:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---")]
    Hung {
        /// The command line.
        command: String,
        /// How long it had.
        limit: Duration,
        /// What it wrote until then.
        stdout: String,
        /// What it complained about until then.
        stderr: String,
    },
    /// What was waited for was not seen in time.
    #[error("not seen within {limit:?}: {what}{last}")]
    NotSeen {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// What was seen last, with a separator in front, or nothing.
        last: String,
    },
    /// Output that does not read as expected.
    #[error("{0}")]
    Unexpected(String),
}

impl Error {
    /// An [`Error::Io`] with what was tried.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// An [`Error::Unexpected`].
    pub fn unexpected(what: impl Into<String>) -> Self {
        Self::Unexpected(what.into())
    }
}

/// As [`fmt::Display`]: tests that return an error print it this way.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
