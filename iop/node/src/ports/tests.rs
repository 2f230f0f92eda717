//! Requests of a client over rings, in virtual time.

use super::{disk, requests};
use crate::tests::{World, world};
use alloc::{string::String, vec::Vec};
use messenger_core::{Code, Delivery, Message, Name, NodeId, PortSpec, Received, Status, Target, Tier, wire::Priority};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl World {
    /// The next thing that the client is told and that is wanted.
    fn told<T>(&mut self, what: &str, mut wanted: impl FnMut(Delivery) -> Option<T>) -> T {
        let mut found = None;
        self.until(what, |w| {
            while let Some(delivery) = w.client.exchange().poll_deliver() {
                found = found.take().or_else(|| wanted(delivery));
            }
            found.is_some()
        });
        found.unwrap()
    }

    /// Asks a port of the stack: the answer, or how the request ended without one.
    fn ask(&mut self, port: &str, opcode: u16, request: &[u8]) -> Result<Received, Status> {
        let port = Target::Nodes([NodeId::new(9).unwrap()].into(), name(port));
        self.until("the port is known", |w| {
            let message = Message { opcode, ..Message::request(request) };
            w.client.exchange().send_to(w.now, port.clone(), &message).is_ok()
        });
        self.told("an answer", |delivery| match delivery {
            Delivery::Response { message, .. } if !message.status.is_good() => Some(Err(message.status)),
            Delivery::Response { message, .. } => Some(Ok(message)),
            Delivery::Settled(outcome) if !outcome.status().is_good() => Some(Err(outcome.status())),
            _ => None,
        })
    }

    fn text(&mut self, opcode: u16) -> String {
        String::from_utf8(self.ask("iop/io1/requests", opcode, b"").unwrap().payload.to_vec()).unwrap()
    }
}

/// PROTOCOL 9.11.
#[test]
fn requests_are_run_and_answered() {
    let mut world = world(|_| {});
    world.meet();
    let port = "iop/io1/requests";
    let much: Vec<u8> = (0..100_000u32).map(|n| (n / 3) as u8).collect();
    assert!(world.ask(port, requests::ECHO, &much).unwrap().payload.to_vec() == much);
    assert!(world.text(requests::STATUS).contains("node io1 (id 9) of fabric default"));
    let counters = world.text(requests::COUNTERS);
    assert!(counters.contains("messages-admitted ") && counters.contains("blocks-read 0\n"), "{counters}");
    let memory = world.ask(port, requests::MEMORY, b"").unwrap().payload.to_vec();
    assert_eq!(memory, [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(world.ask(port, 999, b"").unwrap_err(), Status::new(Code::NotSupported));
    assert_eq!(world.ask(port, requests::SAY, b"\x09short").unwrap_err(), Status::new(disk::MALFORMED));
    assert_eq!(world.ask("iop/io1/nothing", 1, b"").unwrap_err(), Status::new(Code::NoPort));
}

/// A message goes the other way too, and its receipt is what the answer tells.
#[test]
fn what_it_is_to_say_is_said_and_confirmed() {
    let mut world = world(|_| {});
    world.meet();
    let (now, spec) = (world.now, PortSpec { context: 77, ..PortSpec::named(name("ear")) });
    world.client.exchange().open_port(now, spec).unwrap();
    let request = requests::say_request(&name("ear"), b"hello");
    let message = Message { opcode: requests::SAY, priority: Priority::High, ..Message::request(&request[..]) };
    let to = Target::Name(name("iop/io1/requests"));
    world.until("the port is known", |w| w.client.exchange().send_to(w.now, to.clone(), &message).is_ok());
    let mut heard = None;
    let status = world.told("an answer", |delivery| match delivery {
        Delivery::Message { context: 77, message } => {
            heard = Some(message);
            None
        }
        Delivery::Settled(outcome) => Some(outcome.status()),
        _ => None,
    });
    let heard = heard.unwrap();
    assert_eq!((status, heard.payload.to_vec(), heard.receipt), (Status::GOOD, b"hello".to_vec(), true));
    assert_eq!(heard.priority, Priority::default());
    let nobody = requests::say_request(&name("nobody"), b"hello");
    let told = world.ask("iop/io1/requests", requests::SAY, &nobody).unwrap_err();
    assert_eq!(told, Status { code: Code::Failed, detail: u32::from(Code::NotFound.number()) });
}

/// PROTOCOL 9.11.
#[test]
fn the_disk_reads_what_was_written_and_refuses_the_rest() {
    let mut world = world(|_| {});
    world.meet();
    let port = "iop/io1/disk";
    let blocks: Vec<u8> = (0..64 * disk::BLOCK).map(|n| (n / 5) as u8).collect();
    assert!(world.ask(port, disk::WRITE, &disk::write_request(1984, &blocks)).is_ok());
    assert!(world.ask(port, disk::FLUSH, b"").is_ok());
    assert!(world.ask(port, disk::READ, &disk::read_request(1984, 64)).unwrap().payload.to_vec() == blocks);
    let outside = world.ask(port, disk::READ, &disk::read_request(1985, 64)).unwrap_err();
    assert_eq!((outside, outside.tier()), (Status::with(disk::OUTSIDE, 2048), Tier::Service));
    assert_eq!(world.ask(port, 77, b"").unwrap_err(), Status::new(Code::NotSupported));
}
