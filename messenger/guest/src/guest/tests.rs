use super::*;
use crate::{
    Priority,
    protocol::{Call, Frames, GREETING_LEN, Head, Origin, Slot, emit, parse},
};
use std::{
    io::{Read, Write},
    thread,
};

fn told(stream: &mut UnixStream, told: &Told, payload: &[u8]) {
    stream.write_all(&emit(told, payload).unwrap()).unwrap();
}

fn head(ask: Option<u64>) -> Head {
    Head {
        node: NodeId::from_name("b"),
        node_name: "b".into(),
        from: PortId::NODE,
        priority: Priority::High,
        opcode: 1,
        tag: 2,
        origin: Origin::default(),
        receipt: false,
        transaction: 9,
        targets: 0,
        deadline_ms: 0,
        ask,
        status: Status::GOOD,
    }
}

/// A guest, and what the daemon says to each of its calls in turn, in a thread that gives back the calls.
fn guest(answers: Vec<Vec<(Told, Vec<u8>)>>) -> (Guest, thread::JoinHandle<Vec<(Call, usize)>>) {
    let (here, mut there) = UnixStream::pair().unwrap();
    let daemon = thread::spawn(move || {
        let mut frames = Frames::new(usize::MAX);
        let (mut chunk, mut calls, mut greeted) = ([0; 4096], Vec::new(), false);
        let mut answers = answers.into_iter();
        loop {
            let n = there.read(&mut chunk).unwrap();
            if n == 0 {
                return calls;
            }
            frames.push(&chunk[..n]);
            if !greeted && frames.take() == Some(greeting()) {
                greeted = true;
                told(&mut there, &Told::Welcome { node: NodeId::from_name("a"), node_name: "a".into() }, b"");
            }
            while let Some(frame) = frames.next_frame().unwrap() {
                let (call, payload) = parse::<Call>(&frame, frame.len()).unwrap();
                calls.push((call, payload.len()));
                for (what, payload) in answers.next().unwrap_or_default() {
                    told(&mut there, &what, &payload);
                }
            }
        }
    });
    (Guest::greet(here).unwrap(), daemon)
}

fn done(number: u32, done: Done) -> (Told, Vec<u8>) {
    (Told::Done { number, done }, Vec::new())
}

#[test]
fn a_call_waits_for_its_own_answer_and_keeps_what_comes_between() {
    let (ticket, port) = (Ticket(7), PortId { index: 1, generation: 1 });
    let slot = Slot {
        node: NodeId::from_name("b"),
        node_name: "b".into(),
        port: None,
        status: Status::GOOD,
        stored: true,
        settled: true,
    };
    let sent = Done::Sent(Sent { ticket: Some(ticket), targets: 1, taken: 1 });
    let (guest, daemon) = guest(vec![
        vec![done(1, Done::Port(port))],
        vec![
            (Told::Ready { port }, vec![]),
            done(2, sent),
            (Told::Answer { ticket, slot: 0, head: head(None) }, b"yes".to_vec()),
            (Told::Settled { ticket, slots: vec![slot] }, vec![]),
        ],
        vec![(
            Told::Done { number: 3, done: Done::Message { head: head(Some(5)), hold: None, more: false } },
            vec![1; 100_000],
        )],
        // After a large payload it wants to share memory; there is none.
        vec![(Told::Refused { number: 4, status: Status::new(Code::Exhausted) }, vec![])],
        vec![(Told::Refused { number: 5, status: Status::new(Code::NotFound) }, vec![])],
    ]);
    assert_eq!(guest.node_name(), "a");
    assert_eq!(guest.open(&PortSpec::named("x")).unwrap(), port);
    let outcome = guest.call(&To::Name("y".into()), &Message::new("?"), PATIENCE).unwrap();
    assert_eq!((outcome.status(), &*outcome.answers[0].payload), (Status::GOOD, &b"yes"[..]));
    let got = guest.receive(port, Some(PATIENCE)).unwrap().unwrap();
    assert_eq!((got.payload.len(), got.head.ask), (100_000, Some(5)));
    let refused = guest.respond(&got, &Answer::new("late")).unwrap_err();
    assert_eq!(refused.status(), Some(Status::new(Code::NotFound)));
    drop(guest);
    let calls = daemon.join().unwrap();
    assert!(matches!(&calls[1], (Call { request: Request::Send(e), .. }, 1) if e.wants == Wants::Answer));
    assert!(matches!(
        &calls[3..],
        [(Call { request: Request::Arena, .. }, 0), (Call { request: Request::Respond { .. }, .. }, 4)]
    ));
}

#[test]
fn waiting_ends_in_time_or_when_something_comes() {
    let port = PortId { index: 1, generation: 1 };
    let (guest, _daemon) = guest(vec![
        vec![done(1, Done::Port(port))],
        vec![done(2, Done::Empty { more: false }), (Told::Ready { port }, vec![])],
        vec![(Told::Done { number: 3, done: Done::Message { head: head(None), hold: None, more: false } }, vec![9])],
        vec![
            (Told::Refused { number: 4, status: Status::new(Code::Invalid) }, vec![]),
            (Told::Closed { port }, vec![]),
        ],
        vec![(Told::Refused { number: 5, status: Status::new(Code::BadHandle) }, vec![])],
    ]);
    guest.open(&PortSpec::named("x")).unwrap();
    assert_eq!(guest.receive(port, Some(Duration::ZERO)).unwrap(), None);
    assert_eq!(guest.receive(port, None).unwrap().unwrap().payload, [9]);
    assert_eq!(guest.watch("").unwrap_err().status(), Some(Status::new(Code::Invalid)));
    assert_eq!(guest.receive(port, None).unwrap_err().status(), Some(Status::new(Code::BadHandle)));
    let none = guest.settle(Ticket(1), Some(Duration::ZERO)).unwrap_err();
    assert_eq!(none.status(), Some(Status::new(Code::BadHandle)), "there is no such ticket");
}

#[test]
fn a_guest_that_is_ended_is_told_why() {
    let (guest, _daemon) = guest(vec![vec![(Told::Bye { why: "too slow".into() }, vec![])]]);
    let told = guest.attach("x").unwrap_err();
    assert_eq!(told.to_string(), "the daemon ended this guest: too slow");
    let large = Message::new(vec![0; PAYLOAD_MOST + 1]);
    let told = guest.send(&To::Name("y".into()), &large).unwrap_err();
    assert_eq!(told.status(), Some(Status::with(Code::TooLarge, PAYLOAD_MOST)));
}

/// A daemon that tells of other things without end delays no time limit.
#[test]
fn a_time_limit_is_kept_under_a_stream_of_news() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let daemon = thread::spawn(move || {
        told(&mut there, &Told::Welcome { node: NodeId::from_name("a"), node_name: "a".into() }, b"");
        let port = PortId { index: 1, generation: 1 };
        // An answer to what was not asked yet is none: the greeting, and the call.
        let (mut greeting, mut length) = ([0; GREETING_LEN], [0; 4]);
        there.read_exact(&mut greeting).unwrap();
        there.read_exact(&mut length).unwrap();
        there.read_exact(&mut vec![0; u32::from_le_bytes(length) as usize]).unwrap();
        told(&mut there, &Told::Done { number: 1, done: Done::Port(port) }, b"");
        let news = emit(&Told::Ready { port: PortId { index: 9, generation: 1 } }, b"").unwrap().repeat(1000);
        while there.write_all(&news).is_ok() {}
    });
    let guest = Guest::greet(here).unwrap();
    let port = guest.open(&PortSpec::named("x")).unwrap();
    for ms in [0, 30] {
        let (limit, start) = (Duration::from_millis(ms), Instant::now());
        assert_eq!(guest.notice(Some(limit)).unwrap(), None);
        assert!((limit..PATIENCE).contains(&start.elapsed()));
    }
    assert_eq!(guest.receive(port, Some(Duration::from_millis(30))).unwrap(), None);
    drop(guest);
    daemon.join().unwrap();
}

#[test]
fn a_lost_name_is_told() {
    let port = PortId { index: 1, generation: 1 };
    let (guest, _daemon) = guest(vec![vec![
        done(1, Done::Port(port)),
        (Told::NameLost { port }, vec![]),
        (Told::Closed { port }, vec![]),
    ]]);
    guest.open(&PortSpec::named("x")).unwrap();
    assert_eq!(guest.notice(Some(PATIENCE)).unwrap(), Some(crate::Notice::NameLost(port)));
    assert_eq!(guest.notice(Some(PATIENCE)).unwrap(), Some(crate::Notice::Closed(port)));
    assert_eq!(guest.notice(Some(Duration::ZERO)).unwrap(), None);
}

#[test]
fn a_guest_goes_to_any_thread() {
    fn anywhere<T: Send + Sync + Clone + 'static>() {}
    anywhere::<Guest>();
}
