//! Doorbells: every receiver is rung for every message. Under loom, one that is never rung is a
//! deadlock.

use super::channel;
use crate::models::ends::Until;
use crate::models::harness::{
    Fixture, Job, all_of, check_bounded, check_deaths_bounded, many, together,
};
use crate::models::sim_kernel::Fences;
use crate::sync::crash_point::crash_at;

/// Receivers wait by their doorbells, the first of them or all; the sender sends.
fn exchange(receivers: u8, with_bells: u8, sent: u64, fences: Fences) {
    let capacity = sent.next_power_of_two() as usize;
    let fixture = Fixture::of_broadcast(capacity, fences, 1 + with_bells);
    let (mut tx, receivers) = channel(&fixture, receivers, 0);
    let mut jobs: Vec<Job<()>> = Vec::new();
    for (n, mut rx) in (0..).zip(receivers) {
        jobs.push(Box::new(move || {
            for next in 0..sent {
                let number = match n < with_bells {
                    true => rx.recv_by_doorbell(Until::Ever).expect("a message"),
                    false => rx.recv(),
                };
                assert_eq!(number, next);
            }
        }));
    }
    // Last: that the receivers begin costs no preemption.
    jobs.push(Box::new(move || (0..sent).for_each(|_| tx.send())));
    all_of(jobs);
}

#[test]
fn every_receiver_is_rung_for_a_message() {
    for fences in [Fences::OnRequest, Fences::Asked] {
        for (receivers, with_bells) in [(1, 1), (2, 2), (2, 1)] {
            let name = format!("{with_bells} of {receivers} have doorbells, {fences:?}");
            let n = many(1);
            check_bounded(&name, 2, move || exchange(receivers, with_bells, n, fences));
        }
    }
}

/// The fences are withdrawn beside a member that arms its doorbell.
#[test]
fn a_receiver_is_rung_after_a_stream() {
    for fences in [Fences::OnRequest, Fences::Asked] {
        let n = many(2);
        check_bounded(&format!("a stream of messages, {fences:?}"), 2, move || {
            exchange(1, 1, n, fences);
        });
    }
}

#[test]
fn a_sender_is_rung_by_the_slower_of_two() {
    check_bounded("the sender has a doorbell", 1, || {
        let fixture = Fixture::of_broadcast(1, Fences::OnRequest, 1);
        let (mut tx, receivers) = channel(&fixture, 2, 1);
        let mut jobs: Vec<Job<()>> =
            vec![Box::new(move || assert!(tx.send_by_doorbell(Until::Ever)))];
        for mut rx in receivers {
            jobs.push(Box::new(move || assert_eq!([rx.recv(), rx.recv()], [0, 1])));
        }
        all_of(jobs);
    });
}

/// Returns whether the sender died, perhaps before it rang everyone.
fn sender_dies(receivers: u8, step: u32) -> bool {
    let fixture = Fixture::of_broadcast(1, Fences::OnRequest, 1 + receivers);
    let (mut tx, receivers) = channel(&fixture, receivers, 0);
    let mut jobs: Vec<Job<bool>> = vec![Box::new(move || {
        let lived = crash_at(step, || tx.send());
        fixture.kernel.member_died(0);
        lived.is_none()
    })];
    for mut rx in receivers {
        jobs.push(Box::new(move || {
            let mut next = 0;
            while let Some(number) = rx.recv_by_doorbell(Until::Dead) {
                assert_eq!(number, next);
                next += 1;
            }
            false
        }));
    }
    all_of(jobs)[0]
}

#[test]
fn every_receiver_is_rung_for_a_death() {
    check_deaths_bounded("the sender dies, one doorbell", 1, |step| sender_dies(1, step));
    check_deaths_bounded("the sender dies, two doorbells", 0, |step| sender_dies(2, step));
}

#[test]
fn a_sender_is_rung_for_the_death_of_its_receiver() {
    check_bounded("the receiver dies", 2, || {
        let fixture = Fixture::of_broadcast(1, Fences::OnRequest, 2);
        let (mut tx, receivers) = channel(&fixture, 1, 1);
        let receiver = move || {
            fixture.kernel.member_died(1);
            drop(receivers);
        };
        together(move || assert!(tx.send_by_doorbell(Until::Dead)), receiver);
    });
}
