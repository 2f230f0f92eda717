//! The asking end.

use super::{Ask, Failure, Request, VERSION};
use serde::de::DeserializeOwned;
use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon, or none of that name.
    #[error(
        "no daemon answers at {path}: {source} (is `minet run` running? `--run-dir`, `--fabric` and `--name` choose which)"
    )]
    NotRunning {
        /// Where it was looked for.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// No daemon has a socket here.
    #[error("no daemon has a control socket in {0} (is `minet run` running? `--run-dir` and `--fabric` choose where)")]
    None(PathBuf),
    /// More than one.
    #[error("several daemons run here, say which with --name: {0}")]
    Several(String),
    /// The connection broke.
    #[error("the daemon did not answer: {0}")]
    Io(#[from] io::Error),
    /// Not understood.
    #[error("the daemon's answer is not understood: {0} (is it of another version?)")]
    Answer(#[from] serde_json::Error),
    /// The daemon's own word.
    #[error("{0}")]
    Refused(String),
}

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a daemon's control socket is: that of `name`, or the only one there is.
pub fn find_daemon(run_dir: &Path, fabric: &str, name: Option<&str>) -> Result<PathBuf, ClientError> {
    let dir = run_dir.join(fabric);
    if let Some(name) = name {
        return Ok(dir.join(format!("{name}.ctl")));
    }
    let mut found: Vec<PathBuf> = match std::fs::read_dir(&dir) {
        Ok(entries) => entries.flatten().map(|e| e.path()).filter(|p| p.extension() == Some("ctl".as_ref())).collect(),
        Err(_) => Vec::new(),
    };
    found.retain(|p| UnixStream::connect(p).is_ok());
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(ClientError::None(dir)),
        (Some(one), true) => Ok(one),
        (Some(one), false) => {
            found.push(one);
            let mut names: Vec<_> = found.iter().filter_map(|p| p.file_stem()).map(|s| s.to_string_lossy()).collect();
            names.sort();
            Err(ClientError::Several(names.join(", ")))
        }
    }
}

/// A connection to a daemon.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the socket at `path`.
    pub fn connect(path: &Path) -> Result<Client, ClientError> {
        let stream =
            UnixStream::connect(path).map_err(|source| ClientError::NotRunning { path: path.to_path_buf(), source })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Asks and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, ask: Ask) -> Result<T, ClientError> {
        let mut line = serde_json::to_string(&Request { v: VERSION, ask })?;
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes())?;
        line.clear();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if let Ok(Failure { error }) = serde_json::from_str(&line) {
            return Err(ClientError::Refused(error));
        }
        Ok(serde_json::from_str(&line)?)
    }
}
