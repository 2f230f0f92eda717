//! Memory that guests share with the daemon: what it carries, and guests that lie in it.

use super::{
    hostile::{Liar, send},
    ways::{Tag, tagged, to, until},
    *,
};
use messenger::{
    Wants,
    arena::{LARGE, Place, SIDE},
    protocol::Request,
};
use std::sync::Arc;

const MIB: usize = 1 << 20;

fn pattern(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|n| (n.wrapping_mul(31) ^ seed) as u8).collect()
}

fn arenas(house: &House) -> Vec<&Arena> {
    house.guests.guests.values().filter_map(|guest| guest.arena.as_ref()).collect()
}

/// Large payloads, messages and answers, go through memory and nothing else of them does; places are used again and all come back.
/// `PROTOCOL 12.14`.
#[test]
fn large_payloads_go_through_shared_memory() {
    const COUNT: usize = 40;
    let mut house = House::new();
    let both = house.serve(|path| {
        let (a, b) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let room = Some(8 * MIB as u32);
        let port = b.open(&PortSpec { room, ..PortSpec::named("p") }).unwrap();
        for n in 0..COUNT {
            let len = [MIB, LARGE, LARGE + 1, 3 * MIB + 17][n % 4];
            let ask = Message { wants: Wants::Answer, ..Message::new(pattern(n, len)) };
            let ticket = a.send(&to("p"), &ask).unwrap().ticket.unwrap();
            let got = b.receive(port, Some(SOON)).unwrap().unwrap();
            assert!(got.payload == pattern(n, len), "{n}");
            b.respond(&got, &Answer::new(pattern(n + 1, len))).unwrap();
            let outcome = a.settle(ticket, Some(SOON)).unwrap().unwrap();
            assert!(outcome.answers[0].payload == pattern(n + 1, len), "{n}");
        }
        // The largest fills a side.
        let port = b.open(&PortSpec { room: Some(32 * MIB as u32), ..PortSpec::named("q") }).unwrap();
        a.send(&to("q"), &Message::new(pattern(7, SIDE))).unwrap();
        assert!(b.receive(port, Some(SOON)).unwrap().unwrap().payload == pattern(7, SIDE));
        // With the next call all is given back.
        assert!(a.look(port).is_err() && b.look(port).is_ok());
        (a, b)
    });
    assert_eq!(house.count("guest-arenas"), 2);
    let sides = arenas(&house);
    // The first payload that b got came through its socket: it shared no memory before.
    assert!(sides.iter().all(|arena| arena.lent_ever() >= COUNT as u64 - 1), "{}", sides.len());
    assert!(sides.iter().all(|arena| arena.in_use() == (0, 0)), "everything came back");
    drop(both);
}

/// A message outlives its guest, and the guest's memory does not: what waits is copied when the guest goes.
#[test]
fn a_message_that_waits_keeps_no_memory_of_a_guest_that_is_gone() {
    let mut house = House::new();
    let guest = house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let life = Life::Persistent;
        guest.open(&PortSpec { life, room: Some(8 * MIB as u32), ..PortSpec::named("p") }).unwrap();
        for n in 0..4 {
            guest.send(&to("p"), &Message { tag: n, ..Message::new(pattern(n as usize, MIB)) }).unwrap();
        }
        guest
    });
    let memory = Arc::downgrade(arenas(&house)[0].memory());
    house.serve(move |_| drop(guest));
    assert_eq!((house.count("guests"), memory.strong_count()), (0, 0));
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.attach("p").unwrap();
        for n in 0..4 {
            assert!(guest.receive(port, Some(SOON)).unwrap().unwrap().payload == pattern(n, MIB));
        }
    });
}

/// Who changes what it lent changes its own message: it has the length that was judged, and nobody else's bytes are touched.
#[test]
fn a_guest_that_changes_what_it_lent_hurts_itself() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec { room: Some(8 * MIB as u32), ..PortSpec::named("p") }).unwrap();
        let mut liar = Liar::join(&path);
        let memory = Arc::new(liar.share());
        let place = Place { at: 0, len: MIB as u32 };
        assert!(memory.write(place, &vec![1; MIB]));
        let honest = Guest::join_at(&path).unwrap();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let scribbler = thread::spawn(move || {
            let mut byte = 2;
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                memory.write(place, &vec![byte; MIB]);
                byte = byte.wrapping_add(1);
            }
        });
        for n in 0..8 {
            liar.done(send("p"), Some(place));
            let got = guest.receive(port, Some(SOON)).unwrap().unwrap();
            assert_eq!(got.payload.len(), MIB);
            honest.send(&to("p"), &Message::new(pattern(n, MIB))).unwrap();
            assert!(guest.receive(port, Some(SOON)).unwrap().unwrap().payload == pattern(n, MIB));
        }
        drop(stop);
        scribbler.join().unwrap();
    });
    assert_eq!(house.count("guests-malformed"), 0);
}

/// What is lent is inside and no more than there is, and what is given back was lent; or the guest is ended, and nobody else is.
#[test]
fn a_guest_that_lies_about_places_is_ended() {
    let mut house = House::new();
    let wild = |at, len| Some(Place { at, len });
    let lies: Vec<(bool, Request, Option<Place>)> = vec![
        (false, send("p"), wild(0, 1)),
        (true, send("p"), wild(SIDE as u32, 1)),
        (true, send("p"), wild(u32::MAX, u32::MAX)),
        (true, send("p"), wild(1, SIDE as u32)),
        (true, Request::Give { at: 0 }, None),
        (true, Request::Give { at: u32::MAX }, None),
        (false, Request::Give { at: 0 }, None),
    ];
    let count = lies.len() as u64;
    house.serve(move |path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        for (shares, request, place) in lies {
            let mut liar = Liar::join(&path);
            let _memory = shares.then(|| liar.share());
            liar.call(request, place);
            assert_eq!(liar.bye(), "a payload is lent that cannot be");
        }
        guest.send(&to("p"), &tagged(1)).unwrap();
        assert_eq!(guest.receive(port, Some(SOON)).unwrap().unwrap().tag(), 1);
    });
    assert_eq!(house.count("guests-malformed"), count);
}

/// Places that overlap are counted as often as they are lent: together a guest lends no more than a side.
#[test]
fn a_guest_lends_no_more_than_it_has() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        guest.open(&PortSpec { room: Some(64 * MIB as u32), ..PortSpec::named("p") }).unwrap();
        let mut liar = Liar::join(&path);
        liar.share();
        assert!(matches!(liar.done(Request::Arena, None), Told::Refused { .. }), "once");
        let half = Some(Place { at: 64, len: SIDE as u32 / 2 });
        for _ in 0..2 {
            assert!(matches!(liar.done(send("p"), half), Told::Done { .. }));
        }
        liar.call(send("p"), half);
        assert_eq!(liar.bye(), "a payload is lent that cannot be");
    });
    assert_eq!((house.count("guests-malformed"), house.count("guests")), (1, 0));
}

/// For guests that find no memory left, and for a side that is full, payloads go through the socket.
#[test]
fn without_shared_memory_large_payloads_take_the_socket() {
    let mut house = House::new();
    house.serve(|path| {
        let all: Vec<Liar> = (0..arena::ARENAS)
            .map(|_| {
                let mut liar = Liar::join(&path);
                liar.share();
                liar
            })
            .collect();
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec { room: Some(40 * MIB as u32), ..PortSpec::named("p") }).unwrap();
        guest.send(&to("p"), &Message::new(pattern(1, MIB))).unwrap();
        assert!(guest.receive(port, Some(SOON)).unwrap().unwrap().payload == pattern(1, MIB));
        drop(all);
        let late = Guest::join_at(&path).unwrap();
        until("a place", || late.look(port).is_err());
        for n in 0..20 {
            late.send(&to("p"), &Message::new(pattern(n, MIB))).unwrap();
        }
        for n in 0..20 {
            assert!(guest.receive(port, Some(SOON)).unwrap().unwrap().payload == pattern(n, MIB));
        }
    });
}
