//! What a single send or receive does.

use super::*;

#[test]
fn each_error_has_its_verdict() {
    let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let mut route = Route::new(address, address.into());
    assert_eq!(route.message, 65_507);
    let mut verdict = |errno: i32, messages: usize| judge(&io::Error::from_raw_os_error(errno), &mut route, messages);
    assert!(matches!(verdict(libc::EAGAIN, 9), Verdict::Full));
    for errno in [libc::EIO, libc::EINVAL, libc::EOPNOTSUPP, libc::ENOPROTOOPT] {
        assert!(matches!(verdict(errno, 9), Verdict::NoRuns));
        assert!(matches!(verdict(errno, 1), Verdict::Lost), "a single one is not a run");
    }
    for errno in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EPERM, libc::EMSGSIZE] {
        assert!(matches!(verdict(errno, 1), Verdict::Lost));
    }
    // The path became smaller since: the run is lost, the next messages are cut to the new limit.
    route.message = 1 << 20;
    assert!(matches!(judge(&io::Error::from_raw_os_error(libc::EINVAL), &mut route, 9), Verdict::Lost));
    assert_eq!(route.message, 65_507);
}

#[test]
fn without_a_route_the_usual_is_guessed() {
    let address: SocketAddr = "255.255.255.255:9".parse().unwrap();
    assert_eq!(Route::new(address, address.into()).message, 1472);
}

/// Without runs, each message goes as a datagram of its own.
#[test]
fn messages_pass_where_runs_do_not() {
    let any = "127.0.0.1:0".parse().unwrap();
    let (mut a, mut b) = (Udp::bind(any).unwrap(), Udp::bind(any).unwrap());
    a.attach(Channel(0), Peer::Address(b.local())).unwrap();
    a.routes[0].as_mut().unwrap().segment = false;
    let parts = [View::from(&[1; 100][..])];
    assert_eq!(a.send(Channel(0), &[Message { parts: &parts }; 150]), (150, Ok(())));
    assert_eq!(a.counts().calls, 3);
    let mut seen = 0;
    while seen < 150 {
        let mut batch = Batch::new();
        b.receive(&mut batch).unwrap();
        assert!(batch.iter().all(|received| received.bytes.len() == 100));
        seen += batch.len();
        drop(batch);
        b.release();
    }
}

/// One message from a raw socket to an address of the host, taken in by the carrier.
fn knock(udp: &mut Udp, peer: &std::net::UdpSocket, at: &str, bytes: &[u8]) {
    peer.send_to(bytes, (at, udp.local().port())).unwrap();
    loop {
        let mut batch = Batch::new();
        udp.receive(&mut batch).unwrap();
        let seen = batch.len();
        drop(batch);
        udp.release();
        if seen > 0 {
            return;
        }
    }
}

/// Where a message of the carrier's comes from.
fn came_from(udp: &mut Udp, peer: &std::net::UdpSocket) -> String {
    let parts = [View::from(&b"x"[..])];
    assert_eq!(udp.send(Channel(0), &[Message { parts: &parts }]), (1, Ok(())));
    peer.recv_from(&mut [0; 9]).unwrap().1.ip().to_string()
}

fn wildcard() -> (Udp, Udp, std::net::UdpSocket) {
    let first = Udp::bind("0.0.0.0:0".parse().unwrap()).unwrap();
    let second = first.share().unwrap();
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    (first, second, peer)
}

#[test]
fn a_handle_that_does_not_receive_finds_a_refused_address_again() {
    let (mut first, mut second, peer) = wildcard();
    knock(&mut first, &peer, "127.0.0.2", b"hello");
    for udp in [&mut first, &mut second] {
        udp.attach(Channel(0), Peer::Address(peer.local_addr().unwrap())).unwrap();
    }
    assert_eq!(came_from(&mut second, &peer), "127.0.0.2");
    // As after EINVAL: what was refused leaves at once from elsewhere, and soon from there again.
    assert!(second.routes[0].as_mut().unwrap().own.forget());
    assert_eq!(came_from(&mut second, &peer), "127.0.0.1");
    assert!((0..100).any(|_| came_from(&mut second, &peer) == "127.0.0.2"));
    // The host has no such address: all that is sent arrives nevertheless.
    first.socket.sources().unwrap().note(peer.local_addr().unwrap(), "192.0.2.1".parse().unwrap());
    assert!((0..100).all(|_| came_from(&mut second, &peer) == "127.0.0.1"));
    assert_eq!(second.counts().send_failed, 0);
    knock(&mut first, &peer, "127.0.0.3", b"x");
    assert_eq!(came_from(&mut second, &peer), "127.0.0.3");
}

#[test]
fn of_strangers_only_greetings_are_noted() {
    let (mut first, mut second, peer) = wildcard();
    first.set_greets(|bytes| bytes.first() == Some(&b'g'));
    knock(&mut first, &peer, "127.0.0.3", b"greeting");
    knock(&mut first, &peer, "127.0.0.2", b"noise");
    second.attach(Channel(0), Peer::Address(peer.local_addr().unwrap())).unwrap();
    assert_eq!(came_from(&mut second, &peer), "127.0.0.3");
}
