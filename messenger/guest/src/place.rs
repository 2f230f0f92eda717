//! Where the sockets of this host's daemons are.

use std::{
    env, io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

/// Where the sockets are unless somebody says otherwise.
pub const RUN_DIR: &str = "/run/minet";
/// The fabric unless somebody says otherwise.
pub const FABRIC: &str = "default";

/// Which daemon of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The run-time directory.
    pub run_dir: PathBuf,
    /// The fabric.
    pub fabric: String,
    /// The node's name; without one there must be a single daemon.
    pub name: Option<String>,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// No daemon has a socket here.
    #[error("no daemon has a socket in {0} (is `minet run` running? `--run-dir` and `--fabric` choose where)")]
    None(PathBuf),
    /// This user may not look there, or it is no directory.
    #[error("cannot look for daemons in {dir}: {source} (only root and the user that a daemon runs as may ask it)")]
    Closed {
        /// Where.
        dir: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// More than one.
    #[error("several daemons run here, say which with --name: {0}")]
    Several(String),
    /// The name is that of a path.
    #[error("`{0}` is not a name of a node or a fabric")]
    Name(String),
}

impl Default for Place {
    /// The only daemon of the fabric `default` in `MINET_RUN_DIR`, or else in [`RUN_DIR`].
    fn default() -> Place {
        let run_dir = env::var_os("MINET_RUN_DIR").map_or(RUN_DIR.into(), PathBuf::from);
        Place { run_dir, fabric: FABRIC.into(), name: None }
    }
}

impl Place {
    /// The daemon's socket of a kind: `guest` or `ctl`.
    ///
    /// # Errors
    /// There is no daemon, or more than one and none was named.
    pub fn socket(&self, kind: &str) -> Result<PathBuf, PlaceError> {
        let is_plain = |name: &&String| !name.contains('/') && *name != "." && *name != "..";
        for name in [Some(&self.fabric), self.name.as_ref()].into_iter().flatten() {
            Some(name).filter(is_plain).ok_or_else(|| PlaceError::Name(name.clone()))?;
        }
        let dir = self.run_dir.join(&self.fabric);
        if let Some(name) = &self.name {
            return Ok(dir.join(format!("{name}.{kind}")));
        }
        let mut found: Vec<PathBuf> = match std::fs::read_dir(&dir) {
            Ok(entries) => entries.flatten().map(|e| e.path()).filter(|p| is_socket(p, kind)).collect(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(PlaceError::Closed { dir, source }),
        };
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(PlaceError::None(dir)),
            (Some(one), true) => Ok(one),
            (Some(one), false) => {
                found.push(one);
                let mut names: Vec<_> =
                    found.iter().filter_map(|p| p.file_stem()).map(|s| s.to_string_lossy()).collect();
                names.sort();
                Err(PlaceError::Several(names.join(", ")))
            }
        }
    }
}

/// Whether a daemon listens there; what a dead one left is no socket.
fn is_socket(path: &Path, kind: &str) -> bool {
    let refused = |e: io::Error| e.kind() == io::ErrorKind::PermissionDenied;
    path.extension() == Some(kind.as_ref()) && UnixStream::connect(path).map_or_else(refused, |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// PROTOCOL 12.1.
    #[test]
    fn the_only_daemon_is_found_and_of_several_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut place = Place { run_dir: dir.path().into(), fabric: "f".into(), name: None };
        assert!(matches!(place.socket("guest"), Err(PlaceError::None(_))));
        let at = |name: &str| dir.path().join("f").join(name);
        std::fs::create_dir(dir.path().join("f")).unwrap();
        drop(UnixListener::bind(at("dead.guest")).unwrap());
        let _a = UnixListener::bind(at("a.guest")).unwrap();
        let _other = UnixListener::bind(at("b.ctl")).unwrap();
        assert_eq!(place.socket("guest").unwrap(), at("a.guest"));
        let _b = UnixListener::bind(at("b.guest")).unwrap();
        assert!(place.socket("guest").unwrap_err().to_string().ends_with("--name: a, b"));
        place.name = Some("dead".into());
        assert_eq!(place.socket("guest").unwrap(), at("dead.guest"));
        place.name = Some("../a".into());
        assert!(matches!(place.socket("guest"), Err(PlaceError::Name(_))));
    }
}
