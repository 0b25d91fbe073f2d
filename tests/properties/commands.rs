//! Tries all operations of members, in any order, against a queue that records the owner of each
//! message.

use proptest::prelude::*;
use sysvring_support::commands::here::Here;
use sysvring_support::commands::processes::{self, Processes};
use sysvring_support::commands::{Flavor, Op, Rules, run};
use sysvring_support::worker::Args;
use sysvring_support::{test, work};

use crate::for_all;

const WORK: &str = "commands::member";

#[work]
fn member(args: &mut Args) {
    processes::member(args);
}

fn ops(max: usize) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(any::<[u8; 3]>().prop_map(Op::from), 1..max)
}

fn rules(flavor: Flavor) -> impl Strategy<Value = Rules> {
    let deliveries = prop::sample::select(vec![0, 0, 1, 1, 2, 3, 15]);
    let seats = match flavor {
        Flavor::Spsc => 2..=2usize,
        _ => 2..=5,
    };
    (0..6u32, deliveries, seats, any::<bool>()).prop_map(move |(log, deliveries, seats, kept)| {
        Rules { flavor, capacity: 1 << log, deliveries, seats, place: 0, kept, peers: true }
    })
}

fn without_deaths(flavor: Flavor, cases: u32) {
    let input = (rules(flavor), ops(120));
    for_all(cases, file!(), input, |(rules, ops)| run(&mut Here::new(rules), rules, &ops));
}

#[test]
fn an_spsc_channel_is_a_queue() {
    without_deaths(Flavor::Spsc, 250);
}

#[test]
fn an_mpmc_channel_is_a_queue() {
    without_deaths(Flavor::Mpmc, 250);
}

fn with_deaths(flavor: Flavor, cases: u32) {
    let input = (rules(flavor), ops(120));
    for_all(cases, file!(), input, |(rules, ops)| {
        let rules = Rules { kept: true, ..rules };
        run(&mut Processes::new(rules, WORK), rules, &ops);
    });
}

#[test]
fn an_spsc_channel_survives_its_members() {
    with_deaths(Flavor::Spsc, 40);
}

#[test]
fn an_mpmc_channel_survives_its_members() {
    with_deaths(Flavor::Mpmc, 100);
}
