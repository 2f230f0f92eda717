//! What guests want becomes commands to the core.

use super::{
    Guests,
    told::{head, slot},
};
use messenger::protocol::{
    Call, Contents, Done, Envelope, Finished, Head, Life, MANY, Member, Numbers, PortSpec, Request, Sent, SentMany,
    TOGETHER, Take, Taken, Ticket, To, Told, Wants, Watch, pick,
};
use messenger_core::{
    Answer, Choice, Code, Control, HoldId, Message, Mode, Name, NameError, Node, NodeId, PathId, PathSpec, Pattern,
    Payload, PortId, Quality, Received, Status, Target, Time,
    wire::{Agent, Record, Scope},
};
use std::{net::IpAddr, time::Duration};

/// Ports of one guest.
const PORTS: usize = 16_384;
/// Ports of all guests together that outlive their receivers, with a receiver or without.
pub(super) const LASTING: usize = 4_096;
/// Watches of one guest.
const WATCHES: usize = 256;
/// Tickets of one guest that are not settled.
const TICKETS: usize = 65_536;
/// Requests that one guest took and did not answer; the oldest ones lose their right to an answer.
const ASKS: usize = 65_536;
/// The most an area of a guest's port may hold, in bytes.
const ROOM: u32 = 64 << 20;

type Carried = Result<(Done, Payload), Status>;

impl Guests {
    /// Carries out a call and answers it.
    pub(super) fn call(&mut self, number: usize, call: Call, payload: Payload, node: &mut Node, now: Time) {
        self.counts.calls += 1;
        if let Request::Give { at } = call.request {
            return self.take_place(number, at, node, now);
        }
        let asked = call.number;
        let watches = matches!(call.request, Request::Watch { .. });
        match self.carry_out(number, call.request, payload, node, now) {
            Ok((done, payload)) => self.tell(number, &Told::Done { number: asked, done }, &payload, node, now),
            Err(status) => {
                self.counts.refused += 1;
                self.tell(number, &Told::Refused { number: asked, status }, &Payload::EMPTY, node, now);
            }
        }
        if watches {
            // All names that are there come with it; they are not to pile up.
            self.deliver(node, now);
        }
    }

    fn carry_out(&mut self, number: usize, request: Request, payload: Payload, node: &mut Node, now: Time) -> Carried {
        let done = match request {
            Request::Open(spec) => self.open(number, spec, node, now)?,
            Request::Attach { name } => self.attach(number, &name, node, now)?,
            Request::Detach { port } => {
                self.refuse_asks(number, port, node, now)?;
                node.exchange_mut().detach(now, port)?;
                self.receivers.remove(&port);
                if let Some(guest) = self.guests.get_mut(&number) {
                    guest.forget_port(port);
                }
                Done::Nothing
            }
            Request::Close { port } => {
                self.own(number, port)?;
                node.exchange_mut().close_port(now, port)?;
                Done::Nothing
            }
            Request::Send(envelope) => self.send(number, envelope, payload, node, now)?,
            Request::Receive { port, take } => return self.receive(number, port, take, node, now),
            Request::SendMany { envelope, lengths } => {
                self.send_many(number, envelope, &lengths, &payload, node, now)?
            }
            Request::ReceiveMany { port, take, most } => return self.receive_many(number, port, take, most, node, now),
            Request::Release { port, hold } => {
                self.own(number, port)?;
                node.exchange_mut().release_held(now, port, HoldId::from_u64(hold))?;
                Done::Nothing
            }
            Request::Finish { port } => {
                self.own(number, port)?;
                let exchange = node.exchange_mut();
                exchange.finish_port(now, port)?;
                if exchange.port(port).is_some() {
                    Done::Finished(Finished::Later)
                } else {
                    // The answer tells it, and nothing else does.
                    self.receivers.remove(&port);
                    if let Some(guest) = self.guests.get_mut(&number) {
                        guest.forget_port(port);
                    }
                    Done::Finished(Finished::AtOnce)
                }
            }
            Request::Look { port } => {
                self.own(number, port)?;
                let port = node.exchange().port(port).ok_or(Status::new(Code::BadHandle))?;
                let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
                Done::Contents(Contents { waiting: count(port.depth().iter().sum()), held: count(port.held()) })
            }
            Request::OpenPath(spec) => self.open_path(number, spec, node, now)?,
            Request::Path { path, command } => self.command_path(number, path, command, node, now)?,
            Request::Respond { ask, status, opcode, tag } => {
                let answer = Answer { status, opcode, tag, origin: Agent::Api, ..Answer::new(payload) };
                self.respond(number, ask, answer, node, now)?
            }
            Request::Watch { pattern } => self.watch(number, &pattern, node, now)?,
            Request::Unwatch { watch: Watch(watch) } => {
                let id = self.guests.get_mut(&number).and_then(|guest| guest.watches.remove(&watch));
                node.exchange_mut().close_watch(now, id.ok_or(Status::new(Code::BadHandle))?)?;
                self.watchers.remove(&watch);
                Done::Nothing
            }
            Request::Cancel { ticket: Ticket(ticket) } => {
                let id = self.guests.get(&number).and_then(|guest| guest.tickets.get(&ticket).copied());
                node.exchange_mut().cancel(now, id.ok_or(Status::new(Code::BadHandle))?)?;
                Done::Nothing
            }
            Request::Resend { ticket, envelope } => self.resend(number, ticket, envelope, payload, node, now)?,
            Request::Slots { ticket: Ticket(ticket) } => {
                let id = self.guests.get(&number).and_then(|guest| guest.tickets.get(&ticket).copied());
                let found = id.and_then(|id| node.exchange().ticket(id)).ok_or(Status::new(Code::BadHandle))?;
                Done::Slots(found.slots().iter().map(|s| slot(node, s)).collect())
            }
            Request::Members => Done::Members(members(node)),
            Request::Numbers { count } => {
                let (first, count) = (self.unique, count.max(1));
                self.unique += u64::from(count);
                Done::Numbers(Numbers { node: node.id(), life: node.incarnation().get(), first, count })
            }
            Request::Arena => self.share(number)?,
            // It is not answered, and was carried out before.
            Request::Give { .. } => Done::Nothing,
        };
        Ok((done, Payload::EMPTY))
    }

    /// Refuses what is not the guest's.
    pub(super) fn own(&self, number: usize, port: PortId) -> Result<(), Status> {
        let owns = self.receivers.get(&port) == Some(&number);
        if owns { Ok(()) } else { Err(Status::new(Code::BadHandle)) }
    }

    fn take_port(&mut self, number: usize, port: PortId) -> Done {
        self.receivers.insert(port, number);
        if let Some(guest) = self.guests.get_mut(&number) {
            guest.ports.insert(port);
        }
        Done::Port(port)
    }

    fn has_room(&self, number: usize) -> Result<(), Status> {
        let ports = self.guests.get(&number).map_or(0, |guest| guest.ports.len());
        if ports < PORTS { Ok(()) } else { Err(Status::with(Code::Exhausted, PORTS)) }
    }

    fn open(&mut self, number: usize, spec: PortSpec, node: &mut Node, now: Time) -> Result<Done, Status> {
        self.has_room(number)?;
        // Nobody could attach to one again.
        if spec.name.is_none() && !matches!(spec.life, Life::Receiver) {
            return Err(Status::new(Code::Invalid));
        }
        let lasts = !matches!(spec.life, Life::Receiver);
        if lasts && self.lasting.len() >= LASTING {
            return Err(Status::with(Code::Exhausted, LASTING));
        }
        let port = node.exchange_mut().open_port(now, port_spec(&spec)?)?;
        if lasts {
            self.lasting.insert(port);
        }
        Ok(self.take_port(number, port))
    }

    fn attach(&mut self, number: usize, text: &str, node: &mut Node, now: Time) -> Result<Done, Status> {
        self.has_room(number)?;
        let wanted = name(text)?;
        let found = node.exchange().ports().find(|port| port.name() == Some(&wanted)).map(messenger_core::Port::id);
        let port = found.ok_or(Status::new(Code::NotFound))?;
        node.exchange_mut().attach(now, port)?;
        Ok(self.take_port(number, port))
    }

    fn send(
        &mut self,
        number: usize,
        envelope: Envelope,
        payload: Payload,
        node: &mut Node,
        now: Time,
    ) -> Result<Done, Status> {
        let message = self.message(number, &envelope, payload)?;
        let (path, lasts) = self.path_for(number, envelope, node, now)?;
        let exchange = node.exchange_mut();
        let sent = exchange.send(now, path, &message);
        if !lasts {
            // It closes when the ticket is settled; at once when there is none.
            exchange.finish_path(now, path)?;
        }
        Ok(Done::Sent(self.sent(number, sent?)))
    }

    /// The path that a message goes on, and whether it lasts: one that lasts was made before, any other is made now.
    fn path_for(
        &self,
        number: usize,
        envelope: Envelope,
        node: &mut Node,
        now: Time,
    ) -> Result<(PathId, bool), Status> {
        if let To::Path(path) = envelope.to {
            let guest = self.guests.get(&number).ok_or(Status::new(Code::NotOpen))?;
            let path = *guest.paths.get(&path.0).ok_or(Status::new(Code::BadHandle))?;
            let begins = node.exchange().path(path).map(|path| path.spec().from);
            if envelope.from != PortId::NODE && begins != Some(envelope.from) {
                return Err(Status::new(Code::Invalid));
            }
            return Ok((path, true));
        }
        let (to, choice) = target(envelope.to, node)?;
        let spec = PathSpec { from: envelope.from, choice, ..PathSpec::to(to) };
        Ok((node.exchange_mut().open_path(now, spec)?, false))
    }

    fn send_many(
        &mut self,
        number: usize,
        envelope: Envelope,
        lengths: &[u32],
        payload: &Payload,
        node: &mut Node,
        now: Time,
    ) -> Result<Done, Status> {
        let bytes: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        if lengths.len() > MANY || bytes != payload.len() as u64 {
            return Err(Status::with(Code::Invalid, MANY));
        }
        let mut message = self.message(number, &envelope, Payload::EMPTY)?;
        let waits = envelope.wants != Wants::Nothing;
        let (path, lasts) = self.path_for(number, envelope, node, now)?;
        let (mut many, mut at) = (SentMany { sent: Vec::with_capacity(lengths.len()), refused: Status::GOOD }, 0);
        for length in lengths {
            let end = at + *length as usize;
            // One that waits long keeps no others' memory.
            let alone = lengths.len() == 1;
            message.payload = if alone { payload.clone() } else { payload.slice(at..end).to_vec().into() };
            at = end;
            let full = waits && self.guests.get(&number).is_none_or(|guest| guest.tickets.len() >= TICKETS);
            let room = if full { Err(Status::with(Code::Exhausted, TICKETS)) } else { Ok(()) };
            match room.and_then(|()| node.exchange_mut().send(now, path, &message)) {
                Ok(sent) => many.sent.push(self.sent(number, sent)),
                Err(refused) => {
                    many.refused = refused;
                    break;
                }
            }
        }
        if !lasts {
            node.exchange_mut().finish_path(now, path)?;
        }
        Ok(Done::SentMany(many))
    }

    fn resend(
        &mut self,
        number: usize,
        Ticket(ticket): Ticket,
        envelope: Envelope,
        payload: Payload,
        node: &mut Node,
        now: Time,
    ) -> Result<Done, Status> {
        let message = Message { capacity: None, ..self.message(number, &envelope, payload)? };
        let (to, choice) = target(envelope.to, node)?;
        let ended = self.guests.get(&number).and_then(|guest| guest.ended.iter().find(|o| o.ticket.to_u64() == ticket));
        let mut outcome = ended.cloned().ok_or(Status::new(Code::BadHandle))?;
        let exchange = node.exchange_mut();
        outcome.path = exchange.open_path(now, PathSpec { from: envelope.from, choice, ..PathSpec::to(to) })?;
        let sent = exchange.resend(now, &outcome, &message);
        exchange.finish_path(now, outcome.path)?;
        Ok(Done::Sent(self.sent(number, sent?)))
    }

    /// What a guest wants to be sent, if it may.
    fn message(&self, number: usize, envelope: &Envelope, payload: Payload) -> Result<Message, Status> {
        if envelope.from != PortId::NODE {
            self.own(number, envelope.from)?;
        }
        let guest = self.guests.get(&number).ok_or(Status::new(Code::NotOpen))?;
        let (wants, agent) = (envelope.wants, envelope.origin.agent);
        if wants != Wants::Nothing && guest.tickets.len() >= TICKETS {
            return Err(Status::with(Code::Exhausted, TICKETS));
        }
        Ok(Message {
            priority: envelope.priority,
            quality: if envelope.datagram { Quality::Datagram } else { Quality::Reliable },
            receipt: matches!(wants, Wants::Receipt | Wants::Both),
            response: matches!(wants, Wants::Answer | Wants::Both),
            deadline: envelope.deadline_ms.map(Duration::from_millis),
            opcode: envelope.opcode,
            tag: envelope.tag,
            // What paths say of themselves is the daemon's to say.
            origin: if Control::of(agent, envelope.opcode).is_some() { Agent::Api } else { agent },
            origin_flags: envelope.origin.flags,
            origin_id: envelope.origin.id,
            context: number as u64,
            capacity: envelope.capacity.map(|most| most as usize),
            ..Message::new(payload)
        })
    }

    fn sent(&mut self, number: usize, sent: messenger_core::Sent) -> Sent {
        if let Some(guest) = self.guests.get_mut(&number) {
            guest.tickets.extend(sent.ticket.map(|ticket| (ticket.to_u64(), ticket)));
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let ticket = sent.ticket.map(|ticket| Ticket(ticket.to_u64()));
        Sent { ticket, targets: count(sent.targets), taken: count(sent.taken) }
    }

    fn receive(&mut self, number: usize, port: PortId, take: Take, node: &mut Node, now: Time) -> Carried {
        self.own(number, port)?;
        let taken = self.take(number, port, take, node, now)?;
        let more = has_more(node, port);
        let Some((head, hold, payload)) = taken else { return Ok((Done::Empty { more }, Payload::EMPTY)) };
        Ok((Done::Message { head, hold, more }, payload))
    }

    fn receive_many(
        &mut self,
        number: usize,
        port: PortId,
        take: Take,
        most: u32,
        node: &mut Node,
        now: Time,
    ) -> Carried {
        self.own(number, port)?;
        let (mut all, mut payloads, mut bytes) = (Vec::new(), Vec::new(), 0);
        while all.len() < (most as usize).min(MANY)
            && bytes < TOGETHER
            && let Some((head, hold, payload)) = self.take(number, port, take, node, now)?
        {
            bytes += payload.len();
            all.push(Taken { head, hold, length: u32::try_from(payload.len()).unwrap_or(u32::MAX) });
            payloads.push(payload);
        }
        let more = has_more(node, port);
        if all.is_empty() {
            return Ok((Done::Empty { more }, Payload::EMPTY));
        }
        let payload = match payloads.pop() {
            // One alone may be large: it goes its own way.
            Some(only) if payloads.is_empty() => only,
            last => Payload::gather(payloads.into_iter().chain(last)),
        };
        Ok((Done::Messages { all, more }, payload))
    }

    /// Takes one message of a port for its guest.
    fn take(
        &mut self,
        number: usize,
        port: PortId,
        take: Take,
        node: &mut Node,
        now: Time,
    ) -> Result<Option<(Head, Option<u64>, Payload)>, Status> {
        let wanted = |message: &Received| take.wants(message.tag);
        let exchange = node.exchange_mut();
        let taken = match take.held {
            true => exchange.receive_held(now, port, wanted)?.map(|(message, hold)| (message, Some(hold.to_u64()))),
            false => exchange.receive(now, port, wanted)?.map(|message| (message, None)),
        };
        let Some((message, hold)) = taken else { return Ok(None) };
        let guest = self.guests.get_mut(&number);
        let ask = guest.zip(message.ask).map(|(guest, ask)| {
            guest.next_ask += 1;
            guest.asks.insert(guest.next_ask, ask);
            if guest.asks.len() > ASKS {
                guest.asks.pop_first();
            }
            guest.next_ask
        });
        Ok(Some((head(node, &message, ask), hold, message.payload)))
    }

    fn respond(&mut self, number: usize, ask: u64, answer: Answer, node: &mut Node, now: Time) -> Result<Done, Status> {
        let Some(guest) = self.guests.get_mut(&number) else { return Err(Status::new(Code::NotOpen)) };
        let asked = *guest.asks.get(&ask).ok_or(Status::new(Code::NotFound))?;
        let done = node.exchange_mut().respond(now, &asked, answer);
        // One that was too large may be given another time.
        if !done.is_err_and(|status| status.code == Code::TooLarge) {
            guest.asks.remove(&ask);
        }
        done.map(|()| Done::Nothing)
    }

    /// Tells who waits for answers through a port that none will come.
    fn refuse_asks(&mut self, number: usize, port: PortId, node: &mut Node, now: Time) -> Result<(), Status> {
        self.own(number, port)?;
        let asks = self.guests.get(&number).into_iter().flat_map(|guest| guest.asks.values());
        for ask in asks.filter(|ask| ask.asked == port) {
            // Who asked may be gone.
            let _ = node.exchange_mut().respond(now, ask, Answer::refusal(Status::new(Code::PortClosed)));
        }
        Ok(())
    }

    fn watch(&mut self, number: usize, pattern: &str, node: &mut Node, now: Time) -> Result<Done, Status> {
        let Some(guest) = self.guests.get_mut(&number) else { return Err(Status::new(Code::NotOpen)) };
        if guest.watches.len() >= WATCHES {
            return Err(Status::with(Code::Exhausted, WATCHES));
        }
        let watch = self.numbers + 1;
        let id = node.exchange_mut().open_watch(now, Pattern::parse(pattern)?, watch)?;
        self.numbers = watch;
        guest.watches.insert(watch, id);
        self.watchers.insert(watch, number);
        Ok(Done::Watch(Watch(watch)))
    }
}

/// A port has messages that wait.
fn has_more(node: &Node, port: PortId) -> bool {
    node.exchange().port(port).is_some_and(|port| port.depth() != [0; 4])
}

fn name(text: &str) -> Result<Name, Status> {
    Name::new(text).map_err(|error| match error {
        NameError::TooLong(_) => Status::with(Code::NameTooLong, Name::MAX),
        NameError::BadCharacter(at) | NameError::NotUtf8(at) => Status::with(Code::Invalid, at),
        NameError::Empty => Status::new(Code::Invalid),
    })
}

fn port_spec(spec: &PortSpec) -> Result<messenger_core::PortSpec, Status> {
    let defaults = messenger_core::PortSpec::default();
    let areas = match spec.room {
        None => defaults.areas,
        Some(room) if room <= ROOM => [room as usize; 4],
        Some(_) => return Err(Status { code: Code::Invalid, detail: ROOM }),
    };
    let property = |(key, value): &(String, String)| Ok((name(key)?, name(value)?));
    Ok(messenger_core::PortSpec {
        name: spec.name.as_deref().map(name).transpose()?,
        scope: if spec.fabric_wide { Scope::Fabric } else { Scope::Node },
        kind: spec.kind.as_deref().map(name).transpose()?,
        properties: spec.properties.iter().map(property).collect::<Result<_, Status>>()?,
        areas,
        life: match spec.life {
            Life::Receiver => messenger_core::Life::Receiver,
            Life::Retained(ms) => messenger_core::Life::Retained(Duration::from_millis(ms)),
            Life::Persistent => messenger_core::Life::Persistent,
        },
        mode: Mode::Held,
        ..defaults
    })
}

pub(super) fn target(to: To, node: &Node) -> Result<(Target, Choice), Status> {
    Ok(match to {
        To::Name(text) => (Target::Name(name(&text)?), Choice::First),
        To::On { node: wanted, name: text } => (Target::Nodes(vec![member(node, &wanted)?], name(&text)?), Choice::All),
        To::Nodes { nodes, name: text } => {
            // A number of no member has a slot that says so.
            let number = |text: &String| text.parse().ok().and_then(NodeId::new);
            let found = |text: &String| member(node, text).or_else(|status| number(text).ok_or(status));
            let nodes = nodes.iter().map(found).collect::<Result<_, Status>>()?;
            (Target::Nodes(nodes, name(&text)?), Choice::All)
        }
        To::Pattern(text) => (Target::Pattern(Pattern::parse(&text)?), Choice::All),
        To::Everywhere(text) => (Target::Everywhere(name(&text)?), Choice::All),
        To::Port(node, port) => (Target::Port(node, port), Choice::First),
        // A path means what it means, and no other path does.
        To::Path(_) => return Err(Status::new(Code::Invalid)),
    })
}

/// A member by its name, or else by its number.
fn member(node: &Node, text: &str) -> Result<NodeId, Status> {
    pick(node.members().map(|record| (&*record.name, record.node)), text).ok_or(Status::new(Code::NotFound))
}

/// All members: this node, then those that can be reached and those that could be before, by number.
fn members(node: &Node) -> Vec<Member> {
    let member = |record: &Record, up| {
        let all = record.attachments.iter();
        let v4 = all.clone().flat_map(|a| a.v4.iter().map(|ip| IpAddr::from(*ip)));
        let v6 = all.flat_map(|a| a.v6.iter().map(|ip| IpAddr::from(*ip)));
        let addresses = v4.chain(v6).collect();
        Member { node: record.node, node_name: record.name.to_string(), addresses, up }
    };
    let up = node.members().map(|record| member(record, true));
    let mut all: Vec<Member> = up.chain(node.departed().map(|record| member(record, false))).collect();
    all.sort_by_key(|member| (member.node != node.id(), member.node));
    all
}
