//! Random losses, repetitions, reorderings and damage between two gates that both open, over a long time.

use crate::pair::Pair;
use fabric_seal::GateConfig;
use proptest::prelude::*;
use std::time::Duration;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens on the way, nothing false is ever opened, nothing twice; and when the way is good again the two
    /// talk within a few seconds.
    #[test]
    fn nothing_false_is_opened_and_a_good_way_heals(
        choices in prop::collection::vec((0u8..12, any::<u16>()), 50..400),
        both in any::<bool>(),
    ) {
        let config = GateConfig {
            rekey_after: Duration::from_secs(3),
            expire_after: Duration::from_secs(8),
            ..GateConfig::default()
        };
        let mut pair = Pair::new(config);
        pair.a.gate.open(pair.now, pair.b.gate.public(), pair.b.at).unwrap();
        if both {
            pair.b.gate.open(pair.now, pair.a.gate.public(), pair.a.at).unwrap();
        }
        let (mut wire, mut sent, mut got) = (Vec::<(bool, Vec<u8>)>::new(), 0u32, Vec::new());
        for (choice, n) in choices {
            while let Some((from_a, t)) = pair.next() {
                wire.push((from_a, t.bytes));
            }
            let at = usize::from(n) % wire.len().max(1);
            match choice {
                0 | 1 if !wire.is_empty() => drop(wire.remove(at)),
                2 if !wire.is_empty() => wire.push(wire[at].clone()),
                3 if !wire.is_empty() => {
                    let bytes = &mut wire[at].1;
                    let byte = usize::from(n) % bytes.len();
                    bytes[byte] ^= 1 << (n % 8);
                }
                4 | 5 => {
                    pair.now += Duration::from_millis(u64::from(n % 1000));
                    pair.a.gate.handle_timeout(pair.now);
                    pair.b.gate.handle_timeout(pair.now);
                }
                6 => {
                    let end = if n % 2 == 0 { &mut pair.a } else { &mut pair.b };
                    if let Some(session) = end.sealers.keys().next().copied() {
                        sent += 1;
                        let message = [&b"m"[..], &sent.to_le_bytes()].concat();
                        wire.push((n % 2 == 0, end.seal(session, &message)));
                    }
                }
                _ if !wire.is_empty() => {
                    let (from_a, bytes) = wire.remove(at);
                    if let Ok(Some(message)) = pair.deliver(from_a, bytes) {
                        prop_assert_eq!(message.len(), 5);
                        prop_assert!(!got.contains(&message), "twice");
                        got.push(message);
                    }
                }
                _ => {}
            }
            prop_assert!(pair.a.gate.sessions() <= 2 && pair.b.gate.sessions() <= 2);
            prop_assert!(pair.a.openers.len() <= 6 && pair.b.openers.len() <= 6);
        }
        pair.pass(Duration::from_secs(20));
        prop_assert!(!pair.a.sealers.is_empty() && !pair.b.sealers.is_empty(), "{:?}\n{:?}", pair.a.log, pair.b.log);
        let session = *pair.a.sealers.keys().next().unwrap();
        let datagram = pair.a.seal(session, b"healed");
        prop_assert_eq!(pair.deliver(true, datagram), Ok(Some(b"healed".to_vec())));
        let session = *pair.b.sealers.keys().next().unwrap();
        let datagram = pair.b.seal(session, b"healed");
        prop_assert_eq!(pair.deliver(false, datagram), Ok(Some(b"healed".to_vec())));
    }
}
