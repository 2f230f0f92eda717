//! What closes, closes from the leaves up.

use super::*;

/// Three ports, five paths, seven sends that wait.
///
/// Rows: OH-2.
#[test]
fn a_node_that_closes_settles_then_closes_paths_then_ports() {
    let mut w = world(2);
    let other = w.open(2, "b");
    let now = w.now;
    let ports: Vec<_> = (0..3).map(|_| w.at(1).open_port(now, PortSpec::default()).unwrap()).collect();
    let target = Target::Port(node(2), other);
    let paths: Vec<_> = (0..5)
        .map(|n| w.at(1).open_path(now, PathSpec { from: ports[n % 3], ..PathSpec::to(target.clone()) }).unwrap())
        .collect();
    for n in 0..7 {
        w.send(1, paths[n % 5], &Message::request(&b""[..])).unwrap();
    }
    w.carry();
    w.at(1).close(now);
    let told = w.told(1);
    let kinds: Vec<u8> = told
        .iter()
        .map(|d| match d {
            Delivery::Settled(o) if o.status().code == Code::Closed => 0,
            Delivery::PathClosed { .. } => 1,
            Delivery::PortClosed { .. } => 2,
            Delivery::NodeClosed => 3,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [[0; 7].as_slice(), &[1; 5], &[2; 3], &[3]].concat());
    assert_eq!(w.at(1).open_port(now, PortSpec::default()), Err(Status::new(Code::NotOpen)));
    w.at(1).close(now);
    assert!(w.told(1).is_empty(), "closed once");
}

/// Rows: OH-3.
#[test]
fn objects_carry_what_their_client_wants_to_be_told() {
    let mut w = world(1);
    let now = w.now;
    let spec = PortSpec { owner: 1, context: 2, ..PortSpec::named(name("a")) };
    let port = w.at(1).open_port(now, spec).unwrap();
    let path = w.at(1).open_path(now, PathSpec { from: port, context: 3, ..PathSpec::to(by_name("a")) }).unwrap();
    w.send(1, path, &Message { context: 4, ..Message::confirmed(&b""[..]) }).unwrap();
    let held = w.at(1).port(port).unwrap();
    assert_eq!((held.name().map(|n| &**n), held.spec().owner, held.spec().context), (Some("a"), 1, 2));
    assert_eq!(w.at(1).path(path).unwrap().spec().context, 3);
    w.at(1).close_port(now, port).unwrap();
    let told = w.told(1);
    assert!(told.iter().any(|d| matches!(d, Delivery::Settled(o) if (o.path_context, o.context) == (3, 4))));
    assert!(told.iter().any(|d| matches!(d, Delivery::PathClosed { context: 3, .. })));
    assert!(told.iter().any(|d| matches!(d, Delivery::PortClosed { context: 2, .. })));
}

/// Closing that waits: nothing new, and the end when all is settled.
#[test]
fn a_port_that_finishes_waits_for_its_tickets() {
    let mut w = world(2);
    let other = w.open(2, "b");
    let now = w.now;
    let port = w.at(1).open_port(now, PortSpec::default()).unwrap();
    let spec = PathSpec { from: port, ..PathSpec::to(Target::Port(node(2), other)) };
    let path = w.at(1).open_path(now, spec.clone()).unwrap();
    for _ in 0..3 {
        w.send(1, path, &Message::confirmed(&b""[..])).unwrap();
    }
    w.at(1).finish_port(now, port).unwrap();
    assert_eq!(w.send(1, path, &Message::default()), Err(Status::new(Code::Closing)));
    assert_eq!(w.at(1).open_path(now, spec), Err(Status::new(Code::Closing)));
    assert!(w.told(1).is_empty());
    w.carry();
    let told = w.told(1);
    assert!(told[..3].iter().all(|d| matches!(d, Delivery::Settled(o) if o.status().is_good())), "{told:?}");
    assert!(matches!(told[3..], [Delivery::PathClosed { .. }, Delivery::PortClosed { .. }]));
}
