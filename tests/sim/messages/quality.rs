//! What the two qualities of a message are worth.

use crate::{
    cable::{Cable, Faults},
    world::World,
};
use messenger_core::{Delivery, Message, Name, PathSpec, PortSpec, Quality, Target};
use std::time::Duration;

/// Over a cable that loses one message in ten, datagrams are lost and reliable messages are not.
///
/// PROTOCOL 7.1.
/// Rows: MS-4.
#[test]
fn a_lossy_cable_costs_datagrams_only() {
    let mut w = World::with(5, 2);
    w.join_with(Cable { faults: Faults { loss: 100, ..Faults::default() }, ..Cable::new(0, 1) });
    w.run(Duration::from_secs(5));
    let (name, now) = (Name::new("sink").unwrap(), [w.now + w.stations[0].skew, w.now + w.stations[1].skew]);
    w.stations[1].node.exchange_mut().open_port(now[1], PortSpec::named(name.clone())).unwrap();
    w.pump(1);
    w.run(Duration::from_secs(2));
    let path = w.stations[0].node.exchange_mut().open_path(now[0], PathSpec::to(Target::Name(name))).unwrap();
    for tag in 0..1000 {
        let quality = if tag % 2 == 0 { Quality::Reliable } else { Quality::Datagram };
        let now = w.now + w.stations[0].skew;
        let sent = w.stations[0].node.exchange_mut().send(now, path, &Message { quality, tag, ..Message::default() });
        assert!(sent.is_ok());
        w.pump(0);
        w.run(Duration::from_millis(1));
    }
    w.run(Duration::from_secs(5));
    let tag = |d: &Delivery| if let Delivery::Message { message, .. } = d { Some(message.tag) } else { None };
    let got: Vec<u32> = w.stations[1].told.iter().filter_map(|(d, _)| tag(d)).collect();
    let reliable: Vec<u32> = got.iter().copied().filter(|tag| tag % 2 == 0).collect();
    assert_eq!(reliable, (0..1000).step_by(2).collect::<Vec<u32>>(), "all of them, in order");
    let datagrams = got.len() - reliable.len();
    assert!((400..490).contains(&datagrams), "one in ten is lost: {datagrams} of 500 came");
}
