//! Random and truncated bytes on every socket: counted, never a crash, and nobody else suffers.

use crate::topology::{joined, mesh, udp_configs, udp_spaces};
use minet_tests::{Net, Node, Ping, Result, SOON};
use std::{
    fs,
    io::Write,
    net::UdpSocket,
    os::unix::{fs::FileTypeExt, net::UnixStream},
    time::Duration,
};

/// A small generator (xorshift): the same bytes each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.next() as usize % (most + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }
}

fn still_well(nodes: &mut [Node]) -> Result<()> {
    for node in nodes.iter_mut() {
        assert!(node.is_running(), "{}", node.with_log("it ended".to_owned()));
        assert!(!node.log()?.contains("panicked"), "{}", node.with_log("it panicked".to_owned()));
        node.wait_members(2, SOON)?;
    }
    let report = Ping::new(&nodes[1].config().ipv4(), 10).one_by_one(nodes[0].space())?;
    assert_eq!(report.received, 10);
    Ok(())
}

#[test]
fn bytes_on_the_unix_sockets() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = mesh(&net, 2)?;
    let dir = nodes[0].run_dir().join("default");
    let sockets: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    let sockets: Vec<_> = sockets.iter().filter(|path| fs::metadata(path).unwrap().file_type().is_socket()).collect();
    assert!(sockets.len() >= 4, "a control and a meeting socket of each: {sockets:?}");
    let descriptors = |node: &Node| fs::read_dir(format!("/proc/{}/fd", node.pid())).unwrap().count();
    let before = descriptors(&nodes[0]);
    let mut dice = Dice(7);
    let mut open = Vec::new();
    for turn in 0..400 {
        for path in &sockets {
            // A socket that does not take streams, or has enough callers, refuses: that is an answer too.
            let Ok(mut stream) = UnixStream::connect(path) else { continue };
            stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
            let _ = stream.write_all(&dice.bytes(3000));
            if turn % 50 == 0 {
                // A few callers that say nothing more and stay.
                open.push(stream);
            }
        }
    }
    // One line without end.
    for path in &sockets {
        let Ok(mut stream) = UnixStream::connect(path) else { continue };
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let block = [b'x'; 65536];
        while stream.write_all(&block).is_ok() && !dice.next().is_multiple_of(100) {}
    }
    still_well(&mut nodes)?;
    drop(open);
    minet_tests::eventually(SOON, "the descriptors of before", || Ok((descriptors(&nodes[0]) <= before).then_some(())))
}

#[test]
fn bytes_on_the_udp_port() -> Result<()> {
    let net = Net::new()?;
    let (left, right) = udp_spaces(&net)?;
    let [a, b] = udp_configs(|config| config);
    let mut nodes = joined(vec![Node::start(&net, &left, a)?, Node::start(&net, &right, b)?])?;
    right.ip(&["address", "add", "10.99.0.66/24", "dev", "u0"])?;
    // A stranger, and somebody who uses the peer's own address.
    let stranger = right.inside(|| UdpSocket::bind("10.99.0.66:0"))?;
    let neighbour = right.inside(|| UdpSocket::bind("10.99.0.2:0"))?;
    let mut dice = Dice(42);
    for turn in 0..20_000_u32 {
        let mut bytes = dice.bytes(if turn % 10 == 0 { 9000 } else { 80 });
        // Half of them begin like a message: version 1 (or another) with a header of 16 bytes, any kind.
        if let [first, kind, ..] = bytes.as_mut_slice()
            && turn % 2 == 0
        {
            *first = if turn % 8 == 0 { 0xf2 } else { 0x12 };
            *kind %= 6;
        }
        let socket = if turn % 3 == 0 { &stranger } else { &neighbour };
        let _ = socket.send_to(&bytes, "10.99.0.1:7400");
    }
    still_well(&mut nodes)?;
    // The log is not filled by it.
    assert!(nodes[0].log()?.lines().count() < 200, "{} lines", nodes[0].log()?.lines().count());
    Ok(())
}
