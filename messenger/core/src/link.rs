//! One end of a supervised connection to one peer over one carrier.
//!
//! | from \ event | Hello that echoes our session | Hello that does not | silence | Bye, carrier lost | Quiesce / Enable |
//! | --- | --- | --- | --- | --- | --- |
//! | Greeting | Up | Greeting, answered | Greeting, greets again | Down | *ignored* |
//! | Up | Up, answered if the peer still greets | Greeting (the peer began anew) | Greeting | Down | Quiesced / Up |
//! | Quiesced | Quiesced, likewise | Greeting | Greeting | Down | Quiesced / Up |
//! | Down | *forbidden: a closed link handles nothing* | | | | |
//!
//! A link that is to last (a configured peer) goes from Down to Greeting by itself; one that a stranger opened is removed.
//! Any message of the peer's life is a sign of life, so a busy link sends no heartbeats; an idle one sends one an interval.

use crate::{
    Incarnation, LinkId, Name, NodeId, Time,
    conduit::{Demotion, Watch},
    registry::Aside,
    wire::{Flags, Header, Heartbeat, Hello, Kind, LinkBody, Refusal, VERSION},
};
use alloc::{collections::VecDeque, vec::Vec};
use core::{fmt, time::Duration};

/// How a link is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkState {
    /// Ended.
    Down,
    /// Says Hello and waits for a proof that the peer hears.
    Greeting,
    /// Carries traffic.
    Up,
    /// Carries what is under way; nothing new is wanted.
    Quiesced,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            LinkState::Down => "down",
            LinkState::Greeting => "greeting",
            LinkState::Up => "up",
            LinkState::Quiesced => "quiesced",
        })
    }
}

/// Why a link is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It was just made.
    New,
    /// Both ends heard each other.
    Greeted,
    /// Nothing was heard for too long.
    Silent,
    /// The peer began anew.
    PeerRestarted,
    /// The peer said that it leaves.
    PeerLeft,
    /// The carrier reported the end: a process died, a device vanished.
    CarrierLost,
    /// This node closed it.
    Closed,
    /// The peer does not want us, or we do not want it.
    Refused(Refusal),
    /// The peer asked for no new traffic.
    Quiesced,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::New => "not greeted yet",
            Reason::Greeted => "both ends heard each other",
            Reason::Silent => "nothing heard for too long",
            Reason::PeerRestarted => "the peer began anew",
            Reason::PeerLeft => "the peer left",
            Reason::CarrierLost => "the carrier reported the peer's end",
            Reason::Closed => "closed by this node",
            Reason::Refused(why) => return why.fmt(f),
            Reason::Quiesced => "the peer asked for no new traffic",
        })
    }
}

/// What a link is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// The carrier's kind, for people.
    pub carrier: &'static str,
    /// The lowest number of a conduit's live links carries its traffic.
    pub priority: u8,
    /// Largest message that the carrier takes, in bytes.
    pub message: u32,
    /// The node that must be at the other end, and its name, if only one may.
    pub expect: Option<(NodeId, Name)>,
    /// The link is silent after so many of the peer's intervals; `None`: the node's own limit.
    pub miss_limit: Option<u32>,
    /// Greets again for ever; otherwise the link is closed when it goes down or was not greeted within five seconds.
    pub lasting: bool,
}

/// What the other end said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPeer {
    /// Its number.
    pub node: NodeId,
    /// Its name.
    pub name: Name,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Largest message it takes on this link, in bytes; ours is counted in.
    pub message: u32,
    /// What it said, ours not counted in.
    told: u32,
    pub(crate) session: u32,
    interval: Duration,
}

/// What every link of a node says of the node.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) node: NodeId,
    pub(crate) name: Name,
    pub(crate) fabric: Name,
    pub(crate) incarnation: Incarnation,
    pub(crate) interval: Duration,
    pub(crate) miss_limit: u32,
    pub(crate) frame: u32,
    pub(crate) offloads: u32,
}

/// A message for a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The link to send it on.
    pub link: LinkId,
    /// The whole message.
    pub bytes: Vec<u8>,
}

pub(crate) type Outbox = VecDeque<Transmit>;

/// One end of a link.
#[derive(Clone, Debug)]
pub struct Link {
    pub(crate) id: LinkId,
    pub(crate) spec: LinkSpec,
    pub(crate) state: LinkState,
    pub(crate) reason: Reason,
    pub(crate) since: Time,
    pub(crate) session: u32,
    pub(crate) peer: Option<LinkPeer>,
    pub(crate) last_heard: Time,
    last_sent: Time,
    greet_at: Time,
    greet_wait: Duration,
    /// The peer's last clock reading and when it came.
    stamp: Option<(u64, Time)>,
    rtt: Option<Duration>,
    /// Messages that were not of the peer's present life.
    stale: u64,
    changes: u32,
    /// The next comparison of registries is due: until digests agree, then never.
    pub(crate) sync_at: Option<Time>,
    /// The peer is asked for its digest then.
    pub(crate) ask_at: Option<Time>,
    pub(crate) sync_wait: Duration,
    pub(crate) watch: Watch,
    /// When it carried a frame, as far as this node was told.
    pub(crate) carried: Option<Time>,
    /// Until when the peer's last size counts, and the one it told since.
    size_until: Time,
    size_next: Option<u32>,
    /// When the peer is told again what this end takes now, and how often yet.
    tell: Option<(Time, u8)>,
    /// What the peer has and this node does not keep.
    pub(crate) aside: Aside,
}

/// A new size of message is told so often: a hello may be lost.
const TELL_TIMES: u8 = 3;
const GREET_FIRST: Duration = Duration::from_millis(50);
const GREET_LONGEST: Duration = Duration::from_millis(1_000);
const GREET_LIMIT: Duration = Duration::from_secs(5);
pub(crate) const SYNC_FIRST: Duration = Duration::from_millis(100);
pub(crate) const SYNC_LONGEST: Duration = Duration::from_secs(5);

impl Link {
    pub(crate) fn new(id: LinkId, spec: LinkSpec, session: u32, now: Time) -> Link {
        Link {
            id,
            spec,
            state: LinkState::Greeting,
            reason: Reason::New,
            since: now,
            session,
            peer: None,
            last_heard: now,
            last_sent: now,
            greet_at: now,
            greet_wait: GREET_FIRST,
            stamp: None,
            rtt: None,
            stale: 0,
            changes: 0,
            sync_at: None,
            ask_at: None,
            sync_wait: SYNC_FIRST,
            watch: Watch::default(),
            carried: None,
            size_until: now,
            size_next: None,
            tell: None,
            aside: Aside::default(),
        }
    }

    /// Its number.
    pub fn id(&self) -> LinkId {
        self.id
    }

    /// What it was made from.
    pub fn spec(&self) -> &LinkSpec {
        &self.spec
    }

    /// How it is.
    pub fn state(&self) -> LinkState {
        self.state
    }

    /// Why it is so.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Since when.
    pub fn since(&self) -> Time {
        self.since
    }

    /// What the other end said of itself; `None` before it did.
    pub fn peer(&self) -> Option<&LinkPeer> {
        self.peer.as_ref()
    }

    /// The smoothed round trip.
    pub fn round_trip(&self) -> Option<Duration> {
        self.rtt
    }

    /// Why it carries only while no better link is live, if it is demoted.
    pub fn demotion(&self) -> Option<Demotion> {
        self.watch.demotion()
    }

    /// Heartbeats of a thousand that had no answer of late; `None` while that is not measured.
    pub fn loss(&self, now: Time) -> Option<u16> {
        let answer = self.rtt.map_or(Duration::from_millis(500), |rtt| (rtt * 4).max(Duration::from_millis(100)));
        self.watch.loss(now, answer)
    }

    /// How often the state changed.
    pub fn changes(&self) -> u32 {
        self.changes
    }

    /// Messages dropped because they were not of the peer's present life.
    pub fn stale(&self) -> u64 {
        self.stale
    }

    /// Carries traffic that is under way.
    pub fn is_live(&self) -> bool {
        matches!(self.state, LinkState::Up | LinkState::Quiesced)
    }

    /// When silence means the end.
    fn deadline(&self, me: &Identity) -> Option<Time> {
        let peer = self.peer.as_ref().filter(|_| self.is_live())?;
        Some(self.last_heard + peer.interval * self.miss_limit(me))
    }

    fn miss_limit(&self, me: &Identity) -> u32 {
        self.spec.miss_limit.map_or(me.miss_limit, |limit| limit.max(1))
    }

    pub(crate) fn timeout(&self, me: &Identity) -> Option<Time> {
        match self.state {
            LinkState::Down => None,
            LinkState::Greeting => Some(self.greet_at),
            LinkState::Up | LinkState::Quiesced => {
                let heartbeat = self.last_sent + me.interval;
                let tell = self.tell.map(|(at, _)| at);
                let size = self.size_next.map(|_| self.size_until);
                let own =
                    [Some(heartbeat), self.deadline(me), self.sync_at, self.ask_at, tell, size, self.watch.timeout()];
                own.into_iter().flatten().min()
            }
        }
    }

    fn enter(&mut self, now: Time, state: LinkState, reason: Reason) {
        if state != self.state {
            self.changes = self.changes.saturating_add(1);
            self.since = now;
        }
        self.state = state;
        self.reason = reason;
    }

    /// Begins anew, with a session the peer has not seen.
    pub(crate) fn restart(&mut self, now: Time, session: u32, reason: Reason) {
        self.enter(now, LinkState::Greeting, reason);
        self.session = session;
        self.peer = None;
        self.stamp = None;
        self.rtt = None;
        self.sync_at = None;
        self.watch = Watch::default();
        self.carried = None;
        self.ask_at = None;
        self.tell = None;
        self.size_next = None;
        self.aside.clear();
        self.greet_at = now;
        self.greet_wait = GREET_FIRST;
    }

    pub(crate) fn close(&mut self, now: Time, reason: Reason) {
        self.enter(now, LinkState::Down, reason);
    }

    pub(crate) fn heard(&mut self, now: Time) {
        self.last_heard = self.last_heard.max(now);
        self.watch.heard();
    }

    pub(crate) fn sent(&mut self, now: Time) {
        self.last_sent = self.last_sent.max(now);
    }

    /// This node itself was asleep: the silence was its own.
    pub(crate) fn forgive(&mut self, now: Time, me: &Identity) {
        if let Some(peer) = &self.peer {
            let tolerated = peer.interval * self.miss_limit(me).saturating_sub(1);
            let floor = Time::from_nanos(now.as_nanos().saturating_sub(tolerated.as_nanos() as u64));
            self.last_heard = self.last_heard.max(floor);
        }
    }

    /// Silence came to its end.
    pub(crate) fn is_silent(&self, now: Time, me: &Identity) -> bool {
        self.deadline(me).is_some_and(|d| d <= now)
    }

    /// Nobody came to meet it.
    pub(crate) fn is_forgotten(&self, now: Time) -> bool {
        self.state == LinkState::Greeting && !self.spec.lasting && now.since(self.since) >= GREET_LIMIT
    }

    /// Says Hello or gives a sign of life if one is due.
    pub(crate) fn speak(&mut self, now: Time, me: &Identity, digest: u64, out: &mut Outbox) {
        match self.state {
            LinkState::Greeting if self.greet_at <= now => {
                self.greet(now, me, out);
                self.greet_at = now + self.greet_wait;
                self.greet_wait = (self.greet_wait * 2).min(GREET_LONGEST);
            }
            LinkState::Up | LinkState::Quiesced if self.tell.is_some_and(|(at, _)| at <= now) => {
                self.tell = self.tell.and_then(|(_, left)| Some((now + me.interval, left.checked_sub(1)?)));
                self.greet(now, me, out);
            }
            LinkState::Up | LinkState::Quiesced if self.last_sent + me.interval <= now => {
                self.beat(now, me, digest, false, out);
            }
            _ => {}
        }
    }

    pub(crate) fn greet(&mut self, now: Time, me: &Identity, out: &mut Outbox) {
        let hello = Hello {
            versions: (VERSION, VERSION),
            echo: self.peer.as_ref().map_or(0, |p| p.session),
            greeting: self.state == LinkState::Greeting,
            incarnation: me.incarnation,
            interval_ms: u16::try_from(me.interval.as_millis()).unwrap_or(u16::MAX),
            message: self.spec.message,
            frame: me.frame,
            offloads: me.offloads,
            name: me.name.clone(),
            fabric: me.fabric.clone(),
        };
        self.say(now, me, &LinkBody::Hello(hello), out);
    }

    pub(crate) fn beat(&mut self, now: Time, me: &Identity, digest: u64, answer: bool, out: &mut Outbox) {
        let (echo, held) = self.stamp.map_or((0, 0), |(echo, at)| (echo, now.since(at).as_nanos() as u64));
        let (sent, digest) = (now.as_nanos().max(1), digest ^ self.aside.digest());
        self.say(now, me, &LinkBody::Heartbeat(Heartbeat { answer, sent, echo, held, digest }), out);
    }

    pub(crate) fn say(&mut self, now: Time, me: &Identity, body: &LinkBody<'_>, out: &mut Outbox) {
        let header = Header {
            len: Header::LEN as u8,
            kind: Kind::Link,
            flags: Flags::default(),
            source: me.node.get(),
            destination: self.peer.as_ref().map_or(0, |p| p.node.get()),
            port: self.session,
        };
        let mut bytes = Vec::from([0; Header::LEN]);
        if header.emit(&mut bytes).is_ok() {
            body.emit(&mut bytes);
            self.sent(now);
            out.push_back(Transmit { link: self.id, bytes });
        }
    }

    /// Whether the peer's digest is what this node has, records set aside counted in.
    pub(crate) fn agrees(&self, beat: &Heartbeat, digest: u64) -> bool {
        beat.digest == digest ^ self.aside.digest()
    }

    /// Whether `session` is the peer's present one; counts if it is not.
    pub(crate) fn is_present(&mut self, session: u32) -> bool {
        let present = self.peer.as_ref().is_some_and(|p| p.session == session);
        self.stale += u64::from(!present);
        present
    }

    /// Takes what an acceptable peer said of itself; another size of message once in `pace`, else when that is over.
    /// Returns whether the link came up with it.
    pub(crate) fn meet(&mut self, now: Time, node: NodeId, session: u32, hello: &Hello, pace: Duration) -> bool {
        self.heard(now);
        let mut told = hello.message;
        self.size_next = None;
        if let Some(old) = self.peer.as_ref().filter(|old| self.is_live() && old.told != told) {
            if self.size_until > now {
                self.size_next = Some(told);
                told = old.told;
            } else {
                self.size_until = now + pace;
            }
        }
        self.peer = Some(LinkPeer {
            node,
            name: hello.name.clone(),
            incarnation: hello.incarnation,
            message: told.min(self.spec.message),
            told,
            session,
            interval: Duration::from_millis(u64::from(hello.interval_ms.max(1))),
        });
        let up = self.state == LinkState::Greeting && hello.echo == self.session;
        if up {
            self.enter(now, LinkState::Up, Reason::Greeted);
        }
        up
    }

    /// Takes the last size that the peer told, if it is due. Returns whether the link's size is another one by that.
    pub(crate) fn take_size(&mut self, now: Time, pace: Duration) -> bool {
        if !self.is_live() || self.size_until > now {
            return false;
        }
        let (Some(told), Some(peer)) = (self.size_next.take(), &mut self.peer) else { return false };
        self.size_until = now + pace;
        peer.told = told;
        let old = core::mem::replace(&mut peer.message, told.min(self.spec.message));
        old != peer.message
    }

    /// The carrier takes messages of another size from now on; the peer is to know. Returns whether the link's size is
    /// another one by that.
    pub(crate) fn resize(&mut self, now: Time, message: u32) -> bool {
        self.spec.message = message;
        let live = self.is_live();
        if live {
            self.tell = Some((now, TELL_TIMES - 1));
        }
        let Some(peer) = &mut self.peer else { return false };
        let old = core::mem::replace(&mut peer.message, peer.told.min(message));
        live && old != peer.message
    }

    /// Does not greet before that time.
    pub(crate) fn wait_until(&mut self, at: Time) {
        self.greet_at = self.greet_at.max(at);
    }

    pub(crate) fn refuse(&mut self, now: Time, why: Refusal) {
        self.enter(now, LinkState::Greeting, Reason::Refused(why));
        self.greet_wait = GREET_LONGEST;
        self.greet_at = now + GREET_LONGEST;
    }

    pub(crate) fn quiesce(&mut self, now: Time, on: bool) {
        match (self.state, on) {
            (LinkState::Up, true) => self.enter(now, LinkState::Quiesced, Reason::Quiesced),
            (LinkState::Quiesced, false) => self.enter(now, LinkState::Up, Reason::Greeted),
            _ => {}
        }
    }

    pub(crate) fn measure(&mut self, now: Time, beat: &Heartbeat) {
        self.stamp = Some((beat.sent, now));
        let sample = now.as_nanos().checked_sub(beat.echo).and_then(|t| t.checked_sub(beat.held));
        if let (true, Some(nanos)) = (beat.echo != 0, sample) {
            let sample = Duration::from_nanos(nanos);
            self.watch.answered(beat.echo, sample);
            self.rtt = Some(self.rtt.map_or(sample, |old| (old * 7 + sample) / 8));
        }
    }
}
