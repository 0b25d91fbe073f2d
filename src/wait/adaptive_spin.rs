//! Adaptive spinning: how long to spin before blocking, estimated from the last waits.
//!
//! A wait of unknown length costs at most twice the optimum when a thread spins for as long as
//! blocking and the wake-up would take, and then blocks (Karlin, Manasse, McGeoch and Owicki,
//! "Competitive randomized algorithms for non-uniform problems", SODA 1990). The cost of blocking
//! is estimated from the wake-ups.
//!
//! Spinning is unsuccessful where messages are rare, and where the other side needs this very
//! processor. After several waits that outlast the spin, or that time out, spinning is suspended.
//! Once later waits end so soon that a spin would have met them, it is tried once; if that spin is
//! unsuccessful too, the next try follows after twice as many such waits, since on a shared
//! processor every one of them is like that.

use crate::sync::spin_loop;

/// How a handle waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Never blocks: the lowest latency, at 100 % of one processor. Use it only with a spare
    /// processor for each handle that waits like this. A receiver takes each message the moment it
    /// is available, which slows down a sender that writes without pause; for the highest
    /// throughput use `Balanced`.
    Spin,
    /// Spins for about as long as blocking and a wake-up would cost (estimated from the last ones),
    /// then blocks. On a machine with one processor it does not spin, and it suspends spinning
    /// after several unsuccessful spins in a row, as on a processor that both sides share. A
    /// receiver that repeatedly catches up with a stream backs off until its sender is some
    /// messages ahead, for a few microseconds at most.
    #[default]
    Balanced,
    /// Blocks at once when there is nothing to do. As with `Balanced`, a call whose wake-ups are
    /// repeatedly futile, because other members took the message or slot, rests before it blocks
    /// again: first for 50 us, then for about as long as its futile wake-ups took so far, at most 3.2
    /// ms.
    Park,
}

/// How a handle waits, and its estimate from earlier waits.
#[derive(Debug)]
pub(crate) struct WaitPolicy {
    pub(crate) wait: Wait,
    pub(crate) estimate: SpinEstimate,
    /// True on a machine with one processor, where spinning keeps the peer from running.
    pub(crate) alone: bool,
    /// The number of times that the handle has parked since it was made.
    pub(crate) parks: u64,
}

/// An estimate from the last waits: whether to spin, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpinEstimate {
    /// How long to spin, in nanoseconds: twice what the last wake-ups took, between 2 and 100
    /// microseconds.
    spin: u32,
    /// 0 while spinning is enabled; otherwise the number of waits to observe, of those that a spin
    /// would have met, before the next try.
    pause: u16,
    /// While spinning is enabled, the number of consecutive waits that outlasted it; otherwise the
    /// number of short waits still to observe before the next try.
    count: u16,
}

/// The number of polls before the first other action: a microsecond or two, many times the latency
/// of a message in transit. In a model they would only add polls that check nothing new.
const BRIEF_POLLS: u32 = if cfg!(loom) { 0 } else { 64 };
const SPIN_MIN_NS: u32 = 2_000;
const SPIN_MAX_NS: u32 = 100_000;
/// A spin that exceeds its budget by more than this was preempted; a smaller excess is the time of
/// some polls.
const PREEMPTED_NS: u64 = 20_000;
/// The number of consecutive waits that outlast spinning before it is suspended, and the number of
/// short waits that end the first suspension.
const UNSUCCESSFUL_MAX: u16 = 8;
const PAUSE_MAX: u16 = 4_096;

impl SpinEstimate {
    /// Returns the initial estimate with this budget.
    fn new(spin: u32) -> SpinEstimate {
        SpinEstimate { spin, pause: 0, count: 0 }
    }

    /// Packs the estimate into one word, for threads that share it.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.spin) | u64::from(self.pause) << 32 | u64::from(self.count) << 48
    }

    /// Unpacks such a word.
    pub(crate) fn from_bits(bits: u64) -> SpinEstimate {
        SpinEstimate { spin: bits as u32, pause: (bits >> 32) as u16, count: (bits >> 48) as u16 }
    }

    /// Returns whether spinning is suspended this time.
    fn is_suspended(self) -> bool {
        self.pause != 0 && self.count != 0
    }

    /// Returns how long to spin this time, in nanoseconds.
    pub(crate) fn budget(self) -> u64 {
        if self.is_suspended() { 0 } else { u64::from(self.spin) }
    }

    /// Records a wake-up and its cost, from the waker's post to the return from blocking, in
    /// nanoseconds.
    pub(crate) fn woken(&mut self, cost: u64) {
        // Older than any wake-up takes: no waker made this post.
        if cost < 10_000_000 {
            let spin = (u64::from(self.spin) * 7 + 2 * cost) / 8;
            self.spin = spin.clamp(u64::from(SPIN_MIN_NS), u64::from(SPIN_MAX_NS)) as u32;
        }
    }

    /// Records a wait that ended during the spin, after `time` nanoseconds. A spin that exceeded
    /// its budget was preempted: the message may have arrived because this processor was given to
    /// the other side.
    pub(crate) fn spun(&mut self, time: u64) {
        if time <= u64::from(self.spin) + PREEMPTED_NS {
            self.record_success()
        } else {
            self.record_failure(time)
        }
    }

    /// Records a wait that ended during the spin, within its budget.
    fn record_success(&mut self) {
        (self.pause, self.count) = (0, 0);
    }

    /// Records a wait that timed out after `time` nanoseconds. One shorter than a spin is no
    /// evidence. Two in a row are enough to suspend spinning: next to busy processes, a spin uses
    /// up what the scheduler would grant at the end of the blocking wait, and the call returns that
    /// much later.
    pub(crate) fn timed_out(&mut self, time: u64) {
        if time >= u64::from(self.spin) {
            if self.pause == 0 {
                self.count = self.count.saturating_add(UNSUCCESSFUL_MAX / 2 - 1);
            }
            self.record_failure(time);
        }
    }

    /// Records a wait that outlasted spinning and took `time` nanoseconds.
    pub(crate) fn record_failure(&mut self, time: u64) {
        if self.pause == 0 {
            self.count += 1;
            if self.count >= UNSUCCESSFUL_MAX {
                (self.pause, self.count) = (UNSUCCESSFUL_MAX, UNSUCCESSFUL_MAX);
            }
        } else if self.count == 0 {
            self.pause = self.pause.saturating_mul(2).min(PAUSE_MAX);
            self.count = self.pause;
        } else if time < u64::from(self.spin) {
            self.count -= 1;
        }
    }
}

impl WaitPolicy {
    pub(crate) fn new(wait: Wait) -> WaitPolicy {
        WaitPolicy {
            wait,
            estimate: SpinEstimate::new(SPIN_MAX_NS / 2),
            alone: crate::sysv::process::processors() < 2,
            parks: 0,
        }
    }

    /// Returns the same policy with this estimate. It does not query the number of processors
    /// again, which takes several system calls.
    pub(crate) fn with(&self, estimate: SpinEstimate) -> WaitPolicy {
        WaitPolicy { wait: self.wait, estimate, alone: self.alone, parks: 0 }
    }

    /// Returns whether to spin this time. While spinning is suspended, not even one extra poll is
    /// made: the polls would be a good part of what parking costs.
    pub(crate) fn spins(&self) -> bool {
        self.wait != Wait::Park && !self.alone && !self.estimate.is_suspended()
    }

    /// Polls a few times before any action that takes as long as a message in transit. Returns
    /// whether `arrived` reported success.
    #[inline(always)]
    pub(crate) fn poll_briefly(&mut self, mut arrived: impl FnMut() -> bool) -> bool {
        if !self.spins() {
            return false;
        }
        for _ in 0..BRIEF_POLLS {
            if arrived() {
                self.estimate.record_success();
                return true;
            }
            spin_loop();
        }
        false
    }

    /// Returns whether a receiver that keeps up with its sender may back off: not where the latency
    /// is to be minimal, nor where spinning is useless.
    pub(crate) fn backs_off(&self) -> bool {
        self.wait == Wait::Balanced && self.spins()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn threads_share_what_is_learnt() {
        for (spin, pause, count) in [(0, 0, 0), (u32::MAX, 0, u16::MAX), (2_000, 8, 3)] {
            let estimate = SpinEstimate { spin, pause, count };
            assert_eq!(SpinEstimate::from_bits(estimate.to_bits()), estimate);
        }
    }

    fn fresh() -> SpinEstimate {
        WaitPolicy::new(Wait::Balanced).estimate
    }

    #[test]
    fn wakes_teach_how_long_to_spin() {
        for (cost, spin) in [(0, SPIN_MIN_NS), (20_000, 40_000), (9_999_999, SPIN_MAX_NS)] {
            let mut estimate = fresh();
            (0..100).for_each(|_| estimate.woken(cost));
            assert!(estimate.spin.abs_diff(spin) < 10, "{} for {cost}", estimate.spin);
            estimate.woken(10_000_000);
            assert!(estimate.spin.abs_diff(spin) < 10, "an old post taught something");
        }
    }

    /// Returns how many of `waits` waits spin for their whole budget, when no spin meets any of
    /// them.
    fn spins(estimate: &mut SpinEstimate, waits: usize, time: u64) -> usize {
        (0..waits)
            .filter(|_| {
                let all = estimate.budget() == u64::from(estimate.spin);
                estimate.record_failure(time);
                all
            })
            .count()
    }

    #[test]
    fn long_waits_end_spinning() {
        let mut estimate = fresh();
        assert_eq!(spins(&mut estimate, 1_000, 1_000_000), usize::from(UNSUCCESSFUL_MAX));
        // Occasional pauses do not suspend it.
        estimate.record_success();
        for _ in 0..100 {
            assert_eq!(
                spins(&mut estimate, usize::from(UNSUCCESSFUL_MAX) - 1, 1_000_000),
                usize::from(UNSUCCESSFUL_MAX) - 1
            );
            estimate.record_success();
        }
    }

    #[test]
    fn short_waits_bring_it_back() {
        let mut estimate = fresh();
        spins(&mut estimate, 100, 1_000_000);
        assert_eq!(spins(&mut estimate, usize::from(UNSUCCESSFUL_MAX), 10_000), 0);
        assert_eq!(estimate.budget(), u64::from(estimate.spin), "not tried");
        estimate.record_success();
        assert_eq!(estimate, fresh());
    }

    #[test]
    fn two_time_outs_end_spinning() {
        let mut estimate = fresh();
        estimate.timed_out(u64::from(estimate.spin) - 1);
        assert_eq!(estimate, fresh(), "shorter than a spin");
        estimate.timed_out(1_000_000);
        assert_ne!(estimate.budget(), 0);
        estimate.timed_out(1_000_000);
        assert_eq!(estimate.budget(), 0);
        // And they do not postpone the next try.
        estimate.timed_out(1_000_000);
        assert_eq!((estimate.pause, estimate.count), (UNSUCCESSFUL_MAX, UNSUCCESSFUL_MAX));
    }

    /// Next to busy processes a spin may be preempted; a message found afterwards is not its
    /// success.
    #[test]
    fn preempted_spins_are_unsuccessful() {
        let mut estimate = fresh();
        let most = u64::from(estimate.spin) + PREEMPTED_NS;
        (0..UNSUCCESSFUL_MAX).for_each(|_| estimate.spun(most + 1));
        assert_eq!(estimate.budget(), 0);
        // Nor does one of them re-enable spinning.
        estimate.spun(3_000_000);
        assert_eq!(estimate.budget(), 0);
        let mut estimate = fresh();
        for _ in 0..100 {
            (1..UNSUCCESSFUL_MAX).for_each(|_| estimate.spun(most + 1));
            estimate.spun(most);
            assert_eq!(estimate, fresh());
        }
    }

    /// Two processes that share a processor: each wait is short, and spinning meets none.
    #[test]
    fn unsuccessful_spins_are_retried_less_often() {
        let mut estimate = fresh();
        assert!(spins(&mut estimate, 10_000, 10_000) < usize::from(UNSUCCESSFUL_MAX) + 12);
        assert!((1..=3).contains(&spins(&mut estimate, 10_000, 10_000)));
    }
}
