//! How long to spin before a sleep, and what the last waits taught about it.
//!
//! A wait of unknown length costs at most twice what it must when one spins for as long as a sleep and its
//! wake would take, and then sleeps (Karlin, Manasse, McGeoch and Owicki, "Competitive randomized
//! algorithms for non-uniform problems", SODA 1990). What that is the wakes tell.
//!
//! Spinning is in vain where messages come seldom, and where the other side needs this very
//! processor. After some waits that outlast it, or end without anything, it is left out. Where later
//! ones end so soon that it would have met them, it is tried once; if that is in vain too, the next
//! try comes after twice as many, since on one processor each of them is like that.

use crate::sync::spin_loop;

/// How a handle waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Never sleep: the lowest latency, one processor at 100 %. Only with a processor to spare for
    /// each handle that waits so. A receiver takes each message the moment it is there, which slows down
    /// a sender that writes without a pause: for the most messages a second, `Balanced`.
    Spin,
    /// Spin for about as long as a sleep and a wake would cost (learnt from the last ones), then
    /// sleep. On a machine with one processor it does not spin, and it leaves out spinning that was in
    /// vain several times in a row, as on a processor that both sides share. A receiver that catches up
    /// with a stream again and again lets its sender get some messages ahead, a few microseconds at most.
    #[default]
    Balanced,
    /// Sleep at once when there is nothing to do. As with `Balanced`, a call that is woken in vain again and
    /// again, for what other members took, rests before the next sleep: first for 50 us, then for about as long
    /// as it was in vain so far, at most 3.2 ms.
    Park,
}

/// What a handle knows about waiting.
#[derive(Debug)]
pub(crate) struct WaitPolicy {
    pub(crate) wait: Wait,
    pub(crate) estimate: SpinEstimate,
    /// With one processor a spinning waiter keeps away the very process it waits for.
    pub(crate) alone: bool,
    /// Sleeps since the handle was made.
    pub(crate) parks: u64,
}

/// What the last waits taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpinEstimate {
    /// How long to spin, nanoseconds: twice what the last wakes took, between 2 and 100 microseconds.
    spin: u32,
    /// 0 as long as spinning pays; otherwise how many waits it would have met come before the next try.
    pause: u16,
    /// While spinning pays, waits in a row that outlasted it; otherwise waits still to come before the try.
    count: u16,
}

/// Looks before the first thing that is not a look: a microsecond or two, many times what a message is on
/// its way. In a model they would be looks more, of no use.
const GLANCES: u32 = if cfg!(loom) { 0 } else { 64 };
const SPIN_MIN_NS: u32 = 2_000;
const SPIN_MAX_NS: u32 = 100_000;
/// A spin that takes so much longer than it may was preempted; less is the time of some looks.
const PREEMPTED_NS: u64 = 20_000;
/// Waits in a row that outlast spinning before it is left out, and those that it would have met before it is
/// tried again.
const IN_VAIN: u16 = 8;
const PAUSE_MAX: u16 = 4_096;

impl SpinEstimate {
    /// As at first, with a budget.
    fn new(spin: u32) -> SpinEstimate {
        SpinEstimate { spin, pause: 0, count: 0 }
    }

    /// In one word, for threads that learn together.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.spin) | u64::from(self.pause) << 32 | u64::from(self.count) << 48
    }

    /// From such a word.
    pub(crate) fn from_bits(bits: u64) -> SpinEstimate {
        SpinEstimate { spin: bits as u32, pause: (bits >> 32) as u16, count: (bits >> 48) as u16 }
    }

    /// Whether spinning is left out this time.
    fn is_suspended(self) -> bool {
        self.pause != 0 && self.count != 0
    }

    /// How long to spin this time, nanoseconds.
    pub(crate) fn budget(self) -> u64 {
        if self.is_suspended() { 0 } else { u64::from(self.spin) }
    }

    /// A wake came: what it cost, from the waker's post to here, nanoseconds.
    pub(crate) fn woken(&mut self, cost: u64) {
        // Older than any wake: the post was no waker's.
        if cost < 10_000_000 {
            let spin = (u64::from(self.spin) * 7 + 2 * cost) / 8;
            self.spin = spin.clamp(u64::from(SPIN_MIN_NS), u64::from(SPIN_MAX_NS)) as u32;
        }
    }

    /// A wait ended while it spun, after so many nanoseconds. One that took longer than it may spin was
    /// preempted: the message may have come because this processor was given to the other side.
    pub(crate) fn spun(&mut self, time: u64) {
        if time <= u64::from(self.spin) + PREEMPTED_NS { self.met() } else { self.outlasted(time) }
    }

    /// A wait ended while it spun, and soon.
    fn met(&mut self) {
        (self.pause, self.count) = (0, 0);
    }

    /// A wait ended without what it waited for, after so many nanoseconds. What is shorter than spinning
    /// says nothing of it. Two of them in a row are enough to leave spinning out: beside busy processes it
    /// uses up what the scheduler would grant at the end of the sleep, and the call returns that much later.
    pub(crate) fn timed_out(&mut self, time: u64) {
        if time >= u64::from(self.spin) {
            if self.pause == 0 {
                self.count = self.count.saturating_add(IN_VAIN / 2 - 1);
            }
            self.outlasted(time);
        }
    }

    /// A wait outlasted spinning, and took so many nanoseconds.
    pub(crate) fn outlasted(&mut self, time: u64) {
        if self.pause == 0 {
            self.count += 1;
            if self.count >= IN_VAIN {
                (self.pause, self.count) = (IN_VAIN, IN_VAIN);
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

    /// The same with what was learnt before. Asks nobody for the number of processors, which takes
    /// several system calls.
    pub(crate) fn with(&self, estimate: SpinEstimate) -> WaitPolicy {
        WaitPolicy { wait: self.wait, estimate, alone: self.alone, parks: 0 }
    }

    /// Whether to spin this time. Where it was in vain not a single look more: they would be a good part of
    /// what a park costs.
    pub(crate) fn spins(&self) -> bool {
        self.wait != Wait::Park && !self.alone && !self.estimate.is_suspended()
    }

    /// Looks a few times before anything is done that takes as long as a message that is on its way.
    /// Whether it came.
    #[inline(always)]
    pub(crate) fn poll_briefly(&mut self, mut came: impl FnMut() -> bool) -> bool {
        if !self.spins() {
            return false;
        }
        for _ in 0..GLANCES {
            if came() {
                self.estimate.met();
                return true;
            }
            spin_loop();
        }
        false
    }

    /// Whether a receiver at the heels of its sender may look away for a moment: not where the latency is to
    /// be the lowest, nor where spinning is of no use.
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

    /// How many of so many waits spin for all of their budget, when none of them is met by it.
    fn spins(estimate: &mut SpinEstimate, waits: usize, time: u64) -> usize {
        (0..waits)
            .filter(|_| {
                let all = estimate.budget() == u64::from(estimate.spin);
                estimate.outlasted(time);
                all
            })
            .count()
    }

    #[test]
    fn long_waits_end_spinning() {
        let mut estimate = fresh();
        assert_eq!(spins(&mut estimate, 1_000, 1_000_000), usize::from(IN_VAIN));
        // Not after a pause now and then.
        estimate.met();
        for _ in 0..100 {
            assert_eq!(
                spins(&mut estimate, usize::from(IN_VAIN) - 1, 1_000_000),
                usize::from(IN_VAIN) - 1
            );
            estimate.met();
        }
    }

    #[test]
    fn short_waits_bring_it_back() {
        let mut estimate = fresh();
        spins(&mut estimate, 100, 1_000_000);
        assert_eq!(spins(&mut estimate, usize::from(IN_VAIN), 10_000), 0);
        assert_eq!(estimate.budget(), u64::from(estimate.spin), "not tried");
        estimate.met();
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
        // And they do not put off the next try.
        estimate.timed_out(1_000_000);
        assert_eq!((estimate.pause, estimate.count), (IN_VAIN, IN_VAIN));
    }

    /// Beside busy processes a spin may be preempted; that the message is there afterwards is not its merit.
    #[test]
    fn preempted_spins_are_in_vain() {
        let mut estimate = fresh();
        let most = u64::from(estimate.spin) + PREEMPTED_NS;
        (0..IN_VAIN).for_each(|_| estimate.spun(most + 1));
        assert_eq!(estimate.budget(), 0);
        // Nor does one of them bring spinning back.
        estimate.spun(3_000_000);
        assert_eq!(estimate.budget(), 0);
        let mut estimate = fresh();
        for _ in 0..100 {
            (1..IN_VAIN).for_each(|_| estimate.spun(most + 1));
            estimate.spun(most);
            assert_eq!(estimate, fresh());
        }
    }

    /// Two that share a processor: each wait is short, and none is met by spinning.
    #[test]
    fn what_is_always_in_vain_is_tried_more_and_more_seldom() {
        let mut estimate = fresh();
        assert!(spins(&mut estimate, 10_000, 10_000) < usize::from(IN_VAIN) + 12);
        assert!((1..=3).contains(&spins(&mut estimate, 10_000, 10_000)));
    }
}
