//! Property tests of a bare SPSC or MPMC ring over a block of the heap, through any sequence of
//! events that one thread can produce: the operations and the oracle of the tests over System V, at
//! positions all over, and with deaths in the middle of sending and receiving.

mod broadcast;
mod credit;
mod mpmc;
mod spsc;

use proptest::collection::vec;
use proptest::prelude::*;
use sysvring_support::commands::{Answer, Flavor, Op, Rules, World, run};

use super::spsc::tests::places;

fn received(number: u64, position: u64, deliveries: Option<u8>) -> Answer {
    Answer::Message { number, position: Some(position), deliveries }
}

/// Any operations on a ring of any size, at any position where arithmetic could go wrong.
fn a_ring_is_a_queue<W: World>(flavor: Flavor, cases: u32, new: impl Fn(Rules) -> W) {
    let set = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if set { ProptestConfig::default().cases } else { cases };
    let config = ProptestConfig { cases, source_file: Some(file!()), ..Default::default() };
    let ops = vec(any::<[u8; 3]>().prop_map(Op::from), 1..150);
    let deliveries = prop::sample::select(vec![0, 1, 2, 3, 15]);
    let input = (0..5u32, 0..4usize, -20..20i64, deliveries, 2..=6usize, ops);
    let tried = proptest::test_runner::TestRunner::new(config).run(
        &input,
        |(log, place, near, deliveries, seats, ops)| {
            let capacity = 1u64 << log;
            let place = places(capacity as usize)[place].wrapping_add_signed(near.max(0));
            let seats = if flavor == Flavor::Spsc { 2 } else { seats };
            let rules =
                Rules { flavor, capacity, deliveries, seats, place, kept: true, peers: false };
            run(&mut new(rules), rules, &ops);
            Ok(())
        },
    );
    tried.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_ring_of_spsc_is_a_queue() {
    a_ring_is_a_queue(Flavor::Spsc, 1000, spsc::Heap::new);
}

#[test]
fn a_ring_of_mpmc_channels() {
    a_ring_is_a_queue(Flavor::Mpmc, 1000, mpmc::Heap::new);
}
