//! Targets that die, and a client whose daemon does.

use super::*;
use crate::topology::mesh;
use messenger_mps::Closure;
use rustix::process::Signal;
use std::thread;

/// It was handed over and is under way when the target dies: the sender that waits is told, and so is the one that does not.
///
/// Rows: MP-28, MP-38, MP-49.
#[test]
fn a_target_that_dies_settles_its_senders() -> Result<()> {
    let net = Net::new()?;
    let (a, mut b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    b.signal(Signal::STOP);
    let letter = SendDescriptor { context: 8, ..at_a.letter(at_b.id, sync(1), b"x") };
    at_a.session.send_async(&letter).unwrap();
    thread::scope(|scope| -> Result<()> {
        let waits = scope.spawn(|| at_a.send(at_b.id, 2, b"y"));
        under_way(&at_a, 2)?;
        assert!(at_a.is_quiet());
        b.kill();
        assert_eq!(status(waits.join().unwrap()), Status::NodeDown);
        Ok(())
    })?;
    match at_a.event() {
        Event::MessageSent { context: 8, status: Status::NodeDown, .. } => {}
        other => panic!("{other:?}"),
    }
    // The memory is the client's again, and the session lives.
    at_a.mps.free(&letter.buffer).unwrap();
    at_a.send(at_a.id, 1, b"x").unwrap();
    Ok(())
}

/// The daemon of a client dies: who waits is told, and so is who closed.
#[test]
fn a_daemon_that_dies_takes_its_sessions_with_it() -> Result<()> {
    let net = Net::new()?;
    let (mut a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    let (other, _at_b_other) = both(&a, &b, "other")?;
    b.signal(Signal::STOP);
    at_a.session.send_async(&at_a.letter(at_b.id, sync(1), b"x")).unwrap();
    assert_eq!(at_a.session.close().unwrap(), Closure::Pending);
    thread::scope(|scope| -> Result<()> {
        let waits = scope.spawn(|| other.session.receive(Timeout::Forever, None).map(drop));
        receiving(&other, 1)?;
        a.kill();
        assert_eq!(status(waits.join().unwrap()), Status::Lost);
        Ok(())
    })?;
    assert!(matches!(at_a.event(), Event::MessageSent { status: Status::Lost, .. }));
    assert!(matches!(at_a.event(), Event::CloseCompleted { status: Status::Lost, .. }));
    assert_eq!((status(other.send(at_b.id, 1, b"x")), status(other.session.close())), (Status::Lost, Status::Lost));
    b.signal(Signal::CONT);
    Ok(())
}

/// A unit of storage is a name of the whole fabric: its owner's death is seen, and another one takes it. A watcher never sees
/// two owners.
///
/// Rows: MP-47.
#[test]
fn a_unit_has_one_owner_and_another_takes_over() -> Result<()> {
    use messenger::{Code, Guest, Place, PortSpec};
    let net = Net::new()?;
    let mut nodes = mesh(&net, 3)?;
    let join = |node: &Node| {
        let name = Some(node.name().to_owned());
        Guest::join(&Place { run_dir: node.run_dir().into(), fabric: node.config().fabric.clone(), name }).unwrap()
    };
    let unit = PortSpec { fabric_wide: true, ..PortSpec::named("lu/0") };
    let (b, mut a) = (nodes.remove(1), nodes.remove(0));
    let (first, second, seer) = (join(&a), join(&b), join(&nodes[0]));
    let watch = seer.watch("lu/*").unwrap();
    first.open(&unit).unwrap();
    eventually(SOON, "the owner at b", || {
        Ok(second.open(&unit).is_err_and(|e| e.status().is_some_and(|s| s.code == Code::Exists)).then_some(()))
    })?;
    a.kill();
    eventually(SOON, "the other owner", || Ok(second.open(&unit).ok()))?;
    let seen: Vec<(String, bool)> = (0..3)
        .map(|_| seer.change(watch, Some(SOON)).unwrap().unwrap())
        .map(|change| (change.node_name, change.up))
        .collect();
    assert_eq!(seen, [("a".into(), true), ("a".into(), false), ("b".into(), true)]);
    Ok(())
}
