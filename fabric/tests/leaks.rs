//! Strangers on the socket, peers that are killed, and what they leave: alone in its process, because it counts
//! descriptors.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

use fabric::{
    Batch, Carrier, Channel, Message, Peer, SendError, View,
    shm::{
        JoinError, Joining, Life, Lifeline, Listener, Offer, Progress, Session, Shm, connect,
        greeting::{Greeting, Malformed, Refusal, Said},
    },
};
use fabric_ring::layout;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create},
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketType, recv, sendmsg,
        socket,
    },
};
use std::{
    io::{BufRead, BufReader, IoSlice, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

const RING: usize = 1 << 16;

fn offer(lane: &Shm) -> Offer {
    Offer { doorbells: vec![lane.doorbell().unwrap()], ring_size: RING, hello: b"test".to_vec(), users: Vec::new() }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn readable(fd: impl AsFd, within: Duration) -> bool {
    let within = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: within.subsec_nanos().into() };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&within)).unwrap() == 1
}

/// Calls by hand, to say what no honest peer says.
fn call(listener: &Listener) -> OwnedFd {
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::connect(&socket, &SocketAddrUnix::new(listener.path()).unwrap()).unwrap();
    socket
}

fn say(socket: &OwnedFd, bytes: &[u8], descriptors: &[OwnedFd]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(250))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    assert!(borrowed.is_empty() || control.push(SendAncillaryMessage::ScmRights(&borrowed)));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).unwrap();
}

fn greeting() -> Vec<u8> {
    Said::Greeting(Greeting { lanes: 1, ring_size: RING as u32, hello: b"" }).emit()
}

fn memory(len: usize, seals: SealFlags) -> OwnedFd {
    let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&file, len as u64).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file
}

fn bell() -> OwnedFd {
    Shm::new().unwrap().doorbell().unwrap()
}

const SEALED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// Says one thing to a listener; what comes of it, and what the listener answers last.
fn reaction(listener: &Listener, lane: &Shm, bytes: &[u8], descriptors: &[OwnedFd]) -> (JoinError, Option<Refusal>) {
    let socket = call(listener);
    let mut called = listener.accept(&offer(lane)).unwrap().unwrap();
    assert!(matches!(called.advance().unwrap(), Progress::Pending));
    say(&socket, bytes, descriptors);
    let error = called.advance().unwrap_err();
    drop(called);
    let mut refusal = None;
    let mut answer = [0u8; 2048];
    while let Ok((len, _)) = recv(&socket, &mut answer, rustix::net::RecvFlags::DONTWAIT)
        && len > 0
    {
        if let Ok(Said::Verdict(verdict)) = Said::parse(&answer[..len]) {
            refusal = verdict;
        }
    }
    (error, refusal)
}

fn strangers(directory: &Path) {
    let lane = Shm::new().unwrap();
    let listener = Listener::bind(directory, "a").unwrap();
    let react = |bytes: &[u8], descriptors: &[OwnedFd]| reaction(&listener, &lane, bytes, descriptors);
    let len = layout::memory_len(RING);
    let good = greeting();

    let (error, told) = react(b"GET / HTTP/1.1", &[]);
    assert!(matches!(error, JoinError::Malformed(Malformed::Magic)));
    assert_eq!(told, Some(Refusal::Malformed));
    assert!(matches!(react(&good[..7], &[bell()]).0, JoinError::Malformed(Malformed::Truncated)));
    assert!(matches!(react(&vec![0; 100_000], &[]).0, JoinError::Malformed(Malformed::Oversized)));
    let mut later = good.clone();
    later[4..8].copy_from_slice(&[9, 0, 12, 0]);
    let (error, told) = react(&later, &[]);
    assert!(matches!(error, JoinError::Malformed(Malformed::Version { low: 9, high: 12 })));
    assert_eq!(told, Some(Refusal::Version));

    let (error, told) = react(&good, &[]);
    assert!(matches!(error, JoinError::Descriptors { expected: 2, got: 0 }));
    assert_eq!(told, Some(Refusal::Descriptors));
    let many: Vec<OwnedFd> = (0..200).map(|_| bell()).collect();
    assert!(matches!(react(&good, &many).0, JoinError::Descriptors { .. }));
    assert!(matches!(react(&good, &[memory(len, SealFlags::GROW), bell()]).0, JoinError::NotSealed(0)));
    assert!(matches!(react(&good, &[bell(), bell()]).0, JoinError::NotSealed(0)));
    let file: OwnedFd = tempfile::tempfile().unwrap().into();
    assert!(matches!(react(&good, &[file, bell()]).0, JoinError::NotSealed(0)));
    assert!(matches!(react(&good, &[memory(len - 1, SEALED), bell()]).0, JoinError::Size { .. }));
    assert!(matches!(react(&good, &[memory(len, SEALED), memory(len, SEALED)]).0, JoinError::NotABell(0)));
    let ring = memory(len, SEALED);
    let blocking = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
    assert!(matches!(react(&good, &[ring, blocking]).0, JoinError::NotABell(0)));
    let zeros = react(&good, &[memory(len, SEALED), bell()]).0;
    assert!(matches!(zeros, JoinError::Ring { index: 0, source: fabric_ring::JoinError::NotOffered }));
    let write_sealed = memory(len, SEALED.union(SealFlags::WRITE));
    let (error, told) = react(&good, &[write_sealed, bell()]);
    assert!(matches!(error, JoinError::Io(_)), "cannot be mapped for writing: {error}");
    assert_eq!(told, Some(Refusal::Resources));

    assert!(matches!(react(&Said::Verdict(None).emit(), &[]).0, JoinError::Malformed(Malformed::OutOfTurn)));
    assert!(matches!(
        react(&Said::Verdict(Some(Refusal::Other(77))).emit(), &[]).0,
        JoinError::Refused(Refusal::Other(77))
    ));

    // Random bytes, with and without descriptors.
    let mut seed = 1u64;
    for round in 0..300 {
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize
        };
        let mut bytes = good.clone();
        bytes.resize(1 + random() % 60, 7);
        for _ in 0..=random() % 4 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        let handed: Vec<OwnedFd> = (0..round % 4).map(|_| bell()).collect();
        react(&bytes, &handed);
    }

    // One that says nothing blocks nobody, and one that leaves is gone.
    let silent = call(&listener);
    let mut called = listener.accept(&offer(&lane)).unwrap().unwrap();
    assert!(matches!(called.advance().unwrap(), Progress::Pending));
    let calling = connect(directory, "a", &offer(&lane)).unwrap();
    let other = listener.accept(&offer(&lane)).unwrap().unwrap();
    finish(other, calling);
    assert!(matches!(called.advance().unwrap(), Progress::Pending));
    drop(silent);
    assert!(matches!(called.advance(), Err(JoinError::Gone)));
    let mut calling = connect(directory, "a", &offer(&lane)).unwrap();
    drop(listener);
    assert!(matches!(calling.advance(), Err(JoinError::Gone)));
}

fn finish(mut called: Joining, mut calling: Joining) -> (Session, Session) {
    assert!(matches!(calling.advance().unwrap(), Progress::Pending));
    let Progress::Done(one) = called.advance().unwrap() else { panic!("not done") };
    let Progress::Done(two) = calling.advance().unwrap() else { panic!("not done") };
    (*one, *two)
}

/// Runs in a process of its own when the test starts it: joins `a`, floods or reads, and waits to be killed.
fn victim(directory: &Path, floods: bool) {
    let mut lane = Shm::new().unwrap();
    let mut joining = connect(directory, "a", &offer(&lane)).unwrap();
    let session = loop {
        assert!(readable(&joining, Duration::from_secs(10)));
        if let Progress::Done(session) = joining.advance().unwrap() {
            break session;
        }
    };
    lane.attach(Channel(0), Peer::Shm(session.rings.into_iter().next().unwrap())).unwrap();
    println!("joined");
    std::io::stdout().flush().unwrap();
    let bytes = [1; 900];
    let parts = [View::from(&bytes[..])];
    while session.life.check() == Life::Alive {
        if floods {
            let _ = lane.send(Channel(0), &[Message { parts: &parts }; 7]);
            lane.flush();
        }
        let mut batch = Batch::new();
        lane.receive(&mut batch).unwrap();
        drop(batch);
        lane.release();
    }
}

struct Victim {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Victim {
    fn start(directory: &Path, role: &str) -> Victim {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "descriptors_and_peers_come_and_go", "--nocapture"]);
        command.env("VICTIM", directory).env("ROLE", role).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Victim { child, lines }
    }

    fn wait_until_joined(&mut self) {
        let mut line = String::new();
        while line.trim() != "joined" {
            line.clear();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the victim ended");
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets a process join and kills it in the middle of its work; what is left for us must still be whole.
fn killed(directory: &Path, role: &str, listener: &Listener) {
    let mut lane = Shm::new().unwrap();
    let mut victim = Victim::start(directory, role);
    assert!(readable(listener, Duration::from_secs(10)));
    let mut called = listener.accept(&offer(&lane)).unwrap().unwrap();
    let session = loop {
        if let Progress::Done(session) = called.advance().unwrap() {
            break *session;
        }
        assert!(readable(&called, Duration::from_secs(10)));
    };
    assert_eq!(session.peer.pid, victim.child.id());
    let life: Lifeline = session.life;
    lane.attach(Channel(0), Peer::Shm(session.rings.into_iter().next().unwrap())).unwrap();
    victim.wait_until_joined();
    // Some traffic, so that it dies in the middle of it.
    let bytes = [2; 700];
    let parts = [View::from(&bytes[..])];
    let mut seen = 0;
    let work = |lane: &mut Shm, seen: &mut usize| {
        let sent = lane.send(Channel(0), &[Message { parts: &parts }; 5]).1;
        lane.flush();
        let mut batch = Batch::new();
        lane.receive(&mut batch).unwrap();
        for received in &batch {
            let mut copy = [0; 900];
            assert_eq!((received.bytes.len(), received.bytes.copy_to(0, &mut copy)), (900, 900));
            assert_eq!(copy, [1; 900], "whole");
        }
        *seen += batch.len();
        drop(batch);
        lane.release();
        sent
    };
    let until = Instant::now() + Duration::from_millis(if role == "floods" { 30 } else { 5 });
    while Instant::now() < until || (role == "floods" && seen == 0) {
        let _ = work(&mut lane, &mut seen);
    }
    assert_eq!(life.check(), Life::Alive);
    victim.child.kill().unwrap();
    let start = Instant::now();
    assert!(readable(&life, Duration::from_secs(10)));
    assert_eq!(life.check(), Life::Dead);
    assert!(start.elapsed() < Duration::from_millis(500), "known at once, not after {:?}", start.elapsed());
    // Nobody reads any more: at most a ring full goes, then full is the answer, and never anything worse.
    let end = (0..10_000).find_map(|_| work(&mut lane, &mut seen).err());
    assert_eq!(end, Some(SendError::Full));
    assert_eq!(lane.counts().malformed, 0);
    lane.arm();
    lane.disarm();
    lane.detach(Channel(0));
}

#[test]
fn descriptors_and_peers_come_and_go() {
    if let Some(directory) = std::env::var_os("VICTIM") {
        return victim(&PathBuf::from(directory), std::env::var("ROLE").unwrap() == "floods");
    }
    let directory = tempfile::tempdir().unwrap();
    let before = descriptors();
    strangers(directory.path());
    assert_eq!(descriptors(), before);
    let listener = Listener::bind(directory.path(), "a").unwrap();
    for _ in 0..5 {
        killed(directory.path(), "floods", &listener);
        killed(directory.path(), "reads", &listener);
    }
    drop(listener);
    assert_eq!(descriptors(), before);
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
