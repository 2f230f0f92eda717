//! What only the serial carrier does: garbage on the line, a queue that is short, devices that come and go.

use crate::pair::{End, PATIENCE, bytes, pty, rung};
use fabric::{
    Address, Batch, Carrier, Channel, Medium, Message, Origin, Peer, SendError, View,
    serial::{Line, Serial, SerialError},
};
use rustix::{
    io::{Errno, read, write},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use std::{
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::symlink,
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

fn end(serial: Serial) -> End {
    let mut end = End { carrier: Box::new(serial), channel: Channel(0) };
    end.carrier.attach(Channel(0), Peer::Line).unwrap();
    end
}

/// Lets the carriers look as lanes do, until this holds.
fn until(ends: &mut [&mut End], what: &str, mut holds: impl FnMut(&mut [&mut End]) -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds(ends) {
        assert!(Instant::now() < limit, "{what}");
        for end in ends.iter_mut() {
            if end.carrier.arm() {
                rung(&*end.carrier, Duration::from_millis(5));
            }
            end.carrier.disarm();
        }
    }
}

fn is_up(end: &End) -> bool {
    matches!(end.carrier.medium(), Medium::Up { .. })
}

/// A pty under a name that stays.
struct Socket {
    name: PathBuf,
    _dir: tempfile::TempDir,
}

impl Socket {
    fn new() -> Socket {
        let dir = tempfile::tempdir().unwrap();
        Socket { name: dir.path().join("line"), _dir: dir }
    }

    /// Plugs a new pty in; the master is the other end of the line.
    fn plug(&self) -> OwnedFd {
        let (master, slave) = pty();
        let path = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let _ = std::fs::remove_file(&self.name);
        symlink(Path::new(path.to_str().unwrap()), &self.name).unwrap();
        drop(slave);
        master
    }
}

/// PROTOCOL 11.2.
/// Rows: MF-4.
#[test]
fn garbage_before_between_and_after_messages_is_skipped_and_counted() {
    let (master, slave) = pty();
    let mut b = end(Serial::over(slave, 500).unwrap());
    // A boot loader that talks, then messages, then noise.
    let mut line = end(Serial::over(master.try_clone().unwrap(), 500).unwrap());
    write(&master, b"\r\nU-Boot 2024.01 \x00\x00\xff\xfe garbage").unwrap();
    line.send(b"first").unwrap();
    line.carrier.flush();
    assert_eq!(b.wait_for(1), [b"first"]);
    write(&master, b"\x00login: ").unwrap();
    write(&master, b"\x00").unwrap();
    line.send(b"second").unwrap();
    line.carrier.flush();
    assert_eq!(b.wait_for(1), [b"second"]);
    write(&master, &[0x55; 3000]).unwrap();
    line.send(b"lost, since the noise ran into it").unwrap();
    line.send(b"third").unwrap();
    line.carrier.flush();
    let mut all = Vec::new();
    until(&mut [&mut line, &mut b], "the third message", |ends| {
        all.extend(ends[1].take());
        all.last().is_some_and(|message| message == b"third")
    });
    assert!(b.carrier.counts().malformed >= 4, "{:?}", b.carrier.counts());
    assert_eq!(b.carrier.counts().received, 2 + all.len() as u64);
}

#[test]
fn before_the_peer_is_attached_it_is_a_stranger() {
    let (master, slave) = pty();
    let mut a = end(Serial::over(master, 500).unwrap());
    let mut b = Serial::over(slave, 500).unwrap();
    a.send(b"may I?").unwrap();
    a.carrier.flush();
    assert!(rung(&b, PATIENCE));
    let mut batch = Batch::new();
    b.receive(&mut batch).unwrap();
    assert_eq!((batch[0].origin, bytes(batch[0].bytes)), (Origin::Stranger(Address::Line), b"may I?".to_vec()));
}

/// USB unplugged, and plugged in again.
///
/// PROTOCOL 11.5.
#[test]
fn a_device_that_vanishes_is_taken_up_when_it_is_back() {
    let socket = Socket::new();
    let mut a = end(Serial::open(Line::new(&socket.name)).unwrap());
    assert_eq!(a.carrier.medium(), Medium::Down, "not there yet");
    assert_eq!(a.send(b"to nobody"), Ok(()));
    let mut turns = Vec::new();
    for round in 0..3 {
        let mut other = end(Serial::over(socket.plug(), 2048).unwrap());
        until(&mut [&mut a], "taken up", |ends| ends[0].take().is_empty() && is_up(ends[0]));
        turns.push(a.carrier.medium());
        for text in [&b"hello"[..], &[round; 2000]] {
            a.send(text).unwrap();
            a.carrier.flush();
            assert_eq!(other.wait_for(1), [text]);
            other.send(text).unwrap();
            other.carrier.flush();
            assert_eq!(a.wait_for(1), [text]);
        }
        drop(other);
        until(&mut [&mut a], "seen to vanish", |ends| ends[0].take().is_empty() && !is_up(ends[0]));
    }
    turns.dedup();
    assert_eq!(turns.len(), 3, "each life is told apart: {turns:?}");
}

#[test]
fn two_owners_of_a_device_and_what_is_no_device_are_refused() {
    let socket = Socket::new();
    let _master = socket.plug();
    let first = Serial::open(Line::new(&socket.name)).unwrap();
    assert!(matches!(first.medium(), Medium::Up { .. }));
    // The second waits for the first to let go.
    let mut second = end(Serial::open(Line::new(&socket.name)).unwrap());
    assert_eq!(second.carrier.medium(), Medium::Down);
    drop(first);
    until(&mut [&mut second], "let go", |ends| ends[0].take().is_empty() && is_up(ends[0]));
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Serial::open(Line::new(file.path())).err().unwrap();
    assert!(matches!(error, SerialError::NotATty(_)), "{error}");
    assert!(error.to_string().ends_with("is no serial device"));
}

/// The queue is short, says when it has room, and what is urgent does not stand in it.
#[test]
fn a_full_line_says_so_and_lets_urgent_messages_ahead() {
    let (master, slave) = pty();
    let (mut a, mut b) = (end(Serial::over(master, 2048).unwrap()), end(Serial::over(slave, 2048).unwrap()));
    let mut taken = 0u32;
    loop {
        let mut message = vec![1; 1500];
        message[..4].copy_from_slice(&taken.to_le_bytes());
        match a.send(&message) {
            Ok(()) => taken += 1,
            Err(error) => {
                assert_eq!(error, SendError::Full);
                break;
            }
        }
        a.carrier.flush();
        assert!(taken < 1000, "never full");
    }
    let urgent = [9; 40];
    a.carrier.send_urgent(Channel(0), Message { parts: &[View::from(&urgent[..])] }).unwrap();
    let mut all = Vec::new();
    until(&mut [&mut a, &mut b], "all", |ends| {
        all.extend(ends[1].take());
        all.len() as u32 == taken + 1
    });
    let place = all.iter().position(|message| message == &urgent).unwrap();
    assert!(all.len() - place > 15, "{place} of {}", all.len());
    let numbers: Vec<u32> =
        all.iter().filter(|m| m.len() == 1500).map(|m| u32::from_le_bytes(m[..4].try_into().unwrap())).collect();
    assert_eq!(numbers, (0..taken).collect::<Vec<_>>(), "the others in order");
    assert_eq!(a.send(b"room"), Ok(()));
}

/// A flood both ways through a full line: nothing is lost, nobody sleeps for ever.
#[test]
fn a_flood_is_neither_lost_nor_stuck() {
    const COUNT: u32 = 3000;
    let (master, slave) = pty();
    let ends = [master, slave].map(|fd| end(Serial::over(fd, 2048).unwrap()));
    thread::scope(|scope| {
        for mut end in ends {
            scope.spawn(move || {
                let (mut sent, mut got) = (0, 0);
                while sent < COUNT || got < COUNT {
                    let mut moved = false;
                    for message in end.take() {
                        assert_eq!(message[..4], u32::to_le_bytes(got));
                        got += 1;
                        moved = true;
                    }
                    while sent < COUNT {
                        let mut message = vec![3; 4 + sent as usize % 1000];
                        message[..4].copy_from_slice(&sent.to_le_bytes());
                        match end.send(&message) {
                            Ok(()) => sent += 1,
                            Err(error) => {
                                assert_eq!(error, SendError::Full);
                                break;
                            }
                        }
                        moved = true;
                    }
                    end.carrier.flush();
                    if !moved && (sent < COUNT || got < COUNT) {
                        end.sleep();
                    }
                }
                // What waits still leaves.
                let limit = Instant::now() + Duration::from_millis(500);
                while Instant::now() < limit {
                    end.take();
                    thread::yield_now();
                }
            });
        }
    });
}

#[test]
fn other_lanes_send_through_the_one_that_has_the_device() {
    let (master, slave) = pty();
    let owner = Serial::over(master, 500).unwrap();
    let mut other = end(owner.share().unwrap());
    let (mut owner, mut b) = (end(owner), end(Serial::over(slave, 500).unwrap()));
    assert!(owner.carrier.arm());
    other.send(b"from the other lane").unwrap();
    assert!(rung(&*owner.carrier, PATIENCE), "the owner is woken");
    owner.carrier.disarm();
    owner.take();
    assert_eq!(b.wait_for(1), [b"from the other lane"]);
    assert!(other.take().is_empty() && other.carrier.medium() == Medium::Given);
}

/// A line of 115200 bits a second, made of two ptys and a pump that lets so many bytes through: nine tenths of what it
/// carries are messages, and no more waits in the kernel than a fraction of a second's worth. While this thread is kept from running the
/// line carries on what waits in the kernel, as a real one does, and nobody could give it more: that time does not count.
#[test]
fn a_slow_line_is_used_to_nine_tenths() {
    const SPEED: u32 = 115_200;
    /// Bytes a second; those of two milliseconds, for which an idle line keeps its place; and those that fit a pty at once.
    const RATE: f64 = SPEED as f64 / 10.0;
    const KEPT: f64 = RATE / 500.0;
    const MOST: f64 = 2048.0;
    let [left, right] = [Socket::new(), Socket::new()];
    let masters = [left.plug(), right.plug()];
    let open = |socket: &Socket| {
        let line = Line { speed: Some(SPEED), ..Line::new(&socket.name) };
        end(Serial::open(line).unwrap())
    };
    let (mut a, mut b) = (open(&left), open(&right));
    for master in &masters {
        rustix::fs::fcntl_setfl(master, rustix::fs::OFlags::NONBLOCK).unwrap();
    }
    // What the line could have carried so far, and what of it the pump may carry now, in bytes.
    let (mut offered, mut budget, mut last) = (0.0f64, 0.0f64, Instant::now());
    let (mut got, mut first, mut number, mut oldest) = (0usize, None, 0u32, 0.0f64);
    // What it carried in time that does not count.
    let mut uncounted = 0.0f64;
    while offered < 4.0 * RATE {
        let now = Instant::now();
        let step = (now.duration_since(last).as_secs_f64() * RATE).min(MOST);
        (offered, budget, last) = (offered + step.min(KEPT), (budget + step).min(step.max(KEPT)), now);
        let mut bytes = vec![0; budget as usize];
        match read(&masters[0], &mut bytes[..]) {
            Ok(n) => {
                assert_eq!(write(&masters[1], &bytes[..n]).unwrap(), n);
                budget -= n as f64;
                uncounted += (n as f64 - KEPT).max(0.0);
            }
            Err(Errno::AGAIN) => {}
            Err(error) => panic!("{error}"),
        }
        let mut message = vec![0x11; 1530];
        message[..8].copy_from_slice(&offered.to_le_bytes());
        if a.send(&message).is_ok() {
            number += 1;
        }
        a.take();
        for message in b.take() {
            first.get_or_insert(offered);
            got += message.len();
            oldest = oldest.max(offered - f64::from_le_bytes(message[..8].try_into().unwrap()));
        }
        thread::yield_now();
    }
    let part = ((got - 1530) as f64 - uncounted) / (offered - first.unwrap());
    assert!(part >= 0.9, "{part:.3} of the line");
    assert!(oldest < 0.7 * RATE, "a message took {:.3} s ({number} sent)", oldest / RATE);
}

#[test]
fn the_speed_and_raw_mode_are_set() {
    let socket = Socket::new();
    let master = socket.plug();
    let _line = Serial::open(Line { speed: Some(921_600), ..Line::new(&socket.name) }).unwrap();
    let device = File::open(&socket.name).unwrap();
    let mut is = tcgetattr(device.as_fd()).unwrap();
    assert_eq!(is.output_speed(), 921_600);
    let before = is.clone();
    is.make_raw();
    assert_eq!(format!("{before:?}"), format!("{is:?}"), "raw already");
    tcsetattr(device.as_fd(), OptionalActions::Now, &is).unwrap();
    drop(master);
}
