//! Receiver back-off.
//!
//! A receiver that keeps up with its sender polls each slot just while it is being written. Every
//! such poll takes the cache line away from the sender; because stores become visible in program
//! order, all later stores stall until the line is back. The two sides then exchange one line for
//! every few messages, at a fraction of the throughput that either could reach. So a receiver that
//! has caught up repeatedly, each time only for a moment, stops polling until the sender is well
//! ahead.
//!
//! Back-off delays the messages of a stream by the time that the sender takes to get ahead, a few
//! microseconds at most. It is skipped where there is no stream: for isolated messages and after
//! longer waits.
//!
//! If the sender does not get ahead in time, either it is slow or waits for something itself, or lines
//! travel fast and it would have to be left alone for longer. So both ways are tried for a while:
//! if the stream is no faster with back-off, that is suspended, for exponentially growing intervals.

mod pace;

use self::pace::Pace;
use crate::ring::geometry::Geometry;
use crate::sync::plain::Ordering::Relaxed;
use crate::sync::plain::{AtomicU32, AtomicU64};
use crate::sync::spin_loop;

/// When to back off, and for how many messages. The state belongs to one handle; threads that share
/// the handle may see slightly outdated values.
#[derive(Debug)]
pub(crate) struct ReceiverBackoff {
    /// Back-off ends when more than this number of messages is available; 0 disables it, where the
    /// ring is too short.
    messages: u64,
    /// The confidence that the receiver keeps up with the sender, up to [`STREAK_MAX`].
    streak: AtomicU32,
    /// How many back-offs to skip after those that did not pay, and how many skips remain.
    pause: AtomicU32,
    skips_left: AtomicU32,
    /// How fast the stream is, and the time of a message without back-off; 0 if it is not known.
    pace: Pace,
    without: AtomicU64,
    /// Whether a back-off was unsuccessful since the pace was known last.
    has_failed: AtomicU32,
    /// How often the pace becomes known until it is measured without back-off again.
    trusted: AtomicU32,
}

const STREAK_MAX: u32 = 8;
/// Round trips look like a stream; these keep them from more than a few back-offs.
const PAUSE_MIN: u32 = 1_024;
const PAUSE_MAX: u32 = 65_536;
/// How often the pace with back-off is taken for better, after it was.
const TRUST: u32 = 32;
/// The distance to wait for: this number of messages, or this number of bytes of slots if that is
/// less, but at least [`MESSAGES_MIN`] messages.
const MESSAGES: usize = 64;
const BYTES: usize = 64 * 1024;
const MESSAGES_MIN: usize = 8;
/// The number of polls before back-off gives up, and the spin-loop hints between them, together
/// usually half a microsecond. Longer ones would delay messages by more.
const POLLS: u32 = 6;
const PAUSES: u32 = 16;

impl ReceiverBackoff {
    pub(crate) fn new(geometry: &Geometry) -> ReceiverBackoff {
        let messages = (BYTES / geometry.stride).clamp(MESSAGES_MIN, MESSAGES);
        ReceiverBackoff {
            messages: if messages <= geometry.capacity / 2 { messages as u64 } else { 0 },
            streak: AtomicU32::new(0),
            pause: AtomicU32::new(0),
            skips_left: AtomicU32::new(0),
            pace: Pace::default(),
            without: AtomicU64::new(0),
            has_failed: AtomicU32::new(0),
            trusted: AtomicU32::new(0),
        }
    }

    /// Records that the ring is empty after `found` messages. Returns whether to back off now.
    pub(crate) fn should_back_off(&self, found: u64, now_ns: impl FnOnce() -> u64) -> bool {
        if self.streak.load(Relaxed) < STREAK_MAX || self.messages == 0 {
            self.pace.restart();
            return false;
        }
        if found == 0 {
            return false;
        }
        let message_ps = self.pace.count(found, now_ns);
        let skips_left = self.skips_left.load(Relaxed);
        match (message_ps, skips_left) {
            (Some(without), 1..) => self.without.store(without, Relaxed),
            (Some(with), 0) => self.judge(with),
            (None, _) => {}
        }
        match skips_left {
            0 => self.skips_left.load(Relaxed) == 0,
            1 => {
                self.skips_left.store(0, Relaxed);
                self.pace.restart();
                true
            }
            _ => {
                self.skips_left.store(skips_left - 1, Relaxed);
                false
            }
        }
    }

    /// Suspends unsuccessful back-offs with which a message takes as long as without.
    fn judge(&self, with: u64) {
        if self.has_failed.swap(0, Relaxed) == 0 {
            return;
        }
        let (without, trusted) = (self.without.load(Relaxed), self.trusted.load(Relaxed));
        let pays = without > with.saturating_add(with / 8);
        match (pays, trusted) {
            (true, TRUST..) => {
                // The sender may have changed.
                self.trusted.store(0, Relaxed);
                self.skip(pace::TIMES);
            }
            (true, _) => self.trusted.store(trusted + 1, Relaxed),
            (false, _) => {
                self.trusted.store(0, Relaxed);
                let pause = (self.pause.load(Relaxed) * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                self.pause.store(pause, Relaxed);
                self.skip(pause);
            }
        }
    }

    /// Does without the next back-offs, and measures the pace without them.
    fn skip(&self, times: u32) {
        self.skips_left.store(times, Relaxed);
        self.pace.restart();
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
        if there {
            self.pause.store(0, Relaxed);
        } else if self.without.load(Relaxed) == 0 {
            self.skip(pace::TIMES);
        } else {
            self.has_failed.store(1, Relaxed);
        }
    }

    /// Records whether the next message arrived within a moment.
    pub(crate) fn record_arrival(&self, soon: bool) {
        let streak = if soon { (self.streak.load(Relaxed) + 1).min(STREAK_MAX) } else { 0 };
        self.streak.store(streak, Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::flavor::Flavor;
    use crate::message::MessageLayout;

    fn backoff<T: crate::Message>(capacity: usize) -> ReceiverBackoff {
        ReceiverBackoff::new(
            &Geometry::new(Flavor::Spsc, MessageLayout::of::<T>(), 2, capacity, size_of::<T>(), 0)
                .unwrap(),
        )
    }

    /// Finds the ring empty `times` times, each time after `found` messages, with the next message
    /// arriving at once. Returns how often the receiver backed off, successfully or not.
    fn leads(backoff: &ReceiverBackoff, times: u64, found: u64, came: bool) -> u64 {
        (0..times)
            .map(|_| {
                let due = backoff.should_back_off(found, || 0);
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
    fn after_a_longer_wait_there_are_none() {
        let backoff = backoff::<u64>(1024);
        leads(&backoff, 100, 4, true);
        backoff.should_back_off(4, || 0);
        backoff.record_arrival(false);
        assert_eq!(leads(&backoff, u64::from(STREAK_MAX), 4, true), 0);
    }

    /// A sender with a fixed rate.
    #[test]
    fn back_offs_that_gain_nothing_become_rare() {
        let backoff = backoff::<u64>(1024);
        let clock = Cell::new(0);
        assert!(trials(&backoff, &clock, 1_000_000, 100, 100) < 200);
        assert!(trials(&backoff, &clock, 1_000_000, 100, 100) < 200);
        // It does not keep a stream from them whose sender gets ahead.
        assert!(leads(&backoff, 200_000, 8, true) > 100_000);
    }

    /// A sender that is faster while it is left alone, but not fast enough.
    #[test]
    fn back_offs_that_gain_go_on() {
        let backoff = backoff::<u64>(1024);
        let clock = Cell::new(0);
        trials(&backoff, &clock, 1_000, 100, 60);
        assert!(trials(&backoff, &clock, 10_000, 100, 60) > 9_000);
        // It becomes as fast without.
        trials(&backoff, &clock, 1_000, 60, 60);
        assert!(trials(&backoff, &clock, 10_000, 60, 60) < 1_000);
    }

    /// Finds the ring empty `times` times, each time after 8 messages that took so many nanoseconds
    /// each, without and with back-off, of which none is successful. Returns how many there were.
    fn trials(
        backoff: &ReceiverBackoff,
        clock: &Cell<u64>,
        times: u64,
        without: u64,
        with: u64,
    ) -> u64 {
        let mut was_alone = false;
        let mut leads = 0;
        for _ in 0..times {
            clock.set(clock.get() + 8 * if was_alone { with } else { without });
            was_alone = backoff.should_back_off(8, || clock.get());
            if was_alone {
                backoff.record_outcome(false);
                leads += 1;
            }
            backoff.record_arrival(true);
        }
        leads
    }

    #[test]
    fn a_back_off_is_bounded() {
        let backoff = backoff::<u64>(1024);
        let looks = Cell::new(0);
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
        assert_eq!(backoff::<[u8; 1024]>(1024).messages, 63);
        assert_eq!(backoff::<[u8; 65536]>(16).messages, 8);
        assert_eq!(backoff::<[u8; 65536]>(8).messages, 0);
    }
}
