//! The search for messages of the dead, next to members that join and die: is such a message found
//! in the end, at whatever step a joining member dies?
//!
//! This model has its own kernel, smaller than the simulated one: one seat, and what its holders
//! sign. The stamp of a holder is in a record that it writes itself, some steps after the kernel
//! gave it the seat.

use std::sync::Arc;

use crate::models::harness::{Fixture, check_deaths, together};
use crate::ring::Corrupt;
use crate::ring::mpmc::{Consumer, Next, Producer, Room, Snapshot};
use crate::ring::testing::{read, write};
use crate::sync::Ordering::Relaxed;
use crate::sync::crash_point::{self, crash_at};
use crate::sync::plain::AtomicBool;
use crate::sync::{AtomicU64, plain};

#[cfg(loom)]
use loom::sync::Mutex;
#[cfg(not(loom))]
use std::sync::Mutex;

/// The seat of the members that die, the searcher's, and a sender's.
const DEAD: u8 = 0;
const SEARCHER: u8 = 1;
const SENDER: u8 = 2;

/// What the kernel and the members' table record about the seat.
#[derive(Debug)]
struct Kernel {
    taken: Mutex<bool>,
    /// The stamp that its last holder signed; never 0 here.
    stamp: AtomicU64,
    /// Whether the last holder got far enough to take a message.
    took: AtomicBool,
}

impl Kernel {
    fn take_seat(&self) {
        crash_point::step();
        *self.taken.lock().unwrap() = true;
    }

    fn die(&self) {
        *self.taken.lock().unwrap() = false;
    }

    fn is_dead(&self, seat: u8) -> Result<bool, Corrupt> {
        Ok(seat == DEAD && !*self.taken.lock().unwrap())
    }

    fn snapshot(&self, fixture: &Fixture) -> Snapshot {
        let stamp = |seat| if seat == DEAD { self.stamp.load(Relaxed) } else { 0 };
        let ask = || Ok::<_, Corrupt>(*self.taken.lock().unwrap());
        let taken = Snapshot::take(&fixture.ring(), 1, stamp, ask, |taken, _| *taken);
        taken.expect("this kernel always answers").1
    }
}

fn alive(_: u8) -> Result<bool, Corrupt> {
    Ok(false)
}

/// What the member that joins does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joiner {
    Takes,
    Leaves,
}

/// A member died in the seat, with the only message in flight or while it is still available to
/// all. Another member joins there, takes what it gets, or leaves, and dies: at this step, or at the
/// end.
fn joiner_dies(in_flight: bool, does: Joiner, step: u32) -> bool {
    let fixture = Fixture::new(1);
    let producer = Producer::new(fixture.ring(), SENDER);
    let Room::Claimed(claim) = producer.claim(alive).unwrap() else { unreachable!("it is empty") };
    write(producer.slot(&claim), 7);
    assert!(producer.publish(claim));
    if in_flight {
        let dying = Consumer::new(fixture.ring(), DEAD);
        assert!(matches!(dying.take(alive), Ok(Next::Message(_))));
    }
    let took = AtomicBool::new(false);
    let kernel = Arc::new(Kernel { taken: Mutex::new(false), stamp: AtomicU64::new(1), took });
    let consumer = Consumer::new(fixture.ring(), SEARCHER);
    let mut searched = None;

    let (theirs, beside) = (kernel.clone(), fixture.clone());
    let joiner = move || {
        let (kernel, fixture) = (theirs, beside);
        let done = crash_at(step, || {
            kernel.take_seat();
            kernel.stamp.store(2, Relaxed);
            fixture.ring().release_slots_of(DEAD);
            if does == Joiner::Leaves {
                return kernel.stamp.store(0, Relaxed);
            }
            let consumer = Consumer::new(fixture.ring(), DEAD);
            if let Next::Message(_) = consumer.take(alive).unwrap() {
                kernel.took.store(true, plain::Ordering::Relaxed);
            }
        });
        kernel.die();
        done.is_none()
    };
    let (ours, beside) = (kernel.clone(), fixture.clone());
    let searcher = move || {
        let now = ours.snapshot(&beside);
        let dead = |seat| ours.is_dead(seat);
        let found = consumer.adopt(u8::MAX, &now, &mut searched, dead).unwrap();
        (consumer, searched, found)
    };
    let ((consumer, mut searched, mut found), died) = together(searcher, joiner);
    // No other thread runs any more: the next search finds the messages in flight at the dead.
    if found.is_none() {
        let now = kernel.snapshot(&fixture);
        let dead = |seat| kernel.is_dead(seat);
        found = consumer.adopt(u8::MAX, &now, &mut searched, dead).unwrap();
    }
    match found {
        Some(held) => {
            assert_eq!(read(consumer.slot(&held)), 7);
            assert!(consumer.acknowledge(&held));
        }
        None => {
            let never_taken = !in_flight && !kernel.took.load(plain::Ordering::Relaxed);
            let Next::Message(_) = consumer.take(alive).unwrap() else {
                panic!("the message of the dead was not found");
            };
            assert!(never_taken);
        }
    }
    died
}

fn check_joiner(in_flight: bool, does: Joiner) {
    let name = format!("a joiner {does:?} while another searches, in flight {in_flight}");
    check_deaths(&name, move |step| joiner_dies(in_flight, does, step));
}

#[test]
fn a_joiner_that_dies_before_it_signs_hides_no_message() {
    check_joiner(true, Joiner::Takes);
}

#[test]
fn a_joiner_that_dies_after_it_signed_hides_no_message() {
    check_joiner(false, Joiner::Takes);
}

#[test]
fn a_joiner_that_leaves_hides_no_message() {
    check_joiner(true, Joiner::Leaves);
}
