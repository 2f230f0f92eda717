//! The model of the ring, driven at random; and a lying peer, driven at random.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use fabric_ring::{
    layout,
    model::{Model, Op, attack, run},
};
use proptest::{collection::vec, prelude::*};

fn op(most: usize) -> impl Strategy<Value = Op> {
    let len = move || 0..most + 2;
    prop_oneof![
        4 => (len(), 1..most + 2).prop_map(|(len, piece)| Op::Push(len, piece)),
        4 => (len(), len()).prop_map(|(most, used)| Op::Make(most, used.min(most + 1))),
        1 => len().prop_map(Op::Forget),
        4 => Just(Op::Publish),
        6 => (0..6usize).prop_map(Op::Receive),
        4 => Just(Op::Release),
        1 => Just(Op::ConsumerSleeps),
        1 => Just(Op::ProducerSleeps),
    ]
}

fn ring() -> impl Strategy<Value = (usize, Vec<Op>)> {
    (0..6u32).prop_flat_map(|shift| {
        let size = layout::SIZE_LEAST << shift;
        (Just(size), vec(op(layout::record_most(size)), 0..300))
    })
}

/// What the fuzzer starts from, and what it once tripped over.
#[test]
fn the_fuzzers_seeds_pass() {
    for (target, run) in [("ring_model", run as fn(&[u8])), ("ring_attack", attack)] {
        let seeds = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let seeds: Vec<_> = std::fs::read_dir(seeds).unwrap().map(|seed| seed.unwrap().path()).collect();
        assert!(seeds.len() >= 3);
        seeds.iter().for_each(|seed| run(&std::fs::read(seed).unwrap()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_ring_does_what_the_model_says((size, ops) in ring()) {
        let mut model = Model::new(size);
        ops.into_iter().for_each(|op| model.apply(op));
    }

    #[test]
    fn any_bytes_are_steps_of_the_model(input in vec(any::<u8>(), 0..600)) {
        run(&input);
    }

    #[test]
    fn any_bytes_are_lies_that_do_no_harm(input in vec(any::<u8>(), 0..600)) {
        attack(&input);
    }
}
