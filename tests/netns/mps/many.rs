//! Many filaments, and many messages that nobody receives.

use super::*;
use crate::topology::mesh;
use messenger_mps::SyncSession;

/// A thousand filaments over one conduit, each with a target of its own; and one client over three conduits.
///
/// Rows: MP-04.
#[test]
fn filaments_share_conduits() -> Result<()> {
    const FILAMENTS: u32 = 1000;
    let net = Net::new()?;
    let nodes = mesh(&net, 4)?;
    let [a, b, c, d] = &nodes[..] else { panic!() };
    let (at_a, at_b) = (client(a), client(b));
    let ids = at_a.sp_ids("b").unwrap();
    let name = |n: u32| mailbox(&format!("f{n}"));
    let over_b = |n| Opening::new(Conduit::to("b"), name(n)).dedicated(ids.peer);
    let targets: Vec<SyncSession> =
        (0..FILAMENTS).map(|n| at_b.open_sync(&Opening::new(Conduit::to("a"), name(n))).unwrap()).collect();
    let filaments: Vec<SyncSession> = (0..FILAMENTS).map(|n| at_a.open_sync(&over_b(n)).unwrap()).collect();
    sees(a, &format!("f{}", FILAMENTS - 1), b)?;
    let buffer = at_a.allocate(4).unwrap();
    for (n, filament) in (0..).zip(&filaments) {
        buffer.fill(&u32::to_le_bytes(n)).unwrap();
        let letter =
            SendDescriptor { context: 0, destination: ids.peer, buffer: buffer.clone(), size: 4, tag: sync(n) };
        filament.send_sync(&letter).unwrap();
    }
    for (n, target) in (0..).zip(&targets) {
        assert_eq!(target.receive(Timeout::Test, Some(n)).unwrap().bytes(), u32::to_le_bytes(n));
        assert_eq!(status(target.receive(Timeout::Test, None)), Status::NoMessage);
    }
    // The same client on three conduits.
    for peer in [b, c, d] {
        let at_peer = Party::open(peer, &opening(peer.name()));
        let session = at_a.open_sync(&Opening::new(Conduit::to(peer.name()), mailbox(peer.name()))).unwrap();
        sees(a, peer.name(), peer)?;
        let letter =
            SendDescriptor { context: 0, destination: at_peer.id, buffer: buffer.clone(), size: 4, tag: sync(1) };
        session.send_sync(&letter).unwrap();
        assert_eq!(at_peer.got(None).unwrap().sender(), ids.local);
    }
    Ok(())
}

/// Ten thousand messages wait in one mailbox, out of the carrier's memory: what is asynchronous and what is for others goes on.
///
/// PROTOCOL 13.3.
/// Rows: MP-21.
#[test]
fn what_nobody_receives_stops_nobody_else() -> Result<()> {
    const UNREAD: u32 = 10_000;
    let net = Net::new()?;
    let nodes = mesh(&net, 2)?;
    let [a, b] = &nodes[..] else { panic!() };
    let at_a = Party::open(a, &opening("x"));
    let at_b = Party::open(b, &opening("x").room(4 << 20));
    let (other_a, other_b) = both(a, b, "other")?;
    sees(a, "x", b)?;
    for n in 0..UNREAD {
        at_a.send(at_b.id, n, &[1; 200]).unwrap();
        if n % 1000 == 0 {
            at_a.session.send_sync(&at_a.letter(at_b.id, asynchronous(n), b"goes on")).unwrap();
            assert!(matches!(at_b.event(), Event::MessageReceived { .. }));
            other_a.send(other_b.id, n, b"goes on").unwrap();
            assert_eq!(other_b.got(None).unwrap().bytes(), b"goes on");
        }
    }
    assert_eq!(at_b.session.record().unwrap().received, u64::from(UNREAD));
    assert_eq!(at_b.got(Some(UNREAD - 1)).unwrap().size(), 200);
    // Full at last, it says so; the others still go on.
    let full = (0..).map(|n| at_a.send(at_b.id, n, &[1; 60_000])).find_map(std::result::Result::err);
    assert_eq!(full.unwrap().status(), Status::Full);
    at_a.session.send_sync(&at_a.letter(at_b.id, asynchronous(1), b"goes on")).unwrap();
    assert!(matches!(at_b.event(), Event::MessageReceived { .. }));
    other_a.send(other_b.id, 1, b"goes on").unwrap();
    Ok(())
}
