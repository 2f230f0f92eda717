//! A node without root and without an interface of the host: TCP/IP in its own process, with ports passed on both ways.

use minet_tests::{Config, Error, Net, Netns, Node, Output, Ping, Process, Result, SOON, Sshd, cable, eventually};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    time::{Duration, Instant},
};

/// A user without any rights (`nobody` on most systems; it needs no entry anywhere).
const NOBODY: u32 = 65_534;

/// Node `b` with an interface, and node `u` of an unprivileged user on another host, with these lines on its segment.
///
/// ```text
///   u 10.77.0.7, no interface   10.99.0.1 ---- 10.99.0.2   b 10.77.0.2 on minet0
/// ```
fn topology(net: &Net, lines: &str) -> Result<[Node; 2]> {
    let (u, b) = (net.space("u")?, net.space("b")?);
    cable((&u, "eth0", &["10.99.0.1/24"]), (&b, "eth0", &["10.99.0.2/24"]))?;
    let listens = Config::new("b", 2).udp("10.99.0.2:7400", &[]).without_shm();
    let b = Node::start(net, &b, listens)?;
    let u = Node::start(net, &u, unprivileged(net, "u", 7)?.userspace(lines))?;
    u.wait_members(2, SOON)?;
    b.wait_members(2, SOON)?;
    Ok([u, b])
}

/// A node of an unprivileged user with a run-time directory of its own.
pub fn unprivileged(net: &Net, name: &str, id: u32) -> Result<Config> {
    // The directory of all is root's; a user may pass through, and has one of its own.
    let passable = fs::set_permissions(net.dir(), fs::Permissions::from_mode(0o711));
    passable.map_err(Error::io("let others pass"))?;
    let run = net.dir().join(format!("run-{name}"));
    fs::create_dir(&run)
        .and_then(|()| chown(&run, Some(NOBODY), Some(NOBODY)))
        .map_err(Error::io("make a directory"))?;
    let config = Config::new(name, id).udp("10.99.0.1:7400", &["10.99.0.2:7400"]).without_shm();
    Ok(config.run_dir(run).user(NOBODY))
}

/// A web server of one page.
fn serve(net: &Net, space: &Netns, place: &str, page: &str) -> Result<Process> {
    let site = net.subdir(&format!("site-{}", space.name()))?;
    fs::write(site.join("page"), page).map_err(Error::io("write a page"))?;
    let server = space.spawn("busybox", &["httpd", "-f", "-p", place, "-h", &site.display().to_string()])?;
    let port = place.rsplit(':').next().unwrap_or(place);
    eventually(SOON, "a listening server", || {
        let said = space.run("ss", &["-Hltn", &format!("sport = :{port}")])?.stdout;
        Ok((!said.trim().is_empty()).then_some(()))
    })?;
    Ok(server)
}

fn curl(space: &Netns, url: &str) -> Result<Output> {
    space.run("curl", &["--silent", "--show-error", "--globoff", "--max-time", "20", url])
}

/// What this host sends to a forwarded port reaches the node: web pages and `ssh`, by name, number and address; the node sees
/// the stack's own address.
#[test]
fn forwarded_ports_lead_to_nodes() -> Result<()> {
    let net = Net::new()?;
    let lines = "forward = [\"8080:b:80\", \"8081:2:80\", \"8082:10.77.0.2:80\", \"8083:[fd4d::2]:80\", \"2222:b:22\"]";
    let [u, b] = topology(&net, lines)?;
    let page = "0123456789abcdef".repeat(200_000);
    let _server = serve(&net, b.space(), "80", &page)?;
    for port in 8080..=8083 {
        let got = curl(u.space(), &format!("http://127.0.0.1:{port}/page"))?.stdout;
        assert!(got == page, "{} bytes through {port}", got.len());
    }
    let server = Sshd::start(&net, b.space(), "10.77.0.2")?;
    let door = ("127.0.0.1", 2222);
    let said = server.run_through(u.space(), door, "echo $SSH_CONNECTION")?.stdout;
    assert!(said.starts_with("10.77.0.7 "), "{said}");
    let (from, to) = (net.dir().join("from"), net.dir().join("to"));
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&from, &bytes).map_err(Error::io("write a file"))?;
    server.copy_through(u.space(), door, &from, &to)?;
    assert!(fs::read(&to).map_err(Error::io("read a file"))? == bytes);
    Ok(())
}

/// A node without an interface answers echo requests; what is said to its exposed ports reaches its host: web pages and `ssh`.
/// Its process has no capability, and its host no interface of it.
#[test]
fn exposed_ports_lead_to_the_host() -> Result<()> {
    let net = Net::new()?;
    let [u, b] = topology(&net, "expose = [\"80:127.0.0.1:8000\", \"22:127.0.0.1:22\"]")?;
    for ip in ["10.77.0.7", "fd4d::7"] {
        assert_eq!(Ping::new(ip, 20).every(Duration::from_millis(20)).run(b.space())?.received, 20);
    }
    let page = "fedcba9876543210".repeat(200_000);
    let _server = serve(&net, u.space(), "127.0.0.1:8000", &page)?;
    for url in ["http://10.77.0.7/page", "http://[fd4d::7]/page"] {
        let got = curl(b.space(), url)?.stdout;
        assert!(got == page, "{} bytes of {url}", got.len());
    }
    let server = Sshd::start(&net, u.space(), "127.0.0.1")?;
    assert_eq!(server.run_through(b.space(), ("10.77.0.7", 22), "echo here")?.stdout, "here\n");

    let links = u.space().ip(&["-brief", "link"])?.stdout;
    assert!(links.lines().all(|line| line.starts_with("lo ") || line.starts_with("eth0@")), "{links}");
    let status = fs::read_to_string(format!("/proc/{}/status", u.pid())).map_err(Error::io("read a status"))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    assert_eq!((field("CapEff:"), field("CapPrm:")), ("0000000000000000", "0000000000000000"));
    assert!(field("Uid:").starts_with("65534"), "{status}");
    Ok(())
}

/// Waits until a node's log has these words.
fn wait_log(node: &Node, words: &str) -> Result<()> {
    let look = || Ok(node.log()?.contains(words).then_some(()));
    eventually(SOON, &format!("`{words}` in the log"), look).map_err(|error| node.with_log(error.to_string()))
}

/// An unknown node, a port where nobody listens: the caller is refused at once, and the log says why.
#[test]
fn what_leads_nowhere_is_refused_and_told() -> Result<()> {
    let net = Net::new()?;
    let lines = "forward = [\"8080:nobody:80\", \"8081:b:81\"]\nexpose = [\"80:127.0.0.1:9\"]";
    let [u, b] = topology(&net, lines)?;
    // A reset comes before or after the connection counts as made.
    let refused = |space: &Netns, url: &str| {
        let begun = Instant::now();
        let said = curl(space, url).map(|said| said.stdout);
        let refusal = |e: &Error| ["reset", "Couldn't connect"].iter().any(|words| e.to_string().contains(words));
        assert!(said.as_ref().is_err_and(refusal), "{url}: {said:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{url}: at once");
    };
    refused(u.space(), "http://127.0.0.1:8080/");
    wait_log(&u, "forward 127.0.0.1:8080:nobody:80: no member of the segment has the name or number `nobody`")?;
    wait_log(&u, "(there are: b, u)")?;
    refused(u.space(), "http://127.0.0.1:8081/");
    refused(b.space(), "http://10.77.0.7/");
    wait_log(&u, "a connection for 127.0.0.1:9 is refused: Connection refused")?;
    Ok(())
}

/// A port that is in use, and what is no forward, are told in one line, and nothing is started.
#[test]
fn a_node_that_cannot_forward_does_not_start() -> Result<()> {
    let net = Net::new()?;
    let space = net.space("u")?;
    let _server = serve(&net, &space, "127.0.0.1:8080", "x")?;
    let config = unprivileged(&net, "u", 7)?.udp("127.0.0.1:7400", &[]).userspace("forward = [\"8080:b:80\"]");
    let mut node = Node::launch(&net, &space, config)?;
    assert!(!node.wait_end(SOON)?.success());
    let said = node.log()?;
    let why = "minet: cannot listen at 127.0.0.1:8080 for the forward 127.0.0.1:8080:b:80: Address already in use";
    assert!(said.contains(why), "{said}");
    let minet = minet_tests::minet_binary()?;
    for (args, why) in [
        (&["--stack", "smoltcp", "--forward", "8080:b"][..], "it needs a form like 8080:node7:80"),
        (&["--stack", "smoltcp", "--expose", "22:host:22"], "the part in the middle is no address"),
        (&["--forward", "8080:b:80"], "it needs a user-space stack"),
        (&["--stack", "other"], "possible values: kernel, smoltcp"),
    ] {
        let dir = net.dir().display().to_string();
        let said = space.run(&minet, &[&["run", "--name", "x", "--run-dir", &dir], args].concat());
        assert!(said.as_ref().is_err_and(|e| e.to_string().contains(why)), "{args:?}: {said:?}");
    }
    assert!(!Path::new(&node.control()).exists());
    Ok(())
}
