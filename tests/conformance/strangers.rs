//! What comes to a UDP port from anybody.

use crate::pair::{PATIENCE, bytes, rung};
use fabric::{
    AttachError, Batch, Carrier, Channel, Message, Origin, Peer, View,
    udp::{Udp, UdpError},
};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

fn any() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn next(udp: &mut Udp) -> Vec<(Origin, Vec<u8>)> {
    // What one call brought in but did not hand out no longer makes the socket readable; `arm` says so.
    assert!(!udp.arm() || rung(udp, PATIENCE));
    let mut batch = Batch::new();
    udp.receive(&mut batch).unwrap();
    let all = batch.iter().map(|received| (received.origin, bytes(received.bytes))).collect();
    drop(batch);
    udp.release();
    all
}

#[test]
fn a_stranger_is_told_apart_and_may_be_attached() {
    let mut udp = Udp::bind(any()).unwrap();
    let stranger = UdpSocket::bind(any()).unwrap();
    let from = stranger.local_addr().unwrap();
    stranger.send_to(b"may I?", udp.local()).unwrap();
    assert_eq!(next(&mut udp), [(Origin::Stranger(from.into()), b"may I?".to_vec())]);
    udp.attach(Channel(4), Peer::Address(from)).unwrap();
    assert!(matches!(udp.attach(Channel(5), Peer::Address(from)), Err(AttachError::InUse(Channel(4)))));
    stranger.send_to(b"", udp.local()).unwrap();
    assert_eq!(next(&mut udp), [(Origin::Channel(Channel(4)), Vec::new())]);
    udp.detach(Channel(4));
    stranger.send_to(b"again", udp.local()).unwrap();
    assert_eq!(next(&mut udp), [(Origin::Stranger(from.into()), b"again".to_vec())]);
}

#[test]
fn a_socket_of_version_6_reaches_both() {
    let mut udp = Udp::bind("[::]:0".parse().unwrap()).unwrap();
    let old = UdpSocket::bind(any()).unwrap();
    old.connect((Ipv4Addr::LOCALHOST, udp.local().port())).unwrap();
    udp.attach(Channel(0), Peer::Address(old.local_addr().unwrap())).unwrap();
    old.send(b"four").unwrap();
    assert_eq!(next(&mut udp), [(Origin::Channel(Channel(0)), b"four".to_vec())]);
    assert_eq!(udp.send(Channel(0), &[Message { parts: &[View::from(&b"back"[..])] }]), (1, Ok(())));
    let mut bytes = [0; 8];
    assert_eq!(old.recv(&mut bytes).unwrap(), 4);
    let mut old = Udp::bind(any()).unwrap();
    assert!(old.attach(Channel(0), Peer::Address("[::1]:9".parse().unwrap())).is_err());
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let first = Udp::bind(any()).unwrap();
    let error = Udp::bind(first.local()).err().unwrap();
    assert!(matches!(error, UdpError::InUse(_)));
    assert_eq!(error.to_string(), format!("UDP port {} is in use on 127.0.0.1", first.local().port()));
    assert!(matches!(Udp::bind("192.0.2.1:1".parse().unwrap()), Err(UdpError::NoSuchAddress(_))));
}

#[test]
fn an_unreachable_peer_is_counted_and_nothing_more() {
    let mut udp = Udp::bind(any()).unwrap();
    let nobody = UdpSocket::bind(any()).unwrap().local_addr().unwrap();
    udp.attach(Channel(0), Peer::Address(nobody)).unwrap();
    udp.attach(Channel(1), Peer::Address("255.255.255.255:9".parse().unwrap())).unwrap();
    for _ in 0..10 {
        for channel in [Channel(0), Channel(1)] {
            let (sent, end) = udp.send(channel, &[Message { parts: &[View::from(&b"x"[..])] }; 3]);
            assert_eq!((sent, end), (3, Ok(())));
        }
        udp.receive(&mut Batch::new()).unwrap();
        udp.release();
    }
    assert!(udp.counts().send_failed >= 30, "broadcasts are not permitted");
    assert_eq!(udp.counts().sent, 60);
}

#[test]
fn shared_handles_send_from_the_same_port() {
    let mut first = Udp::bind(any()).unwrap();
    let mut second = first.share().unwrap();
    let mut peer = Udp::bind(any()).unwrap();
    peer.attach(Channel(0), Peer::Address(first.local())).unwrap();
    second.attach(Channel(3), Peer::Address(peer.local())).unwrap();
    first.attach(Channel(9), Peer::Address(peer.local())).unwrap();
    second.send(Channel(3), &[Message { parts: &[View::from(&b"from the second"[..])] }]).1.unwrap();
    assert_eq!(next(&mut peer), [(Origin::Channel(Channel(0)), b"from the second".to_vec())]);
    peer.send(Channel(0), &[Message { parts: &[View::from(&b"to the first"[..])] }]).1.unwrap();
    assert_eq!(next(&mut first), [(Origin::Channel(Channel(9)), b"to the first".to_vec())]);
    second.receive(&mut Batch::new()).unwrap();
    assert!(second.waker().is_some() && second.counts().received == 0);
}

#[test]
fn runs_of_equal_messages_take_few_calls() {
    let (mut a, mut b) = (Udp::bind(any()).unwrap(), Udp::bind(any()).unwrap());
    a.attach(Channel(0), Peer::Address(b.local())).unwrap();
    let bytes = vec![7; 1400];
    let parts = [View::from(&bytes[..100]), View::from(&bytes[100..])];
    let (sent, end) = a.send(Channel(0), &[Message { parts: &parts }; 500]);
    assert_eq!((sent, end), (500, Ok(())));
    assert!(a.counts().calls <= 2, "{} calls", a.counts().calls);
    let mut all = Vec::new();
    while all.len() < 500 {
        all.extend(next(&mut b));
    }
    assert!(all.iter().all(|(_, message)| *message == bytes));
    assert!(b.counts().calls <= 16, "{} calls", b.counts().calls);
}
