//! Tries all operations of members, in any order, against a queue that records the owner of each
//! message.

use proptest::prelude::*;
use sysvring_support::commands::here::Here;
use sysvring_support::commands::processes::{Processes, member};
use sysvring_support::commands::{Flavor, Op, Rules, run};
use sysvring_support::{tests, workers};

use crate::for_all;

tests![
    an_spsc_channel_is_a_queue,
    an_mpmc_channel_is_a_queue,
    an_spsc_channel_survives_its_members,
    an_mpmc_channel_survives_its_members,
];
workers![member];

const WORK: &str = "commands::member";

fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(any::<[u8; 3]>().prop_map(Op::from), 1..most)
}

fn rules(flavor: Flavor) -> impl Strategy<Value = Rules> {
    let deliveries = prop::sample::select(vec![0, 0, 1, 1, 2, 3, 16, 31]);
    let seats = match flavor {
        Flavor::Spsc => 2..=2usize,
        Flavor::Mpmc => 2..=5,
    };
    (0..6u32, deliveries, seats, any::<bool>()).prop_map(move |(log, deliveries, seats, kept)| {
        Rules { flavor, capacity: 1 << log, deliveries, seats, place: 0, kept, peers: true }
    })
}

fn among_the_living(flavor: Flavor, cases: u32) {
    let input = (rules(flavor), ops(120));
    for_all(cases, file!(), input, |(rules, ops)| run(&mut Here::new(rules), rules, &ops));
}

fn an_spsc_channel_is_a_queue() {
    among_the_living(Flavor::Spsc, 250);
}

fn an_mpmc_channel_is_a_queue() {
    among_the_living(Flavor::Mpmc, 250);
}

fn among_the_mortal(flavor: Flavor, cases: u32) {
    let input = (rules(flavor), ops(120));
    for_all(cases, file!(), input, |(rules, ops)| {
        let rules = Rules { kept: true, ..rules };
        run(&mut Processes::new(rules, WORK), rules, &ops);
    });
}

fn an_spsc_channel_survives_its_members() {
    among_the_mortal(Flavor::Spsc, 40);
}

fn an_mpmc_channel_survives_its_members() {
    among_the_mortal(Flavor::Mpmc, 100);
}
