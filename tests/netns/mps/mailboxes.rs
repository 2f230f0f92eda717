//! Conduits, mailboxes, filaments, and what a session shows of itself.

use super::*;
use crate::topology::mesh;
use messenger_mps::State;
use rustix::process::Signal;
use std::thread;

/// Rows: MP-06, MP-44.
#[test]
fn a_session_opens_over_a_conduit_that_is_there() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = mesh(&net, 3)?;
    let (c, b, a) = (nodes.remove(2), &mut nodes.remove(1), &nodes.remove(0));
    let mps = client(a);
    let over = |peer: &str, name: &str| mps.open_sync(&Opening::new(Conduit::to(peer), mailbox(name)));
    let error = over("ghost", "x").unwrap_err();
    assert_eq!((error.status(), &*error.to_string()), (Status::NoConduit, "the conduit to `ghost` is not there"));
    assert_eq!(status(mps.sp_ids("ghost")), Status::NoConduit);
    // By name and by number; the way to itself is there, too.
    let session = over("b", "by name").unwrap();
    for (peer, name) in [("2", "by number"), ("a", "local")] {
        over(peer, name).unwrap();
    }
    // It leads to its two ends and nowhere else.
    let to = |peer: &str| {
        let destination = mps.sp_ids(peer).unwrap().peer;
        session.send_sync(&SendDescriptor {
            context: 0,
            destination,
            buffer: mps.allocate(0).unwrap(),
            size: 0,
            tag: sync(1),
        })
    };
    assert_eq!((status(to("c")), status(to("b"))), (Status::DestinationInvalid, Status::NoMailbox));
    assert!(to("a").is_ok());
    // One that went is no conduit any more; sessions that are open stay, and say so.
    let b_id = mps.sp_ids("b").unwrap().peer;
    b.kill();
    eventually(SOON, "its end", || Ok(mps.sp_ids("b").is_err().then_some(())))?;
    assert_eq!(status(over("b", "too late")), Status::NoConduit);
    let letter =
        SendDescriptor { context: 0, destination: b_id, buffer: mps.allocate(0).unwrap(), size: 0, tag: sync(1) };
    assert_eq!(status(session.send_sync(&letter)), Status::DestinationInvalid);
    drop(c);
    Ok(())
}

/// Rows: MP-42.
#[test]
fn the_numbers_of_both_ends_are_swapped_at_the_other() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let (at_a, at_b) = (client(&nodes[0]).sp_ids("b").unwrap(), client(&nodes[1]).sp_ids("a").unwrap());
    assert_eq!((at_a.local, at_a.peer), (at_b.peer, at_b.local));
    assert_eq!((at_a.local.number(), at_a.peer.number()), (1, 2));
    Ok(())
}

/// Rows: MP-07, MP-08, MP-09, MP-30.
#[test]
fn a_mailbox_is_open_once_on_each_storage_processor() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let [a, b] = &nodes[..] else { panic!() };
    let name = "größe 大\u{1f4ec}";
    let (at_a, at_b) = both(a, b, name)?;
    // Again, by the same client and by another one: its handle is the first one's alone.
    for mps in [&at_a.mps, &client(a)] {
        assert_eq!(status(mps.open_sync(&opening(name))), Status::Exists);
        assert_eq!(status(mps.open(&opening(name), |_| Status::Success)), Status::Exists);
    }
    let other_name = Party::with(&at_a.mps, a, &opening("y"));
    let other_domain = Party::with(&at_a.mps, a, &Opening::new(Conduit::Fabric, Mailbox::new("T", name).unwrap()));
    let handles = [&at_a, &other_name, &other_domain].map(|party| party.session.filament());
    assert!(handles[0] != handles[1] && handles[1] != handles[2] && handles[0] != handles[2], "{handles:?}");
    // A message for the mailbox on `b` comes there alone.
    at_a.send(at_b.id, 1, b"x").unwrap();
    assert!(at_b.got(None).is_some());
    assert!([&at_a, &other_name, &other_domain].iter().all(|party| party.got(None).is_none()));
    // Closed, it can be opened again, with another handle.
    at_a.session.close().unwrap();
    let again = Party::open(a, &opening(name));
    assert_ne!(again.session.filament(), handles[0]);
    Ok(())
}

/// Rows: MP-03.
#[test]
fn a_filament_has_one_target() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let [a, b, c] = &nodes[..] else { panic!() };
    let (at_b, at_c) = (Party::open(b, &opening("x")), Party::open(c, &opening("x")));
    sees(a, "x", b)?;
    sees(a, "x", c)?;
    let filament = Party::open(a, &opening("x").dedicated(at_b.id));
    assert_eq!(filament.session.record().unwrap().target, Some(at_b.id));
    filament.send(at_b.id, 1, b"x").unwrap();
    assert_eq!(status(filament.send(at_c.id, 1, b"x")), Status::Invalid);
    assert_eq!(status(filament.session.send_async(&filament.letter(at_c.id, sync(1), b"x"))), Status::Invalid);
    // Events carry its handle.
    filament.session.send_async(&filament.letter(at_b.id, sync(2), b"x")).unwrap();
    assert_eq!(filament.event().filament(), filament.session.filament());
    sees(b, "x", a)?;
    at_b.session.send_sync(&at_b.letter(filament.id, asynchronous(2), b"x")).unwrap();
    assert_eq!(filament.event().filament(), filament.session.filament());
    assert!(at_c.got(None).is_none());
    Ok(())
}

/// Rows: MP-10.
#[test]
fn a_session_shows_what_it_has() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    let with = Party::with(&at_a.mps, &a, &opening("y").context(77));
    assert_eq!(with.session.record().unwrap().context, Some(77));
    let record = at_a.session.record().unwrap();
    assert_eq!((&record.mailbox, record.has_callback, record.state), (&mailbox("x"), true, State::Open));
    assert_eq!((record.context, record.conduit, record.filament), (None, Conduit::Fabric, at_a.session.filament()));
    assert_eq!((record.outstanding.len(), record.receives.len(), record.received), (0, 0, 0));
    // Three messages that nobody received, one that the client holds.
    for n in 0..4 {
        at_b.send(at_a.id, n, b"x").unwrap();
    }
    let held = at_a.got(None).unwrap();
    let record = at_a.session.record().unwrap();
    assert_eq!((record.received, record.unreleased), (3, 1));
    drop(held);
    // Two sends that are not confirmed, and two calls that receive.
    b.signal(Signal::STOP);
    for n in 0..2 {
        at_a.session.send_async(&at_a.letter(at_b.id, sync(n), b"x")).unwrap();
    }
    thread::scope(|scope| -> Result<()> {
        let receive = |transaction| at_a.session.receive(Timeout::Forever, Some(transaction)).map(drop);
        let waits = [8, 9].map(|transaction| scope.spawn(move || receive(transaction)));
        receiving(&at_a, 2)?;
        let record = at_a.session.record().unwrap();
        let mut receives = record.receives.clone();
        receives.sort();
        assert_eq!((record.outstanding.len(), receives, record.unreleased), (2, vec![Some(8), Some(9)], 0));
        let shown = record.to_string();
        assert_eq!(shown, "TEST/x Open: 2 sends, 2 receives outstanding, 3 messages, 0 unreleased");
        at_a.session.close().unwrap();
        assert_eq!(at_a.session.record().unwrap().state, State::Closing);
        assert_eq!(at_a.session.cancel_receives(), 2);
        for thread in waits {
            assert_eq!(status(thread.join().unwrap()), Status::Canceled);
        }
        Ok(())
    })?;
    b.signal(Signal::CONT);
    let [_, _, last] = [at_a.event(), at_a.event(), at_a.event()];
    assert!(matches!(last, Event::CloseCompleted { .. }), "{last:?}");
    assert_eq!(at_a.session.record().unwrap().state, State::Closed);
    Ok(())
}

/// Every storage processor has a conduit to each other one: N(N−1)/2 of them.
///
/// Rows: MP-46.
#[test]
fn all_reach_all() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 4)?;
    let parties: Vec<Party> = nodes.iter().map(|node| Party::open(node, &opening("mirror"))).collect();
    let mut conduits = 0;
    for (n, from) in nodes.iter().enumerate() {
        for (m, to) in nodes.iter().enumerate().filter(|(m, _)| *m != n) {
            sees(from, "mirror", to)?;
            let ids = parties[n].mps.sp_ids(to.name()).unwrap();
            parties[n].send(ids.peer, n as u32, b"mirrored").unwrap();
            assert_eq!(parties[m].got(Some(n as u32)).unwrap().sender(), ids.local);
            conduits += 1;
        }
    }
    let links: usize = nodes.iter().map(|node| node.ask(&["links"]).unwrap()["links"].as_array().unwrap().len()).sum();
    // Both ends of each were counted.
    assert_eq!((conduits / 2, links / 2), (6, 6));
    Ok(())
}
