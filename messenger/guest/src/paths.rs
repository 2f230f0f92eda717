//! Paths that last.

use crate::{
    Code, Guest, GuestError, Path, PathInfo, PathSpec, PathState, Status,
    inbox::{About, Notice},
    protocol::{Done, PathCommand, Request},
};
use std::time::{Duration, Instant};

/// A path is opened once and sent over many times, with [`crate::To::Path`]. It has states, which are told when they change, and may
/// tell those it means what becomes of it.
///
/// ```no_run
/// # let guest = messenger::Guest::join(&Default::default())?;
/// use messenger::{Choice, Message, PathSpec, To};
///
/// let workers = To::Pattern("worker/* kind=worker".into());
/// let path = guest.open_path(&PathSpec { choice: Choice::RoundRobin, hunt: true, ..PathSpec::to(workers) })?;
/// guest.send(&To::Path(path), &Message::new("work"))?;
/// guest.close_path(path)?;
/// # Ok::<(), messenger::GuestError>(())
/// ```
impl Guest {
    /// Opens a path that lasts until it is closed, its port is, or the guest ends.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: nobody is meant and it does not hunt, something is no name, or there is no room.
    pub fn open_path(&self, spec: &PathSpec) -> Result<Path, GuestError> {
        match self.line().ask(About::Nothing, Request::OpenPath(spec.clone()), &[])? {
            (Done::Path(path), _) => Ok(path),
            _ => Err(GuestError::Answer),
        }
    }

    /// Lets nothing new in ([`Code::Quiesced`]); what is under way finishes.
    ///
    /// # Errors
    /// [`GuestError::Refused`]: [`Code::BadHandle`]; [`Code::WouldBlock`], those it means cannot be told now.
    pub fn quiesce_path(&self, path: Path) -> Result<(), GuestError> {
        self.command(path, PathCommand::Quiesce).map(drop)
    }

    /// Lets messages in again.
    ///
    /// # Errors
    /// As for [`Guest::quiesce_path`].
    pub fn enable_path(&self, path: Path) -> Result<(), GuestError> {
        self.command(path, PathCommand::Enable).map(drop)
    }

    /// Settles all that is under way with [`Code::Reset`]; then the path is as if it were opened now.
    ///
    /// # Errors
    /// As for [`Guest::quiesce_path`].
    pub fn reset_path(&self, path: Path) -> Result<(), GuestError> {
        self.command(path, PathCommand::Reset).map(drop)
    }

    /// Closes a path; what is under way is settled with [`Code::Closed`] before.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::BadHandle`].
    pub fn close_path(&self, path: Path) -> Result<(), GuestError> {
        self.command(path, PathCommand::Close).map(drop)
    }

    /// Lets nothing new in, and closes the path when what is under way is settled.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::BadHandle`].
    pub fn finish_path(&self, path: Path) -> Result<(), GuestError> {
        self.command(path, PathCommand::Finish).map(drop)
    }

    /// How a path is.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::BadHandle`].
    pub fn path(&self, path: Path) -> Result<PathInfo, GuestError> {
        match self.command(path, PathCommand::Ask)? {
            Done::PathInfo(info) => Ok(info),
            _ => Err(GuestError::Answer),
        }
    }

    /// The next state that a path took, in order. `Ok(None)`: none within `limit`; without one it waits for ever.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::BadHandle`]: it is no more.
    pub fn path_change(&self, path: Path, limit: Option<Duration>) -> Result<Option<PathState>, GuestError> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let found = self.line().wait(end, |inbox| inbox.path_state(path))?;
        found.map(|state| state.ok_or(GuestError::Refused(Status::new(Code::BadHandle)))).transpose()
    }

    /// What happened to a port of this guest's by itself, in order: it closed, or another node has its name now. `Ok(None)`: nothing
    /// within `limit`; without one it waits for ever. The last 4,096 are kept.
    ///
    /// # Errors
    /// The connection ended.
    pub fn notice(&self, limit: Option<Duration>) -> Result<Option<Notice>, GuestError> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        self.line().wait(end, |inbox| inbox.next_notice())
    }

    fn command(&self, path: Path, command: PathCommand) -> Result<Done, GuestError> {
        self.line().ask(About::Nothing, Request::Path { path, command }, &[]).map(|(done, _)| done)
    }
}
