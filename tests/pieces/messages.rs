//! Messages to a port of the node itself, as the control thread's core sends and delivers them.

use messenger_core::{
    Delivery, Incarnation, Message, Name, Node, NodeConfig, PathSpec, PortSpec, Target, Time, TraceFilter,
};
use std::{hint::black_box, time::Duration};

/// Nobody looks on.
pub fn untraced() -> Box<dyn FnMut()> {
    message(None)
}

/// Somebody looks on, at others.
pub fn filtered() -> Box<dyn FnMut()> {
    message(Some(TraceFilter { opcode: Some(999), ..TraceFilter::default() }))
}

/// Somebody looks on, and it is kept.
pub fn traced() -> Box<dyn FnMut()> {
    message(Some(TraceFilter { snap: 64, ..TraceFilter::default() }))
}

fn message(filter: Option<TraceFilter>) -> Box<dyn FnMut()> {
    let name = |text| Name::new(text).unwrap();
    let config = NodeConfig {
        node: crate::frames::node(1),
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
    let mut node = Node::new(config, Time::ZERO);
    let port = name("box");
    let exchange = node.exchange_mut();
    exchange.open_port(Time::ZERO, PortSpec::named(port.clone())).unwrap();
    let path = exchange.open_path(Time::ZERO, PathSpec::to(Target::Name(port))).unwrap();
    exchange.set_trace(filter);
    let message = Message::new(&b"0123456789abcdef"[..]);
    Box::new(move || {
        let exchange = node.exchange_mut();
        exchange.send(Time::ZERO, path, black_box(&message)).unwrap();
        while let Some(told) = exchange.poll_deliver() {
            if let Delivery::Message { message, .. } = told {
                black_box(message);
            }
        }
    })
}
