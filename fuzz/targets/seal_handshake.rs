//! Two gates in the middle of a handshake, whichever step it is at, get arbitrary bytes and altered datagrams. Nothing
//! panics, nothing false opens a session, and the genuine handshake still comes to its end.
use fabric_seal::{Address, Event, Gate, GateConfig, Identity, Secret};
use std::time::Duration;

fn gate(n: u8) -> Gate {
    Gate::new(Identity::from_secret(Secret::new([n; 32])).unwrap(), GateConfig::default()).unwrap()
}

/// Carries one datagram of a gate to the other and counts the sessions that the first one tells of; whether there was any.
fn pass(gate: &mut Gate, to: &mut Gate, now: Duration, from: Address, opened: &mut u32) -> bool {
    let transmit = gate.poll_transmit();
    let any = transmit.is_some();
    if let Some(mut transmit) = transmit {
        to.handle_datagram(now, from, &mut transmit.bytes);
    }
    while let Some(event) = gate.poll_event() {
        *opened += u32::from(matches!(event, Event::Opened { .. }));
    }
    any
}

pub fn run(data: &[u8]) {
    let (mut a, mut b) = (gate(1), gate(2));
    let (at_a, at_b, mut now) = (Address::from([1; 6]), Address::from([2; 6]), Duration::from_secs(1));
    b.admit(a.public());
    a.open(now, b.public(), at_b).unwrap();
    let (mut opened, mut data) = ((0, 0), data);
    let step = |a: &mut Gate, b: &mut Gate, now: Duration, opened: &mut (u32, u32)| {
        let there = pass(a, b, now, at_a, &mut opened.0);
        let back = pass(b, a, now, at_b, &mut opened.1);
        there || back
    };
    // Each order: what to do, then how many bytes of the input for it.
    while let [order, len, rest @ ..] = data {
        let (bytes, after) = rest.split_at(usize::from(*len).min(rest.len()));
        data = after;
        match order % 5 {
            0 => drop(step(&mut a, &mut b, now, &mut opened)),
            1 => a.handle_datagram(now, at_b, &mut bytes.to_vec()),
            2 => b.handle_datagram(now, at_a, &mut bytes.to_vec()),
            // The next datagram with these bytes over it, beside the genuine one.
            3 => {
                if let Some(mut transmit) = a.poll_transmit() {
                    let mut altered = transmit.bytes.clone();
                    altered.iter_mut().rev().zip(bytes).for_each(|(to, from)| *to ^= from);
                    b.handle_datagram(now, at_a, &mut altered);
                    b.handle_datagram(now, at_a, &mut transmit.bytes);
                }
            }
            _ => {
                now += Duration::from_millis(u64::from(*len));
                a.handle_timeout(now);
                b.handle_timeout(now);
            }
        }
    }
    // Nobody but a knows a's key: b has no session with anybody else.
    assert!(b.sessions() <= 1);
    for _ in 0..20 {
        now += Duration::from_millis(600);
        a.handle_timeout(now);
        b.handle_timeout(now);
        while step(&mut a, &mut b, now, &mut opened) {}
    }
    assert!(opened.0 >= 1 && opened.1 >= 1, "the genuine handshake does not come to its end");
}
