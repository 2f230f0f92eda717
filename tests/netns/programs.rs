//! Programs that know nothing of MINET.

use crate::topology::{mesh, mesh_of};
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

    Ok(())
}

/// Three nodes without an address of their own; `b` has a DHCP server, and is the router that tells of an IPv6 prefix.
///
/// Rows: MN-4.
#[test]
fn nodes_have_their_addresses_from_a_server_on_another_node() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh_of(&net, 4, |config| match &*config.name {
        "b" => config.addresses(&["10.77.0.2/16", "fd77::2/64"]),
        _ => config.addresses(&[]),
    })?;
    let (b, clients) = (&nodes[1], [&nodes[0], &nodes[2], &nodes[3]]);
    let leases = ("10.77.200.10", "10.77.200.20");
    let server = DhcpServer::start_with_prefix(&net, b.space(), "minet0", leases, "fd77::")?;
    let mut addresses: Vec<String> = Vec::new();
    for client in clients {
        let leased = server.lease(client.space(), "minet0")?;
        assert!(leased.starts_with("10.77.200.") && !addresses.contains(&leased), "{leased} after {addresses:?}");
        let made = eventually(2 * SOON, "an address of the prefix", || {
            let all = client.space().addresses("minet0")?;
            Ok(all.into_iter().find(|address| address.starts_with("fd77:")))
        })?;
        assert!(!addresses.contains(&made), "{made}");
        addresses.extend([leased, made]);
    }
    let (mut all, expected) = (addresses.clone(), clients.len() * 2);
    all.extend([b.config().ipv4(), "fd77::2".to_owned()]);
    assert_eq!(addresses.len(), expected);
    for node in &nodes {
        for address in &all {
            Ping::new(address, 2).one_by_one(node.space()).map_err(|error| node.with_log(error.to_string()))?;
        }
    }
    // The fabric knows who has which, and answers for them.
    for (n, client) in clients.iter().enumerate() {
        let wanted = &addresses[2 * n..2 * n + 2];
        eventually(SOON, "the addresses in the table of members", || {
            let row = b.member(client.name())?;
            let known =
                wanted.iter().all(|address| row["addresses"].as_array().unwrap().contains(&address.as_str().into()));
            if known { Ok(Some(())) } else { Err(Error::unexpected(row.to_string())) }
        })?;
    }
    Ok(())
}
