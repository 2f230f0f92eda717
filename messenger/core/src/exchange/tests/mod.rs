//! Nodes that speak over cables without loss; what a lossy world does is in the simulator.

mod bounds;
mod closing;
mod epochs;
mod names;
mod paths;
mod ports;
mod tickets;

use crate::{
    Ask, Code, Delivery, Exchange, Message, Name, NodeId, Outcome, PathId, PathSpec, PortId, PortSpec, Received, Sent,
    Status, Target,
    node::tests::{World, id},
    wire::Scope,
};
use core::time::Duration;
use std::{vec, vec::Vec};

/// Some nodes, all joined, that know each other.
fn world(n: u32) -> World {
    let mut w = World::new(n);
    for a in 1..=n as usize {
        for b in a + 1..=n as usize {
            w.connect(a, b, 10);
        }
    }
    w.run(Duration::from_millis(300));
    w
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn node(n: usize) -> NodeId {
    id(n as u32)
}

impl World {
    /// The messages of node `n`, from 1.
    fn at(&mut self, n: usize) -> &mut Exchange {
        self.nodes[n - 1].exchange_mut()
    }

    fn open(&mut self, n: usize, port: &str) -> PortId {
        let now = self.now;
        let port = self.at(n).open_port(now, PortSpec::named(name(port))).unwrap();
        self.carry();
        port
    }

    fn open_fabric(&mut self, n: usize, port: &str) -> Result<PortId, Status> {
        let now = self.now;
        let port = self.at(n).open_port(now, PortSpec { scope: Scope::Fabric, ..PortSpec::named(name(port)) });
        self.carry();
        port
    }

    fn path(&mut self, n: usize, to: Target) -> PathId {
        let now = self.now;
        self.at(n).open_path(now, PathSpec::to(to)).unwrap()
    }

    fn send(&mut self, n: usize, path: PathId, message: &Message) -> Result<Sent, Status> {
        let now = self.now;
        self.at(n).send(now, path, message)
    }

    fn told(&mut self, n: usize) -> Vec<Delivery> {
        core::iter::from_fn(|| self.at(n).poll_deliver()).collect()
    }

    fn messages(&mut self, n: usize) -> Vec<Received> {
        let told = self.told(n).into_iter();
        told.filter_map(|d| if let Delivery::Message { message, .. } = d { Some(message) } else { None }).collect()
    }

    fn outcomes(&mut self, n: usize) -> Vec<Outcome> {
        let told = self.told(n).into_iter();
        told.filter_map(|d| if let Delivery::Settled(outcome) = d { Some(outcome) } else { None }).collect()
    }
}

fn by_name(text: &str) -> Target {
    Target::Name(name(text))
}

fn statuses(outcome: &Outcome) -> Vec<Code> {
    outcome.slots.iter().map(|s| s.status.unwrap().code).collect()
}

fn ask_of(messages: &[Received]) -> Ask {
    messages.first().and_then(|m| m.ask).unwrap()
}

#[test]
fn a_confirmed_message_comes_and_its_receipt_goes_back() {
    let mut w = world(2);
    w.open(2, "b");
    let path = w.path(1, by_name("b"));
    let sent = w.send(1, path, &Message::confirmed(&b"hello"[..])).unwrap();
    assert_eq!((sent.targets, sent.taken), (1, 1));
    w.carry();
    let got = w.messages(2);
    assert_eq!((got.len(), got[0].payload.to_vec(), got[0].node), (1, b"hello".to_vec(), node(1)));
    let outcomes = w.outcomes(1);
    assert_eq!((outcomes.len(), outcomes[0].status()), (1, Status::GOOD));
    assert!(w.at(1).tickets().next().is_none());
}

/// Two nodes talk, and a third of what they say is altered on the way: nobody panics, and every ticket
/// is settled. (A carrier never alters: `PROTOCOL 1.1`. What gets through may end a stream until the member goes.)
#[test]
fn altered_messages_never_panic() {
    let mut w = world(2);
    w.open(1, "a");
    w.open(2, "b");
    let paths = [w.path(1, by_name("b")), w.path(2, by_name("a"))];
    let mut seed = 7u64;
    let mut chance = |most: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % most
    };
    for round in 0..5_000 {
        for (at, path) in paths.into_iter().enumerate() {
            let payload = vec![round as u8; if chance(20) == 0 { 3_000 } else { chance(50) }];
            let message = Message { deadline: Some(Duration::from_secs(1)), ..Message::request(payload) };
            let _ = w.send(at + 1, path, &Message { receipt: chance(2) == 0, ..message });
            let now = w.now;
            while let Some(mut t) = w.nodes[at].poll_transmit() {
                let altered = if round < 4_000 && chance(3) == 0 { 1 + chance(4) } else { 0 };
                for _ in 0..altered {
                    let byte = chance(t.bytes.len());
                    t.bytes[byte] ^= 1 << chance(8);
                }
                let (other, link) = w.cables[0].ends[1 - at];
                w.nodes[other].handle_message(now, link, &t.bytes);
            }
            for told in w.told(at + 1) {
                if let Delivery::Message { message: Received { ask: Some(ask), .. }, .. } = told {
                    let _ = w.at(at + 1).respond(now, &ask, crate::Answer::new(&b"!"[..]));
                }
            }
            while w.nodes[at].poll_event().is_some() {}
        }
        w.now = w.now + Duration::from_millis(2);
        for at in 0..2 {
            let now = w.now;
            w.nodes[at].handle_timeout(now);
        }
    }
    w.run(Duration::from_secs(10));
    assert!(w.at(1).tickets().next().is_none() && w.at(2).tickets().next().is_none());
}
