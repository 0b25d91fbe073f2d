//! Death: do the other members continue, at whatever step a member dies?
//!
//! Each step of one member is tried as its last: of sending or receiving a message, of a start in
//! the seat of a dead member, of a recovery after one. The kernel reports the death when all that
//! the member wrote is visible: its successor in the seat follows in the same thread. The other
//! members live on meanwhile, and block when they have nothing to do.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::check_order;
use super::ends::{Receiver, Sender, message};
use crate::models::harness::{Fixture, Job, all_of, check_deaths_bounded};
use crate::models::member::Until;
use crate::role::Side;
use crate::sync::crash_point::crash_at;

/// What a member records about itself; for a dead member, what it recorded before.
#[derive(Debug, Default)]
struct Report {
    died: bool,
    /// Messages for which the send completed.
    sent: Vec<u64>,
    /// Messages that were processed to the end.
    worked: Vec<u64>,
    /// Those of them that are known to be acknowledged.
    done: Vec<u64>,
    /// Those of them that were redelivered.
    again: Vec<u64>,
}

impl Report {
    fn send(&mut self, tx: &mut Sender, seat: u8, numbers: Range<u64>) {
        for number in numbers {
            assert!(tx.send(number), "there is a receiver");
            self.sent.push(message(seat, number));
        }
    }

    fn receive(&mut self, rx: &mut Receiver) {
        let Report { worked, done, again, .. } = self;
        while let Some(message) = rx.recv_ref(|message, deliveries| {
            worked.push(message);
            if deliveries > 1 {
                again.push(message);
            }
        }) {
            done.push(message);
        }
    }

    /// Runs `work`, but dies at `step` of it and is buried.
    fn until_killed(
        mut self,
        fixture: &Fixture,
        seat: u8,
        step: u32,
        work: impl FnOnce(&mut Report),
    ) -> Report {
        self.died = crash_at(step, || work(&mut self)).is_none();
        fixture.kernel.member_died(seat);
        self
    }
}

/// Checks that every sent message was processed, and that no acknowledged one was delivered again;
/// one call of each dead member may or may not have taken effect. Returns whether a member died.
fn verify(reports: &[Report]) -> bool {
    let all = |of: fn(&Report) -> &Vec<u64>| reports.iter().flat_map(of).copied();
    let sent: BTreeSet<u64> = all(|report| &report.sent).collect();
    let worked: BTreeSet<u64> = all(|report| &report.worked).collect();
    assert!(worked.is_superset(&sent), "sent {sent:x?}, worked on {reports:x?}");
    let died = reports.iter().filter(|report| report.died).count();
    assert!(worked.difference(&sent).count() <= died, "{reports:x?}");
    let mut once = BTreeSet::new();
    assert!(
        all(|report| &report.done).all(|message| once.insert(message)),
        "doubled: {reports:x?}"
    );
    for Report { worked, again, .. } in reports {
        let first: Vec<u64> = worked.iter().copied().filter(|m| !again.contains(m)).collect();
        check_order(&first);
    }
    died != 0
}

/// What the ring holds from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    /// A slot claimed by a member that died, in the first seat.
    Claimed,
    /// A message in flight at a member that died, in the first seat.
    InHand,
}

const FIRST: u8 = 0;

fn prepare(capacity: usize, before: Before) -> (Arc<Fixture>, Report) {
    let fixture = Fixture::new(capacity);
    let mut report = Report::default();
    // A sender from before leaves before, or there would be a sender to wait for.
    match before {
        Before::Nothing => {}
        Before::Claimed => {
            let mut tx = Sender::join(&fixture, FIRST, Until::Ever);
            assert!(tx.reserve().is_some());
            fixture.kernel.member_died(FIRST);
        }
        Before::InHand => {
            let mut tx = Sender::join(&fixture, FIRST, Until::Ever);
            report.send(&mut tx, FIRST, 0..1);
            tx.leave();
            let mut rx = Receiver::join(&fixture, FIRST, Until::Ever);
            assert!(rx.next().is_some());
            fixture.kernel.member_died(FIRST);
        }
    }
    fixture.kernel.forget_posts();
    (fixture, report)
}

/// A sender dies; after its burial another one sends. A receiver lives.
fn sender_dies(capacity: usize, of_each: [u64; 2], before: Before, step: u32) -> bool {
    let (fixture, mut report) = prepare(capacity, before);
    let mut dying = Sender::join(&fixture, 1, Until::Dead);
    let mut living = Sender::join(&fixture, 2, Until::Dead);
    let mut rx = Receiver::join(&fixture, 3, Until::Dead);
    let [first, second] = of_each;
    let jobs: Vec<Job<Report>> = vec![
        Box::new(move || {
            report.receive(&mut rx);
            report
        }),
        Box::new(move || {
            let mut report = Report::default().until_killed(&fixture, 1, step, |report| {
                report.send(&mut dying, 1, 0..first);
                dying.leave();
            });
            report.send(&mut living, 2, 0..second);
            living.leave();
            report
        }),
    ];
    verify(&all_of(jobs))
}

/// A receiver dies next to another one. The messages were sent before, or are sent by a living
/// sender.
fn receiver_dies(capacity: usize, sent: [u64; 2], before: Before, step: u32) -> bool {
    let (fixture, mut report) = prepare(capacity, before);
    let mut dying = Receiver::join(&fixture, 1, Until::Dead);
    let mut tx = Sender::join(&fixture, 2, Until::Dead);
    let mut living = Receiver::join(&fixture, 3, Until::Dead);
    let [first, second] = sent;
    report.send(&mut tx, 2, 0..first);
    let beside = fixture.clone();
    let mut jobs: Vec<Job<Report>> = vec![
        Box::new(move || {
            let mut report = Report::default();
            report.receive(&mut living);
            living.leave();
            report
        }),
        Box::new(move || {
            Report::default().until_killed(&beside, 1, step, |report| {
                report.receive(&mut dying);
                dying.leave();
            })
        }),
    ];
    if second == 0 {
        tx.leave();
        fixture.kernel.forget_posts();
    } else {
        jobs.push(Box::new(move || {
            let mut report = Report::default();
            report.send(&mut tx, 2, first..first + second);
            tx.leave();
            report
        }));
    }
    let mut all = all_of(jobs);
    all.push(report);
    verify(&all)
}

/// Another member takes the seat of a dead one and dies, too; then a third one takes it. A receiver
/// lives, and a sender that keeps the channel open.
fn successor_dies(capacity: usize, before: Before, side: Side, step: u32) -> bool {
    let (fixture, mut report) = prepare(capacity, before);
    let keeper = Sender::join(&fixture, 2, Until::Dead);
    let mut rx = Receiver::join(&fixture, 3, Until::Dead);
    let comes = move |fixture: &Arc<Fixture>, report: &mut Report, number| match side {
        Side::Senders => {
            let mut tx = Sender::join(fixture, FIRST, Until::Dead);
            assert!(tx.send(number));
            report.sent.push(message(FIRST, number));
            tx.leave();
        }
        Side::Receivers => Receiver::join(fixture, FIRST, Until::Dead).leave(),
    };
    let jobs: Vec<Job<Report>> = vec![
        Box::new(move || {
            report.receive(&mut rx);
            report
        }),
        Box::new(move || {
            let report = Report::default();
            let mut report =
                report.until_killed(&fixture, FIRST, step, |report| comes(&fixture, report, 1));
            comes(&fixture, &mut report, 2);
            keeper.leave();
            report
        }),
    ];
    verify(&all_of(jobs))
}

#[test]
fn a_sender_dies_at_every_step() {
    for (capacity, of_each) in [(1, [1, 1]), (2, [1, 1])] {
        let name = format!("a sender of {of_each:?} dies, capacity {capacity}");
        let before = Before::Nothing;
        let model = move |step| sender_dies(capacity, of_each, before, step);
        check_deaths_bounded(&name, 1, model);
    }
}

#[test]
fn a_receiver_dies_at_every_step() {
    for (capacity, sent) in [(1, [1, 0]), (2, [2, 0])] {
        let name = format!("a receiver of {sent:?} dies, capacity {capacity}");
        let before = Before::Nothing;
        let model = move |step| receiver_dies(capacity, sent, before, step);
        check_deaths_bounded(&name, 1, model);
    }
}

/// Three threads, in every order without preemptions.
#[test]
fn a_receiver_dies_while_a_sender_sends() {
    let name = "a receiver dies while a sender sends";
    let model = |step| receiver_dies(1, [0, 1], Before::Nothing, step);
    check_deaths_bounded(name, 0, model);
}

#[test]
fn a_recovering_member_dies_at_every_step() {
    for before in [Before::Claimed, Before::InHand] {
        let name = format!("a receiver that finds {before:?} dies");
        let model = move |step| receiver_dies(2, [1, 0], before, step);
        check_deaths_bounded(&name, 1, model);
        let name = format!("a sender that finds {before:?} dies");
        let model = move |step| sender_dies(1, [1, 0], before, step);
        check_deaths_bounded(&name, 1, model);
    }
}

/// A joining receiver only clears up after the last holder of its seat.
#[test]
fn a_successor_dies_at_every_step() {
    for (side, bound) in [(Side::Receivers, 2), (Side::Senders, 1)] {
        for before in [Before::Claimed, Before::InHand] {
            let name = format!("one of the {side:?} that comes after {before:?} dies");
            let model = move |step| successor_dies(2, before, side, step);
            check_deaths_bounded(&name, bound, model);
        }
    }
}
