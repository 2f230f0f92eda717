//! What messages cost in memory: nothing for one that was prepared, and nothing that stays for any other.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

use allocation_counter::measure;
use messenger_core::{
    Answer, Delivery, Exchange, Incarnation, Message, Mode, Name, Node, NodeConfig, NodeId, PathId, PathSpec, PortId,
    PortSpec, Target, Time,
};
use std::{thread, time::Duration};

fn node() -> Node {
    let name = |text| Name::new(text).unwrap();
    let config = NodeConfig {
        node: NodeId::new(1).unwrap(),
        name: name("a"),
        fabric: name("f"),
        incarnation: Incarnation::new(1),
        version: 1,
        seed: 1,
        interval: Duration::from_secs(1),
        miss_limit: 3,
        relay: false,
        frame: 0,
        offloads: 0,
    };
    Node::new(config, Time::ZERO)
}

/// A port and two paths to it: by its name and by its number.
fn open(exchange: &mut Exchange, mode: Mode) -> (PortId, [PathId; 2]) {
    let name = Name::new("box").unwrap();
    let port = exchange.open_port(Time::ZERO, PortSpec { mode, ..PortSpec::named(name.clone()) }).unwrap();
    let number = Target::Port(NodeId::new(1).unwrap(), port);
    let paths = [Target::Name(name), number].map(|to| exchange.open_path(Time::ZERO, PathSpec::to(to)).unwrap());
    while exchange.poll_deliver().is_some() {}
    (port, paths)
}

/// A prepared message is posted a million times and taken as often, by a path to a name or a number, from a thread in which every allocation
/// is counted: there is none.
///
/// Rows: SM-1, SM-4.
#[test]
fn a_static_message_needs_no_memory() {
    let mut node = node();
    let exchange = node.exchange_mut();
    let (port, paths) = open(exchange, Mode::Held);
    for path in paths {
        let id = exchange.prepare(Time::ZERO, path, Message::new(&b"prepared once"[..]), 1).unwrap();
        let post = |exchange: &mut Exchange, times: u32| {
            for _ in 0..times {
                exchange.post(Time::ZERO, id).unwrap();
                let got = exchange.receive(Time::ZERO, port, |_| true).unwrap().unwrap();
                assert_eq!(got.payload.len(), 13);
                while exchange.poll_deliver().is_some() {}
            }
        };
        // The queues grow to what they need once.
        post(exchange, 100);
        let counted = thread::scope(|scope| scope.spawn(|| measure(|| post(exchange, 500_000))).join()).unwrap();
        assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
    }
}

/// A million messages are made, filled, sent, received and let go, some confirmed, some answered, of no byte and of many: as much memory is in
/// use as before.
///
/// Rows: MI-1.
#[test]
fn a_message_leaves_nothing_behind() {
    let mut node = node();
    let exchange = node.exchange_mut();
    let (_, paths) = open(exchange, Mode::Handler);
    let cycle = |exchange: &mut Exchange, n: u32| {
        let payload = vec![n as u8; [0, 1, 64, 300][n as usize % 4]];
        let message = match n % 3 {
            0 => Message::new(payload),
            1 => Message::confirmed(payload),
            _ => Message::request(payload),
        };
        exchange.send(Time::ZERO, paths[n as usize % 2], &message).unwrap();
        let mut settled = n.is_multiple_of(3);
        while let Some(told) = exchange.poll_deliver() {
            match told {
                Delivery::Message { message, .. } => {
                    if let Some(ask) = message.ask {
                        exchange.respond(Time::ZERO, &ask, Answer::new(message.payload)).unwrap();
                    }
                }
                Delivery::Settled(outcome) => settled = outcome.status().is_good(),
                _ => {}
            }
        }
        assert!(settled, "{n}");
    };
    (0..1_000).for_each(|n| cycle(exchange, n));
    let counted = measure(|| (0..1_000_000).for_each(|n| cycle(exchange, n)));
    assert!(counted.count_total > 1_000_000, "they were counted");
    assert_eq!((counted.count_current, counted.bytes_current), (0, 0));
}
