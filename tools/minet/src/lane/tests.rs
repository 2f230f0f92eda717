//! Lanes joined by shared memory, or by UDP ([`line`]), stepped by hand; a SEQPACKET socket stands in for each
//! interface's queue.

mod line;

use super::{Activity, Command, Inbox, Lane, Mailbox, Parts, Port};
use crate::{clock::Clock, snapshot::Snapshot};
use arc_swap::ArcSwap;
use fabric::{
    Carrier, Channel, Peer,
    shm::{Joining, Listener, Offer, Progress, Session, Shm, connect},
};
use messenger_core::{Mac, NodeId, SegmentId};
use minet::{Hop, Member, Offloads, Policy, Reason, Switch, Table, VirtioNet};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt::set_socket_send_buffer_size};
use std::{os::fd::OwnedFd, path::Path, sync::Arc, time::Duration};

const MESSAGE: usize = 70_000;

struct End {
    lane: Lane,
    /// The kernel's side of the interface.
    kernel: Kernel,
    mailbox: Arc<Mailbox>,
}

struct Kernel(OwnedFd);

impl Kernel {
    fn send(&self, bytes: &[u8]) -> rustix::io::Result<usize> {
        rustix::io::write(&self.0, bytes)
    }

    fn recv(&self, bytes: &mut [u8]) -> rustix::io::Result<usize> {
        rustix::io::read(&self.0, bytes)
    }
}

fn node(n: u32) -> NodeId {
    NodeId::new(n).unwrap()
}

fn member(n: u32, offloads: Offloads) -> Member {
    Member {
        node: node(n),
        via: node(n),
        hop: Some(Hop { carrier: 0, channel: 0 }),
        message: MESSAGE,
        slice: MESSAGE,
        largest_frame: 1514,
        offloads,
    }
}

fn snapshot(own: u32, peer: u32, offloads: Offloads, learn: bool) -> Snapshot {
    let policy = Policy { learn, ..Policy::default() };
    let table = Table::builder(node(own), SegmentId(7)).policy(policy).member(member(peer, offloads)).build();
    Snapshot { tables: vec![table], peers: vec![vec![Some(node(peer))]] }
}

fn end(carrier: Box<dyn Carrier>, snapshot: Snapshot) -> End {
    let (kernel, ours) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::NONBLOCK, None).unwrap();
    // Room for a whole batch.
    for fd in [&kernel, &ours] {
        set_socket_send_buffer_size(fd, 212_992).unwrap();
    }
    let poll = mio::Poll::new().unwrap();
    let inbox = Arc::new(Inbox::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap()));
    let mailbox = Arc::new(Mailbox::new(1, 1).unwrap());
    let port = Port {
        segment: SegmentId(7),
        fd: ours,
        vnet: true,
        tun: false,
        offloads: Offloads::ALL,
        switch: Switch::new(),
    };
    let lane = Lane::new(Parts {
        ports: vec![port],
        carriers: vec![carrier],
        snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
        mailbox: mailbox.clone(),
        inbox,
        clock: Clock::start(),
        spin: Duration::ZERO,
    });
    End { lane, kernel: Kernel(kernel), mailbox }
}

fn meet(dir: &Path, a: &Shm, b: &Shm) -> [Session; 2] {
    let offer = |shm: &Shm| Offer {
        doorbells: vec![shm.doorbell().unwrap()],
        ring_size: 1 << 20,
        hello: Vec::new(),
        users: Vec::new(),
    };
    let listener = Listener::bind(dir, "a").unwrap();
    let mut caller = connect(dir, "a", &offer(b)).unwrap();
    let mut called = listener.accept(&offer(a)).unwrap().unwrap();
    let (mut at_a, mut at_b) = (None, None);
    while at_a.is_none() || at_b.is_none() {
        for (joining, done) in [(&mut called, &mut at_a), (&mut caller, &mut at_b)] {
            if done.is_none()
                && let Progress::Done(session) = Joining::advance(joining).unwrap()
            {
                *done = Some(*session);
            }
        }
    }
    [at_a, at_b].map(Option::unwrap)
}

/// Two nodes, 1 and 2, and what each believes of the other.
fn pair(offloads: Offloads) -> [End; 2] {
    pair_of(offloads, false)
}

fn pair_of(offloads: Offloads, learn: bool) -> [End; 2] {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Shm::new().unwrap(), Shm::new().unwrap());
    let [at_a, at_b] = meet(dir.path(), &a, &b);
    let mut ends =
        [end(Box::new(a), snapshot(1, 2, offloads, learn)), end(Box::new(b), snapshot(2, 1, offloads, learn))];
    for (end, mut session) in ends.iter_mut().zip([at_a, at_b]) {
        end.attach(0, Peer::Shm(session.rings.remove(0)));
    }
    ends
}

/// A frame as the kernel gives it: virtio-net header, Ethernet header, payload.
fn frame(from: u32, to: u32, payload: usize) -> Vec<u8> {
    let mut bytes = vec![0; VirtioNet::LEN];
    bytes.extend(Mac::of(node(to)).0);
    bytes.extend(Mac::of(node(from)).0);
    bytes.extend([0x88, 0xb5]);
    bytes.extend((0..payload).map(|i| i as u8));
    bytes
}

impl End {
    fn attach(&mut self, channel: u32, peer: Peer) {
        let activity = Arc::new(Activity::default());
        self.mailbox.give(Command::Attach { carrier: 0, channel: Channel(channel), peer: Box::new(peer), activity });
        assert!(!self.lane.obey());
    }

    fn received(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; MESSAGE];
        let n = self.kernel.recv(&mut bytes).ok()?;
        bytes.truncate(n);
        Some(bytes)
    }

    fn counters(&self) -> &minet::Counters {
        &self.lane.ports[0].switch.counters
    }
}

/// Rows: MN-8.
#[test]
#[ignore = "long: a million frames"]
fn a_million_frames_make_no_ticket_and_no_allocation() {
    frames_make_no_allocation(62_500);
}

#[test]
fn ten_thousand_frames_make_no_allocation() {
    frames_make_no_allocation(625);
}

/// In rounds of sixteen. A lane does not know the exchange, which makes tickets.
fn frames_make_no_allocation(rounds: u64) {
    let [mut a, mut b] = pair(Offloads::ALL);
    let sent = frame(1, 2, 1000);
    let mut got = vec![0; MESSAGE];
    let mut round = |a: &mut End, b: &mut End| {
        for _ in 0..16 {
            a.kernel.send(&sent).unwrap();
        }
        assert!(a.lane.turn());
        assert!(b.lane.turn());
        for _ in 0..16 {
            assert_eq!(b.kernel.recv(&mut got).unwrap(), sent.len());
        }
    };
    round(&mut a, &mut b);
    let counted = allocation_counter::measure(|| (0..rounds).for_each(|_| round(&mut a, &mut b)));
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert_eq!(got[..sent.len()], sent[..]);
    assert_eq!(a.counters().guess_wrong, 0);
    assert!(a.counters().guess_right >= rounds * 16);
    assert_eq!(b.counters().rx_packets, (rounds + 1) * 16);
    assert_eq!(b.counters().dropped_total(), 0);
}

#[test]
fn a_full_ring_holds_up_reading_and_nothing_is_lost() {
    let [mut a, mut b] = pair(Offloads::ALL);
    let big = frame(1, 2, 1500);
    let (mut sent, mut got) = (0, 0);
    // Until the lane stops reading: more than the ring takes.
    while sent < 5000 {
        while a.kernel.send(&big).is_ok() {
            sent += 1;
        }
        if !a.lane.turn() {
            break;
        }
    }
    assert!(sent > 600 && a.lane.egress.retry_in().is_some(), "{sent}");
    while got < sent {
        b.lane.turn();
        while let Some(bytes) = b.received() {
            assert_eq!(bytes, big);
            got += 1;
        }
        a.lane.turn();
    }
    assert_eq!(a.counters().dropped(Reason::CarrierFull), 0);
}

#[test]
fn a_peer_that_does_not_read_stalls_only_itself() {
    let [mut a, _b] = pair(Offloads::ALL);
    let big = frame(1, 2, 1500);
    let start = std::time::Instant::now();
    while a.counters().dropped(Reason::CarrierFull) < 1000 {
        while a.kernel.send(&big).is_ok() {}
        a.lane.turn();
    }
    // One wait for room, then none.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_wrong_guess_is_copied_and_arrives() {
    let [mut a, mut b] = pair(Offloads::ALL);
    for _ in 0..8 {
        a.kernel.send(&frame(1, 2, 100)).unwrap();
        a.lane.turn();
    }
    // Broadcast: not to the guessed peer alone.
    let mut all = frame(1, 2, 100);
    all[10..16].fill(0xff);
    a.kernel.send(&all).unwrap();
    a.lane.turn();
    b.lane.turn();
    let got: Vec<_> = std::iter::from_fn(|| b.received()).collect();
    assert_eq!((got.len(), got.last()), (9, Some(&all)));
}

#[test]
fn a_peer_without_offloads_gets_bare_frames_and_no_run() {
    let [mut a, mut b] = pair(Offloads::NONE);
    a.kernel.send(&frame(1, 2, 200)).unwrap();
    a.lane.turn();
    b.lane.turn();
    assert_eq!(b.received().unwrap(), frame(1, 2, 200));
    assert_eq!(b.lane.ports[0].switch.counters.merged, 0);
}

#[test]
fn a_frame_of_another_node_is_not_taken_from_this_peer() {
    let [mut a, mut b] = pair(Offloads::ALL);
    let mut forged = frame(1, 2, 60);
    forged[16..22].copy_from_slice(&Mac::of(node(9)).0);
    a.kernel.send(&forged).unwrap();
    a.lane.turn();
    b.lane.turn();
    assert_eq!(b.received(), None);
    assert_eq!(a.counters().dropped(Reason::Loop), 1, "our own side does not let it out");
}

/// Two nodes on one bridge: both read a station's broadcast there, and each sends it to the other. However late the second
/// one comes to look, it takes the station for its own, and the frame does not go round.
#[test]
fn what_waits_at_the_interface_was_there_before_what_another_node_sent_on() {
    let [mut a, mut b] = pair_of(Offloads::ALL, true);
    let mut said = frame(1, 2, 60);
    said[10..16].fill(0xff);
    said[16..22].copy_from_slice(&[6, 0, 0, 0, 0, 0x10]);
    a.kernel.send(&said).unwrap();
    b.kernel.send(&said).unwrap();
    a.lane.turn();
    b.lane.turn();
    a.lane.turn();
    assert_eq!((a.received(), b.received()), (None, None));
    assert_eq!([a.counters().dropped(Reason::Loop), b.counters().dropped(Reason::Loop)], [1, 1]);
}
