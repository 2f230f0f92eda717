//! What only the Ethernet carrier does: strangers, padding, filters, and an interface that comes and goes.

use crate::pair::{End, PATIENCE, bytes, ether_in, rung, wired};
use fabric::{
    Address, Batch, Carrier, Channel, Medium, Message, Origin, Peer, SendError, View,
    ether::{ETHER_TYPE, Ether, EtherError, MacAddr},
};
use minet_tests::{Netns, cable};
use std::time::{Duration, Instant};

const ALL: MacAddr = MacAddr(255, 255, 255, 255, 255, 255);

/// What is there, waiting for it.
fn next(ether: &mut Ether) -> Vec<(Origin, Vec<u8>)> {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut batch = Batch::new();
        ether.receive(&mut batch).unwrap();
        let all: Vec<_> = batch.iter().map(|received| (received.origin, bytes(received.bytes))).collect();
        drop(batch);
        ether.release();
        if !all.is_empty() {
            return all;
        }
        assert!(Instant::now() < end, "nothing came");
        if ether.arm() {
            rung(ether, Duration::from_millis(100));
        }
        ether.disarm();
    }
}

fn send(ether: &mut Ether, channel: u32, text: &[u8]) -> Result<(), SendError> {
    ether.send(Channel(channel), &[Message { parts: &[View::from(text)] }]).1
}

/// Lets the carrier look as a lane does, until its medium is as wanted.
fn until(ether: &mut Ether, what: &str, wanted: impl Fn(Medium) -> bool) -> Medium {
    let end = Instant::now() + PATIENCE;
    while !wanted(ether.medium()) {
        assert!(Instant::now() < end, "{what}: it is {:?}", ether.medium());
        if ether.arm() {
            rung(ether, PATIENCE);
        }
        ether.disarm();
        ether.receive(&mut Batch::new()).unwrap();
        ether.release();
    }
    ether.medium()
}

fn is_up(medium: Medium) -> bool {
    matches!(medium, Medium::Up { .. })
}

/// PROTOCOL 10.1, 10.2: a frame as short as Ethernet pads it.
#[test]
fn a_stranger_calls_all_and_is_answered() {
    let (_net, [a, b]) = wired("1500");
    let (mut a, mut b) = (ether_in(&a, "e0"), ether_in(&b, "e0"));
    a.attach(Channel(0), Peer::Ether(ALL)).unwrap();
    send(&mut a, 0, b"anybody?").unwrap();
    let from = Origin::Stranger(Address::Ether(a.local()));
    assert_eq!(next(&mut b), [(from, b"anybody?".to_vec())]);
    b.attach(Channel(4), Peer::Ether(a.local())).unwrap();
    send(&mut b, 4, b"").unwrap();
    assert_eq!(next(&mut a), [(Origin::Stranger(Address::Ether(b.local())), Vec::new())]);
    send(&mut a, 0, b"again").unwrap();
    assert_eq!(next(&mut b), [(Origin::Channel(Channel(4)), b"again".to_vec())]);
    b.detach(Channel(4));
    send(&mut a, 0, b"once more").unwrap();
    assert_eq!(next(&mut b), [(from, b"once more".to_vec())]);
    for wrong in [MacAddr(0, 0, 0, 0, 0, 0), MacAddr(1, 0, 0x5e, 0, 0, 1)] {
        assert!(b.attach(Channel(9), Peer::Ether(wrong)).is_err(), "{wrong}");
    }
}

/// Other EtherTypes, frames for others that a promiscuous interface sees, and frames that say more than they hold.
#[test]
fn what_is_not_ours_is_not_seen() {
    let (_net, [left, right]) = wired("1500");
    right.ip(&["link", "set", "e0", "promisc", "on"]).unwrap();
    let (mut a, mut b) = (ether_in(&left, "e0"), ether_in(&right, "e0"));
    a.attach(Channel(0), Peer::Ether(MacAddr(2, 9, 9, 9, 9, 9))).unwrap();
    a.attach(Channel(1), Peer::Ether(b.local())).unwrap();
    for _ in 0..50 {
        send(&mut a, 0, b"for another").unwrap();
    }
    left.ip(&["address", "add", "192.0.2.1/24", "dev", "e0"]).unwrap();
    let mut ping = left.command("ping", &["-c", "1", "-W", "1", "192.0.2.2"]);
    assert_eq!(ping.output().unwrap().status.code(), Some(1), "an ARP request that nobody answers");
    raw(&left, b.local(), a.local(), &[0xff, 0xff, 1, 2, 3]);
    send(&mut a, 1, b"for b").unwrap();
    let from = Origin::Stranger(Address::Ether(a.local()));
    assert_eq!(next(&mut b), [(from, b"for b".to_vec())]);
    assert_eq!((b.counts().received, b.counts().malformed), (1, 1));
}

/// Sends a frame of our EtherType with this payload.
fn raw(space: &Netns, to: MacAddr, from: MacAddr, payload: &[u8]) {
    let frame = [&to.octets()[..], &from.octets()[..], &ETHER_TYPE.to_be_bytes()[..], payload].concat();
    let octal: String = frame.iter().map(|byte| format!("\\{byte:03o}")).collect();
    space.run("sh", &["-c", &format!("printf '{octal}' | socat -u - INTERFACE:e0")]).unwrap();
}

/// PROTOCOL 10.4.
#[test]
fn an_interface_that_is_unplugged_switched_off_or_renamed_is_followed() {
    let (_net, [left, right]) = wired("1500");
    let (mut a, mut b) = (ether_in(&left, "e0"), ether_in(&right, "e0"));
    a.attach(Channel(0), Peer::Ether(b.local())).unwrap();
    let before = until(&mut a, "up at first", is_up);
    assert!(matches!(before, Medium::Up { message: 1498, .. }), "{before:?}");
    for (space, own) in [(&left, true), (&right, false)] {
        space.ip(&["link", "set", "e0", "down"]).unwrap();
        until(&mut a, "down", |medium| medium == Medium::Down);
        assert_eq!(send(&mut a, 0, b"lost"), Ok(()));
        assert!(a.counts().send_failed > 0, "own: {own}");
        space.ip(&["link", "set", "e0", "up"]).unwrap();
        until(&mut b, "up at the other end", is_up);
        assert_ne!(until(&mut a, "up again", is_up), before, "told apart from what it was");
        send(&mut a, 0, b"back").unwrap();
        assert_eq!(next(&mut b)[0].1, b"back");
    }
    left.ip(&["link", "set", "e0", "name", "other"]).unwrap();
    let end = Instant::now() + PATIENCE;
    while a.interface() != "other" {
        assert!(Instant::now() < end);
        a.receive(&mut Batch::new()).unwrap();
        a.release();
        a.arm();
        a.disarm();
    }
    send(&mut a, 0, b"renamed").unwrap();
    assert_eq!(next(&mut b)[0].1, b"renamed");
}

#[test]
fn an_interface_that_is_removed_is_taken_up_when_it_is_made_again() {
    let (_net, [left, right]) = wired("1500");
    let mut a = ether_in(&left, "e0");
    let mut late = ether_in(&left, "e7");
    assert_eq!(late.medium(), Medium::Down);
    left.ip(&["link", "delete", "e0"]).unwrap();
    until(&mut a, "gone", |medium| medium == Medium::Down);
    cable((&left, "e0", &[]), (&right, "e0", &[])).unwrap();
    let mut b = ether_in(&right, "e0");
    until(&mut a, "made again", is_up);
    a.attach(Channel(0), Peer::Ether(b.local())).unwrap();
    send(&mut a, 0, b"new cable").unwrap();
    assert_eq!(next(&mut b), [(Origin::Stranger(Address::Ether(a.local())), b"new cable".to_vec())]);
    cable((&left, "e7", &[]), (&right, "e7", &[])).unwrap();
    until(&mut late, "there at last", is_up);
}

#[test]
fn a_larger_mtu_is_taken_up() {
    let (_net, [left, right]) = wired("1500");
    let (mut a, mut b) = (ether_in(&left, "e0"), ether_in(&right, "e0"));
    a.attach(Channel(0), Peer::Ether(b.local())).unwrap();
    let long = vec![7; 8998];
    assert_eq!(send(&mut a, 0, &long), Err(SendError::TooLong(1498)));
    for space in [&left, &right] {
        space.ip(&["link", "set", "e0", "mtu", "9000"]).unwrap();
    }
    for ether in [&mut a, &mut b] {
        until(ether, "the new MTU", |medium| matches!(medium, Medium::Up { message: 8998, .. }));
    }
    send(&mut a, 0, &long).unwrap();
    assert_eq!(next(&mut b)[0].1, long);
}

#[test]
fn what_cannot_carry_is_refused_with_a_reason() {
    let (_net, [left, _]) = wired("1500");
    let open = |name: &str| {
        let mut error = None;
        let opened = left.inside(|| match Ether::open(name) {
            Ok(_) => Ok(()),
            Err(e) => {
                error = Some(e);
                Err(std::io::ErrorKind::Other.into())
            }
        });
        assert!(opened.is_err());
        error.unwrap()
    };
    assert_eq!(open("lo").to_string(), "interface lo is no Ethernet");
    assert!(matches!(open("a/b"), EtherError::Name(_)));
    assert!(matches!(open("sixteen-characte"), EtherError::Name(_)));
}

#[test]
fn shared_handles_send_from_the_same_interface() {
    let (_net, [left, right]) = wired("1500");
    let (a, mut b) = (ether_in(&left, "e0"), ether_in(&right, "e0"));
    let mut second = a.share().unwrap();
    second.attach(Channel(3), Peer::Ether(b.local())).unwrap();
    send(&mut second, 3, b"from the second").unwrap();
    assert_eq!(next(&mut b), [(Origin::Stranger(Address::Ether(a.local())), b"from the second".to_vec())]);
    second.receive(&mut Batch::new()).unwrap();
    assert!(second.waker().is_some() && second.counts().received == 0);
}

/// Batches go in few calls.
#[test]
fn many_messages_take_few_calls() {
    let (_net, [left, right]) = wired("1500");
    let (mut a, mut b) = (ether_in(&left, "e0"), ether_in(&right, "e0"));
    a.attach(Channel(0), Peer::Ether(b.local())).unwrap();
    let mut end = End { carrier: Box::new(a), channel: Channel(0) };
    let text = [7; 1400];
    let parts = [View::from(&text[..100]), View::from(&text[100..])];
    assert_eq!(end.carrier.send(Channel(0), &[Message { parts: &parts }; 512]), (512, Ok(())));
    assert_eq!(end.carrier.counts().calls, 8);
    let mut all = 0;
    while all < 512 {
        all += next(&mut b).len();
    }
    assert!(b.counts().calls <= 20, "{} calls", b.counts().calls);
}
