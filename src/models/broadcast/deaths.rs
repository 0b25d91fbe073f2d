//! Deaths and departures: a member that waits for one that is gone goes on or is told, and every receiver
//! has got the same messages before.

use super::channel;
use crate::models::ends::{Receiver, Until};
use crate::models::harness::{
    Fixture, Job, all_of, check_bounded, check_deaths, check_deaths_bounded, together,
};
use crate::models::sim_kernel::Fences;
use crate::sync::crash_point::crash_at;

/// Receives until the end of the stream; returns how many messages came.
fn drain(rx: &mut Receiver, until: Until) -> u64 {
    let mut next = 0;
    while let Some(number) = rx.recv_until(until) {
        assert_eq!(number, next);
        next += 1;
    }
    next
}

/// Returns whether the sender died. Each receiver gets what was published, and learns of the death.
fn sender_dies(receivers: u8, fences: Fences, step: u32) -> bool {
    let fixture = Fixture::of_broadcast(2, fences, 0);
    let (mut tx, receivers) = channel(&fixture, receivers, 0);
    let mut jobs: Vec<Job<(u64, bool)>> = Vec::new();
    for mut rx in receivers {
        jobs.push(Box::new(move || (drain(&mut rx, Until::Dead), false)));
    }
    // Last: that the receivers begin costs no preemption.
    jobs.push(Box::new(move || {
        let mut done = 0;
        let lived = crash_at(step, || {
            tx.send();
            done += 1;
        });
        fixture.kernel.member_died(0);
        (done, lived.is_none())
    }));
    let results = all_of(jobs);
    let [(first, _), others @ .., (sent, died)] = &results[..] else { panic!("{results:?}") };
    assert!(first == sent || *first == sent + 1, "{sent} were sent, {first} received");
    assert!(others.iter().all(|(other, _)| other == first), "{results:?}");
    *died
}

#[test]
fn every_receiver_learns_of_a_death() {
    for fences in [Fences::OnRequest, Fences::Asked] {
        let name = format!("the sender dies, {fences:?}");
        check_deaths(&name, move |step| sender_dies(1, fences, step));
        let name = format!("the sender of two dies, {fences:?}");
        check_deaths_bounded(&name, 1, move |step| sender_dies(2, fences, step));
    }
}

/// Returns whether the first receiver died, while the sender is blocked for it. The others go on.
fn receiver_dies(capacity: usize, others: u8, step: u32) -> bool {
    let fixture = Fixture::of_broadcast(capacity, Fences::OnRequest, 0);
    let (mut tx, mut receivers) = channel(&fixture, 1 + others, capacity as u64);
    fixture.kernel.forget_posts();
    let mut first = receivers.next().expect("a receiver");
    let mut jobs: Vec<Job<bool>> = vec![
        Box::new(move || {
            let lived = crash_at(step, || assert_eq!(first.recv(), 0));
            fixture.kernel.member_died(1);
            lived.is_none()
        }),
        Box::new(move || {
            assert!(tx.send_until(Until::Dead), "one is there");
            false
        }),
    ];
    for mut rx in receivers {
        jobs.push(Box::new(move || {
            (0..=capacity as u64).for_each(|next| assert_eq!(rx.recv(), next));
            false
        }));
    }
    all_of(jobs)[0]
}

/// With four slots, the dead one may have left too little room to wake a sender for.
#[test]
fn a_dead_receiver_holds_nobody_up() {
    check_deaths("the only receiver dies", |step| receiver_dies(1, 0, step));
    for (capacity, bound) in [(1, 1), (4, 0)] {
        let name = format!("one of two receivers dies, capacity {capacity}");
        check_deaths_bounded(&name, bound, move |step| receiver_dies(capacity, 1, step));
    }
}

#[test]
fn a_receiver_that_leaves_lets_the_sender_go_on() {
    check_bounded("one of two receivers leaves", 1, || {
        let fixture = Fixture::of_broadcast(1, Fences::OnRequest, 0);
        let (mut tx, mut receivers) = channel(&fixture, 2, 1);
        fixture.kernel.forget_posts();
        let (leaves, mut stays) = (receivers.next(), receivers.next().expect("two receivers"));
        let jobs: Vec<Job<()>> = vec![
            Box::new(move || tx.send()),
            Box::new(move || leaves.expect("two receivers").leave()),
            Box::new(move || assert_eq!([stays.recv(), stays.recv()], [0, 1])),
        ];
        all_of(jobs);
    });
}

#[test]
fn every_receiver_learns_that_the_sender_left() {
    check_bounded("the sender leaves", 1, || {
        let fixture = Fixture::of_broadcast(1, Fences::OnRequest, 0);
        let (mut tx, receivers) = channel(&fixture, 2, 0);
        let mut jobs: Vec<Job<u64>> = vec![Box::new(move || {
            tx.send();
            tx.leave();
            1
        })];
        for mut rx in receivers {
            jobs.push(Box::new(move || drain(&mut rx, Until::Left)));
        }
        assert_eq!(all_of(jobs), [1; 3]);
    });
}

#[test]
fn a_sender_without_receivers_goes_on() {
    check_bounded("the only receiver leaves", 2, || {
        let fixture = Fixture::of_broadcast(1, Fences::OnRequest, 0);
        let (mut tx, mut receivers) = channel(&fixture, 1, 1);
        let rx = receivers.next().expect("a receiver");
        together(move || assert!(tx.send_until(Until::Left)), move || rx.leave());
    });
}
