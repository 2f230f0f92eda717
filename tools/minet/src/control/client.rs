//! The asking end.

use super::{Ask, Failure, Request, VERSION};
use messenger::{Place, PlaceError};
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
    /// There is no daemon, or it is not known which.
    #[error(transparent)]
    Place(#[from] PlaceError),
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

/// A connection to a daemon.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to a daemon of this host.
    pub fn find(place: &Place) -> Result<Client, ClientError> {
        Client::connect(&place.socket("ctl")?)
    }

    /// Connects to the socket at `path`.
    pub fn connect(path: &Path) -> Result<Client, ClientError> {
        let stream =
            UnixStream::connect(path).map_err(|source| ClientError::NotRunning { path: path.to_path_buf(), source })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Gives an answer so much longer than usual.
    pub fn be_patient(&mut self, more: Duration) -> Result<(), ClientError> {
        Ok(self.stream.get_ref().set_read_timeout(Some(PATIENCE + more))?)
    }

    /// Asks and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, ask: Ask) -> Result<T, ClientError> {
        let mut line = serde_json::to_string(&Request { v: VERSION, ask })?;
        line.push('\n');
        let written = self.stream.get_mut().write_all(line.as_bytes());
        line.clear();
        // A daemon that does not read may have said why.
        let read = self.stream.read_line(&mut line);
        if line.is_empty() {
            written?;
            read?;
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        read?;
        if let Ok(Failure { error }) = serde_json::from_str(&line) {
            return Err(ClientError::Refused(error));
        }
        Ok(serde_json::from_str(&line)?)
    }
}
