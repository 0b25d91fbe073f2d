//! Taps of an SPSC ring: is every message that a tap reports whole and that of its position,
//! whatever the sender writes meanwhile?
//!
//! A tap reads payloads while they are written. So these models keep them in words that loom sees,
//! and which are accessed without any ordering: only what the ring does around them can order them.

use std::sync::Arc;

use super::harness::{Fixture, Job, all_of, check, many, together};
use crate::flavor::Flavor;
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::tap::{Counts, Follower, Tapped};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// The payloads of a ring, beside it: each message is the same number twice.
#[derive(Debug)]
pub(super) struct Payloads(Vec<[AtomicU64; 2]>);

impl Payloads {
    pub(super) fn new(capacity: u64) -> Arc<Payloads> {
        let words = || [u64::MAX; 2].map(AtomicU64::new);
        Arc::new(Payloads((0..capacity).map(|_| words()).collect()))
    }

    fn of(&self, position: u64) -> &[AtomicU64; 2] {
        &self.0[position as usize % self.0.len()]
    }

    /// Writes a message into the slot of a position.
    pub(super) fn write(&self, position: u64, number: u64) {
        self.of(position).iter().for_each(|word| word.store(number, Relaxed));
    }

    /// Copies what lies in the slot of a position.
    fn copy(&self, position: u64) -> [u64; 2] {
        self.of(position).each_ref().map(|word| word.load(Relaxed))
    }
}

/// Looks `tries` times for the next message, which must be the number of its position. Returns the
/// positions of those that were found.
pub(super) fn follow(follower: &mut Follower, payloads: &Payloads, tries: u64) -> Vec<u64> {
    let (start, before) = (follower.position(), follower.counts());
    let mut found = Vec::new();
    for _ in 0..tries {
        let tapped = follower.next(|position, _| payloads.copy(position)).expect("honest members");
        if let Tapped::Message { position, copy } = tapped {
            assert_eq!(copy, [position; 2], "of position {position}");
            found.push(position);
        }
    }
    let Counts { seen, .. } = follower.counts();
    assert_eq!(seen - before.seen, found.len() as u64);
    let passed = |counts: Counts| counts.seen + counts.missed + counts.unsent;
    assert_eq!(passed(follower.counts()) - passed(before), follower.position() - start);
    found
}

fn send(producer: &mut Producer, payloads: &Payloads) {
    if producer.has_room() {
        payloads.write(producer.position(), producer.position());
        producer.publish();
    }
}

/// Returns a ring of two slots, with both of its messages sent.
/// The tail of the first run is stored, that of the next one is not.
fn two_sent() -> (Arc<Fixture>, Arc<Payloads>, Producer, Consumer) {
    let (fixture, payloads) = (Fixture::new(2), Payloads::new(2));
    let mut producer = Producer::new(fixture.ring()).unwrap();
    let consumer = Consumer::new(fixture.ring());
    (0..2).for_each(|_| send(&mut producer, &payloads));
    (fixture, payloads, producer, consumer)
}

/// Both messages were received before, so only the tail says whether they are overwritten.
fn the_tail_decides(tries: u64) {
    let (fixture, payloads, mut producer, mut consumer) = two_sent();
    (0..2).for_each(|_| _ = consumer.acknowledge());
    let mut tap = Follower::new(fixture.ring(), Flavor::Spsc, 0);
    let (beside, written) = (fixture.clone(), payloads.clone());
    let sender = move || {
        let _scene = beside;
        // Begins a run, and stores the tail.
        producer.refresh(true).expect("both ends are honest");
        (0..tries).for_each(|_| send(&mut producer, &written));
    };
    let reader = move || {
        let _scene = fixture;
        follow(&mut tap, &payloads, tries);
    };
    together(sender, reader);
}

/// The tail says that both may be overwritten, so only the head says that they are not.
fn the_head_decides(exact: bool) {
    let (fixture, payloads, mut producer, mut consumer) = two_sent();
    assert!(!producer.has_room());
    let mut tap = Follower::new(fixture.ring(), Flavor::Spsc, 0);
    let scenes = [(); 3].map(|()| fixture.clone());
    let [one, two, three] = scenes;
    let written = payloads.clone();
    let jobs: Vec<Job<()>> = vec![
        Box::new(move || {
            let _scene = one;
            consumer.acknowledge();
            consumer.publish_credit();
        }),
        Box::new(move || {
            let _scene = two;
            producer.refresh(exact).expect("both ends are honest");
            send(&mut producer, &written);
        }),
        Box::new(move || {
            let _scene = three;
            follow(&mut tap, &payloads, 2);
        }),
    ];
    all_of(jobs);
}

/// A loan that is dropped overwrites a slot and publishes nothing.
fn an_unpublished_message() {
    let (fixture, payloads, mut producer, mut consumer) = two_sent();
    (0..2).for_each(|_| _ = consumer.acknowledge());
    let mut tap = Follower::new(fixture.ring(), Flavor::Spsc, 0);
    let (beside, written) = (fixture.clone(), payloads.clone());
    let sender = move || {
        let _scene = beside;
        assert!(producer.refresh(true).expect("both ends are honest"));
        written.write(producer.position(), u64::MAX);
    };
    let reader = move || {
        let _scene = fixture;
        follow(&mut tap, &payloads, 2);
    };
    together(sender, reader);
}

/// A tap that is as fast as the sender misses nothing.
fn nothing_is_overwritten(tries: u64) {
    let (fixture, payloads) = (Fixture::new(4), Payloads::new(4));
    let mut producer = Producer::new(fixture.ring()).unwrap();
    let mut tap = Follower::new(fixture.ring(), Flavor::Spsc, 0);
    let (beside, written) = (fixture.clone(), payloads.clone());
    let sender = move || {
        let _scene = beside;
        (0..2).for_each(|_| send(&mut producer, &written));
    };
    let reader = move || {
        let found = follow(&mut tap, &payloads, tries);
        (fixture, tap, payloads, found)
    };
    let ((), (_scene, mut tap, payloads, mut found)) = together(sender, reader);
    while let Tapped::Message { position, copy } =
        tap.next(|position, _| payloads.copy(position)).expect("honest members")
    {
        assert_eq!(copy, [position; 2]);
        found.push(position);
    }
    assert_eq!((found, tap.counts().missed), (vec![0, 1], 0));
}

#[test]
fn a_copy_is_whole_if_the_tail_says_so() {
    check("a tap beside a sender that laps it", || the_tail_decides(many(3)));
    check("a tap beside a loan that is dropped", an_unpublished_message);
}

#[test]
fn a_copy_is_whole_if_the_head_says_so() {
    for exact in [true, false] {
        let name = format!("a tap beside a receiver, exact {exact}");
        check(&name, move || the_head_decides(exact));
    }
}

#[test]
fn a_tap_that_keeps_up_misses_nothing() {
    check("a tap beside a sender with room", || nothing_is_overwritten(many(2)));
}
