//! One suite for the Carrier contract, run over every carrier, plain and through middleware.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

mod ether;
mod fairness;
mod faults;
mod pair;
mod serial;
mod strangers;
mod suite;

use pair::{Pair, ether, jumbo_ether, loopback, sealed, sealed_ether, sealed_serial, serial, shm, udp, udp6};

macro_rules! conformance {
    ($($name:ident => $make:expr;)*) => { $(
        mod $name {
            use super::*;

            fn make() -> Pair {
                $make
            }

            conformance!(@tests
                boundaries_and_order_are_kept
                the_longest_message_arrives_and_a_longer_one_is_refused
                full_is_an_answer_and_gives_way_after_release
                channels_that_are_not_open_say_so
                a_number_is_attached_once_and_to_its_own_kind
                messages_are_made_in_place_or_refused
                a_batch_is_bounded_and_nothing_is_handed_out_twice
                nobody_sleeps_over_a_message
                a_ring_is_never_lost
                a_flood_into_a_full_carrier_is_neither_lost_nor_stuck
                what_was_sent_before_a_detach_arrives
                counts_are_exact
            );
        }
    )* };
    (@tests $($test:ident)*) => { $(
        #[test]
        fn $test() {
            suite::$test(make());
        }
    )* };
}

conformance! {
    plain_loopback => loopback();
    plain_shm => shm();
    plain_udp => udp();
    plain_udp6 => udp6();
    plain_sealed => sealed();
    plain_ether => ether();
    jumbo_ether => jumbo_ether();
    plain_serial => serial();
    sealed_on_ether => sealed_ether();
    sealed_on_serial => sealed_serial();
    traced_loopback => loopback().traced();
    traced_shm => shm().traced();
    traced_udp => udp().traced();
    traced_ether => ether().traced();
    traced_serial => serial().traced();
    captured_loopback => loopback().captured();
    captured_shm => shm().captured();
    captured_udp => udp().captured();
    captured_ether => ether().captured();
    captured_serial => serial().captured();
    faultless_loopback => loopback().faultless();
    faultless_shm => shm().faultless();
    faultless_udp => udp().faultless();
    faultless_ether => ether().faultless();
    faultless_serial => serial().faultless();
    stacked_shm => shm().traced().captured().faultless();
    stacked_sealed => sealed().traced().captured().faultless();
    stacked_udp => udp().traced().captured().faultless();
    stacked_ether => ether().traced().captured().faultless();
    stacked_serial => serial().traced().captured().faultless();
}

/// The same suite over memory of one process, memory of several, datagrams, raw Ethernet and a byte stream; here its first test, above
/// all of them.
///
/// PROTOCOL 1.1.
/// Rows: MA-10, MN-7.
#[test]
fn one_suite_fits_every_carrier() {
    let all: [fn() -> Pair; 8] = [loopback, shm, udp, sealed, ether, sealed_ether, serial, sealed_serial];
    for make in all {
        suite::boundaries_and_order_are_kept(make());
        suite::counts_are_exact(make());
    }
}
