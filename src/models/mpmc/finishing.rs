//! The end of the stream: do receivers that saw no sender learn of it, and only of it?

use super::check_exchange;
use super::ends::{Receiver, Sender, message};
use crate::models::harness::{
    Fixture, Job, all_of, check, check_bounded, check_deaths_bounded, together,
};
use crate::models::member::Until;
use crate::role::Side;
use crate::sync::crash_point::crash_at;
use crate::wait;

/// The stream ended before the receivers joined; one of them acknowledges the last message, and the
/// others wait. The sender set its flag, or was killed before it could.
fn acknowledges_last(waiting: u8, is_flag_set: bool) {
    let fixture = Fixture::new(1);
    let mut tx = Sender::join(&fixture, 0, Until::Left);
    assert!(tx.send(0));
    tx.finish();
    if !is_flag_set {
        fixture.ring().header().senders.clear(wait::LEFT);
    }
    let mut busy = Receiver::join_late(&fixture, 1, Until::Left);
    let held = busy.next().expect("a message");
    let mut jobs: Vec<Job<()>> = vec![Box::new(move || busy.acknowledge(&held))];
    for seat in 2..2 + waiting {
        let mut late = Receiver::join_late(&fixture, seat, Until::Left);
        jobs.push(Box::new(move || assert_eq!(late.recv(), None)));
    }
    fixture.kernel.forget_posts();
    all_of(jobs);
}

/// A sender sends and finishes while receivers that know of no sender wait.
fn finishes(receivers: u8, sent: u64) {
    let fixture = Fixture::new(1);
    let mut tx = Sender::join(&fixture, 0, Until::Left);
    let all: Vec<u64> = (0..sent).map(|number| message(0, number)).collect();
    let mut jobs: Vec<Job<Vec<u64>>> = vec![Box::new(move || {
        (0..sent).for_each(|number| assert!(tx.send(number)));
        tx.finish();
        Vec::new()
    })];
    for seat in 1..=receivers {
        let mut late = Receiver::join_late(&fixture, seat, Until::Left);
        jobs.push(Box::new(move || std::iter::from_fn(|| late.recv()).collect()));
    }
    fixture.kernel.forget_posts();
    check_exchange(&all, &all_of(jobs));
}

/// A sender dies beside one that has finished before. If it had not finished, its successor sends
/// the rest and finishes. Returns whether it died.
fn dies_unfinished(sent: u64, step: u32) -> bool {
    let fixture = Fixture::new(2);
    let mut dying = Sender::join(&fixture, 1, Until::Dead);
    Sender::join(&fixture, 0, Until::Dead).finish();
    let mut late = Receiver::join_late(&fixture, 2, Until::Dead);
    fixture.kernel.forget_posts();
    let shared = fixture.clone();
    let sender = move || {
        let lived = crash_at(step, || {
            (0..sent).for_each(|number| assert!(dying.send(number)));
            dying.finish();
        });
        shared.kernel.member_died(1);
        if !shared.kernel.has_ended() {
            let mut heir = Sender::join(&shared, 3, Until::Dead);
            assert!(heir.send(sent));
            heir.finish();
        }
        lived.is_none()
    };
    let receiver = move || {
        let received: Vec<u64> = std::iter::from_fn(|| late.recv()).collect();
        assert!(fixture.kernel.has_ended(), "told of an end that is none, after {received:x?}");
        received
    };
    let (died, received) = together(sender, receiver);
    let all: Vec<u64> = (0..sent).map(|number| message(1, number)).collect();
    match received.last() {
        Some(last) if *last == message(3, sent) => {
            // What the dead sender had begun may or may not have been sent.
            assert!(all.starts_with(&received[..received.len() - 1]), "{received:x?}");
        }
        _ => assert_eq!(received, all),
    }
    died
}

/// The next sender opens the next stream: its receiver waits for the end of that one.
fn opens_next() {
    let fixture = Fixture::new(1);
    Sender::join(&fixture, 0, Until::Left).finish();
    let mut tx = Sender::join(&fixture, 0, Until::Left);
    let mut late = Receiver::join_late(&fixture, 1, Until::Left);
    fixture.kernel.forget_posts();
    let sender = move || {
        assert!(tx.send(0));
        tx.finish();
    };
    let receiver = move || assert_eq!((late.recv(), late.recv()), (Some(message(0, 0)), None));
    together(sender, receiver);
    assert!(!fixture.kernel.is_there(Side::Senders) && fixture.kernel.has_ended());
}

#[test]
fn the_last_acknowledgement_is_the_end_for_late_receivers() {
    for (waiting, is_flag_set) in [(1, true), (1, false), (2, false)] {
        let name = format!("{waiting} late receivers, flag set {is_flag_set}");
        let bound = if waiting > 1 { 1 } else { 2 };
        check_bounded(&name, bound, move || acknowledges_last(waiting, is_flag_set));
    }
}

#[test]
fn late_receivers_learn_of_the_end() {
    for (receivers, sent) in [(1, 0), (1, 1), (2, 1)] {
        let name = format!("{receivers} late receivers, {sent} sent and finished");
        let bound = if receivers > 1 { 1 } else { 2 };
        check_bounded(&name, bound, move || finishes(receivers, sent));
    }
}

#[test]
fn a_sender_that_dies_unfinished_needs_a_successor() {
    for sent in [0, 1] {
        let name = format!("a sender of {sent} dies beside one that finished");
        check_deaths_bounded(&name, 1, move |step| dies_unfinished(sent, step));
    }
}

#[test]
fn a_finished_stream_does_not_end_the_next_one() {
    check("the next stream", opens_next);
}
