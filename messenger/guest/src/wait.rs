//! Who is told that an object has something: wait sets and futures.

use crate::protocol::{Path, Ticket, Watch};
use messenger_core::PortId;
use rustix::fd::OwnedFd;
use std::{collections::BTreeMap, sync::Arc, task::Waker};

/// What can be waited for of a guest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Object {
    Port(PortId),
    Ticket(Ticket),
    Path(Path),
    Watch(Watch),
    Notices,
    /// The answer to a call.
    Call(u32),
}

/// How an object is that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It has something: a message, an outcome, a change; a time that passed; bytes.
    Ready,
    /// It is no more, or nothing can be asked of it any more.
    Closed,
}

/// The guest's objects of one wait set.
#[derive(Debug)]
pub(crate) struct Watched {
    /// How often each is in the set.
    objects: BTreeMap<Object, usize>,
    signs: BTreeMap<Object, Sign>,
    /// Readable exactly while there are signs.
    bell: Arc<OwnedFd>,
}

impl Watched {
    fn sign(&mut self, object: Object, sign: Option<Sign>) {
        let rang = !self.signs.is_empty();
        match sign {
            Some(sign) => self.signs.insert(object, sign),
            None => self.signs.remove(&object),
        };
        self.ring(rang, !self.signs.is_empty());
    }

    /// Rings, or stops ringing. A counter of 0 or 1 is neither full nor empty where it matters, so that neither can fail.
    fn ring(&self, rang: bool, rings: bool) {
        let _ = match (rang, rings) {
            (false, true) => rustix::io::write(&self.bell, &1u64.to_ne_bytes()),
            (true, false) => rustix::io::read(&self.bell, &mut [0; 8]),
            _ => Ok(0),
        };
    }
}

/// Who waits for which object.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    sets: BTreeMap<u64, Watched>,
    next: u64,
    wakers: BTreeMap<Object, Vec<Waker>>,
    /// To be woken when nothing is locked.
    woken: Vec<Waker>,
    /// Nothing comes any more.
    ended: bool,
}

impl Objects {
    /// Somebody waits for it.
    pub(crate) fn has(&self, object: Object) -> bool {
        self.wakers.contains_key(&object) || self.sets.values().any(|set| set.objects.contains_key(&object))
    }

    /// An object may be otherwise now.
    pub(crate) fn touch(&mut self, object: Object, sign: Option<Sign>) {
        for set in self.sets.values_mut().filter(|set| set.objects.contains_key(&object)) {
            set.sign(object, sign);
        }
        self.woken.extend(self.wakers.remove(&object).into_iter().flatten());
    }

    /// The connection ended: everybody looks.
    pub(crate) fn wake_all(&mut self) {
        self.ended = true;
        self.woken.extend(std::mem::take(&mut self.wakers).into_values().flatten());
        for set in self.sets.values() {
            set.ring(!set.signs.is_empty(), true);
        }
    }

    /// Who is to be woken now.
    pub(crate) fn woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    /// Wakes a future when an object was touched.
    pub(crate) fn wait(&mut self, object: Object, waker: &Waker) {
        let all = self.wakers.entry(object).or_default();
        if !all.iter().any(|other| other.will_wake(waker)) {
            all.push(waker.clone());
        }
    }

    pub(crate) fn new_set(&mut self, bell: Arc<OwnedFd>) -> u64 {
        self.next += 1;
        let set = Watched { objects: BTreeMap::new(), signs: BTreeMap::new(), bell };
        if self.ended {
            set.ring(false, true);
        }
        self.sets.insert(self.next, set);
        self.next
    }

    pub(crate) fn drop_set(&mut self, set: u64) {
        self.sets.remove(&set);
    }

    /// Puts an object into a set.
    pub(crate) fn add(&mut self, set: u64, object: Object, sign: Option<Sign>) {
        let Some(set) = self.sets.get_mut(&set) else { return };
        *set.objects.entry(object).or_default() += 1;
        set.sign(object, sign);
    }

    /// Takes it out.
    pub(crate) fn remove(&mut self, set: u64, object: Object) {
        let Some(set) = self.sets.get_mut(&set) else { return };
        let Some(count) = set.objects.get_mut(&object) else { return };
        *count -= 1;
        if *count == 0 {
            set.objects.remove(&object);
            set.sign(object, None);
        }
    }

    /// What a set's objects show.
    pub(crate) fn signs(&self, set: u64) -> BTreeMap<Object, Sign> {
        self.sets.get(&set).map(|set| set.signs.clone()).unwrap_or_default()
    }
}
