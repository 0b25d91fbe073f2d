//! Blocking: does every blocked waiter wake up, with at most one post for each time that PARKED was
//! set? Under loom, a waiter that never wakes up is a deadlock.

use super::check_exchange;
use super::ends::{Receiver, Sender, message};
use crate::models::harness::{Fixture, Job, all_of, check, check_bounded, many, together};
use crate::models::member::Until;
use crate::role::Side;

/// What each sender sends and each receiver receives; the sums are equal, except for `before`.
#[derive(Clone, Copy, Debug)]
struct Work {
    capacity: usize,
    /// The number of messages available from the start.
    before: u64,
    sent: &'static [u64],
    received: &'static [u64],
    /// Whether they are received as a batch.
    batch: bool,
    /// Whether the first blocking wait of each side is disturbed.
    disturbed: bool,
    /// Whether the senders are threads of one member, and the receivers threads of another one.
    threads: bool,
}

fn exchange(work: Work) {
    let fixture = Fixture::new(work.capacity);
    if work.disturbed {
        fixture.kernel.disturb(Side::Senders);
        fixture.kernel.disturb(Side::Receivers);
    }
    let mut all = Vec::new();
    let mut jobs: Vec<Job<Vec<u64>>> = Vec::new();
    let mut seat = 0;
    let member = work.threads.then(|| Sender::join(&fixture, 2, Until::Ever));
    for &sent in work.sent {
        let mut tx = match &member {
            Some(member) => member.thread(seat),
            None => Sender::join(&fixture, seat, Until::Ever),
        };
        // The messages of the first sender come first.
        let before = if seat == 0 { work.before } else { 0 };
        (0..before).for_each(|number| assert!(tx.send(number)));
        let sent = many(sent);
        all.extend((0..before + sent).map(|number| message(seat, number)));
        jobs.push(Box::new(move || {
            (before..before + sent).for_each(|number| assert!(tx.send(number)));
            Vec::new()
        }));
        seat += 1;
    }
    // On threads, the first receiver also receives the messages from before.
    let member = work.threads.then(|| Receiver::join(&fixture, 3, Until::Ever));
    let mut rest = work.before + work.sent.iter().map(|&sent| many(sent)).sum::<u64>();
    for (n, &received) in work.received.iter().enumerate() {
        let received = if n + 1 == work.received.len() { rest } else { many(received) };
        rest -= received;
        let mut rx = match &member {
            Some(member) => member.thread(),
            None => Receiver::join(&fixture, seat, Until::Ever),
        };
        jobs.push(Box::new(move || {
            let mut got = Vec::new();
            while got.len() < received as usize {
                match work.batch {
                    true => got.extend(rx.recv_batch(received as usize - got.len())),
                    false => got.extend(rx.recv()),
                }
            }
            got
        }));
        seat += 1;
    }
    let received = all_of(jobs);
    check_exchange(&all, &received);
    fixture.kernel.check_posts();
}

/// Returns the bound on preemptions in one execution: the work grows fast with the number of
/// blocking threads.
const fn bound(threads: usize) -> usize {
    match threads {
        0..=2 => 2,
        3 => 1,
        _ => 0,
    }
}

fn check_all(works: &[Work]) {
    for &work in works {
        let Work { capacity, before, sent, received, batch, disturbed, threads } = work;
        let how = match (batch, disturbed, threads) {
            (true, ..) => ", batch",
            (_, true, _) => ", disturbed",
            (.., true) => ", threads of one member",
            _ => "",
        };
        let name = format!("{sent:?} to {received:?}, capacity {capacity}, {before} before{how}");
        let threads = sent.len() + received.len();
        check_bounded(&name, bound(threads), move || exchange(work));
    }
}

/// A loan is abandoned; then the message arrives for which the receiver is blocked.
fn abandoned_loan(capacity: usize) {
    let fixture = Fixture::new(capacity);
    let mut tx = Sender::join(&fixture, 0, Until::Ever);
    let mut rx = Receiver::join(&fixture, 1, Until::Ever);
    let sender = move || {
        for number in 0..many(1) {
            tx.loan_and_abandon();
            assert!(tx.send(number));
        }
    };
    let receiver = move || (0..many(1)).for_each(|n| assert_eq!(rx.recv(), Some(message(0, n))));
    together(sender, receiver);
}

const ONE: Work = Work {
    capacity: 1,
    before: 0,
    sent: &[],
    received: &[],
    batch: false,
    disturbed: false,
    threads: false,
};

#[test]
fn one_and_one_sleep_and_wake() {
    let works = [
        Work { capacity: 2, sent: &[2], received: &[2], ..ONE },
        Work { before: 1, sent: &[1], received: &[2], ..ONE },
        Work { sent: &[2], received: &[2], ..ONE },
    ];
    check_all(&works);
}

#[test]
fn two_senders_park_and_wake() {
    let works = [
        Work { sent: &[1, 1], received: &[2], ..ONE },
        Work { before: 1, sent: &[1, 1], received: &[3], ..ONE },
        Work { capacity: 2, before: 2, sent: &[1, 1], received: &[4], ..ONE },
    ];
    check_all(&works);
}

#[test]
fn two_receivers_park_and_wake() {
    let works = [
        Work { sent: &[2], received: &[1, 1], ..ONE },
        Work { capacity: 2, sent: &[2], received: &[1, 1], ..ONE },
    ];
    check_all(&works);
}

#[test]
fn two_and_two_park_and_wake() {
    let works = [
        Work { sent: &[1, 1], received: &[1, 1], ..ONE },
        Work { capacity: 2, sent: &[1, 1], received: &[1, 1], ..ONE },
    ];
    check_all(&works);
}

/// More threads wait than there are members.
#[test]
fn threads_of_one_member_park_and_wake() {
    let works = [
        Work { sent: &[2], received: &[1, 1], threads: true, ..ONE },
        Work { capacity: 2, sent: &[2], received: &[1, 1], threads: true, ..ONE },
        Work { sent: &[1, 1], received: &[2], threads: true, ..ONE },
        Work { before: 1, sent: &[1, 1], received: &[3], threads: true, ..ONE },
    ];
    check_all(&works);
}

/// A waiter that wakes up without a token withdraws an announcement, which may be that of another
/// waiter.
#[test]
fn a_disturbed_waiter_keeps_no_other_parked() {
    let works = [
        Work { sent: &[2], received: &[2], disturbed: true, ..ONE },
        Work { sent: &[2], received: &[1, 1], disturbed: true, ..ONE },
    ];
    check_all(&works);
}

#[test]
fn batches_wake_as_many_as_they_are_for() {
    let works = [
        Work { capacity: 2, sent: &[2], received: &[2], batch: true, ..ONE },
        Work { sent: &[2], received: &[2], batch: true, ..ONE },
        Work { capacity: 2, sent: &[2], received: &[1, 1], batch: true, ..ONE },
    ];
    check_all(&works);
}

#[test]
fn an_abandoned_loan_keeps_no_receiver_parked() {
    for capacity in [1, 2] {
        let name = format!("parked behind an abandoned loan, capacity {capacity}");
        check(&name, move || abandoned_loan(capacity));
    }
}
