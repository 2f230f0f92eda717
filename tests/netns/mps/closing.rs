//! Closing: at once, pending, and what is refused meanwhile.

use super::*;
use messenger_mps::{Closure, State};
use rustix::process::Signal;
use std::thread;

/// Rows: MP-31.
#[test]
fn with_nothing_outstanding_it_is_closed_at_once() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    at_a.send(at_b.id, 1, b"x").unwrap();
    assert_eq!((at_a.session.close().unwrap(), at_a.session.state()), (Closure::Done, State::Closed));
    assert_eq!(status(at_a.session.close()), Status::NotOpen);
    assert!(at_a.hears_nothing(), "no event tells it");
    // Its peer is told that nobody is there.
    eventually(SOON, "no mailbox", || {
        Ok(at_b.send(at_a.id, 1, b"x").is_err_and(|error| error.status() == Status::NoMailbox).then_some(()))
    })
}

/// Three sends are under way: the close waits for the third.
///
/// Rows: MP-27, MP-32, MP-33.
#[test]
fn a_close_waits_for_what_was_sent() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    b.signal(Signal::STOP);
    let letter = |context| SendDescriptor { context, ..at_a.letter(at_b.id, sync(1), b"x") };
    for context in 0..3 {
        at_a.session.send_async(&letter(context)).unwrap();
    }
    assert_eq!((at_a.session.close().unwrap(), at_a.session.state()), (Closure::Pending, State::Closing));
    assert_eq!(status(at_a.session.send_async(&letter(9))), Status::Closing);
    assert_eq!(status(at_a.session.send_sync(&letter(9))), Status::Closing);
    assert_eq!(status(at_a.session.receive(Timeout::Test, None)), Status::Closing);
    assert_eq!(status(at_a.session.close()), Status::Closing);
    assert!(at_a.hears_nothing(), "not earlier");
    b.signal(Signal::CONT);
    for sent in 0..3 {
        match at_a.event() {
            Event::MessageSent { context, status: Status::Success, .. } => assert_eq!(context, sent),
            other => panic!("{other:?}"),
        }
    }
    match at_a.event() {
        Event::CloseCompleted { filament, status: Status::Success } => assert_eq!(filament, at_a.session.filament()),
        other => panic!("{other:?}"),
    }
    assert_eq!((at_a.session.state(), status(at_a.session.close())), (State::Closed, Status::NotOpen));
    assert_eq!(status(at_a.session.send_async(&letter(9))), Status::NotOpen);
    assert!(at_a.hears_nothing(), "nothing is told after it");
    Ok(())
}

/// PROTOCOL 13.7.
/// Rows: MP-50.
#[test]
fn a_close_waits_for_who_receives() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    // Satisfied by a message, which still comes in; and sent away.
    for by_message in [true, false] {
        let party = if by_message { &at_b } else { &at_a };
        thread::scope(|scope| -> Result<()> {
            let waits =
                [(); 2].map(|()| scope.spawn(|| party.session.receive(Timeout::Forever, None).map(|m| m.size())));
            receiving(party, 2)?;
            assert_eq!(party.session.close().unwrap(), Closure::Pending);
            if by_message {
                at_a.send(at_b.id, 1, b"1").unwrap();
                assert!(at_b.hears_nothing(), "another one waits");
                at_a.send(at_b.id, 1, b"1").unwrap();
            } else {
                assert_eq!(party.session.cancel_receives(), 2);
            }
            for thread in waits {
                match thread.join().unwrap() {
                    Ok(size) => assert!(by_message && size == 1),
                    Err(error) => assert!(!by_message && error.status() == Status::Canceled),
                }
            }
            Ok(())
        })?;
        assert!(matches!(party.event(), Event::CloseCompleted { status: Status::Success, .. }));
        assert_eq!(party.session.state(), State::Closed);
    }
    Ok(())
}

/// What a session had is free when it is closed, however that came.
///
/// Rows: MP-05, MP-34.
#[test]
fn sessions_come_and_go_under_the_traffic_of_others() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "steady")?;
    let ports =
        |node: &Node| Ok::<_, minet_tests::Error>(node.ask(&["ports"])?["ports"].as_array().map_or(0, Vec::len));
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = (ports(&a)?, descriptors());
    thread::scope(|scope| -> Result<()> {
        let churn = scope.spawn(|| {
            for n in 0..500 {
                let party = Party::with(&at_a.mps, &a, &opening(&format!("brief {}", n % 7)));
                // Closed, or only dropped.
                if n % 2 == 0 {
                    assert_eq!(party.session.close().unwrap(), Closure::Done);
                }
            }
        });
        let mut steady = 0u32;
        while !churn.is_finished() || steady < 200 {
            at_a.send(at_b.id, steady, &steady.to_le_bytes()).unwrap();
            assert_eq!(at_b.got(None).unwrap().bytes(), steady.to_le_bytes());
            steady += 1;
        }
        churn.join().unwrap();
        Ok(())
    })?;
    eventually(SOON, "as before", || Ok(((ports(&a)?, descriptors()) == before).then_some(())))?;
    // Nothing of them stays at the other end either.
    eventually(SOON, "as before", || Ok((ports(&b)? == before.0).then_some(())))
}
