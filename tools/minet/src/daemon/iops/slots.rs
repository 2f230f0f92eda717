//! A directory as a host's slots: a file `NAME.toml` that appears there is a processor that is put in, one that goes away is one that
//! is to be taken out. A file says what a table `[[iop]]` of the configuration does, but the name.

use crate::config::Iop;
use iop::{HotSwap, Platform};
use rustix::fs::inotify;
use std::{
    collections::{BTreeSet, VecDeque},
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// The directory.
pub(in crate::daemon) struct Slots {
    dir: PathBuf,
    watch: OwnedFd,
    known: BTreeSet<String>,
    happened: VecDeque<HotSwap<Iop>>,
}

impl Slots {
    /// Watches a directory, which must be there; what is in it already was put in.
    pub(in crate::daemon) fn open(dir: &Path) -> io::Result<Slots> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        // A file counts when it is complete: written and closed, or moved here.
        let wanted = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::MOVED_FROM
            | inotify::WatchFlags::DELETE;
        inotify::add_watch(&watch, dir, wanted)?;
        let mut slots = Slots { dir: dir.into(), watch, known: BTreeSet::new(), happened: VecDeque::new() };
        slots.look();
        Ok(slots)
    }

    fn look(&mut self) {
        let mut there = BTreeSet::new();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            if let Some(name) = name.strip_suffix(".toml") {
                there.insert(name.to_owned());
            }
        }
        for gone in self.known.difference(&there) {
            self.happened.push_back(HotSwap::Wanted(gone.clone()));
        }
        self.known.retain(|name| there.contains(name));
        for name in there {
            if self.known.contains(&name) {
                continue;
            }
            let path = self.dir.join(format!("{name}.toml"));
            let read = fs::read_to_string(&path).map_err(|e| e.to_string());
            match read.and_then(|text| Iop::from_toml(&name, &text).map_err(|e| e.to_string())) {
                Ok(iop) => {
                    self.known.insert(name);
                    self.happened.push_back(HotSwap::Inserted(iop));
                }
                // It is looked at again when it is written again.
                Err(error) => log::warn!("slot {}: {error}", path.display()),
            }
        }
    }
}

impl Platform for Slots {
    type Device = Iop;

    fn poll(&mut self) -> Option<HotSwap<Iop>> {
        let mut room = [0; 4096];
        let mut changed = false;
        while rustix::io::read(&self.watch, &mut room[..]).is_ok_and(|got| got > 0) {
            changed = true;
        }
        if changed {
            self.look();
        }
        self.happened.pop_front()
    }

    fn released(&mut self, name: &str) {
        log::info!("slot {}: {name} may be taken out", self.dir.display());
    }
}

impl AsFd for Slots {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}
