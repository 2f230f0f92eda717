//! Links over UDP that are sealed.

use minet_tests::{Config, Error, Iperf, Net, Netns, Node, Ping, Result, SOON, Trust, cable, eventually};
use std::{fs, path::PathBuf, time::Duration};

/// Two namespaces with a cable, and a key for each.
pub struct Rig {
    pub net: Net,
    pub a: Netns,
    pub b: Netns,
    pub keys: [(PathBuf, String); 2],
}

pub const AT_A: &str = "10.99.0.1:7400";
pub const AT_B: &str = "10.99.0.2:7400";

/// A key file and its public key, made by the command.
pub fn key(net: &Net, space: &Netns, name: &str) -> Result<(PathBuf, String)> {
    let file = net.dir().join(format!("{name}.key"));
    let public = space.run(net.minet()?, &["key", "new", &file.display().to_string()])?.stdout.trim().to_owned();
    Ok((file, public))
}

impl Rig {
    /// ```text
    ///   a u0 ==== u0 b
    /// ```
    pub fn new() -> Result<Self> {
        let net = Net::new()?;
        let (a, b) = (net.space("a")?, net.space("b")?);
        cable((&a, "u0", &["10.99.0.1/24"]), (&b, "u0", &["10.99.0.2/24"]))?;
        let keys = [key(&net, &a, "a")?, key(&net, &b, "b")?];
        Ok(Self { net, a, b, keys })
    }

    pub fn trust(&self, own: usize, members: &[(&str, u32, &str, Option<&str>)]) -> Trust {
        let key = self.keys[own].0.clone();
        let all = members.iter().map(|(n, id, key, at)| ((*n).into(), *id, (*key).into(), at.map(str::to_owned)));
        Trust { book: key.with_extension("trust"), key, rekey: 120, ciphers: Vec::new(), members: all.collect() }
    }

    /// `a` waits to be called by `b`.
    pub fn configs(&self) -> (Config, Config) {
        let a = self.trust(0, &[("b", 2, &self.keys[1].1, None)]);
        let b = self.trust(1, &[("a", 1, &self.keys[0].1, Some(AT_A))]);
        (Config::new("a", 1).sealed(AT_A, a), Config::new("b", 2).sealed(AT_B, b))
    }

    pub fn start(&self, (a, b): (Config, Config)) -> Result<(Node, Node)> {
        Ok((Node::start(&self.net, &self.a, a)?, Node::start(&self.net, &self.b, b)?))
    }
}

pub fn logged(node: &Node, words: &str) -> Result<()> {
    let found = eventually(SOON, words, || Ok(node.log()?.contains(words).then_some(())));
    found.map_err(|e| node.with_log(e.to_string()))
}

#[test]
fn frames_pass_and_nothing_of_them_is_seen_on_the_wire() -> Result<()> {
    let rig = Rig::new()?;
    let (a, b) = rig.start(rig.configs())?;
    a.wait_members(2, SOON)?;
    let file = rig.net.dir().join("wire.pcap");
    let path = file.display().to_string();
    let mut tcpdump = rig.a.spawn("tcpdump", &["-i", "u0", "-U", "-w", &path, "-Z", "root"])?;
    eventually(SOON, "tcpdump", || Ok(tcpdump.output()?.stderr.contains("listening on").then_some(())))?;
    let pattern = "6d696e6574736563726574";
    let sent = Ping::new(&b.config().ipv4(), 5).with(&["-p", pattern, "-s", "400"]).one_by_one(&rig.a)?;
    assert_eq!(sent.received, 5);
    let report = Iperf::new(&rig.b, &b.config().ipv4(), 2).run(&rig.a)?;
    assert!(report.gbits > 0.001, "{}", report.gbits);
    tcpdump.kill();
    let seen = fs::read(&file).map_err(Error::io("read the capture"))?;
    assert!(seen.len() > 100_000, "{} bytes", seen.len());
    assert!(!seen.windows(11).any(|w| w == b"minetsecret"), "in clear text");
    // The IP addresses inside, one behind the other as in a header.
    assert!(!seen.windows(8).any(|w| w == [10, 77, 0, 1, 10, 77, 0, 2]), "inner headers in clear text");
    let status = a.ask(&["status"])?;
    assert_eq!(status["node"]["insecure"], false);
    Ok(())
}

/// Keys are replaced every second under a steady stream; every frame arrives.
#[test]
fn keys_are_replaced_under_load_and_no_frame_is_lost() -> Result<()> {
    let rig = Rig::new()?;
    let (mut a, mut b) = rig.configs();
    for config in [&mut a, &mut b] {
        config.trust.as_mut().unwrap().rekey = 1;
    }
    let (a, b) = rig.start((a, b))?;
    a.wait_members(2, SOON)?;
    let before = b.ask(&["stats"])?["core"]["seal-handshakes"].as_u64().unwrap();
    let pings = Ping::new(&a.config().ipv4(), 1500).every(Duration::from_millis(4)).with(&["-W", "2"]).run(&rig.b)?;
    let after = b.ask(&["stats"])?["core"]["seal-handshakes"].as_u64().unwrap();
    assert!(after >= before + 3, "{before} {after}");
    assert_eq!(pings.received, 1500, "{pings:?}");
    assert_eq!(b.ask(&["links"])?["links"].as_array().unwrap().len(), 1);
    Ok(())
}

#[test]
fn both_may_call_each_other() -> Result<()> {
    let rig = Rig::new()?;
    let (mut a, b) = rig.configs();
    a.trust.as_mut().unwrap().members[0].3 = Some(AT_B.to_owned());
    let (a, b) = rig.start((a, b))?;
    a.wait_members(2, SOON)?;
    b.wait_members(2, SOON)?;
    assert_eq!(Ping::new(&b.config().ipv4(), 5).one_by_one(&rig.a)?.received, 5);
    Ok(())
}

#[test]
fn a_node_in_clear_text_is_not_heard() -> Result<()> {
    let rig = Rig::new()?;
    let (sealed, _) = rig.configs();
    let a = Node::start(&rig.net, &rig.a, sealed)?;
    let b = Node::start(&rig.net, &rig.b, Config::new("b", 2).without_shm().udp(AT_B, &[AT_A]))?;
    logged(&b, "clear text")?;
    // It greets all the time; what it says is refused before anybody looks at it.
    eventually(SOON, "refused datagrams", || {
        let stats = a.ask(&["stats"])?;
        let carriers = stats["carriers"].as_array().unwrap();
        Ok(carriers.iter().any(|c| c["kind"] == "udp" && c["malformed"].as_u64() > Some(3)).then_some(()))
    })?;
    assert_eq!(a.ask(&["links"])?["links"].as_array().unwrap().len(), 0);
    a.wait_members(1, SOON)
}

/// PROTOCOL 6.16.
#[test]
fn a_peer_with_the_right_key_and_another_id_or_name_is_refused() -> Result<()> {
    for (name, id) in [("b", 9), ("thief", 2)] {
        let rig = Rig::new()?;
        let (a, mut b) = rig.configs();
        (b.name, b.id) = (name.to_owned(), id);
        let (a, _b) = rig.start((a, b))?;
        logged(&a, "refused by this node")?;
        a.wait_members(1, SOON)?;
    }
    Ok(())
}

#[test]
fn a_restarted_peer_is_met_again_whoever_called() -> Result<()> {
    let rig = Rig::new()?;
    let (mut a, mut b) = rig.start(rig.configs())?;
    a.wait_members(2, SOON)?;
    for node in [&mut a, &mut b] {
        node.kill();
        node.relaunch()?;
        node.wait_ready()?;
        node.wait_members(2, SOON)?;
    }
    a.wait_members(2, SOON)?;
    assert_eq!(Ping::new(&b.config().ipv4(), 3).one_by_one(&rig.a)?.received, 3);
    Ok(())
}

/// The caller's address changes under a running link; the session goes on from the new one.
///
/// PROTOCOL 6.14.
#[test]
fn a_peer_that_moves_keeps_its_link() -> Result<()> {
    let rig = Rig::new()?;
    let (a, mut b) = rig.configs();
    b.listen = Some("0.0.0.0:7400".to_owned());
    let (a, b) = rig.start((a.heartbeat(100, 100), b.heartbeat(100, 100)))?;
    a.wait_members(2, SOON)?;
    b.wait_members(2, SOON)?;
    let changes = || -> Result<_> {
        let of = |node: &Node| Ok(node.ask(&["links"])?["links"][0]["changes"].clone());
        Ok([of(&a)?, of(&b)?])
    };
    let before = changes()?;
    assert!(before.iter().all(|n| n.is_u64()), "{before:?}");
    rig.b.run("sysctl", &["-q", "-w", "net.ipv4.conf.all.promote_secondaries=1"])?;
    rig.b.ip(&["address", "add", "10.99.0.3/24", "dev", "u0"])?;
    rig.b.ip(&["address", "del", "10.99.0.2/24", "dev", "u0"])?;
    logged(&a, "10.99.0.3:7400 now")?;
    assert_eq!(Ping::new(&b.config().ipv4(), 5).one_by_one(&rig.a)?.received, 5);
    assert_eq!(changes()?, before, "the link was down in between");
    for node in [&a, &b] {
        assert!(!node.log()?.contains("is down"), "{}", node.log()?);
    }
    Ok(())
}
