//! Sending and receiving, synchronously and asynchronously.

use super::*;
use crate::topology::{mesh, udp_pair};
use minet_tests::Error as Failure;
use rustix::{
    process::Signal,
    time::{ClockId, clock_gettime},
};
use std::{fs, thread, time::Instant};

/// The same words for every target: `b` may be `a` itself.
fn exchange(a: &Party, b: &Party) {
    // Synchronous both ways: the sender knows that it is there, the receiver asks for it.
    a.send(b.id, 7, "größe".as_bytes()).unwrap();
    let mut message = b.got(Some(7)).unwrap();
    assert_eq!((message.sender(), message.size(), message.bytes()), (a.id, 7, "größe".as_bytes()));
    assert!(message.is_synchronous() && message.tag() == sync(7));
    // Its answer is of the same transaction.
    b.session.send_sync(&b.letter(message.sender(), message.tag(), b"yes")).unwrap();
    message.release().unwrap();
    assert_eq!(a.got(Some(7)).unwrap().bytes(), b"yes");
    // Asynchronous both ways: who sends is told, and who gets it.
    let letter = SendDescriptor { context: 42, ..a.letter(b.id, asynchronous(9), b"") };
    a.session.send_async(&letter).unwrap();
    let sent = |event: Event| match event {
        Event::MessageSent { filament, context, status } => (filament, context, status),
        other => panic!("{other:?}"),
    };
    let received = |event: Event| match event {
        Event::MessageReceived { filament, message } => {
            assert_eq!((filament, message.sender(), message.size()), (b.session.filament(), a.id, 0));
            assert!(!message.is_synchronous() && message.tag() == asynchronous(9));
        }
        other => panic!("{other:?}"),
    };
    let expected = (a.session.filament(), 42, Status::Success);
    if a.session.filament() == b.session.filament() && a.id == b.id {
        // Both are told to one: in any order.
        let (one, other) = (a.event(), a.event());
        let (told, came) = if matches!(one, Event::MessageSent { .. }) { (one, other) } else { (other, one) };
        assert_eq!(sent(told), expected);
        received(came);
    } else {
        assert_eq!(sent(a.event()), expected);
        received(b.event());
    }
    a.mps.free(&letter.buffer).unwrap();
    // Synchronous to send and asynchronous to receive, and the other way round.
    a.session.send_sync(&a.letter(b.id, asynchronous(9), b"")).unwrap();
    received(b.event());
    a.session.send_async(&SendDescriptor { context: 42, ..a.letter(b.id, sync(1), b"x") }).unwrap();
    assert_eq!(sent(a.event()), expected);
    assert_eq!(b.got(None).unwrap().bytes(), b"x");
    assert!(a.is_quiet() && b.is_quiet() && a.got(None).is_none() && b.got(None).is_none());
}

/// The target is the same storage processor, another one of this host, and one behind a network.
///
/// Rows: MP-01, MP-17, MP-19, MP-24, MP-25, MP-26, MP-28, MP-29.
#[test]
fn the_same_words_locally_and_remotely() -> Result<()> {
    let over = |nodes: Vec<Node>| -> Result<()> {
        let [a, b] = &nodes[..] else { panic!() };
        let (at_a, at_b) = both(a, b, "x")?;
        exchange(&at_a, &at_b);
        exchange(&at_b, &at_a);
        exchange(&at_a, &at_a);
        Ok(())
    };
    {
        let net = Net::new()?;
        over(mesh(&net, 2)?)?;
    }
    let net = Net::new()?;
    over(udp_pair(&net, |config| config)?)
}

/// Rows: MP-02, MP-09.
#[test]
fn one_session_reaches_every_target_that_has_it_open() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let [a, b, c] = &nodes[..] else { panic!() };
    let (at_a, at_b) = both(a, b, "x")?;
    let at_c = Party::open(c, &opening("x"));
    sees(a, "x", c)?;
    at_a.send(at_b.id, 1, b"to b").unwrap();
    at_a.send(at_c.id, 1, b"to c").unwrap();
    assert_eq!((at_b.got(None).unwrap().bytes(), at_c.got(None).unwrap().bytes()), (&b"to b"[..], &b"to c"[..]));
    assert!([&at_a, &at_b, &at_c].iter().all(|party| party.got(None).is_none()));
    Ok(())
}

/// The flag and the transaction can be read off the wire: a sub-header with the opcode, and the tag at its end.
///
/// PROTOCOL 13.2.
/// Rows: MP-14.
#[test]
fn the_tag_tells_the_kind_on_the_wire() -> Result<()> {
    let net = Net::new()?;
    let nodes = udp_pair(&net, |config| config)?;
    let [a, b] = &nodes[..] else { panic!() };
    let (at_a, at_b) = both(a, b, "x")?;
    let file = net.dir().join("wire.pcap");
    let path = file.display().to_string();
    let mut tcpdump = a.space().spawn("tcpdump", &["-i", "u0", "-U", "-w", &path, "-Z", "root", "udp"])?;
    eventually(SOON, "tcpdump", || Ok(tcpdump.output()?.stderr.contains("listening on").then_some(())))?;
    at_a.session.send_sync(&at_a.letter(at_b.id, sync(0x1234), b"x")).unwrap();
    at_a.session.send_sync(&at_a.letter(at_b.id, asynchronous(0x1234), b"x")).unwrap();
    let tags = || -> Result<Vec<u32>> {
        let seen = fs::read(&file).map_err(Failure::io("read the capture"))?;
        let headers = seen.windows(24).filter(|window| window.starts_with(&[0x50, 0x4d, 0, 0, 0, 0, 0, 0]));
        Ok(headers.map(|header| u32::from_le_bytes(header[20..].try_into().unwrap())).collect())
    };
    eventually(SOON, "both in the capture", || Ok((tags()?.len() >= 2).then_some(())))?;
    tcpdump.kill();
    assert_eq!(tags()?, [0x1234, 0x8000_1234]);
    Ok(())
}

/// The target's storage processor confirms, whatever its client does and whether or not it takes such messages.
///
/// PROTOCOL 13.4, 13.5.
/// Rows: MP-15, MP-22.
#[test]
fn a_message_is_confirmed_before_anybody_looks_at_it() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let [a, b] = &nodes[..] else { panic!() };
    let at_a = Party::open(a, &opening("x"));
    let (mps, id) = (client(b), client(a).sp_ids("b").unwrap().peer);
    let silent = mps.open_sync(&opening("x")).unwrap();
    sees(a, "x", b)?;
    for n in 0..100 {
        at_a.send(id, n, b"unread").unwrap();
    }
    // A client without asynchronous services: such a message is confirmed and dropped, and it is counted.
    at_a.session.send_sync(&at_a.letter(id, asynchronous(1), b"unwanted")).unwrap();
    eventually(SOON, "one dropped", || Ok((silent.record().unwrap().unwanted == 1).then_some(())))?;
    let record = silent.record().unwrap();
    assert_eq!((record.received, record.unreleased, record.has_callback), (100, 0, false));
    Ok(())
}

/// A frozen target confirms nothing: the asynchronous call is back long before, the synchronous one not until then.
///
/// Rows: MP-12, MP-16.
#[test]
fn who_waits_for_the_confirmation() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    b.signal(Signal::STOP);
    at_a.session.send_async(&SendDescriptor { context: 5, ..at_a.letter(at_b.id, sync(1), b"x") }).unwrap();
    assert!(at_a.is_quiet());
    thread::scope(|scope| -> Result<()> {
        let waits = scope.spawn(|| at_a.send(at_b.id, 2, b"y").map(|()| Instant::now()));
        under_way(&at_a, 2)?;
        // Nothing comes while it is frozen.
        assert!(at_a.hears_nothing() && !waits.is_finished());
        let before = Instant::now();
        b.signal(Signal::CONT);
        assert!(waits.join().unwrap().unwrap() >= before);
        Ok(())
    })?;
    assert!(matches!(at_a.event(), Event::MessageSent { context: 5, status: Status::Success, .. }));
    assert_eq!(at_b.got(Some(2)).unwrap().bytes(), b"y");
    Ok(())
}

/// Whoever waits gets the message, and what nobody waits for waits itself; each is given once.
///
/// Rows: MP-18, MP-20, MP-39.
#[test]
fn a_receive_takes_what_is_there_or_waits() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    let receive = |timeout| at_b.session.receive(timeout, None);
    // Nothing is there: a test says so, and so does a wait when its time is over.
    assert_eq!(status(receive(Timeout::Test)), Status::NoMessage);
    let begun = Instant::now();
    assert_eq!(status(receive(Timeout::Within(MOMENT))), Status::NoMessage);
    assert!(begun.elapsed() >= MOMENT);
    // It is there already.
    for timeout in [Timeout::Test, Timeout::from_seconds(1), Timeout::Forever] {
        at_a.send(at_b.id, 1, b"waits").unwrap();
        assert_eq!(receive(timeout).unwrap().bytes(), b"waits");
    }
    // Somebody waits: one of two gets each message.
    thread::scope(|scope| -> Result<()> {
        let waiting = [(); 2].map(|()| scope.spawn(|| receive(Timeout::Forever).unwrap().bytes().to_vec()));
        receiving(&at_b, 2)?;
        at_a.send(at_b.id, 1, b"one").unwrap();
        at_a.send(at_b.id, 1, b"two").unwrap();
        let mut got = waiting.map(|thread| thread.join().unwrap());
        got.sort();
        assert_eq!(got, [b"one".to_vec(), b"two".to_vec()]);
        Ok(())
    })?;
    assert_eq!(status(receive(Timeout::Test)), Status::NoMessage);
    Ok(())
}

/// Rows: MP-40.
#[test]
fn a_receive_takes_its_own_transaction() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    for transaction in [1, 2, 2] {
        at_a.send(at_b.id, transaction, &transaction.to_le_bytes()).unwrap();
    }
    assert_eq!(at_b.got(Some(2)).unwrap().tag(), sync(2));
    assert!(at_b.got(Some(3)).is_none());
    assert_eq!([None, None].map(|any| at_b.got(any).unwrap().tag().transaction()), [1, 2], "the others stay in order");
    // Who waits for one is not sent another one.
    thread::scope(|scope| -> Result<()> {
        let waits = scope.spawn(|| at_b.session.receive(Timeout::Forever, Some(5)).unwrap().tag().transaction());
        receiving(&at_b, 1)?;
        assert_eq!(at_b.session.record().unwrap().receives, [Some(5)]);
        at_a.send(at_b.id, 4, b"").unwrap();
        at_a.send(at_b.id, 5, b"").unwrap();
        assert_eq!(waits.join().unwrap(), 5);
        Ok(())
    })?;
    assert_eq!(at_b.got(None).unwrap().tag().transaction(), 4);
    assert_eq!(status(at_b.session.receive(Timeout::Test, Some(1 << 31))), Status::Invalid);
    Ok(())
}

/// Rows: MP-11.
#[test]
fn who_waits_uses_no_processor() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    let used = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    thread::scope(|scope| -> Result<()> {
        let waits = scope.spawn(|| {
            let (before, begun) = (used(), Instant::now());
            at_b.session.receive(Timeout::Forever, None).unwrap();
            (used() - before, begun.elapsed())
        });
        receiving(&at_b, 1)?;
        // Meanwhile nothing happens.
        assert!((0..4).all(|_| at_b.hears_nothing()));
        at_a.send(at_b.id, 1, b"").unwrap();
        let (processor, time) = waits.join().unwrap();
        assert!(time >= 4 * MOMENT && processor < time / 50, "{processor:?} of {time:?}");
        Ok(())
    })
}

/// Each service waits or goes on as the table in the crate's documentation says.
///
/// Rows: MP-13.
#[test]
fn services_are_synchronous_asynchronous_or_either() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    // Synchronous: done when they are back, and no event tells it.
    at_a.send(at_b.id, 1, b"x").unwrap();
    assert!(at_b.got(None).unwrap().release().is_ok() && at_a.mps.sp_ids("b").is_ok());
    let buffer = at_a.mps.allocate(1).unwrap();
    at_a.mps.free(&buffer).unwrap();
    assert!(at_a.is_quiet() && at_b.is_quiet());
    // Asynchronous: an event tells its end, and an event is how it is received.
    at_a.session.send_async(&at_a.letter(at_b.id, asynchronous(1), b"x")).unwrap();
    assert!(matches!(at_a.event(), Event::MessageSent { .. }));
    assert!(matches!(at_b.event(), Event::MessageReceived { .. }));
    // Either: closed at once without an event, or pending with one.
    assert_eq!(at_b.session.close().unwrap(), messenger_mps::Closure::Done);
    thread::scope(|scope| -> Result<()> {
        let waits = scope.spawn(|| at_a.session.receive(Timeout::Forever, None).map(drop));
        receiving(&at_a, 1)?;
        assert_eq!(at_a.session.close().unwrap(), messenger_mps::Closure::Pending);
        assert_eq!(at_a.session.cancel_receives(), 1);
        assert_eq!(status(waits.join().unwrap()), Status::Canceled);
        Ok(())
    })?;
    assert!(matches!(at_a.event(), Event::CloseCompleted { .. }));
    assert!(at_b.hears_nothing(), "nothing was told of the one that was closed at once");
    Ok(())
}
