//! How two nodes meet over a unix socket, and what happens when one of them is not one.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use fabric::{
    Batch, Carrier, Channel, Message, Peer, View,
    shm::{BindError, JoinError, Joining, Life, Listener, Offer, Progress, Session, Shm, connect, peers},
};
use std::path::Path;

fn offer(lanes: &[Shm], hello: &[u8]) -> Offer {
    let doorbells = lanes.iter().map(|lane| lane.doorbell().unwrap()).collect();
    Offer { doorbells, ring_size: 1 << 16, hello: hello.to_vec(), users: Vec::new() }
}

fn lanes(count: usize) -> Vec<Shm> {
    (0..count).map(|_| Shm::new().unwrap()).collect()
}

/// Advances both until both are done.
fn finish(mut a: Joining, mut b: Joining) -> Result<(Session, Session), JoinError> {
    let (mut one, mut two) = (None, None);
    for _ in 0..10 {
        if one.is_none()
            && let Progress::Done(session) = a.advance()?
        {
            one = Some(*session);
        }
        if two.is_none()
            && let Progress::Done(session) = b.advance()?
        {
            two = Some(*session);
        }
        if one.is_some() && two.is_some() {
            break;
        }
    }
    Ok((one.unwrap(), two.unwrap()))
}

fn meet(directory: &Path, a: &[Shm], b: &[Shm]) -> (Session, Session) {
    let listener = Listener::bind(directory, "a").unwrap();
    let calling = connect(directory, "a", &offer(b, b"I am b")).unwrap();
    let called = listener.accept(&offer(a, b"I am a")).unwrap().unwrap();
    assert!(listener.accept(&offer(a, b"")).unwrap().is_none());
    finish(called, calling).unwrap()
}

/// PROTOCOL 5.3.
#[test]
fn every_lane_reaches_the_peer_whatever_the_numbers_of_lanes() {
    let directory = tempfile::tempdir().unwrap();
    for (ours, theirs) in [(1, 1), (1, 3), (3, 1), (2, 3), (4, 4)] {
        let (mut a, mut b) = (lanes(ours), lanes(theirs));
        let (at_a, at_b) = meet(directory.path(), &a, &b);
        assert_eq!((at_a.hello.as_slice(), at_b.hello.as_slice()), (&b"I am b"[..], &b"I am a"[..]));
        assert_eq!(at_a.peer.pid, std::process::id());
        assert_eq!((at_a.rings.len(), at_b.rings.len()), (ours, theirs));
        assert_eq!((at_a.life.check(), at_b.life.check()), (Life::Alive, Life::Alive));
        for (lanes, session) in [(&mut a, at_a), (&mut b, at_b)] {
            for (lane, rings) in lanes.iter_mut().zip(session.rings) {
                lane.attach(Channel(3), Peer::Shm(rings)).unwrap();
            }
        }
        for (from, to) in [(0, 1), (1, 0)] {
            let sides = [&mut a, &mut b];
            let senders = sides[from].len();
            for (number, lane) in sides[from].iter_mut().enumerate() {
                let (sent, end) = lane.send(Channel(3), &[Message { parts: &[View::from(&[number as u8][..])] }]);
                assert_eq!((sent, end), (1, Ok(())));
                lane.flush();
            }
            let receivers = sides[to].len();
            let mut seen = vec![0; senders];
            for (number, lane) in sides[to].iter_mut().enumerate() {
                let mut batch = Batch::new();
                lane.receive(&mut batch).unwrap();
                for received in &batch {
                    let mut byte = [0];
                    assert_eq!(received.bytes.copy_to(0, &mut byte), 1);
                    assert_eq!(usize::from(byte[0]) % receivers, number);
                    seen[usize::from(byte[0])] += 1;
                }
                drop(batch);
                lane.release();
            }
            assert_eq!(seen, vec![1; senders]);
        }
    }
}

/// PROTOCOL 5.1.
#[test]
fn a_name_is_taken_once_and_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/minet");
    let first = Listener::bind(&path, "node").unwrap();
    assert_eq!(peers(&path).unwrap(), ["node"]);
    match Listener::bind(&path, "node").unwrap_err() {
        BindError::Busy { name, pid } => assert_eq!((name.as_str(), pid), ("node", Some(std::process::id()))),
        other => panic!("{other}"),
    }
    let _other = Listener::bind(&path, "other").unwrap();
    assert_eq!(peers(&path).unwrap(), ["node", "other"]);
    drop(first);
    assert_eq!(peers(&path).unwrap(), ["other"]);
    assert!(!path.join("node.lock").exists());
    Listener::bind(&path, "node").unwrap();
    assert_eq!(peers(&directory.path().join("none")).unwrap(), [""; 0]);
}

#[test]
fn what_a_dead_node_left_is_seen_as_such_and_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let lane = lanes(1);
    drop(std::os::unix::net::UnixListener::bind(directory.path().join("stale.sock")).unwrap());
    std::fs::write(directory.path().join("stale.lock"), "1\n").unwrap();
    std::fs::write(directory.path().join(".stale.new"), "").unwrap();
    std::fs::write(directory.path().join("file.sock"), "").unwrap();
    for name in ["stale", "file", "none"] {
        assert!(matches!(connect(directory.path(), name, &offer(&lane, b"")), Err(JoinError::NotRunning(_))), "{name}");
    }
    let listener = Listener::bind(directory.path(), "stale").unwrap();
    let _calling = connect(directory.path(), "stale", &offer(&lane, b"")).unwrap();
    assert!(listener.accept(&offer(&lane, b"")).unwrap().is_some());
    Listener::bind(directory.path(), "file").unwrap();
}

/// PROTOCOL 5.4: who still maps the rings is told by the socket's end, whatever the rings say.
#[test]
fn the_end_of_the_socket_is_the_end_of_the_peer() {
    let directory = tempfile::tempdir().unwrap();
    let lane = lanes(1);
    let (at_a, at_b) = meet(directory.path(), &lane, &lane);
    let Session { life, .. } = at_a;
    assert_eq!((life.check(), at_b.life.check()), (Life::Alive, Life::Alive));
    let rings = at_b.rings;
    drop(at_b.life);
    assert_eq!(life.check(), Life::Dead);
    drop(rings);
}

#[test]
fn bad_names_and_directories_are_clear_errors() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["", ".", "..", ".x", "a/b", "a\0b", &"n".repeat(65)] {
        assert!(matches!(Listener::bind(directory.path(), name), Err(BindError::Name(_))), "{name:?}");
        assert!(matches!(connect(directory.path(), name, &offer(&lanes(1), b"")), Err(JoinError::Name(_))));
    }
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(Listener::bind(&file, "a"), Err(BindError::Directory { .. })));
    assert!(matches!(Listener::bind(&file.join("below"), "a"), Err(BindError::Directory { .. })));
    let long = directory.path().join("d".repeat(100));
    assert!(matches!(Listener::bind(&long, "a"), Err(BindError::PathTooLong(_))));
}
