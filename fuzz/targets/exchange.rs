//! Two nodes that send each other messages over a cable that loses, repeats, reorders and, where the input says so, alters: every
//! ticket is settled. Where nothing was altered, what was confirmed is there, and what came came once and in order.
use messenger_core::{
    Answer, Delivery, Incarnation, LinkId, LinkSpec, Message, Name, Node, NodeConfig, NodeId, PortSpec, Target, Time,
    wire::Priority,
};
use std::{collections::BTreeMap, collections::VecDeque, time::Duration};

/// Longer than the longest deadline and the longest wait of a stream together.
const CALM: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(5);
/// Messages that are sent in one run.
const MOST: u32 = 200;

struct End {
    node: Node,
    link: LinkId,
    /// What is on its way from here.
    way: VecDeque<Vec<u8>>,
    /// Numbers that came to its port: from the other end, by priority.
    came: BTreeMap<u8, Vec<u32>>,
    /// How each ticket that was told ended: its number, and whether all was good.
    settled: BTreeMap<u64, bool>,
    sent: BTreeMap<u64, (u32, u8)>,
}

impl End {
    fn new(n: u32, now: Time) -> End {
        let (id, name) = (NodeId::new(n), Name::new(if n == 1 { "a" } else { "b" }));
        let (Some(node), Ok(name), Ok(fabric), Ok(port)) = (id, name, Name::new("f"), Name::new("ear")) else {
            unreachable!()
        };
        let config = NodeConfig {
            node,
            name,
            fabric,
            incarnation: Incarnation::new(n),
            version: 1,
            seed: u64::from(n),
            interval: Duration::from_millis(500),
            miss_limit: 4,
            relay: false,
            frame: 1514,
            offloads: 0,
        };
        let mut node = Node::new(config, now);
        let spec =
            LinkSpec { carrier: "fuzz", priority: 10, message: 600, expect: None, miss_limit: None, lasting: true };
        let link = node.open_link(now, spec);
        assert!(node.exchange_mut().open_port(now, PortSpec::named(port)).is_ok());
        let (way, came, settled, sent) = Default::default();
        End { node, link, way, came, settled, sent }
    }

    /// Takes what it says and is told.
    fn drain(&mut self, now: Time) {
        while let Some(delivery) = self.node.exchange_mut().poll_deliver() {
            match delivery {
                Delivery::Message { message, .. } => {
                    self.came.entry(message.priority as u8).or_default().push(message.tag);
                    if let Some(ask) = message.ask {
                        let _ = self.node.exchange_mut().respond(now, &ask, Answer::new(&b"yes"[..]));
                    }
                }
                Delivery::Settled(outcome) => {
                    let before = self.settled.insert(outcome.context, outcome.status().is_good());
                    assert_eq!(before, None, "settled once");
                }
                _ => {}
            }
        }
        while self.node.poll_event().is_some() {}
        while let Some(sent) = self.node.poll_transmit() {
            self.way.push_back(sent.bytes);
        }
    }

    fn send(&mut self, now: Time, other: u32, tag: u32, what: u8, payload: &[u8], limit: bool) {
        let (Some(node), Ok(port)) = (NodeId::new(other), Name::new("ear")) else { unreachable!() };
        let priority = [Priority::Urgent, Priority::High, Priority::Normal, Priority::Low][usize::from(what >> 4 & 3)];
        let size = payload.len() * if what & 0x40 != 0 { 40 } else { 1 };
        let payload: Vec<u8> = payload.iter().copied().cycle().take(size).collect();
        let message = if what & 0x80 != 0 { Message::request(payload) } else { Message::confirmed(payload) };
        let deadline = limit.then_some(DEADLINE);
        let message = Message { tag, priority, deadline, context: u64::from(tag), ..message };
        let target = Target::Nodes([node].into(), port);
        if self.node.exchange_mut().send_to(now, target, &message).is_ok() {
            self.sent.insert(u64::from(tag), (tag, priority as u8));
        }
    }
}

struct Play {
    ends: [End; 2],
    now: Time,
}

impl Play {
    fn drain(&mut self) {
        self.ends.iter_mut().for_each(|end| end.drain(self.now));
    }

    fn arrive(&mut self, to: usize, bytes: &[u8]) {
        let link = self.ends[to].link;
        self.ends[to].node.handle_message(self.now, link, bytes);
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.ends.iter_mut().for_each(|end| end.node.handle_timeout(self.now));
        self.drain();
    }

    /// All goes through, for so long.
    fn calm(&mut self, time: Duration) {
        let end = self.now + time;
        let mut rounds = 0;
        while self.now < end {
            for from in [0, 1] {
                let way = std::mem::take(&mut self.ends[from].way);
                way.iter().for_each(|bytes| self.arrive(1 - from, bytes));
            }
            if self.ends.iter().all(|end| end.way.is_empty()) {
                let next = self.ends.iter().filter_map(|end| end.node.poll_timeout()).min().unwrap_or(end);
                self.pass(next.since(self.now).max(Duration::from_millis(1)));
            }
            rounds += 1;
            assert!(rounds < 200_000, "they answer each other for ever");
        }
    }
}

pub fn run(input: &[u8]) {
    let [mode, orders @ ..] = input else { return };
    let mut orders = orders;
    let altered = mode & 1 != 0;
    let now = Time::from_millis(1);
    let mut play = Play { ends: [End::new(1, now), End::new(2, now)], now };
    play.drain();
    play.calm(Duration::from_secs(1));
    assert!(play.ends.iter().all(|end| end.node.members().count() == 2), "they know each other");
    let mut tag = 0;
    // Each order: what to do (the lowest bit: from whom), a number, and for some bytes.
    while let [what, n, rest @ ..] = orders {
        let from = usize::from(what & 1);
        let (bytes, behind) = rest.split_at(usize::from(*n).min(rest.len()));
        let at = usize::from(*n) % play.ends[from].way.len().max(1);
        orders = rest;
        match what >> 1 & 7 {
            0 | 1 if tag < MOST => {
                orders = behind;
                tag += 1;
                let (now, other) = (play.now, 2 - from as u32);
                play.ends[from].send(now, other, tag, *what, bytes, altered);
                play.drain();
            }
            2 => play.pass(Duration::from_millis(u64::from(*n) * if what & 0x80 != 0 { 20 } else { 1 })),
            3 | 4 => {
                if let Some(bytes) = play.ends[from].way.remove(at) {
                    play.arrive(1 - from, &bytes);
                }
            }
            5 => drop(play.ends[from].way.remove(at)),
            6 => {
                if let Some(bytes) = play.ends[from].way.get(at).cloned() {
                    play.arrive(1 - from, &bytes);
                }
            }
            7 if altered => {
                orders = behind;
                if let Some(mut message) = play.ends[from].way.front().cloned() {
                    message.iter_mut().rev().zip(bytes).for_each(|(to, from)| *to ^= from);
                    play.arrive(1 - from, &message);
                } else {
                    play.arrive(1 - from, bytes);
                }
            }
            _ => play.calm(Duration::from_millis(u64::from(*n))),
        }
    }
    play.calm(CALM);
    for (at, end) in play.ends.iter().enumerate() {
        assert!(end.node.exchange().tickets().next().is_none(), "a ticket that nobody settles");
        assert!(end.sent.keys().all(|number| end.settled.contains_key(number)), "a ticket that nobody told of");
        if altered {
            continue;
        }
        let came = &play.ends[1 - at].came;
        for (priority, tags) in came {
            assert!(tags.windows(2).all(|two| two[0] < two[1]), "twice or out of order: {priority} {tags:?}");
        }
        for (number, (tag, priority)) in &end.sent {
            let is_there = came.get(priority).is_some_and(|tags| tags.contains(tag));
            assert!(is_there || end.settled.get(number) == Some(&false), "confirmed and not there: {tag}");
        }
    }
}
