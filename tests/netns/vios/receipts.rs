//! Receipts: who has the message, and who has not.

use super::{cluster, daemon, entries, good, got, names, nothing, states};
use crate::messages::{count, received, receiver};
use crate::topology::{joined, mesh};
use messenger::{Code, Status, Tier};
use messenger_vios::{Address, Origin, Originator, Receipt, ReceiptState, Request, What};
use minet_tests::{Config, Net, Node, Result, SOON, eventually};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Receipt or none, response or none, for all or for two by their addresses; five nodes on one host. With N+1 nodes there are N
/// receipts, and when they are in nobody waits any longer. Each kind is sent by a command line and by a daemon.
///
/// PROTOCOL 14.6.
/// Rows: VI-01, VI-06, VI-07, VI-10, VI-12, VI-13, VI-14, VI-18, VI-19, VI-23, VI-26, VI-27, VI-36, VI-38, VI-40, VI-59.
#[test]
fn the_eight_kinds() -> Result<()> {
    let net = Net::new()?;
    let (nodes, mut all) = cluster(&net, 5)?;
    let [a, others @ ..] = &mut all[..] else { panic!() };
    for kind in 0..8u16 {
        let (receipt, response, broadcast) = (kind & 1 != 0, kind & 2 != 0, kind & 4 != 0);
        let ips = [&nodes[1], &nodes[2]].map(|node| Address::Ip(node.config().ipv4().parse().unwrap()));
        let mut request = match broadcast {
            true => Request::broadcast(kind + 1, "payload"),
            false => Request::directed(kind + 1, ips, "payload"),
        };
        if receipt {
            request = request.confirmed(vec![Receipt::default(); 5]);
        }
        if response {
            request = request.answered(Duration::from_secs(60));
        }
        let cli = kind % 2 == 0;
        request = request.by(if cli { Originator::Cli } else { Originator::Daemon });
        request.receipt_limit = Duration::from_secs(60);
        let (meant, start) = (if broadcast { 4 } else { 2 }, Instant::now());
        good(a, &mut request);
        assert!(start.elapsed() < Duration::from_secs(30), "early completion");
        if receipt {
            let addressed = |n: usize| if n < meant { ReceiptState::Delivered } else { ReceiptState::NotAddressed };
            let expected = ["b", "c", "d", "e"].into_iter().enumerate().map(|(n, name)| (name, addressed(n)));
            let expected: Vec<_> = [("a", ReceiptState::Own)].into_iter().chain(expected).collect();
            assert_eq!(states(&request), expected, "kind {kind}");
        }
        assert_eq!(request.ticket.is_some(), receipt || response);
        if response {
            assert_eq!(entries(a, &request), meant, "an entry for each response that is expected");
        }
        for vios in &mut others[..meant] {
            let came = got(vios);
            let (header, sub) = (came.packet.header, &came.packet.sub);
            assert_eq!(
                (came.node_name.as_str(), &came.what, &*came.packet.payload),
                ("a", &What::Request, &b"payload"[..])
            );
            assert_eq!((header.receipt, sub.response, sub.broadcast), (receipt, response, broadcast), "kind {kind}");
            assert_eq!((header.origin, sub.opcode), (if cli { Origin::Cli } else { Origin::Api }, kind + 1));
            assert_eq!((header.transaction, came.head().receipt), (request.header.transaction, receipt));
            assert_eq!(came.wants_response(), response);
            let answered = vios.respond(&came, Status::GOOD, b"answer");
            assert_eq!(answered.is_ok(), response);
        }
        let mut from = Vec::new();
        while let Some(answer) = a.response(&mut request, Some(SOON)).unwrap() {
            assert_eq!((answer.status, &*answer.packet.payload), (Status::GOOD, &b"answer"[..]));
            from.push(answer.node_name);
        }
        from.sort();
        assert_eq!(from, if response { ["b", "c", "d", "e"][..meant].to_vec() } else { vec![] }, "each once");
        assert_eq!((request.settled, request.unanswered.len()), (receipt || response, 0));
        // Nobody else saw anything of it, and the responses went to the asker alone.
        assert!(nothing(a) && others.iter_mut().all(nothing), "kind {kind}");
    }
    Ok(())
}

/// One of three others stops: at the time limit, counted from the sending, its entry is marked. Another try with the same
/// transaction goes to it alone, and it has the message once.
///
/// PROTOCOL 12.12.
/// Rows: VI-25, VI-28, VI-29.
#[test]
fn a_receipt_that_does_not_come_is_marked_and_sent_for_again() -> Result<()> {
    let net = Net::new()?;
    let nodes = crate::topology::mesh_of(&net, 4, |config| config.heartbeat(500, 40))?;
    let mut all = nodes.iter().map(|node| daemon(node, &nodes[0], &[])).collect::<Result<Vec<_>>>()?;
    nodes[3].signal(Signal::STOP);
    let mut request = Request::broadcast(1, "once").confirmed(vec![Receipt::default(); 4]);
    request.receipt_limit = Duration::from_millis(700);
    let start = Instant::now();
    let status = all[0].submit(&mut request).unwrap();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(690) && took < Duration::from_secs(5), "{took:?}");
    let late = ReceiptState::Failed(Status::new(Code::TimedOut));
    let (own, there) = (ReceiptState::Own, ReceiptState::Delivered);
    assert_eq!(states(&request), [("a", own), ("b", there), ("c", there), ("d", late)]);
    assert_eq!((status, request.header.status), (Status::new(Code::TimedOut), status));
    // While it is stopped, again in vain.
    let transaction = request.header.transaction;
    assert_eq!(all[0].resend(&mut request).unwrap(), Status::new(Code::TimedOut));
    nodes[3].signal(Signal::CONT);
    request.receipt_limit = SOON;
    assert_eq!(all[0].resend(&mut request).unwrap(), Status::GOOD);
    assert_eq!(states(&request), [("a", own), ("b", there), ("c", there), ("d", there)]);
    assert_eq!(request.header.transaction, transaction);
    assert_eq!(all[0].resend(&mut request).unwrap(), Status::new(Code::NotFound), "all gave their receipts");
    for vios in &mut all[1..] {
        assert_eq!(got(vios).packet.header.transaction, transaction);
        assert!(nothing(vios), "exactly once");
    }
    Ok(())
}

/// The array is too small: nothing goes out and the length that is needed is told; with that it works. A node joins between two
/// sends, and one more is needed; an array that may grow does. A node that leaves stays registered, as one that failed.
///
/// Rows: VI-24, VI-32, VI-33, VI-34, VI-35, VI-56.
#[test]
fn the_array_has_an_entry_for_each_registered_node() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = mesh(&net, 2)?;
    let mut a = daemon(&nodes[0], &nodes[0], &[])?;
    let mut b = daemon(&nodes[1], &nodes[0], &[])?;
    let mut request = Request::broadcast(1, "payload").confirmed(vec![Receipt::default(); 1]);
    let refused = a.submit(&mut request).unwrap();
    assert_eq!((refused, request.sub.receipts_len), (Status::with(Code::NoSpace, 2), 2));
    assert_eq!((request.header.status, refused.tier()), (refused, Tier::Call));
    assert!(nothing(&mut b) && request.ticket.is_none(), "nothing was sent");
    request.receipts = Some(vec![Receipt::default(); 2]);
    good(&mut a, &mut request);
    assert_eq!(
        (request.header.status, request.sub.receipts_len, &*request.payload),
        (Status::GOOD, 2, &b"payload"[..])
    );
    assert_eq!(got(&mut b).packet.payload, b"payload");

    nodes.push(Node::start(&net, &net.space("c")?, Config::new("c", 3))?);
    let nodes = joined(nodes)?;
    let mut c = daemon(&nodes[2], &nodes[0], &[])?;
    let mut second = Request::broadcast(2, "x").confirmed(vec![Receipt::default(); 2]);
    assert_eq!(a.submit(&mut second).unwrap(), Status::with(Code::NoSpace, 3));
    assert!(nothing(&mut b) && nothing(&mut c));
    second.grow = true;
    good(&mut a, &mut second);
    assert_eq!(second.receipts.as_ref().unwrap().len(), 3);
    assert!(got(&mut b).packet.sub.opcode == 2 && got(&mut c).packet.sub.opcode == 2);
    // More room than is needed is no harm.
    let mut third = Request::broadcast(3, "x").confirmed(vec![Receipt::default(); 9]);
    good(&mut a, &mut third);
    let empty = third.receipts.iter().flatten().filter(|entry| entry.state == ReceiptState::Empty).count();
    assert_eq!((empty, third.sub.receipts_len), (6, 3));

    drop(c);
    let mut nodes = nodes;
    nodes[2].stop()?;
    nodes[0].wait_state("c", "down", SOON)?;
    let mut fourth = Request::broadcast(4, "x").confirmed(vec![Receipt::default(); 3]);
    assert_eq!(a.submit(&mut fourth).unwrap(), Status::new(Code::NodeDown));
    assert_eq!(
        states(&fourth)[1..],
        [("b", ReceiptState::Delivered), ("c", ReceiptState::Failed(Status::new(Code::NodeDown))),]
    );
    Ok(())
}

/// The node gives the receipt before its client has the message: a client that is stopped, or not there, makes no difference. What
/// the daemon then does with the message is another matter. A client that is killed leaves the node alive.
///
/// PROTOCOL 14.6.
/// Rows: VI-02, VI-30, VI-31.
#[test]
fn receipts_are_the_nodes_and_not_the_daemons() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 3)?;
    let mut a = daemon(&nodes[0], &nodes[0], &[])?;
    let mut c = daemon(&nodes[2], &nodes[0], &[])?;
    let mut client = receiver(&nodes[1], &nodes[0], "vios", &["--retain", "60"])?;
    client.signal(Signal::STOP);
    let mut request = Request::broadcast(1, "x").confirmed(vec![Receipt::default(); 3]).answered(SOON);
    good(&mut a, &mut request);
    // Delivered there, and refused by the daemon here.
    let came = got(&mut c);
    c.respond(&came, Status::with(Code::Failed, 9), b"no").unwrap();
    let answer = a.response(&mut request, Some(SOON)).unwrap().unwrap();
    assert_eq!((&*answer.node_name, answer.status), ("c", Status::with(Code::Failed, 9)));
    assert_eq!(states(&request)[1..], [("b", ReceiptState::Delivered), ("c", ReceiptState::Delivered)]);
    client.kill();
    eventually(SOON, "its end", || Ok((count(&nodes[1], "guests")? == 0).then_some(())))?;
    drop(c);
    eventually(SOON, "its end", || Ok((count(&nodes[2], "guests")? == 0).then_some(())))?;
    // Nobody is there, and both nodes confirm; who comes later has it.
    let mut request = Request::broadcast(2, "y").confirmed(vec![Receipt::default(); 3]);
    good(&mut a, &mut request);
    let mut c = daemon(&nodes[2], &nodes[0], &[])?;
    assert_eq!(got(&mut c).packet.sub.opcode, 2);
    let (lines, kept) = received(receiver(&nodes[1], &nodes[0], "vios", &["--count", "1"])?)?;
    assert!(kept && !lines.is_empty());
    Ok(())
}

/// Neither a plain send nor one with a flag and no array waits for anything, though all peers are stopped.
///
/// Rows: VI-20, VI-21, VI-22.
#[test]
fn a_plain_send_waits_for_nothing() -> Result<()> {
    let net = Net::new()?;
    let nodes = crate::topology::mesh_of(&net, 3, |config| config.heartbeat(500, 40))?;
    let mut all = nodes.iter().map(|node| daemon(node, &nodes[0], &[])).collect::<Result<Vec<_>>>()?;
    for node in &nodes[1..] {
        node.signal(Signal::STOP);
    }
    let plain = Request::broadcast(1, "x");
    let mut null = Request::broadcast(2, "x").confirmed(Vec::new());
    null.receipts = None;
    let empty = Request::broadcast(3, "x").confirmed(Vec::new());
    let start = Instant::now();
    for mut request in [plain, null, empty] {
        good(&mut all[0], &mut request);
        assert_eq!((request.ticket, request.sub.receipts), (None, 0));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    for node in &nodes[1..] {
        node.signal(Signal::CONT);
    }
    for vios in &mut all[1..] {
        let flags = [(); 3].map(|()| got(vios).packet.header.receipt);
        assert_eq!(flags, [false, true, true]);
    }
    Ok(())
}

/// Two of five by their addresses: only these. An address of nobody is an error of that entry and no other.
///
/// PROTOCOL 12.13.
/// Rows: VI-09, VI-17, VI-19.
#[test]
fn directed_requests_reach_their_addresses() -> Result<()> {
    let net = Net::new()?;
    let (nodes, mut all) = cluster(&net, 5)?;
    let ip = |text: &str| Address::Ip(text.parse().unwrap());
    let to =
        [ip(&nodes[1].config().ipv4()), ip("10.99.99.99"), Address::Name("d".into()), names(&["nobody"]).remove(0)];
    let mut request = Request::directed(1, to, "x").confirmed(vec![Receipt::default(); 5]);
    good(&mut all[0], &mut request);
    let told: Vec<Code> = request.to.iter().map(|destination| destination.status.code).collect();
    assert_eq!(told, [Code::Good, Code::NotFound, Code::Good, Code::NotFound]);
    for n in [1, 3] {
        let targets: Vec<u32> = got(&mut all[n]).packet.sub.targets.iter().map(|node| node.get()).collect();
        assert_eq!(targets, [2, 4], "it carries each target");
    }
    assert!([0, 2, 4].into_iter().all(|n| nothing(&mut all[n])));
    // What cannot be is refused here, and nobody gets anything.
    let mut nobody = Request::directed(1, [ip("10.99.99.99")], "x");
    assert_eq!(all[0].submit(&mut nobody).unwrap(), Status::new(Code::NotFound));
    let mut both = Request { to: request.to.clone(), ..Request::broadcast(1, "x") };
    assert_eq!(all[0].submit(&mut both).unwrap(), Status::new(Code::Invalid));
    let mut response = Request::broadcast(0x8001, "x");
    assert_eq!(all[0].submit(&mut response).unwrap(), Status::new(Code::Invalid));
    let mut large = Request::broadcast(1, vec![0; (15 << 20) + 1]);
    assert_eq!(all[0].submit(&mut large).unwrap().code, Code::TooLarge);
    assert!(all[0].submit_packet(b"VIOS\x01 and nothing that makes sense").is_err());
    assert!(all.iter_mut().all(nothing));
    Ok(())
}
