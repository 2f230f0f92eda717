//! Waiting for any of many things.

use crate::{
    Code, Guest, GuestError, Path, PortId, Status, Ticket, Watch,
    callbacks::work,
    wait::{Object, Sign},
};
use rustix::{
    event::{
        EventfdFlags, Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
        eventfd,
    },
    fd::OwnedFd,
    io::{Errno, ioctl_fionread},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};
use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::{Duration, Instant},
};

/// What can be waited for.
#[derive(Debug)]
pub enum Waitable {
    /// Has messages to receive.
    Port(PortId),
    /// Is settled, and its outcome can be taken.
    Ticket(Ticket),
    /// Has changed, and [`Guest::path_change`] tells how.
    Path(Path),
    /// Has seen something, and [`Guest::change`] tells what.
    Watch(Watch),
    /// Something happened to a port: see [`Guest::notice`].
    Notices,
    /// Has come.
    Timer(Instant),
    /// Is readable, or its other end is gone.
    Fd(OwnedFd),
}

macro_rules! from {
    ($($from:ty => $to:ident),*) => {
        $(impl From<$from> for Waitable {
            fn from(what: $from) -> Waitable {
                Waitable::$to(what)
            }
        })*
    };
}

from!(PortId => Port, Ticket => Ticket, Path => Path, Watch => Watch, Instant => Timer, OwnedFd => Fd);

#[derive(Debug)]
enum Member {
    Object(Object),
    Timer(Instant),
    /// The number is that of its event.
    Fd(OwnedFd, u64),
}

/// A list of things to wait for, each under a key of the user's.
///
/// What is ready stays ready until it is no more: a port until its messages are taken, a time until it is removed. What is no
/// more is told as [`Sign::Closed`] until it is removed. The set has a descriptor of its own, which is readable exactly while
/// [`WaitSet::wait`] has something to tell, so that it can stand in any other list.
///
/// ```no_run
/// # let guest = messenger::Guest::join(&Default::default())?;
/// use messenger::{PortSpec, Sign, WaitSet};
/// use std::time::{Duration, Instant};
///
/// let port = guest.open(&PortSpec::named("door"))?;
/// let mut set = WaitSet::new(&guest)?;
/// set.add("door", port)?;
/// set.add("supper", Instant::now() + Duration::from_secs(3600))?;
/// set.add_fd("keyboard", &std::io::stdin())?;
/// for (key, sign) in set.wait(None)? {
///     match (key, sign) {
///         ("door", Sign::Ready) => drop(guest.receive(port, Some(Duration::ZERO))?),
///         (key, _) => set.remove(&key),
///     }
/// }
/// # Ok::<(), messenger::GuestError>(())
/// ```
#[derive(Debug)]
pub struct WaitSet<K> {
    guest: Guest,
    set: u64,
    members: BTreeMap<K, Member>,
    /// Beside the bell and the timer there are the user's descriptors in it.
    poll: OwnedFd,
    timer: OwnedFd,
    next_fd: u64,
}

/// What an event of the poll is: of the guest's bell, of the timer, else of a descriptor.
const BELL: u64 = 0;
const TIMER: u64 = 1;

impl<K: Ord + Clone> WaitSet<K> {
    /// An empty set of a guest's.
    ///
    /// # Errors
    /// The process has no descriptors or threads left.
    pub fn new(guest: &Guest) -> Result<WaitSet<K>, GuestError> {
        let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map_err(io::Error::from)?);
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC);
        let (poll, timer) =
            (epoll::create(CreateFlags::CLOEXEC).map_err(io::Error::from)?, timer.map_err(io::Error::from)?);
        for (fd, number) in [(bell.as_fd(), BELL), (timer.as_fd(), TIMER)] {
            epoll::add(&poll, fd, EventData::new_u64(number), EventFlags::IN).map_err(io::Error::from)?;
        }
        guest.line().start_threads(work)?;
        let set = guest.line().with(|inbox| inbox.objects.new_set(bell));
        Ok(WaitSet { guest: guest.clone(), set, members: BTreeMap::new(), poll, timer, next_fd: TIMER + 1 })
    }

    /// Adds something under a key.
    ///
    /// # Errors
    /// [`GuestError::Refused`] with [`Code::Exists`]: the key is taken. A descriptor of a plain file cannot be waited for.
    pub fn add(&mut self, key: K, what: impl Into<Waitable>) -> Result<(), GuestError> {
        if self.members.contains_key(&key) {
            return Err(GuestError::Refused(Status::new(Code::Exists)));
        }
        let member = match what.into() {
            Waitable::Port(port) => Member::Object(Object::Port(port)),
            Waitable::Ticket(ticket) => Member::Object(Object::Ticket(ticket)),
            Waitable::Path(path) => Member::Object(Object::Path(path)),
            Waitable::Watch(watch) => Member::Object(Object::Watch(watch)),
            Waitable::Notices => Member::Object(Object::Notices),
            Waitable::Timer(at) => Member::Timer(at),
            Waitable::Fd(fd) => {
                let number = self.next_fd;
                self.next_fd += 1;
                epoll::add(&self.poll, &fd, EventData::new_u64(number), EventFlags::IN).map_err(io::Error::from)?;
                Member::Fd(fd, number)
            }
        };
        if let Member::Object(object) = member {
            let set = self.set;
            self.guest.line().with(|inbox| {
                let sign = inbox.sign(object);
                inbox.objects.add(set, object, sign);
            });
        }
        let is_timer = matches!(member, Member::Timer(_));
        self.members.insert(key, member);
        if is_timer { self.set_timer() } else { Ok(()) }
    }

    /// Adds a descriptor that stays the caller's; the set waits for a duplicate.
    ///
    /// # Errors
    /// As for [`WaitSet::add`]; there are no descriptors left.
    pub fn add_fd(&mut self, key: K, fd: impl AsFd) -> Result<(), GuestError> {
        let own = fd.as_fd().try_clone_to_owned()?;
        self.add(key, own)
    }

    /// Takes something out; nothing happens when there is nothing of that key.
    pub fn remove(&mut self, key: &K) {
        match self.members.remove(key) {
            Some(Member::Object(object)) => {
                let set = self.set;
                self.guest.line().with(|inbox| inbox.objects.remove(set, object));
            }
            // Setting a timer of the set's own cannot fail, and a descriptor leaves the poll when it is dropped or here.
            Some(Member::Timer(_)) => drop(self.set_timer()),
            Some(Member::Fd(fd, _)) => drop(epoll::delete(&self.poll, &fd)),
            None => {}
        }
    }

    /// Waits until something is ready or closed, and tells all that is. Nothing: not within `limit`; without one it waits for
    /// ever, with zero not at all.
    ///
    /// # Errors
    /// The connection to the daemon ended.
    pub fn wait(&self, limit: Option<Duration>) -> Result<Vec<(K, Sign)>, GuestError> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let timeout = left.map(timespec);
            let mut events: Vec<Event> = Vec::with_capacity(self.members.len() + 2);
            match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
            let set = self.set;
            let signs = self.guest.line().look(|inbox| inbox.objects.signs(set))?;
            let fds: BTreeMap<u64, EventFlags> = events.iter().map(|e| ({ e.data }.u64(), { e.flags })).collect();
            let now = Instant::now();
            let sign = |member: &Member| match member {
                Member::Object(object) => signs.get(object).copied(),
                Member::Timer(at) => (*at <= now).then_some(Sign::Ready),
                Member::Fd(fd, number) => fds.get(number).map(|flags| sign_of(fd, *flags)),
            };
            let found: Vec<_> =
                self.members.iter().filter_map(|(key, member)| Some((key.clone(), sign(member)?))).collect();
            if !found.is_empty() || end.is_some_and(|end| end <= now) {
                return Ok(found);
            }
        }
    }

    /// How many things are in it.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Has the timer go off at the first time of the set.
    fn set_timer(&self) -> Result<(), GuestError> {
        let times = self.members.values().filter_map(|m| if let Member::Timer(at) = m { Some(*at) } else { None });
        // Zero would switch it off.
        let left = times.min().map(|at| at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1)));
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timer = Itimerspec { it_interval: zero, it_value: left.map_or(zero, timespec) };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer).map_err(io::Error::from)?;
        Ok(())
    }
}

impl<K> AsFd for WaitSet<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}

impl<K> Drop for WaitSet<K> {
    fn drop(&mut self) {
        let set = self.set;
        self.guest.line().with(|inbox| inbox.objects.drop_set(set));
    }
}

/// What was said last before an end can still be read.
fn sign_of(fd: &OwnedFd, flags: EventFlags) -> Sign {
    let ended = flags.intersects(EventFlags::HUP | EventFlags::ERR);
    let readable = flags.contains(EventFlags::IN) && (!ended || ioctl_fionread(fd).is_ok_and(|n| n > 0));
    if ended && !readable { Sign::Closed } else { Sign::Ready }
}

fn timespec(d: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(d.subsec_nanos()) }
}
