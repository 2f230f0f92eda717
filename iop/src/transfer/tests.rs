use super::{
    load::{LoadError, load},
    send::{say, send},
    *,
};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};
use std::{fs, os::fd::OwnedFd, path::Path, thread};

fn line() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

fn image(dir: &Path, len: usize) -> (std::path::PathBuf, Vec<u8>) {
    let bytes: Vec<u8> = (0..len).map(|n| (n * n / 7) as u8).collect();
    let path = dir.join("image");
    fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

/// All of it over one line; what was there already, and the image that came.
fn carried(image: &Path, store: &Path) -> (u64, Vec<u8>) {
    let (ours, theirs) = line();
    let had = std::cell::Cell::new(0);
    thread::scope(|scope| {
        let sender = scope.spawn(|| send(&ours, image, &fabric::shm::bell().unwrap()));
        let (path, _socket) = load(&theirs, store, |have, _| had.set(have)).unwrap();
        sender.join().unwrap().unwrap();
        (had.get(), fs::read(path).unwrap())
    })
}

/// Takes some fragments, or all but the start, and ends, as a process that is killed. One of them may be altered on its way.
fn interrupted(image: &Path, store: &Path, fragments: usize, altered: Option<usize>) {
    let (ours, theirs) = line();
    let len = fs::metadata(image).unwrap().len();
    thread::scope(|scope| {
        scope.spawn(|| assert!(send(&ours, image, &fabric::shm::bell().unwrap()).is_err()));
        let (near, far) = line();
        let taker = scope.spawn(move || load(&far, store, |_, _| {}).unwrap_err());
        // Between them: an offer and so many fragments pass, each with its answer, then both lines end.
        let mut bytes = vec![0; MESSAGE];
        for passed in 0..=fragments {
            let (_, got) = recv(&theirs, &mut bytes[..], RecvFlags::empty()).unwrap();
            if altered == Some(passed) {
                bytes[100] ^= 0x40;
            }
            rustix::net::send(&near, &bytes[..got], rustix::net::SendFlags::empty()).unwrap();
            let (_, got) = recv(&near, &mut bytes[..], RecvFlags::empty()).unwrap();
            if Message::parse(&bytes[..got]) == Some(Message::Have(len)) {
                break;
            }
            rustix::net::send(&theirs, &bytes[..got], rustix::net::SendFlags::empty()).unwrap();
        }
        drop((near, theirs));
        assert!(matches!(taker.join().unwrap(), LoadError::Line(_)));
    });
}

/// An image comes whole, in fragments; one that was interrupted goes on where it stopped, also after a third try; what is no part of
/// it is found out and sent anew.
///
/// Rows: CB-2.
#[test]
fn an_image_comes_in_checked_fragments_and_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = image(dir.path(), 40 * FRAGMENT + 123);
    assert!(carried(&path, &dir.path().join("one.iop")) == (0, bytes.clone()));
    assert!(
        carried(&path, &dir.path().join("one.iop")) == (bytes.len() as u64, bytes.clone()),
        "nothing is sent twice"
    );

    let store = dir.path().join("two.iop");
    interrupted(&path, &store, 10, None);
    interrupted(&path, &store, 5, None);
    let (had, got) = carried(&path, &store);
    assert!(got == bytes);
    assert_eq!(had, 15 * FRAGMENT as u64);

    // The part that is there was altered: the whole is not what was offered, and is sent anew.
    let store = dir.path().join("three.iop");
    interrupted(&path, &store, 10, None);
    let part =
        fs::read_dir(dir.path()).unwrap().flatten().find(|e| e.file_name().to_string_lossy().starts_with("three."));
    let part = part.unwrap().path();
    let mut there = fs::read(&part).unwrap();
    there[100] ^= 1;
    fs::write(&part, &there).unwrap();
    assert!(carried(&path, &store).1 == bytes);

    // A fragment is altered on its way: it is sent again, with what came behind it.
    let store = dir.path().join("four.iop");
    interrupted(&path, &store, usize::MAX - 1, Some(7));
    assert!(carried(&path, &store) == (bytes.len() as u64, bytes.clone()));

    // Another image takes the place of the first.
    let (path, bytes) = image(dir.path(), 5);
    assert!(carried(&path, &dir.path().join("one.iop")) == (0, bytes));
    let left = fs::read_dir(dir.path()).unwrap().flatten();
    assert_eq!(left.filter(|e| e.file_name().to_string_lossy().starts_with("one.")).count(), 1);
}

/// Fragments that are altered, come twice or are missing are dropped and said; nonsense ends it.
///
/// Rows: CB-2.
#[test]
fn what_is_no_good_fragment_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..3 * FRAGMENT).map(|n| (n / 9) as u8).collect();
    let (ours, theirs) = line();
    let store = dir.path().join("x");
    thread::scope(|scope| {
        let taker = scope.spawn(|| load(&theirs, &store, |_, _| {}));
        let have = |message: &Message<'_>| {
            say(&ours, message).unwrap();
            let mut answer = [0; 64];
            let (_, got) = recv(&ours, &mut answer[..], RecvFlags::empty()).unwrap();
            match Message::parse(&answer[..got]) {
                Some(Message::Have(have)) => have,
                other => panic!("{other:?}"),
            }
        };
        let part = |n: usize| &bytes[n * FRAGMENT..(n + 1) * FRAGMENT];
        let fragment =
            |n: usize| Message::Fragment { at: (n * FRAGMENT) as u64, sum: crc32fast::hash(part(n)), bytes: part(n) };
        let one = FRAGMENT as u64;
        assert_eq!(have(&Message::Offer { len: bytes.len() as u64, sum: crc32fast::hash(&bytes) }), 0);
        assert_eq!(have(&fragment(1)), 0, "one is missing");
        assert_eq!(have(&Message::Fragment { at: 0, sum: 1, bytes: part(0) }), 0, "altered");
        assert_eq!(have(&fragment(0)), one);
        assert_eq!(have(&fragment(0)), one, "again");
        assert_eq!(have(&fragment(1)), 2 * one);
        // The sum of a fragment is right, and it is none of this image.
        assert_eq!(have(&Message::Fragment { at: 2 * one, sum: crc32fast::hash(part(0)), bytes: part(0) }), 0);
        assert_eq!([0, 1, 2].map(|n| have(&fragment(n))), [one, 2 * one, 3 * one]);
        rustix::net::send(&ours, b"?", rustix::net::SendFlags::empty()).unwrap();
        assert!(matches!(taker.join().unwrap(), Err(LoadError::Line(_))));
    });
    let (ours, theirs) = line();
    say(&ours, &Message::Offer { len: 1 << 40, sum: 0 }).unwrap();
    assert!(matches!(load(&theirs, &store, |_, _| {}), Err(LoadError::TooLarge(_))));
}

#[test]
fn messages_survive_and_nonsense_is_none() {
    let all = [
        Message::Offer { len: 7, sum: 9 },
        Message::Have(1 << 33),
        Message::Fragment { at: 3, sum: 4, bytes: b"abc" },
        Message::Start,
        Message::Refused("größe"),
    ];
    for message in all {
        let bytes = message.emit();
        assert_eq!(Message::parse(&bytes), Some(message.clone()));
        for len in 0..bytes.len() {
            assert_ne!(Message::parse(&bytes[..len]), Some(message.clone()), "{len}");
        }
    }
    for bytes in [&b""[..], b"\0", b"\x06", b"\x04x", b"\x05\xff", b"\x01\x02000000000000"] {
        assert_eq!(Message::parse(bytes), None, "{bytes:?}");
    }
}
