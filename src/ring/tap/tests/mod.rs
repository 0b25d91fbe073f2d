//! Taps of a ring over a block of the heap: in one thread through any sequence of events, and beside
//! members that run as fast as they can.

mod mpmc;
mod spsc;
mod stress;

use core::mem::MaybeUninit;
use std::collections::BTreeMap;

use super::{Counts, Follower, Tapped};
use crate::flavor::Flavor;
use crate::message;
use crate::ring::{Ring, Slot};

/// Copies a message as taps do.
fn copy(slot: Slot<'_>) -> [u64; 2] {
    let mut words = MaybeUninit::<[u64; 2]>::uninit();
    // SAFETY: a slot has room for two words and is aligned to 8; all of them are written.
    unsafe {
        message::copy_out(slot.payload(), words.as_mut_ptr().cast(), 16);
        words.assume_init()
    }
}

/// A tap, and what it must have found.
struct Checked {
    tap: Follower,
    start: u64,
    next: u64,
}

impl Checked {
    /// A tap that starts at `start`, or at the first position at which something was sent.
    fn new(ring: Ring, flavor: Flavor, start: u64, first: u64) -> Checked {
        let start = start.max(first);
        Checked { tap: Follower::new(ring, flavor, start), start, next: start }
    }

    /// Looks for a message, and returns whether there may be more.
    fn look(&mut self, sent: &BTreeMap<u64, u64>) -> bool {
        let found = self.tap.next(|_, slot| copy(slot)).expect("honest members");
        self.check(found, sent)
    }

    /// The same, while something else happens between the two words of the first copy.
    fn copy_beside(&mut self, beside: impl FnOnce()) -> Tapped<[u64; 2]> {
        let mut beside = Some(beside);
        let halves = |_: u64, slot: Slot<'_>| {
            let [first, _] = copy(slot);
            if let Some(beside) = beside.take() {
                beside();
            }
            [first, copy(slot)[1]]
        };
        self.tap.next(halves).expect("honest members")
    }

    /// Checks that a message is what was sent there, and in order.
    fn check(&mut self, found: Tapped<[u64; 2]>, sent: &BTreeMap<u64, u64>) -> bool {
        let found = match found {
            Tapped::Message { position, copy } => {
                assert_eq!(Some(&copy[0]), sent.get(&position), "at {position}");
                assert_eq!(copy[0], copy[1], "torn at {position}");
                assert!(position >= self.next, "{position} after {}", self.next);
                self.next = position + 1;
                true
            }
            Tapped::Nothing => false,
            Tapped::Overtaken => true,
        };
        self.check_counts(sent);
        found
    }

    /// Every position is counted once, and every message as seen or missed.
    fn check_counts(&self, sent: &BTreeMap<u64, u64>) {
        let Counts { seen, missed, unsent } = self.tap.counts();
        assert_eq!(seen + missed + unsent, self.tap.position() - self.start);
        let sent = sent.range(self.start..self.tap.position()).count() as u64;
        assert!(seen <= sent && sent <= seen + missed, "{seen} and {missed} of {sent}");
    }
}
