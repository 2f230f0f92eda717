//! The same image source on another processor: nothing above one folder knows which it is.

use super::{ask, curl, direct::talk_without_their_host, image_for, swap::Rig, topology, wait_life};
use iop_node::ports::{disk, requests};
use messenger::Status;
use minet_tests::{Net, Ping, Result, SOON};
use std::time::Duration;

/// A machine with a RISC-V processor boots, answers `ping`, HTTP and requests, keeps blocks, and comes back when it is killed and
/// when it is reset.
///
/// Rows: IM-3, IM-4, IM-7.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn a_machine_of_another_processor_is_a_host_like_any_other() -> Result<()> {
    let image = image_for("riscv64", "qemu-system-misc")?;
    let net = Net::new()?;
    let [a, b] = topology(&net, &image)?;
    for node in [&a, &b] {
        for ip in ["10.77.0.9", "fd4d::9"] {
            let report = Ping::new(ip, 20).every(Duration::from_millis(20)).run(node.space())?;
            assert_eq!(report.received, 20, "{report:?}");
        }
        let page = curl(node, "http://10.77.0.9/")?.stdout;
        assert!(page.contains("bare riscv64, no operating system"), "{page}");
    }
    let blocks: Vec<u8> = (0..64 * 512).map(|n| (n % 251) as u8).collect();
    assert!(ask(&b, "iop/io1/disk", disk::WRITE, &disk::write_request(5, &blocks))?.status().is_good());
    let read = ask(&a, "iop/io1/disk", disk::READ, &disk::read_request(5, 64))?.answers.remove(0).payload;
    assert!(read == blocks);

    let pid = wait_life(&a, 1)?["pid"].to_string();
    a.space().run("kill", &["-KILL", &pid])?;
    wait_life(&a, 2)?;
    a.ask(&["iop", "reset", "io1"])?;
    wait_life(&a, 3)?;
    a.wait_members(3, SOON)?;
    assert_eq!(Ping::new("10.77.0.9", 5).run(a.space())?.received, 5);
    assert_eq!(ask(&a, "iop/io1/requests", requests::ECHO, b"x")?.status(), Status::GOOD);
    Ok(())
}

/// Machines of that processor meet each other over memory of their own, too.
#[test]
#[ignore = "long: left out by `cargo xtask test --quick`"]
fn machines_of_another_processor_talk_while_their_host_stands_still() -> Result<()> {
    talk_without_their_host(&Rig::new(Some(image_for("riscv64", "qemu-system-misc")?), 2)?)
}
