//! The control thread: waits for whatever happens, lets the core conclude from it, and follows that up.

mod answers;
mod events;
mod guests;
mod leaving;
mod looks;
mod opening;
mod pings;
mod processors;
mod watches;

use super::{
    DaemonError, Lanes, UDP,
    drain::Drain,
    guests::Guests,
    interface::Attached,
    iops::Iops,
    journal::Journal,
    local::Local,
    media::Media,
    paths::Paths,
    publish,
    sealing::{Sealing, Spot},
    signals::Signals,
    supervisor::Supervisor,
    wires::Wires,
};
use crate::{
    Config,
    clock::Clock,
    control::Server,
    lane::{Command, Inbox, Report},
    snapshot::Snapshot,
};
use arc_swap::ArcSwap;
use fabric::{Channel, Origin};
use messenger::Look;
use messenger_core::{LinkId, Node, Reason, Time};
use minet::{Learned, Stations};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use pings::Asking;
use std::{
    collections::BTreeMap,
    os::fd::AsRawFd,
    sync::Arc,
    time::{Duration, Instant},
};

/// Who is who in the poll set.
pub(super) struct Tokens;

impl Tokens {
    pub(super) const INBOX: Token = Token(0);
    pub(super) const SIGNAL: Token = Token(1);
    const LISTENER: Token = Token(2);
    const WATCH: Token = Token(3);
    pub(super) const CONTROL: Token = Token(4);
    pub(super) const GUESTS_DOOR: Token = Token(5);
    /// What tells of I/O processors that are put in or taken out.
    const SLOTS: Token = Token(6);
    const INTERFACES: usize = 16;
    const IOPS: usize = 512;
    /// Meetings and lifelines count up from here; clients of the control socket and guests from far above.
    pub(super) const LOCAL: usize = 1024;
    pub(super) const CLIENTS: usize = 1 << 40;
    pub(super) const GUESTS: usize = 1 << 48;
}

/// The lowest number wins in a conduit.
const PRIORITY: [u8; 2] = [10, 30];
/// Reports of lanes dealt with in one turn.
const REPORTS: usize = 256;
/// Strangers that may be greeting at one time.
const STRANGERS: usize = 256;
/// How often silent stations are forgotten.
const EXPIRE: Duration = Duration::from_secs(10);

/// The control thread's state.
pub(super) struct Control {
    config: Config,
    clock: Clock,
    node: Node,
    // Before the interfaces: lanes end before the interfaces they use go away.
    lanes: Lanes,
    wires: Wires,
    attached: Vec<Attached>,
    stations: Vec<Stations>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    inbox: Arc<Inbox>,
    local: Local,
    iops: Iops,
    server: Server,
    guests: Guests,
    sealing: Option<Sealing>,
    pings: BTreeMap<u64, Asking>,
    expire: Instant,
    media: Media,
    journal: Journal,
    paths: Paths,
    supervisor: Supervisor,
    dirty: bool,
    tracing: Option<looks::Tracing>,
    watches: watches::Watches,
    draining: Option<Drain>,
    /// Guests that are busy are looked for before it sleeps.
    look: Look,
    /// Counters begin with these.
    counted: Option<crate::control::StatsReport>,
}

impl Control {
    #[allow(clippy::too_many_arguments, reason = "everything the daemon set up, once")]
    pub(super) fn new(
        config: Config,
        clock: Clock,
        node: Node,
        attached: Vec<Attached>,
        lanes: Lanes,
        snapshot: Arc<ArcSwap<Snapshot>>,
        inbox: Arc<Inbox>,
        local: Local,
        iops: Iops,
        server: Server,
        guests: Guests,
        sealing: Option<Sealing>,
    ) -> Control {
        let look = Look::new(config.spin);
        let stations = attached.iter().map(|_| Stations::new()).collect();
        Control {
            media: Media::new(&lanes.underlays),
            journal: Journal::default(),
            config,
            clock,
            node,
            lanes,
            wires: Wires::default(),
            attached,
            stations,
            snapshot,
            inbox,
            local,
            iops,
            server,
            guests,
            sealing,
            pings: BTreeMap::new(),
            expire: Instant::now() + EXPIRE,
            paths: Paths::default(),
            supervisor: Supervisor::new(Instant::now()),
            dirty: true,
            tracing: None,
            watches: watches::Watches::default(),
            draining: None,
            look,
            counted: None,
        }
    }

    /// Runs until a signal says stop.
    pub(super) fn run(mut self, mut poll: Poll, mut signals: Signals) -> Result<(), DaemonError> {
        self.start(&poll).map_err(DaemonError::system("cannot watch the sockets"))?;
        let mut events = Events::with_capacity(256);
        loop {
            self.follow_up();
            let looks = self.look.look_again();
            let (timeout, before) = (if looks { Some(Duration::ZERO) } else { self.timeout() }, Instant::now());
            match poll.poll(&mut events, timeout) {
                Err(e) if e.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(DaemonError::System { what: "cannot wait for events", source: e });
                }
                _ => {}
            }
            let guests = events.iter().any(|event| self.guests.owns(event.token()));
            if !looks {
                self.look.slept(before.elapsed(), guests);
            } else if guests {
                self.look.worked();
            }
            for event in &events {
                if event.token() == Tokens::SIGNAL && signals.came() {
                    self.stop();
                    return Ok(());
                }
                self.handle(event.token(), &poll);
            }
            if let Some(gone) = self.attached.iter().find(|a| a.is_gone()) {
                let name = gone.config.interface.clone();
                self.stop();
                return Err(DaemonError::InterfaceGone(name));
            }
            self.handle_time(&poll);
            if self.is_drained() {
                self.stop();
                return Ok(());
            }
        }
    }

    fn start(&mut self, poll: &Poll) -> std::io::Result<()> {
        self.open_ask_port();
        let registry = poll.registry();
        self.local.register(registry, Tokens::LISTENER, Tokens::WATCH)?;
        for (i, attached) in self.attached.iter().enumerate() {
            let Some(fd) = attached.watched() else { continue };
            let token = Token(Tokens::INTERFACES + i);
            registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        }
        self.iops.register(registry, Tokens::IOPS, Tokens::SLOTS)?;
        self.tell_attachments();
        match &mut self.sealing {
            Some(sealing) => {
                let what = if self.config.is_sealed() { "udp" } else { "what leaves the host" };
                log::info!("{what} is sealed; this node's public key is {}", sealing.public());
                if self.config.is_sealed() {
                    sealing.call_all(self.clock.now());
                }
            }
            None => {
                for peer in self.config.peers.clone() {
                    self.open_udp(peer, true);
                }
            }
        }
        self.media.start(&mut self.wires, &self.lanes);
        let met = self.local.call_all(registry);
        self.meet(met);
        self.iops.boot(self.time());
        self.serve_iops(poll);
        log::info!(
            "node {} (id {}, incarnation {}) of fabric {} is ready",
            self.node.name(),
            self.node.id(),
            self.node.incarnation(),
            self.config.fabric
        );
        self.supervisor.ready();
        Ok(())
    }

    fn stop(&mut self) {
        log::info!("stopping");
        self.supervisor.stopping();
        self.end_guests();
        self.node.shut_down(self.clock.now());
        self.send_all();
    }

    fn timeout(&self) -> Option<Duration> {
        let core = self.node.poll_timeout().map(|at| at.since(self.clock.now()));
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        let pings = self.pings.values().map(|p| until(p.until)).min();
        let learns = self.attached.iter().any(|a| a.config.learn);
        let expire = learns.then(|| until(self.expire));
        let gate = self.sealing.as_ref().and_then(Sealing::timeout).map(|at| at.since(self.clock.now()));
        let paths = self.config.udp.map(|_| self.paths.timeout());
        let media = self.media.timeout();
        let iops = self.iops.poll_timeout().map(|at| at.saturating_sub(self.time()));
        let guests = self.guests.timeout();
        let (trace, watches, drain) = (self.trace_timeout(), self.watches.timeout(), self.drain_timeout());
        let supervisor = self.supervisor.timeout(Instant::now());
        let own = [core, self.local.timeout(), pings, expire, paths, gate, media];
        let all = own.into_iter().chain([iops, guests, trace, watches, drain, supervisor]);
        all.flatten().min()
    }

    fn handle(&mut self, token: Token, poll: &Poll) {
        let registry = poll.registry();
        match token {
            Tokens::INBOX => self.handle_inbox(),
            // It is read with all else that is done for them.
            Tokens::SLOTS => {}
            Tokens::LISTENER => {
                let met = self.local.handle_listener(registry);
                self.meet(met);
            }
            Tokens::WATCH => {
                let met = self.local.handle_watch(registry);
                self.meet(met);
            }
            token if self.guests.owns(token) => self.handle_guest(token),
            token if self.server.owns(token) => {
                // What is told is in effect: lanes and interfaces have it before anybody reads of it.
                self.take_events(poll);
                self.follow_up();
                for asked in self.server.handle(token, registry) {
                    self.answer(asked, poll);
                }
            }
            Token(n) if (Tokens::INTERFACES..Tokens::INTERFACES + self.attached.len()).contains(&n) => {
                if self.attached.get_mut(n - Tokens::INTERFACES).is_some_and(Attached::changed) {
                    self.tell_attachments();
                    self.dirty = true;
                }
            }
            Token(n) if n.checked_sub(Tokens::IOPS).is_some_and(|at| self.iops.owns(at)) => {
                self.iops.handle_bell(self.time(), n - Tokens::IOPS);
            }
            token if self.local.is_dead(token) => {
                if let Some(link) = self.wires.of_life(token) {
                    self.node.close_link(self.clock.now(), link, Reason::CarrierLost);
                }
                self.local.forget(registry, token);
                let met = self.local.call_all(registry);
                self.meet(met);
            }
            token => {
                let met = self.local.advance(registry, token);
                self.meet(met);
            }
        }
    }

    fn handle_time(&mut self, poll: &Poll) {
        let now = self.clock.now();
        if self.node.poll_timeout().is_some_and(|at| at <= now) {
            for (link, wire) in self.wires.iter_mut() {
                let (heard, sent) = wire.news();
                self.node.handle_traffic(now, link, heard, sent);
            }
            self.node.handle_timeout(now);
        }
        if let Some(sealing) = &mut self.sealing
            && sealing.timeout().is_some_and(|at| at <= now)
        {
            sealing.handle_timeout(now);
        }
        if self.local.timeout() == Some(Duration::ZERO) {
            let met = self.local.handle_timeout(poll.registry());
            self.meet(met);
        }
        let late: Vec<u64> = self.pings.iter().filter(|(_, p)| p.until <= Instant::now()).map(|(t, _)| *t).collect();
        for token in late {
            self.answer_ping(token, None, poll);
        }
        if self.config.udp.is_some() && self.paths.is_due() {
            self.measure_paths();
        }
        if self.expire <= Instant::now() {
            self.expire = Instant::now() + EXPIRE;
            for stations in &mut self.stations {
                self.dirty |= stations.expire(now);
            }
        }
        self.serve_guests();
        self.end_trace();
        self.tend_drain();
        self.iops.handle_timeout(self.time());
        self.take_events(poll);
        self.serve_iops(poll);
        self.take_events(poll);
        self.tend_media();
        self.tell_watches(poll.registry());
        self.supervisor.handle_timeout(Instant::now(), &self.lanes.mailboxes);
    }

    /// Sends what the core has to say and publishes what changed.
    fn follow_up(&mut self) {
        self.follow_sealing();
        self.tell_guests();
        self.answer_nodes();
        self.send_all();
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let others = self.node.members().chain(self.node.departed()).filter(|r| r.node != self.node.id());
        let reached = self.node.members().filter(|r| self.node.route(r.node).is_some());
        self.supervisor.members(reached.count(), others.count());
        let snapshot = publish::snapshot(&self.node, &self.wires, &self.attached, &self.stations, &self.lanes);
        for (attached, table) in self.attached.iter_mut().zip(&snapshot.tables) {
            let on = table.members().iter().any(|m| m.hop.is_some());
            attached.tell_members(&self.node);
            if attached.set_carrier(on) {
                log::info!("interface {}: {}", attached.config.interface, if on { "carrier" } else { "no carrier" });
            }
        }
        self.snapshot.store(Arc::new(snapshot));
    }

    fn send_all(&mut self) {
        let Some(mailbox) = self.lanes.mailboxes.first() else { return };
        while let Some(transmit) = self.node.poll_transmit() {
            let Some(wire) = self.wires.get(transmit.link) else { continue };
            let channel = Channel(wire.channel);
            mailbox.give(Command::Send { carrier: wire.carrier, channel, bytes: transmit.bytes });
        }
    }

    fn close_wire(&mut self, link: LinkId, poll: &Poll) {
        if let Some(sealing) = &mut self.sealing {
            sealing.forget(link);
        }
        let Some(wire) = self.wires.detach(&self.lanes, link) else { return };
        if let Some(token) = wire.life {
            self.local.forget(poll.registry(), token);
        }
    }

    fn tell_attachments(&mut self) {
        let all = self.attached.iter().map(Attached::attachment).collect();
        self.node.set_attachments(self.clock.now(), all);
    }

    fn handle_inbox(&mut self) {
        for _ in 0..REPORTS {
            let Some(report) = self.inbox.next() else { return };
            let now = self.clock.now();
            match report {
                Report::Broken { carrier, channel } => {
                    if let Some(link) = self.wires.of_channel(carrier, channel.0) {
                        self.node.close_link(now, link, Reason::CarrierLost);
                    }
                }
                Report::Medium { carrier, medium } => {
                    let kind = self.lanes.kinds.get(carrier).copied().unwrap_or_default();
                    let there = medium != fabric::Medium::Down;
                    let text =
                        format!("{kind}: the medium of carrier {carrier} is {}", if there { "there" } else { "gone" });
                    self.journal.note("medium", None, None, text);
                    if self.media.changed(carrier, medium) {
                        let gone: Vec<LinkId> =
                            self.wires.iter().filter(|(_, w)| w.carrier == carrier).map(|(l, _)| l).collect();
                        for link in gone {
                            self.node.close_link(now, link, Reason::CarrierLost);
                        }
                    }
                }
                Report::Message { carrier, origin: Origin::Stranger(at), bytes }
                    if self.lanes.is_sealed(carrier, &self.config) =>
                {
                    self.handle_stranger(now, Spot { carrier, at }, bytes);
                }
                Report::TooLong => self.paths.hurry(),
                Report::Message { carrier, origin, bytes } => self.handle_message(now, carrier, origin, &bytes),
                Report::Moved { carrier, channel, address } => {
                    if let Some(sealing) = &mut self.sealing {
                        let kind = self.lanes.kinds.get(carrier).copied().unwrap_or_default();
                        log::info!("{kind}: the peer of channel {} is at {address} now", channel.0);
                        let spot = Spot { carrier, at: address };
                        sealing.moved(&self.lanes, channel, spot);
                        self.move_wire(channel, spot);
                        self.paths.hurry();
                    }
                }
                Report::Sighting { segment, sighting } => {
                    let Some(stations) = self.stations.get_mut(segment) else { continue };
                    match stations.learn(now, sighting) {
                        Learned::Same | Learned::Refused => {}
                        Learned::Blocked => {
                            log::warn!("station {} moves to and fro: a bridge loop? It is blocked", sighting.mac);
                            self.dirty = true;
                        }
                        Learned::New | Learned::Moved(_) => self.dirty = true,
                    }
                }
            }
        }
        // There may be more: timers, signals and sockets have their turn first.
        self.inbox.wake();
    }

    /// Asks the kernel what the paths of UDP peers take now, and follows that up.
    fn measure_paths(&mut self) {
        let overhead = if self.config.is_sealed() { fabric_seal::OVERHEAD } else { 0 };
        for change in self.paths.measure(&self.node, &self.wires, overhead) {
            let (channel, message) = (Channel(change.channel), change.message);
            for mailbox in &self.lanes.mailboxes {
                mailbox.give(Command::Resize { carrier: UDP, channel, message });
            }
            let message = u32::try_from(message).unwrap_or(u32::MAX);
            self.node.set_link_message(self.clock.now(), change.link, message);
        }
    }

    fn handle_message(&mut self, now: Time, carrier: usize, origin: Origin, bytes: &[u8]) {
        let link = match origin {
            Origin::Channel(channel) => self.wires.of_channel(carrier, channel.0),
            Origin::Stranger(from) => {
                self.wires.of_origin(carrier, from).or_else(|| self.welcome(carrier, from, bytes))
            }
        };
        if let Some(link) = link {
            self.node.handle_message(now, link, bytes);
        }
    }
}
