//! The hot path allocates nothing, on any carrier.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

mod sys;

use fabric::{
    Batch, Carrier, Channel, Message, Peer, View,
    loopback::{Loopback, pair},
    shm::{Listener, Offer, Progress, Shm, connect},
    udp::Udp,
};

const CHANNEL: Channel = Channel(3);

/// Everything a lane does, many times over, with messages of many lengths; also into a full carrier.
fn exercise(a: &mut impl Carrier, b: &mut impl Carrier) {
    let bytes = [7; 1400];
    for round in 0..2000 {
        let parts = [View::from(&bytes[..round % 700]), View::from(&bytes[..700])];
        let _ = a.send(CHANNEL, &[Message { parts: &parts }; 20]);
        if let Ok(mut slot) = a.reserve(CHANNEL, 1400) {
            slot.write(0, View::from(&bytes[..]));
            a.commit(CHANNEL, round % 1400).unwrap();
        }
        a.flush();
        if round % 5 > 0 {
            let mut batch = Batch::new();
            b.receive(&mut batch).unwrap();
            drop(batch);
            b.release();
        }
        for carrier in [&mut *a as &mut dyn Carrier, b] {
            carrier.arm();
            carrier.disarm();
            carrier.limits(CHANNEL).unwrap();
        }
    }
    assert!(b.counts().received > 10_000, "{:?}", b.counts());
}

fn quiet(mut a: impl Carrier, mut b: impl Carrier) {
    // The first round may touch what is made once.
    exercise(&mut a, &mut b);
    let before = sys::allocations();
    exercise(&mut a, &mut b);
    assert_eq!(sys::allocations() - before, 0, "{}", a.kind());
}

#[test]
fn loopback_allocates_nothing() {
    let (at_a, at_b) = pair(100, 2000);
    let (mut a, mut b) = (Loopback::new().unwrap(), Loopback::new().unwrap());
    a.attach(CHANNEL, Peer::Loop(at_a)).unwrap();
    b.attach(CHANNEL, Peer::Loop(at_b)).unwrap();
    quiet(a, b);
}

#[test]
fn shm_allocates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Shm::new().unwrap(), Shm::new().unwrap());
    let offer = |lane: &Shm| Offer {
        doorbells: vec![lane.doorbell().unwrap()],
        ring_size: 1 << 16,
        hello: Vec::new(),
        users: Vec::new(),
    };
    let listener = Listener::bind(directory.path(), "a").unwrap();
    let mut calling = connect(directory.path(), "a", &offer(&b)).unwrap();
    let mut called = listener.accept(&offer(&a)).unwrap().unwrap();
    assert!(matches!(calling.advance().unwrap(), Progress::Pending));
    let Progress::Done(at_a) = called.advance().unwrap() else { panic!("not done") };
    let Progress::Done(at_b) = calling.advance().unwrap() else { panic!("not done") };
    a.attach(CHANNEL, Peer::Shm(at_a.rings.into_iter().next().unwrap())).unwrap();
    b.attach(CHANNEL, Peer::Shm(at_b.rings.into_iter().next().unwrap())).unwrap();
    quiet(a, b);
}

#[test]
fn udp_allocates_nothing() {
    let any = "127.0.0.1:0".parse().unwrap();
    let (mut a, mut b) = (Udp::bind(any).unwrap(), Udp::bind(any).unwrap());
    a.attach(CHANNEL, Peer::Address(b.local())).unwrap();
    b.attach(CHANNEL, Peer::Address(a.local())).unwrap();
    quiet(a, b);
}
