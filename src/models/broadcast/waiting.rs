//! Waiting: a receiver blocks until the value of a semaphore changes, and a sender until the slowest
//! receiver has made room. Under loom, a waiter that never wakes up is a deadlock.

use super::{WAYS, bound, channel};
use crate::models::ends::Receiver;
use crate::models::harness::{Fixture, Job, all_of, check_bounded, many};
use crate::models::sim_kernel::Fences;
use crate::ring::broadcast::Start;

/// Everything that is exchanged by blocking calls.
#[derive(Clone, Copy, Debug)]
struct Work {
    capacity: usize,
    receivers: u8,
    /// The number of messages that are there at the start.
    before: u64,
    sent: u64,
    fences: Fences,
}

fn exchange(work: Work) {
    let fixture = Fixture::of_broadcast(work.capacity, work.fences, 0);
    let (mut tx, receivers) = channel(&fixture, work.receivers, work.before);
    fixture.kernel.forget_posts();
    let mut jobs: Vec<Job<()>> = Vec::new();
    for mut rx in receivers {
        jobs.push(Box::new(move || {
            (0..work.before + work.sent).for_each(|next| assert_eq!(rx.recv(), next));
        }));
    }
    // Last: that the receivers begin costs no preemption.
    jobs.push(Box::new(move || (0..work.sent).for_each(|_| tx.send())));
    all_of(jobs);
    fixture.kernel.check_posts();
}

fn check_all(works: impl IntoIterator<Item = Work>) {
    for work in works {
        // Small models of three threads are explored with two preemptions as well.
        let bound = if work.before + work.sent <= many(1) { 2 } else { bound(work.receivers) };
        check_bounded(&format!("{work:?}"), bound, move || exchange(work));
    }
}

#[test]
fn all_receivers_are_woken_for_one_message() {
    let n = many(1);
    let capacity = n.next_power_of_two() as usize;
    check_all(WAYS.map(|fences| Work { capacity, receivers: 2, before: 0, sent: n, fences }));
}

/// Its fences are promised, used and withdrawn.
#[test]
fn a_receiver_is_woken_in_and_after_a_stream() {
    let n = many(3);
    let capacity = n.next_power_of_two() as usize;
    check_all(WAYS.map(|fences| Work { capacity, receivers: 1, before: 0, sent: n, fences }));
}

#[test]
fn receivers_are_woken_where_fences_are_withdrawn() {
    let n = many(2);
    let capacity = n.next_power_of_two() as usize;
    let fences = Fences::Asked;
    check_all([Work { capacity, receivers: 2, before: 0, sent: n, fences }]);
}

#[test]
fn a_sender_is_woken_by_the_slower_of_two() {
    let n = many(1);
    check_all([1, 2].map(|capacity| Work {
        capacity,
        receivers: 2,
        before: capacity as u64,
        sent: n,
        fences: Fences::OnRequest,
    }));
}

/// Credit is due after every second message of eight.
#[test]
fn a_sender_is_woken_by_two_that_make_room_at_once() {
    let fences = Fences::OnRequest;
    check_all([Work { capacity: 8, receivers: 2, before: 8, sent: many(1), fences }]);
}

#[test]
fn both_sides_park_and_wake() {
    let n = many(2);
    check_all([
        Work { capacity: 1, receivers: 1, before: 0, sent: n, fences: Fences::OnRequest },
        Work { capacity: 1, receivers: 1, before: 0, sent: n, fences: Fences::Asked },
        Work { capacity: 1, receivers: 2, before: 0, sent: n, fences: Fences::OnRequest },
    ]);
}

/// A receiver joins while the sender blocks for another one.
#[test]
fn a_sender_is_woken_beside_one_that_joins() {
    for start in [Start::Oldest, Start::Next] {
        let name = format!("one joins at {start:?} beside a blocked sender");
        check_bounded(&name, 1, move || {
            let fixture = Fixture::of_broadcast(1, Fences::OnRequest, 0);
            let (mut tx, mut all) = channel(&fixture, 1, 1);
            fixture.kernel.forget_posts();
            let mut rx = all.next().expect("a receiver");
            let jobs: Vec<Job<()>> = vec![
                Box::new(move || tx.send()),
                Box::new(move || assert_eq!([rx.recv(), rx.recv()], [0, 1])),
                Box::new(move || {
                    let mut rx = Receiver::join(&fixture, 2, start);
                    for position in rx.consumer.position()..2 {
                        assert_eq!(rx.recv(), position);
                    }
                }),
            ];
            all_of(jobs);
        });
    }
}
