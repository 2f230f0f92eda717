//! Responses: matched once, late ones counted, forwarded to whom they belong.

use super::{cluster, daemon, entries, good, got, names, nothing, place};
use crate::messages::count;
use crate::topology::mesh;
use messenger::{Answer, Code, Guest, Message, PortSpec, Status, To, Wants};
use messenger_vios::{Header, Originator, Packet, Receipt, Request, SubHeader, Vios, What, opcode};
use minet_tests::{Net, Result, SOON, eventually};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// A response that comes late, twice, or that belongs to nothing is dropped and counted; the payload may be consumed before or
/// after the response is made.
///
/// PROTOCOL 14.5.
/// Rows: VI-40, VI-41, VI-42, VI-43.
#[test]
fn each_response_is_matched_once() -> Result<()> {
    let net = Net::new()?;
    let (nodes, mut all) = cluster(&net, 3)?;
    let [a, b, c] = &mut all[..] else { panic!() };
    let mut request = Request::broadcast(1, "question").answered(Duration::from_secs(60));
    good(a, &mut request);
    let (at_b, at_c) = (got(b), got(c));
    // Consumed before here, and after there.
    assert_eq!(at_b.packet.payload, b"question");
    b.respond(&at_b, Status::GOOD, b"b").unwrap();
    assert_eq!(a.response(&mut request, Some(SOON)).unwrap().unwrap().packet.payload, b"b");
    assert_eq!(entries(a, &request), 1, "one entry is gone");
    c.respond(&at_c, Status::GOOD, b"c").unwrap();
    assert_eq!(at_c.packet.payload, b"question");
    let twice = b.respond(&at_b, Status::GOOD, b"again").unwrap_err();
    assert_eq!(twice.status(), Some(Status::new(Code::NotFound)), "once");
    assert_eq!(a.response(&mut request, Some(SOON)).unwrap().unwrap().packet.payload, b"c");
    eventually(SOON, "no entry is left", || Ok((entries(a, &request) == 0).then_some(())))?;
    assert_eq!((a.response(&mut request, Some(SOON)).unwrap(), request.settled), (None, true));
    // No response is wanted: none is made.
    let mut plain = Request::broadcast(2, "x");
    good(a, &mut plain);
    let came = got(b);
    assert!(!came.wants_response());
    assert_eq!(b.respond(&came, Status::GOOD, b"!").unwrap_err().status(), Some(Status::new(Code::NotFound)));
    got(c);
    // Too late: the entries are gone, and it is counted.
    let late = count(&nodes[0], "messages-late")?;
    let mut request = Request::directed(3, names(&["b"]), "x").answered(Duration::from_millis(100));
    good(a, &mut request);
    let came = got(b);
    assert_eq!(a.response(&mut request, Some(SOON)).unwrap(), None);
    assert_eq!((request.settled, request.unanswered.len()), (true, 1));
    b.respond(&came, Status::GOOD, b"late").unwrap();
    eventually(SOON, "it is counted", || Ok((count(&nodes[0], "messages-late")? == late + 1).then_some(())))?;
    assert!(nothing(a));
    Ok(())
}

/// A packet with a code that does not belong where it comes is refused and counted; so is what is no packet. A response never is
/// confirmed, whatever its flags say.
///
/// PROTOCOL 14.1, 14.4, 14.5.
/// Rows: VI-08, VI-37, VI-39, VI-41.
#[test]
fn what_does_not_belong_is_refused_and_counted() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let mut a = daemon(&nodes[0], &nodes[0], &[])?;
    let guest = Guest::join(&place(&nodes[1])).unwrap();
    let port = guest.open(&PortSpec::named("vios")).unwrap();
    crate::messages::knows(&nodes[0], "vios", "b")?;
    crate::messages::knows(&nodes[1], "vios", "a")?;
    let ask = |payload: Vec<u8>, code: u16| {
        let message = Message { opcode: code, ..Message::new(payload) };
        let sent = guest.send(&To::Everywhere("vios".into()), &Message { wants: Wants::Answer, ..message }).unwrap();
        sent.ticket.unwrap()
    };
    let refused = |a: &mut Vios, ticket| {
        assert!(nothing(a));
        let outcome = guest.settle(ticket, Some(SOON)).unwrap().unwrap();
        assert_eq!(outcome.status(), Status::new(Code::NotSupported));
    };
    let wait = |n| eventually(SOON, "it came", || Ok((count(&nodes[0], "messages-admitted")? >= n).then_some(())));
    let before = count(&nodes[0], "messages-admitted")?;
    let ticket = ask(b"no packet at all".to_vec(), 1);
    wait(before + 1)?;
    refused(&mut a, ticket);
    // A response that nobody asked for, and one code outside, another inside.
    let target = a.guest().node();
    let packet = |code| {
        let sub = SubHeader { opcode: code, targets: vec![target], ..SubHeader::default() };
        Packet { header: Header::default(), sub, payload: vec![] }.emit().unwrap()
    };
    for (n, (inner, outer)) in [(opcode::response(1), opcode::response(1)), (1, 2)].into_iter().enumerate() {
        let ticket = ask(packet(inner), outer);
        wait(before + 2 + n as u64)?;
        refused(&mut a, ticket);
    }
    assert_eq!((a.counts().malformed, a.counts().wrong_opcode), (1, 2));
    // Asked properly, it answers with the request's own code, then with another transaction, then with a receipt flag.
    for round in 0..3 {
        let mut request = Request::directed(5, names(&["b"]), "?").answered(SOON);
        good(&mut a, &mut request);
        let came = guest.receive(port, Some(SOON)).unwrap().unwrap();
        let mut answer = Packet::parse(&came.payload).unwrap();
        answer.sub = SubHeader { opcode: opcode::response(5), targets: vec![target], ..SubHeader::default() };
        match round {
            0 => answer.sub.opcode = 5,
            1 => answer.header.transaction.number += 1,
            _ => answer.header.receipt = true,
        }
        let admitted = count(&nodes[1], "messages-admitted")?;
        guest.respond(&came, &Answer::new(answer.emit().unwrap())).unwrap();
        let response = a.response(&mut request, Some(SOON)).unwrap();
        assert_eq!(response.is_some(), round == 2, "round {round}");
        assert!(guest.receive(port, Some(Duration::ZERO)).unwrap().is_none());
        assert_eq!(count(&nodes[1], "messages-admitted")?, admitted, "nothing confirms a response");
    }
    assert_eq!(a.counts().wrong_opcode, 4);
    Ok(())
}

/// Does what a daemon does until it is told to stop.
fn run(mut vios: Vios, stop: &Arc<AtomicBool>, answer: &'static [u8]) -> thread::JoinHandle<Vios> {
    let stop = stop.clone();
    thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            if let Some(came) = vios.receive(Some(Duration::from_millis(20))).unwrap()
                && came.wants_response()
            {
                vios.respond(&came, Status::GOOD, answer).unwrap();
            }
        }
        vios
    })
}

/// A caller hands its request to the daemon of its node, which sends it in the caller's name; what comes back is forwarded to
/// the caller without the daemon's doing. A caller that is gone, and an originator that is not of this node, harm nobody.
///
/// PROTOCOL 14.7.
/// Rows: VI-11, VI-44.
#[test]
fn responses_are_forwarded_to_the_caller() -> Result<()> {
    let net = Net::new()?;
    let (nodes, all) = cluster(&net, 3)?;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = |answer| move |vios| (vios, answer);
    let answers: [&'static [u8]; 3] = [b"a", b"b", b"c"];
    let threads: Vec<_> = all.into_iter().zip(answers).map(|(vios, answer)| seen(answer)(vios)).collect();
    let threads: Vec<_> = threads.into_iter().map(|(vios, answer)| run(vios, &stop, answer)).collect();
    let mut caller = Vios::caller(&place(&nodes[0]), "tool", &[]).unwrap();
    let mut request = Request::broadcast(7, "for me").answered(SOON);
    assert_eq!(caller.submit_by_daemon(&mut request).unwrap(), Status::GOOD);
    let mut from = Vec::new();
    for _ in 0..2 {
        let came = got(&mut caller);
        assert_eq!((&came.what, came.packet.sub.opcode), (&What::Response, opcode::response(7)));
        assert_eq!(came.packet.sub.originator, Originator::ThirdParty("tool".into()));
        assert_eq!(came.packet.header.transaction, request.header.transaction);
        from.push(came.packet.payload);
    }
    from.sort();
    assert_eq!(from, [b"b", b"c"]);
    // Only a daemon sends for others, only for callers of its node, and only such say who they are.
    let mut daemon_of_caller = Vios::caller(&place(&nodes[1]), "other", &[]).unwrap();
    let message = Message {
        opcode: opcode::INJECT,
        wants: Wants::Answer,
        deadline: Some(SOON),
        ..Message::new({
            let sub = SubHeader {
                opcode: 7,
                broadcast: true,
                originator: Originator::ThirdParty("tool".into()),
                ..SubHeader::default()
            };
            Packet { header: Header::default(), sub, payload: vec![] }.emit().unwrap()
        })
    };
    let to = To::On { node: "a".into(), name: "vios".into() };
    let outcome = daemon_of_caller.guest().call(&to, &message, SOON).unwrap();
    assert_eq!(outcome.status(), Status::new(Code::NotAllowed));
    assert!(nothing(&mut daemon_of_caller));
    assert!(Vios::caller(&place(&nodes[0]), "two words", &[]).is_err());
    assert!(Vios::caller(&place(&nodes[0]), "tool", &[]).is_err(), "taken");
    // It goes before its answers come.
    let mut last = Request::broadcast(8, "x").answered(SOON);
    assert_eq!(caller.submit_by_daemon(&mut last).unwrap(), Status::GOOD);
    drop(caller);
    let mut tool = Vios::caller(&place(&nodes[0]), "tool2", &[]).unwrap();
    assert_eq!(
        tool.submit_by_daemon(&mut Request::directed(9, names(&["b"]), "x").answered(SOON)).unwrap(),
        Status::GOOD
    );
    assert_eq!(got(&mut tool).packet.payload, b"b");
    stop.store(true, Ordering::Relaxed);
    let ended: Vec<Vios> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let counts = ended[0].counts();
    assert_eq!((counts.forwarded + counts.undeliverable, counts.wrong_opcode), (5, 1));
    Ok(())
}

/// A request with both waits for the receipts first; then the responses come. It can be sent again only when they are settled.
#[test]
fn both_are_waited_for_one_after_the_other() -> Result<()> {
    let net = Net::new()?;
    let (_nodes, mut all) = cluster(&net, 2)?;
    let [a, b] = &mut all[..] else { panic!() };
    let mut request =
        Request::broadcast(1, "x").confirmed(vec![Receipt::default(); 2]).answered(Duration::from_secs(60));
    good(a, &mut request);
    assert_eq!(entries(a, &request), 1);
    assert_eq!(a.resend(&mut request).unwrap(), Status::new(Code::Busy));
    let came = got(b);
    b.respond(&came, Status::GOOD, b"y").unwrap();
    assert!(a.response(&mut request, Some(SOON)).unwrap().is_some());
    assert_eq!(a.response(&mut request, Some(SOON)).unwrap(), None);
    assert_eq!(
        (request.settled, a.resend(&mut request).unwrap().code),
        (true, Code::NotFound),
        "nothing is left to send"
    );
    Ok(())
}
