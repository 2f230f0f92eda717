//! Paths that last.

use super::{
    ways::{asking, tagged, to, until},
    *,
};
use messenger::{Choice, Control, Notice, PathSpec, PathState, Received, Take, Wants};

fn over(path: messenger::Path) -> To {
    To::Path(path)
}

fn seen(message: &Received) -> Result<Control, u32> {
    message.head.control().ok_or(message.head.tag)
}

/// A path by name and one by pattern, both ways between two ports, and what comes after their end.
///
/// Rows: CP-1, CP-4.
#[test]
fn paths_lead_to_names_and_patterns_both_ways() {
    let mut house = House::new();
    house.serve(|path| {
        let (a, b) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let (here, there) = (a.open(&PortSpec::named("a")).unwrap(), b.open(&PortSpec::named("b/1")).unwrap());
        assert_eq!(refusal(a.open_path(&PathSpec::to(to("nobody")))), Code::NotFound);
        assert_eq!(refusal(a.open_path(&PathSpec { from: there, ..PathSpec::to(to("a")) })), Code::BadHandle);
        let back = b.open_path(&PathSpec { from: there, ..PathSpec::to(to("a")) }).unwrap();
        assert_eq!(refusal(a.send(&over(back), &tagged(1))), Code::BadHandle, "not its own");
        assert_eq!(refusal(a.open_path(&PathSpec::to(over(back)))), Code::Invalid);
        let other = b.open(&PortSpec::default()).unwrap();
        let elsewhere = |port| Message { from: Some(port), ..tagged(1) };
        assert_eq!(refusal(b.send(&over(back), &elsewhere(other))), Code::Invalid, "it begins elsewhere");
        assert_eq!(refusal(b.send(&over(back), &elsewhere(here))), Code::BadHandle);
        for spec in [PathSpec::to(to("b/1")), PathSpec::to(To::Pattern("b/*".into()))] {
            let forth = a.open_path(&PathSpec { from: here, announced: true, ..spec }).unwrap();
            a.send(&over(forth), &tagged(1)).unwrap();
            b.send(&over(back), &tagged(2)).unwrap();
            assert_eq!(a.receive(here, Some(SOON)).unwrap().unwrap().head.tag, 2);
            let call = a.call(&over(forth), &tagged(3), Duration::from_millis(1)).unwrap();
            assert_eq!(call.status().code, Code::TimedOut);
            assert_eq!(a.path(forth).unwrap().sends, 2);
            a.close_path(forth).unwrap();
            assert_eq!(refusal(a.send(&over(forth), &tagged(4))), Code::BadHandle);
            assert_eq!(refusal(a.path_change(forth, None)), Code::BadHandle);
            let got: Vec<_> = (0..4).map(|_| seen(&b.receive(there, Some(SOON)).unwrap().unwrap())).collect();
            assert_eq!(got, [Ok(Control::Opened), Err(1), Err(3), Ok(Control::Closed)]);
        }
    });
}

/// One path to many ports, many paths to one port, and the rules that choose.
///
/// Rows: CP-2.
#[test]
fn paths_lead_to_many_and_from_many() {
    let mut house = House::new();
    house.serve(|path| {
        let guests: Vec<Guest> = (0..4).map(|_| Guest::join_at(&path).unwrap()).collect();
        let names = ["b/0", "b/1", "b/2", "b/3"];
        let ports: Vec<_> =
            guests.iter().zip(names).map(|(guest, name)| guest.open(&PortSpec::named(name)).unwrap()).collect();
        let all = PathSpec { choice: Choice::All, ..PathSpec::to(To::Pattern("b/*".into())) };
        let path = guests[0].open_path(&all).unwrap();
        let message = Message { wants: Wants::Receipt, ..tagged(7) };
        let ticket = guests[0].send(&over(path), &message).unwrap().ticket.unwrap();
        let outcome = guests[0].settle(ticket, Some(SOON)).unwrap().unwrap();
        assert!(outcome.slots.len() == 4 && outcome.slots.iter().all(|slot| slot.stored));
        let tag = |n: usize| guests[n].receive(ports[n], Some(SOON)).unwrap().unwrap().head.tag;
        assert_eq!([0, 1, 2, 3].map(tag), [7; 4]);
        let turns = guests[0].open_path(&PathSpec { choice: Choice::RoundRobin, ..all }).unwrap();
        for n in 0..8 {
            guests[0].send(&over(turns), &tagged(n)).unwrap();
        }
        assert_eq!([0, 1, 2, 3].map(tag), [0, 1, 2, 3]);
        assert_eq!([0, 1, 2, 3].map(tag), [4, 5, 6, 7]);
        // And many to one.
        for (n, guest) in guests.iter().enumerate() {
            let path = guest.open_path(&PathSpec { from: ports[n], ..PathSpec::to(to("b/0")) }).unwrap();
            for m in 0..3 {
                guest.send(&over(path), &tagged(n as u32 * 10 + m)).unwrap();
            }
        }
        let got: Vec<u32> = (0..12).map(|_| tag(0)).collect();
        for n in 0..4 {
            let of_one: Vec<u32> = got.iter().copied().filter(|tag| tag / 10 == n).collect();
            assert_eq!(of_one, [n * 10, n * 10 + 1, n * 10 + 2], "in order");
        }
    });
}

/// Its states are read and told, by the table of the core: it hunts, is enabled, quiesced, reset, fails, and closes with its port.
#[test]
fn a_path_tells_its_states() {
    let mut house = House::new();
    house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let here = guest.open(&PortSpec::named("a")).unwrap();
        let spec = PathSpec { from: here, hunt: true, ..PathSpec::to(to("b")) };
        let path = guest.open_path(&spec).unwrap();
        assert_eq!(guest.path(path).unwrap().state, PathState::Opening);
        assert_eq!(refusal(guest.send(&over(path), &tagged(1))), Code::NotFound);
        let there = guest.open(&PortSpec::named("b")).unwrap();
        let ticket = guest.send(&over(path), &asking("?")).unwrap().ticket.unwrap();
        guest.quiesce_path(path).unwrap();
        assert_eq!(refusal(guest.send(&over(path), &tagged(1))), Code::Quiesced);
        assert_eq!(guest.path(path).unwrap().outstanding, 1);
        guest.enable_path(path).unwrap();
        guest.reset_path(path).unwrap();
        assert_eq!(guest.settle(ticket, Some(SOON)).unwrap().unwrap().status().code, Code::Reset);
        guest.close(there).unwrap();
        for state in
            [PathState::Enabled, PathState::Quiesced, PathState::Enabled, PathState::Failed, PathState::Opening]
        {
            assert_eq!(guest.path_change(path, Some(SOON)).unwrap(), Some(state));
        }
        guest.close(here).unwrap();
        assert_eq!(refusal(guest.path_change(path, Some(SOON))), Code::BadHandle);
        // Who lets nothing in and waits for the rest.
        let there = guest.open(&PortSpec::named("b")).unwrap();
        let path = guest.open_path(&PathSpec::to(to("b"))).unwrap();
        guest.send(&over(path), &asking("?")).unwrap();
        guest.finish_path(path).unwrap();
        assert_eq!(refusal(guest.send(&over(path), &tagged(1))), Code::Closing);
        assert_eq!(guest.path_change(path, Some(Duration::ZERO)).unwrap(), None);
        let asked = guest.receive(there, Some(SOON)).unwrap().unwrap();
        guest.respond(&asked, &Answer::new("!")).unwrap();
        assert_eq!(refusal(guest.path_change(path, Some(SOON))), Code::BadHandle);
    });
}

/// Data and control, in one order at both ends; the last of it also when the guest's process ends.
///
/// PROTOCOL 12.9.
/// Rows: MA-16.
#[test]
fn both_ends_see_the_life_of_a_path_in_order() {
    let mut house = House::new();
    house.serve(|path| {
        let (a, b) = (Guest::join_at(&path).unwrap(), Guest::join_at(&path).unwrap());
        let there = b.open(&PortSpec::named("b")).unwrap();
        let path = a.open_path(&PathSpec { announced: true, hunt: true, ..PathSpec::to(to("b")) }).unwrap();
        let send = |tag| a.send(&over(path), &tagged(tag)).map(drop);
        send(1).unwrap();
        a.quiesce_path(path).unwrap();
        assert_eq!(refusal(send(2)), Code::Quiesced);
        a.enable_path(path).unwrap();
        send(3).unwrap();
        let number = a.path(path).unwrap().number;
        drop(a);
        for expected in
            [Ok(Control::Opened), Err(1), Ok(Control::Quiesced), Ok(Control::Enabled), Err(3), Ok(Control::Closed)]
        {
            let got = b.receive(there, Some(SOON)).unwrap().unwrap();
            assert_eq!(seen(&got), expected);
            assert!(expected.is_err() || got.head.tag == number);
        }
        // Nobody can say for a path what it does not.
        let mut forged = tagged(0);
        forged.opcode = Control::Closed.opcode();
        forged.origin.agent = messenger::Agent::Daemon;
        b.send(&to("b"), &forged).unwrap();
        assert_eq!(seen(&b.receive_with(there, Take::any(), Some(SOON)).unwrap().unwrap()), Err(0));
    });
    assert_eq!(house.node.exchange().paths().count(), 0);
    assert_eq!(house.guests.path_owners.len(), 0);
}

/// A port that closes without its guest's doing is told to it; one that it closes itself is not.
///
/// PROTOCOL 12.5.
#[test]
fn a_guest_is_told_what_becomes_of_its_ports() {
    let mut house = House::new();
    let (guest, port) = house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let own = guest.open(&PortSpec::named("own")).unwrap();
        guest.close(own).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        assert_eq!(guest.notice(Some(Duration::ZERO)).unwrap(), None);
        (guest, port)
    });
    house.node.exchange_mut().close_port(Time::ZERO, port).unwrap();
    house.serve(move |_| {
        assert_eq!(guest.notice(Some(SOON)).unwrap(), Some(Notice::Closed(port)));
        until("nothing else", || guest.notice(Some(Duration::ZERO)).unwrap().is_none());
        assert_eq!(refusal(guest.receive(port, None)), Code::BadHandle);
    });
}
