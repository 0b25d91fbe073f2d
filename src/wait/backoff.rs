//! Receiver back-off.
//!
//! A receiver that keeps up with its sender polls each slot just while it is being written. Every
//! such poll takes the cache line away from the sender; because stores become visible in program
//! order, all later stores stall until the line is back. The two sides then exchange one line for
//! every few messages, at a fraction of the throughput that either could reach. So a receiver that
//! has caught up repeatedly, each time after a burst of messages and only for a moment, stops
//! polling until the sender is well ahead.
//!
//! Back-off delays the messages of a stream by the time that the sender takes to get ahead, a few
//! microseconds at most. It is skipped where there is no stream: for isolated messages and after
//! longer waits. If the sender did not get ahead in time, because it is slow or waits for something
//! itself, back-off is suspended, for exponentially growing intervals.

use crate::ring::geometry::Geometry;
use crate::sync::plain::AtomicU32;
use crate::sync::plain::Ordering::Relaxed;
use crate::sync::spin_loop;

/// When to back off, and for how many messages. The state belongs to one handle; threads that share
/// the handle may see slightly outdated values.
#[derive(Debug)]
pub(crate) struct ReceiverBackoff {
    /// Back-off ends when more than this number of messages is available; 0 disables it, where the
    /// ring is too short.
    messages: u64,
    /// The minimum burst (messages since the ring was last empty) that counts as streaming.
    min_burst: u64,
    /// Whether such a burst preceded the last empty poll.
    had_burst: AtomicU32,
    /// The confidence that the receiver keeps up with the sender, up to [`STREAK_MAX`].
    streak: AtomicU32,
    /// How many back-offs to skip after an unsuccessful one, and how many skips remain.
    pause: AtomicU32,
    skips_left: AtomicU32,
}

const STREAK_MAX: u32 = 8;
const PAUSE_MAX: u32 = 4_096;
/// The distance to wait for: this number of messages, or this number of bytes of slots if that is
/// less, but at least [`MESSAGES_MIN`] messages.
const MESSAGES: usize = 64;
const BYTES: usize = 16 * 1024;
const MESSAGES_MIN: usize = 8;
/// Up to this slot size, one stolen cache line delays several buffered stores of the sender; above
/// it, only one or two.
const SMALL: usize = 128;
/// The number of polls before back-off gives up, and the spin-loop hints between them, together
/// usually half a microsecond. A sender that takes longer than all of them to get ahead does not
/// become faster.
const POLLS: u32 = 6;
const PAUSES: u32 = 16;

impl ReceiverBackoff {
    pub(crate) fn new(geometry: &Geometry) -> ReceiverBackoff {
        let messages = (BYTES / geometry.stride).clamp(MESSAGES_MIN, MESSAGES);
        ReceiverBackoff {
            messages: if messages <= geometry.capacity / 2 { messages as u64 } else { 0 },
            min_burst: if geometry.stride <= SMALL { 4 } else { 2 },
            had_burst: AtomicU32::new(0),
            streak: AtomicU32::new(0),
            pause: AtomicU32::new(0),
            skips_left: AtomicU32::new(0),
        }
    }

    /// Records that the ring is empty after `found` messages. Returns whether to back off now.
    pub(crate) fn should_back_off(&self, found: u64) -> bool {
        let some = found >= self.min_burst;
        self.had_burst.store(some.into(), Relaxed);
        if !some || self.streak.load(Relaxed) < STREAK_MAX || self.messages == 0 {
            return false;
        }
        let skips_left = self.skips_left.load(Relaxed);
        self.skips_left.store(skips_left.saturating_sub(1), Relaxed);
        skips_left == 0
    }

    /// Backs off until more than the wanted number of messages is available, or the polls are used
    /// up, or no message is available. Returns whether the sender got ahead.
    pub(crate) fn back_off(
        &self,
        has_more_than: impl Fn(u64) -> bool,
        has_message: impl Fn() -> bool,
    ) -> bool {
        let mut there = false;
        for _ in 0..POLLS {
            (0..PAUSES).for_each(|_| spin_loop());
            there = has_more_than(self.messages);
            if there || !has_message() {
                break;
            }
        }
        self.record_outcome(there);
        there
    }

    /// Records whether the sender got ahead in time.
    fn record_outcome(&self, there: bool) {
        let pause = if there { 0 } else { (self.pause.load(Relaxed) * 2).clamp(1, PAUSE_MAX) };
        self.pause.store(pause, Relaxed);
        self.skips_left.store(pause, Relaxed);
    }

    /// Records whether the next message arrived within a moment.
    pub(crate) fn record_arrival(&self, soon: bool) {
        let streak = self.streak.load(Relaxed);
        let streak = match (soon, self.had_burst.load(Relaxed) != 0) {
            (true, true) => (streak + 1).min(STREAK_MAX),
            (true, false) => streak.saturating_sub(1),
            (false, _) => 0,
        };
        self.streak.store(streak, Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::flavor::Flavor;
    use crate::message::MessageLayout;

    fn backoff<T: crate::Message>(capacity: usize) -> ReceiverBackoff {
        ReceiverBackoff::new(
            &Geometry::new(Flavor::Spsc, MessageLayout::of::<T>(), 2, capacity, size_of::<T>())
                .unwrap(),
        )
    }

    /// Finds the ring empty `times` times, each time after `found` messages, with the next message
    /// arriving at once. Returns how often the receiver backed off, successfully or not.
    fn leads(backoff: &ReceiverBackoff, times: u64, found: u64, came: bool) -> u64 {
        (0..times)
            .map(|_| {
                let due = backoff.should_back_off(found);
                if due {
                    backoff.record_outcome(came);
                }
                backoff.record_arrival(true);
                u64::from(due)
            })
            .sum()
    }

    #[test]
    fn a_stream_causes_back_offs() {
        let backoff = backoff::<u64>(1024);
        assert_eq!(leads(&backoff, u64::from(STREAK_MAX), 4, true), 0);
        assert_eq!(leads(&backoff, 100, 4, true), 100);
    }

    #[test]
    fn messages_that_come_singly_have_none() {
        let backoff = backoff::<u64>(1024);
        assert_eq!(leads(&backoff, 100, 1, true), 0);
        leads(&backoff, 100, 4, true);
        assert_eq!(leads(&backoff, 100, 1, true), 0);
        assert_eq!(leads(&backoff, u64::from(STREAK_MAX), 4, true), 0);
    }

    #[test]
    fn after_a_longer_wait_there_are_none() {
        let backoff = backoff::<u64>(1024);
        leads(&backoff, 100, 4, true);
        backoff.should_back_off(4);
        backoff.record_arrival(false);
        assert_eq!(leads(&backoff, u64::from(STREAK_MAX), 4, true), 0);
    }

    /// A sender that waits for an answer after every few messages.
    #[test]
    fn unsuccessful_back_offs_become_rarer() {
        let backoff = backoff::<u64>(1024);
        assert!(leads(&backoff, 10_000, 8, false) < 16);
        assert!(leads(&backoff, 10_000, 8, false) < 4);
        // The stream has resumed.
        assert!(leads(&backoff, 10_000, 8, true) > 5_000);
    }

    #[test]
    fn a_back_off_is_bounded() {
        let backoff = backoff::<u64>(1024);
        let looks = std::cell::Cell::new(0);
        let comes_at = |poll, anything| {
            looks.set(0);
            let has_more_than = |messages| {
                assert_eq!(messages, 64);
                looks.set(looks.get() + 1);
                looks.get() >= poll
            };
            (backoff.back_off(has_more_than, || anything), looks.get())
        };
        assert_eq!(comes_at(1, true), (true, 1));
        assert_eq!(comes_at(POLLS, true), (true, POLLS));
        // A later success is missed, and if no message is available one poll is enough.
        assert_eq!(comes_at(POLLS + 1, true), (false, POLLS));
        assert_eq!(comes_at(POLLS, false), (false, 1));
    }

    #[test]
    fn the_distance_fits_the_ring() {
        assert_eq!(backoff::<u64>(1024).messages, 64);
        assert_eq!(backoff::<u64>(128).messages, 64);
        assert_eq!(backoff::<u64>(64).messages, 0);
        assert_eq!(backoff::<[u8; 1024]>(1024).messages, 15);
        assert_eq!(backoff::<[u8; 65536]>(16).messages, 8);
        assert_eq!(backoff::<[u8; 65536]>(8).messages, 0);
    }
}
