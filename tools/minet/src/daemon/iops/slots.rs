//! A directory as a host's slots: a file `NAME.toml` that appears there is a processor that is put in, one that goes away is one that
//! is to be taken out. A file says what a table `[[iop]]` of the configuration does, but the name.

use crate::config::Iop;
use iop::{HotSwap, Platform};
use rustix::fs::{Mode as FileMode, OFlags, inotify};
use std::{
    collections::{BTreeSet, VecDeque},
    fs::{self, File},
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

/// The longest file in bytes.
const MOST: u64 = 64 << 10;

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
            let read = read(&path).map_err(|e| e.to_string());
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

/// What a slot's file says. It does not wait for the other end of a pipe, and nobody else may have written it.
fn read(path: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, FileMode::empty())?);
    let found = file.metadata()?;
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    if !found.is_file() || found.len() > MOST {
        return Err(wrong("it is no file of at most 64 KiB"));
    }
    let own = rustix::process::geteuid().as_raw();
    if found.mode() & 0o022 != 0 || ![0, own].contains(&found.uid()) {
        return Err(wrong("others may write it; it must be this user's or root's, mode 0644 or less"));
    }
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text)?;
    Ok(text)
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
