//! A receiver at its sender's heels lets it get a lead.
//!
//! A receiver that is faster than its sender looks at each slot just when it is being written. Every such
//! look takes the line away from the sender, whose stores leave in order: all that follow wait until it is
//! back. Lines then go to and fro, with a few messages each time, at a fraction of what either side could do.
//! So a receiver that has caught up again and again, each time after some messages and only for a moment,
//! looks away until it is far behind.
//!
//! That costs the messages of a stream the time of the lead, a few microseconds at most. Where there is no
//! stream it is not done: where messages come singly, and after a longer wait. And where the lead was not
//! there in time, since the sender is slow or waits for something itself, it is left out, longer each time.

use crate::ring::geometry::Geometry;
use crate::sync::plain::AtomicU32;
use crate::sync::plain::Ordering::Relaxed;
use crate::sync::spin_loop;

/// When to let the sender get a lead, and how far. Of one handle; where threads share it, what they know of
/// each other may be a little old.
#[derive(Debug)]
pub(crate) struct ReceiverBackoff {
    /// More messages than these are a lead; 0 where the ring is too short for one.
    messages: u64,
    /// Messages that a receiver at the heels finds at a time, at least.
    some: u64,
    /// Whether there were some before there was nothing.
    were_some: AtomicU32,
    /// How sure it is that the receiver is at the heels, up to [`SURE`].
    heels: AtomicU32,
    /// How many leads to leave out after one that was not there in time, and how many are still to come.
    pause: AtomicU32,
    left_out: AtomicU32,
}

const SURE: u32 = 8;
const PAUSE_MAX: u32 = 4_096;
/// A lead is so many messages, or so many bytes of slots where that is less, but a few in any case.
const MESSAGES: usize = 64;
const BYTES: usize = 16 * 1024;
const MESSAGES_MIN: usize = 8;
/// Of messages in slots of so many bytes, a sender's processor holds several back when their line is taken
/// away; of larger ones, one or two.
const SMALL: usize = 128;
/// Looks until the time is over, and pauses between them, together half a microsecond as a rule. A sender
/// that takes longer for a lead than all of them is no faster with it.
const LOOKS: u32 = 6;
const PAUSES: u32 = 16;

impl ReceiverBackoff {
    pub(crate) fn new(geometry: &Geometry) -> ReceiverBackoff {
        let messages = (BYTES / geometry.stride).clamp(MESSAGES_MIN, MESSAGES);
        ReceiverBackoff {
            messages: if messages <= geometry.capacity / 2 { messages as u64 } else { 0 },
            some: if geometry.stride <= SMALL { 4 } else { 2 },
            were_some: AtomicU32::new(0),
            heels: AtomicU32::new(0),
            pause: AtomicU32::new(0),
            left_out: AtomicU32::new(0),
        }
    }

    /// There is nothing, after `found` messages. Whether to look away until there is a lead.
    pub(crate) fn is_due(&self, found: u64) -> bool {
        let some = found >= self.some;
        self.were_some.store(some.into(), Relaxed);
        if !some || self.heels.load(Relaxed) < SURE || self.messages == 0 {
            return false;
        }
        let left_out = self.left_out.load(Relaxed);
        self.left_out.store(left_out.saturating_sub(1), Relaxed);
        left_out == 0
    }

    /// Looks away until `has_more_than` so many messages, or the time is over, or nothing comes. Whether the
    /// lead is there.
    pub(crate) fn back_off(
        &self,
        has_more_than: impl Fn(u64) -> bool,
        has_message: impl Fn() -> bool,
    ) -> bool {
        let mut there = false;
        for _ in 0..LOOKS {
            (0..PAUSES).for_each(|_| spin_loop());
            there = has_more_than(self.messages);
            if there || !has_message() {
                break;
            }
        }
        self.was(there);
        there
    }

    /// Whether the lead was there in time.
    fn was(&self, there: bool) {
        let pause = if there { 0 } else { (self.pause.load(Relaxed) * 2).clamp(1, PAUSE_MAX) };
        self.pause.store(pause, Relaxed);
        self.left_out.store(pause, Relaxed);
    }

    /// Whether the next message came within a moment.
    pub(crate) fn came(&self, soon: bool) {
        let heels = self.heels.load(Relaxed);
        let heels = match (soon, self.were_some.load(Relaxed) != 0) {
            (true, true) => (heels + 1).min(SURE),
            (true, false) => heels.saturating_sub(1),
            (false, _) => 0,
        };
        self.heels.store(heels, Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::message::MessageLayout;

    fn backoff<T: crate::Message>(capacity: usize) -> ReceiverBackoff {
        ReceiverBackoff::new(
            &Geometry::new(MessageLayout::of::<T>(), 2, capacity, size_of::<T>()).unwrap(),
        )
    }

    /// So many times nothing, each time after `found` messages, and then something at once: how many of
    /// them were leads, which came or not.
    fn leads(backoff: &ReceiverBackoff, times: u64, found: u64, came: bool) -> u64 {
        (0..times)
            .map(|_| {
                let due = backoff.is_due(found);
                if due {
                    backoff.was(came);
                }
                backoff.came(true);
                u64::from(due)
            })
            .sum()
    }

    #[test]
    fn a_stream_has_leads() {
        let backoff = backoff::<u64>(1024);
        assert_eq!(leads(&backoff, u64::from(SURE), 4, true), 0);
        assert_eq!(leads(&backoff, 100, 4, true), 100);
    }

    #[test]
    fn messages_that_come_singly_have_none() {
        let backoff = backoff::<u64>(1024);
        assert_eq!(leads(&backoff, 100, 1, true), 0);
        leads(&backoff, 100, 4, true);
        assert_eq!(leads(&backoff, 100, 1, true), 0);
        assert_eq!(leads(&backoff, u64::from(SURE), 4, true), 0);
    }

    #[test]
    fn after_a_longer_wait_there_are_none() {
        let backoff = backoff::<u64>(1024);
        leads(&backoff, 100, 4, true);
        backoff.is_due(4);
        backoff.came(false);
        assert_eq!(leads(&backoff, u64::from(SURE), 4, true), 0);
    }

    /// A sender that waits for an answer after each few messages.
    #[test]
    fn what_is_never_there_is_waited_for_more_and_more_seldom() {
        let backoff = backoff::<u64>(1024);
        assert!(leads(&backoff, 10_000, 8, false) < 16);
        assert!(leads(&backoff, 10_000, 8, false) < 4);
        // A stream again.
        assert!(leads(&backoff, 10_000, 8, true) > 5_000);
    }

    #[test]
    fn a_lead_is_waited_for_a_while() {
        let backoff = backoff::<u64>(1024);
        let looks = std::cell::Cell::new(0);
        let comes_at = |look, anything| {
            looks.set(0);
            let has_more_than = |messages| {
                assert_eq!(messages, 64);
                looks.set(looks.get() + 1);
                looks.get() >= look
            };
            (backoff.back_off(has_more_than, || anything), looks.get())
        };
        assert_eq!(comes_at(1, true), (true, 1));
        assert_eq!(comes_at(LOOKS, true), (true, LOOKS));
        // Later is in vain, and where nothing comes one look is enough.
        assert_eq!(comes_at(LOOKS + 1, true), (false, LOOKS));
        assert_eq!(comes_at(LOOKS, false), (false, 1));
    }

    #[test]
    fn a_lead_fits_the_ring() {
        assert_eq!(backoff::<u64>(1024).messages, 64);
        assert_eq!(backoff::<u64>(128).messages, 64);
        assert_eq!(backoff::<u64>(64).messages, 0);
        assert_eq!(backoff::<[u8; 1024]>(1024).messages, 15);
        assert_eq!(backoff::<[u8; 65536]>(16).messages, 8);
        assert_eq!(backoff::<[u8; 65536]>(8).messages, 0);
    }
}
