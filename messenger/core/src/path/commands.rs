//! What is done with paths.

use super::{Control, Path, PathCounts, PathId, PathSpec, PathState};
use crate::{
    PortId, Time,
    delivery::Delivery,
    exchange::Exchange,
    status::{Code, Status},
    wire::Entry,
};
use alloc::{collections::BTreeSet, vec::Vec};

impl Exchange {
    /// All paths, by place.
    pub fn paths(&self) -> impl Iterator<Item = (PathId, &Path)> {
        self.paths.iter().map(|(key, path)| (PathId::of(key), path))
    }

    /// One path.
    pub fn path(&self, path: PathId) -> Option<&Path> {
        self.paths.get(path.key())
    }

    pub(super) fn path_mut(&mut self, path: PathId) -> Result<&mut Path, Status> {
        self.paths.get_mut(path.key()).ok_or(Status::new(Code::BadHandle))
    }

    /// Opens a path. Refusals: [`Code::NotFound`] (nobody is meant, and it does not hunt), [`Code::BadHandle`] (the port it
    /// begins at), [`Code::Closing`], [`Code::Exhausted`], [`Code::NotOpen`], [`Code::WouldBlock`] (those it means cannot be told).
    pub fn open_path(&mut self, now: Time, spec: PathSpec) -> Result<PathId, Status> {
        self.at(now)?;
        let matches = if spec.to.is_found_by_name() { self.means(&spec.to).len() } else { 1 };
        if matches == 0 && !spec.hunt {
            return Err(Status::new(Code::NotFound));
        }
        let from = spec.from;
        if from != PortId::NODE && self.port_mut(from)?.closing {
            return Err(Status::new(Code::Closing));
        }
        let path = Path {
            state: if matches == 0 { PathState::Opening } else { PathState::Enabled },
            spec,
            closing: false,
            matches,
            known: BTreeSet::new(),
            turn: 0,
            tickets: BTreeSet::new(),
            counts: PathCounts::default(),
        };
        let id = PathId::of(self.paths.insert(path).ok_or(Status::new(Code::Exhausted))?);
        if let Ok(port) = self.port_mut(from) {
            port.paths.insert(id);
        }
        self.announce_opening(now, id)?;
        Ok(id)
    }

    /// Lets nothing new in; what is under way finishes. Refusals: [`Code::BadHandle`], [`Code::WouldBlock`] (those it means cannot
    /// be told).
    pub fn quiesce_path(&mut self, now: Time, id: PathId) -> Result<(), Status> {
        self.at(now)?;
        if self.path_mut(id)?.state != PathState::Quiesced {
            self.may_announce(id)?;
            self.enter(id, PathState::Quiesced);
            self.announce(id, Control::Quiesced);
        }
        Ok(())
    }

    /// Lets messages in again. Refusals as for [`Exchange::quiesce_path`].
    pub fn enable_path(&mut self, now: Time, id: PathId) -> Result<(), Status> {
        self.at(now)?;
        if self.path_mut(id)?.state == PathState::Quiesced {
            self.may_announce(id)?;
            self.enter_by_matches(id);
            self.announce(id, Control::Enabled);
        }
        Ok(())
    }

    /// Settles all that is under way with [`Code::Reset`]; then the path is as if it were opened now. Refusals
    /// as for [`Exchange::quiesce_path`].
    pub fn reset_path(&mut self, now: Time, id: PathId) -> Result<(), Status> {
        self.at(now)?;
        self.path_mut(id)?;
        self.may_announce(id)?;
        self.settle_path(id, Status::new(Code::Reset));
        self.enter_by_matches(id);
        self.announce(id, Control::Reset);
        Ok(())
    }

    /// Closes a path; what is under way is settled with [`Code::Closed`] before. Refusal: [`Code::BadHandle`].
    pub fn close_path(&mut self, now: Time, id: PathId) -> Result<(), Status> {
        self.at(now)?;
        self.path_mut(id)?;
        self.settle_path(id, Status::new(Code::Closed));
        self.end_path(id);
        Ok(())
    }

    /// Lets nothing new in, and closes the path when what is under way is settled. Refusal: [`Code::BadHandle`].
    pub fn finish_path(&mut self, now: Time, id: PathId) -> Result<(), Status> {
        self.at(now)?;
        self.path_mut(id)?.closing = true;
        self.end_path_if_done(id);
        Ok(())
    }

    pub(crate) fn end_path_if_done(&mut self, id: PathId) {
        if !self.closing && self.path(id).is_some_and(|p| p.closing && p.tickets.is_empty()) {
            self.end_path(id);
        }
    }

    /// Settles all tickets of a path.
    pub(crate) fn settle_path(&mut self, id: PathId, status: Status) {
        let Some(path) = self.path(id) else { return };
        let tickets: Vec<u64> = path.tickets.iter().copied().collect();
        for ticket in tickets {
            self.settle_all(ticket, status);
        }
    }

    /// Takes a path without tickets away.
    pub(crate) fn end_path(&mut self, id: PathId) {
        let Some(path) = self.paths.remove(id.key()) else { return };
        self.forget_statics(id);
        self.gone.paths.add(path.counts);
        self.announce_to(id, path.spec.from, path.known.into_iter().collect(), Control::Closed);
        self.tell(Delivery::PathClosed { path: id, context: path.spec.context });
        if let Ok(port) = self.port_mut(path.spec.from) {
            port.paths.remove(&id);
            self.end_port_if_done(path.spec.from);
        }
    }

    fn enter(&mut self, id: PathId, to: PathState) {
        let Ok(path) = self.path_mut(id) else { return };
        let (from, context) = (core::mem::replace(&mut path.state, to), path.spec.context);
        if from != to {
            self.tell(Delivery::Path { path: id, context, from, to });
        }
    }

    fn enter_by_matches(&mut self, id: PathId) {
        let Some(path) = self.path(id) else { return };
        let state = match (path.matches, path.spec.hunt) {
            (0, true) => PathState::Opening,
            (0, false) => PathState::Failed,
            _ => PathState::Enabled,
        };
        self.enter(id, state);
    }

    /// A name came or went: paths that mean it may change.
    pub(crate) fn follow_paths(&mut self, entry: &Entry, up: bool) {
        let mut changed = Vec::new();
        for key in self.paths.keys() {
            let Some(path) = self.paths.get_mut(key).filter(|p| p.spec.to.means(entry)) else { continue };
            path.matches = if up { path.matches + 1 } else { path.matches.saturating_sub(1) };
            changed.push((PathId::of(key), path.state, path.matches, path.spec.hunt));
        }
        for (id, state, matches, hunts) in changed {
            match (state, matches) {
                (PathState::Opening, 1..) => self.enter(id, PathState::Enabled),
                (PathState::Enabled, 0) => {
                    self.enter(id, PathState::Failed);
                    if hunts {
                        self.enter(id, PathState::Opening);
                    }
                }
                _ => {}
            }
        }
    }
}
