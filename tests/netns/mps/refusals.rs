//! What is refused: descriptors, buffers, and messages that there is no room for.

use super::*;
use messenger_mps::{Closure, MESSAGE_MOST};
use rustix::process::Signal;
use std::sync::atomic::{AtomicU32, Ordering};

/// Both calls refuse the same, for the same reasons, and nothing is sent.
///
/// Rows: MP-36, MP-37.
#[test]
fn six_reasons_not_to_send() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let (at_a, at_b) = both(&a, &b, "x")?;
    let (closing, at_b_closing) = both(&a, &b, "closing")?;
    let closed = Party::with(&at_a.mps, &a, &opening("closed"));
    assert_eq!(closed.session.close().unwrap(), Closure::Done);
    b.signal(Signal::STOP);
    closing.session.send_async(&closing.letter(at_b_closing.id, sync(1), b"x")).unwrap();
    assert_eq!(closing.session.close().unwrap(), Closure::Pending);

    let good = at_a.letter(at_b.id, sync(1), b"12345678");
    let (freed, foreign) = (at_a.buffer(b"x"), closing.buffer(b"x"));
    at_a.mps.free(&freed).unwrap();
    let in_use = at_a.letter(at_b.id, sync(1), b"under way");
    at_a.session.send_async(&in_use).unwrap();
    let unknown = SpId::try_from(4711).unwrap();
    let table = [
        (&closed.session, closed.letter(at_b.id, sync(1), b"x"), Status::NotOpen),
        (&closing.session, closing.letter(at_b.id, sync(1), b"x"), Status::Closing),
        (&at_a.session, SendDescriptor { destination: unknown, ..good.clone() }, Status::DestinationInvalid),
        (&at_a.session, SendDescriptor { buffer: freed.clone(), ..good.clone() }, Status::BufferInvalid),
        (&at_a.session, SendDescriptor { buffer: foreign.clone(), ..good.clone() }, Status::BufferInvalid),
        (&at_a.session, in_use.clone(), Status::BufferInUse),
        (&at_a.session, SendDescriptor { size: 9, ..good.clone() }, Status::TooLarge),
        (&at_a.session, SendDescriptor { size: usize::MAX, ..good.clone() }, Status::TooLarge),
    ];
    for (session, letter, expected) in &table {
        assert_eq!((status(session.send_sync(letter)), status(session.send_async(letter))), (*expected, *expected));
        assert!(!letter.buffer.is_in_use() || *expected == Status::BufferInUse);
    }
    // Nor can one that is freed, another one's, or being sent, be freed.
    assert_eq!(status(at_a.mps.free(&freed)), Status::BufferInvalid);
    assert_eq!(status(at_a.mps.free(&foreign)), Status::BufferInvalid);
    assert_eq!(status(at_a.mps.free(&in_use.buffer)), Status::BufferInUse);
    b.signal(Signal::CONT);
    // Only what was taken is told.
    assert!(matches!(at_a.event(), Event::MessageSent { status: Status::Success, .. }));
    at_a.mps.free(&in_use.buffer).unwrap();
    assert!(matches!(closing.event(), Event::MessageSent { .. }));
    assert!(matches!(closing.event(), Event::CloseCompleted { .. }));
    assert_eq!(at_b.got(None).unwrap().bytes(), b"under way");
    assert!(at_b.got(None).is_none() && at_a.is_quiet());
    // A part of a buffer is a message, and so is nothing of it.
    for size in [0, 8] {
        at_a.session.send_sync(&SendDescriptor { size, ..good.clone() }).unwrap();
        assert_eq!(at_b.got(None).unwrap().bytes(), &b"12345678"[..size]);
    }
    Ok(())
}

/// Rows: MP-35.
#[test]
fn the_largest_and_the_smallest_buffer_travel() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let large = opening("x").room(32 << 20);
    let (at_a, at_b) = (Party::open(&a, &large), Party::open(&b, &large));
    sees(&a, "x", &b)?;
    for size in [0, MESSAGE_MOST] {
        let buffer = at_a.mps.allocate(size).unwrap();
        let pattern = |n: usize| (n.wrapping_mul(n) >> 9) as u8;
        buffer.with(|bytes| bytes.iter_mut().enumerate().for_each(|(n, byte)| *byte = pattern(n))).unwrap();
        let letter = SendDescriptor { context: 0, destination: at_b.id, buffer, size, tag: sync(1) };
        at_a.session.send_sync(&letter).unwrap();
        let got = at_b.got(None).unwrap();
        assert!(got.size() == size && got.bytes().iter().enumerate().all(|(n, byte)| *byte == pattern(n)));
    }
    assert_eq!(status(at_a.mps.allocate(MESSAGE_MOST + 1)), Status::InsufficientResources);
    Ok(())
}

/// What the client holds, of either kind, takes room until it is released; senders are told meanwhile.
///
/// PROTOCOL 13.6.
/// Rows: MP-41.
#[test]
fn who_holds_messages_is_sent_no_more_until_it_releases() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let at_a = Party::open(&a, &opening("x"));
    // Room for four messages of 1,000 bytes, of each kind.
    let at_b = Party::open(&b, &opening("x").room(4 * 1128));
    sees(&a, "x", &b)?;
    for tag in [sync(1), asynchronous(1)] {
        let send = || at_a.session.send_sync(&at_a.letter(at_b.id, tag, &[7; 1000]));
        let mut held: Vec<MessageReceived> = Vec::new();
        for _ in 0..4 {
            send().unwrap();
            held.push(match tag == sync(1) {
                true => at_b.got(None).unwrap(),
                false => match at_b.event() {
                    Event::MessageReceived { message, .. } => message,
                    other => panic!("{other:?}"),
                },
            });
        }
        assert_eq!((status(send()), at_b.session.record().unwrap().unreleased), (Status::Full, 4));
        // An asynchronous sender is told the same.
        at_a.session.send_async(&at_a.letter(at_b.id, tag, &[7; 1000])).unwrap();
        assert!(matches!(at_a.event(), Event::MessageSent { status: Status::Full, .. }));
        let mut first = held.remove(0);
        first.release().unwrap();
        assert_eq!((status(first.release()), first.bytes()), (Status::BufferInvalid, &b""[..]));
        send().unwrap();
        assert_eq!(status(send()), Status::Full);
        drop(held);
        let rest = || match tag == sync(1) {
            true => at_b.got(None).is_some(),
            false => matches!(at_b.event(), Event::MessageReceived { .. }),
        };
        assert!(rest());
        for _ in 0..4 {
            send().unwrap();
        }
        assert!((0..4).all(|_| rest()));
    }
    Ok(())
}

/// Rows: MP-43.
#[test]
fn a_callback_that_fails_is_counted_and_the_session_lives() -> Result<()> {
    let net = Net::new()?;
    let (a, b) = pair(&net)?;
    let at_a = Party::open(&a, &opening("x"));
    let (mps, calls) = (client(&b), std::sync::Arc::new(AtomicU32::new(0)));
    let counted = calls.clone();
    let session = mps
        .open(&opening("x"), move |_| match counted.fetch_add(1, Ordering::SeqCst) {
            0 => Status::Failed,
            1 => panic!("a client's code"),
            _ => Status::Success,
        })
        .unwrap();
    sees(&a, "x", &b)?;
    let id = mps.sp_ids("b").unwrap().peer;
    for n in 0..4 {
        at_a.session.send_sync(&at_a.letter(id, asynchronous(n), b"x")).unwrap();
    }
    eventually(SOON, "four calls", || Ok((calls.load(Ordering::SeqCst) == 4).then_some(())))?;
    eventually(SOON, "two failures", || Ok((session.record().unwrap().failures == 2).then_some(())))?;
    at_a.send(id, 1, b"x").unwrap();
    assert_eq!(session.receive(Timeout::Test, None).unwrap().bytes(), b"x");
    assert_eq!(session.record().unwrap().unreleased, 0);
    Ok(())
}
