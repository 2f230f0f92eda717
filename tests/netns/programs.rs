//! Programs that know nothing of MINET.

use crate::topology::mesh;
use minet_tests::{DhcpServer, Error, Iperf, Net, Ping, Result, SOON, Sshd, eventually};
use std::fs;

/// Rows: MN-2.
#[test]
fn a_web_server_and_netcat_work() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let (a, b) = (&nodes[0], &nodes[1]);
    let (v4, v6) = (b.config().ipv4(), b.config().ipv6());
    let site = net.subdir("site")?;
    let page = "x".repeat(200_000);
    fs::write(site.join("page"), &page).unwrap();
    let _server = b.space().spawn("busybox", &["httpd", "-f", "-p", "80", "-h", &site.display().to_string()])?;
    let listening = |port: &str| {
        eventually(SOON, "a listening server", || {
            let said = b.space().run("ss", &["-Hltn", &format!("sport = :{port}")])?.stdout;
            Ok((!said.trim().is_empty()).then_some(()))
        })
    };
    listening("80")?;
    for url in [format!("http://{v4}/page"), format!("http://[{v6}]/page")] {
        let got = a.space().run("busybox", &["wget", "-q", "-O", "-", &url])?.stdout;
        assert!(got == page, "{} bytes of {url}", got.len());
    }
    let netcat = b.space().spawn("nc", &["-l", "-N", "7000"])?;
    listening("7000")?;
    a.space().run("sh", &["-c", &format!("echo over the fabric | nc -N {v4} 7000")])?;
    assert_eq!(netcat.finish(SOON)?.stdout, "over the fabric\n");
    Ok(())
}

/// Rows: MN-4.
#[test]
fn network_tools_work() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let (a, b) = (&nodes[0], &nodes[1]);
    let target = b.config().ipv4();

    assert!(Iperf::new(b.space(), &target, 1).run(a.space())?.gbits > 0.1);
    // On a busy machine the receiving program itself loses now and then, so it has some tries.
    eventually(SOON, "UDP with little loss", || {
        let report = Iperf::new(b.space(), &target, 1).udp(1000, "10M").run(a.space())?;
        if report.lost < 0.05 { Ok(Some(())) } else { Err(Error::unexpected(format!("{report:?}"))) }
    })?;

    let server = Sshd::start(&net, b.space(), &target)?;
    assert!(server.run(a.space(), "echo $SSH_CONNECTION")?.stdout.starts_with(&a.config().ipv4()));
    let (from, to) = (net.dir().join("from"), net.dir().join("to"));
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&from, &bytes).unwrap();
    server.copy(a.space(), &from, &to)?;
    assert!(fs::read(&to).unwrap() == bytes);

    let capture = b.space().spawn("tcpdump", &["-i", "minet0", "-e", "-n", "-l", "-c", "2", "icmp"])?;
    eventually(SOON, "tcpdump listening", || Ok(capture.output()?.stderr.contains("listening on").then_some(())))?;
    Ping::new(&target, 1).run(a.space())?;
    let said = capture.finish(SOON)?.stdout;
    assert!(said.contains(&format!("{} > {}", a.config().mac(), b.config().mac())), "{said}");

    let server = DhcpServer::start(&net, b.space(), "minet0", "10.77.200.10", "10.77.200.20")?;
    let address = server.lease(a.space(), "minet0")?;
    assert_eq!(Ping::new(&address, 2).one_by_one(b.space())?.received, 2);
    Ok(())
}
