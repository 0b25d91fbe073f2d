//! How long to spin before a sleep, and what the last waits taught about it.
//!
//! A wait of unknown length costs at most twice what it must when one spins for as long as a sleep and its
//! wake would take, and then sleeps (Karlin, Manasse, McGeoch and Owicki, "Competitive randomized
//! algorithms for non-uniform problems", SODA 1990). What that is the wakes tell. Where one wait after
//! the other takes many times as long, the next will too, and spinning is left out.

use crate::sync::spin_loop;

/// How a handle waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Never sleep: the lowest latency, one processor at 100 %. Only with a processor to spare for
    /// each handle that waits so.
    Spin,
    /// Spin for about as long as a sleep and a wake would cost (learnt from the last ones), then
    /// give up the processor a few times, then sleep. On a machine with one processor it does not
    /// spin.
    #[default]
    Balanced,
    /// Sleep at once when there is nothing to do.
    Park,
}

/// What a handle knows about waiting.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(crate) wait: Wait,
    pub(crate) learnt: Learnt,
    /// With one processor a spinning waiter keeps away the very process it waits for.
    pub(crate) alone: bool,
    /// Sleeps since the handle was made.
    pub(crate) parks: u64,
}

/// What the last waits taught.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Learnt {
    /// How long to spin, nanoseconds: twice what the last wakes took, between 2 and 100 microseconds.
    spin: u32,
    /// Waits in a row that took many times as long.
    long: u32,
}

/// Looks before the first thing that is not a look: a microsecond or two, many times what a message is on
/// its way. In a model they would be looks more, of no use.
const GLANCES: u32 = if cfg!(loom) { 0 } else { 64 };
const SPIN_MIN_NS: u32 = 2_000;
const SPIN_MAX_NS: u32 = 100_000;
/// A wait that took so many times as long as spinning would is a long one.
const LONG_TIMES: u64 = 4;
/// After so many long waits in a row the next will be one too, and spinning for it would be in vain.
const LONG_WAITS: u32 = 8;

impl Learnt {
    /// As one number.
    pub(crate) fn number(self) -> u64 {
        u64::from(self.spin) | u64::from(self.long) << 32
    }

    pub(crate) fn from_number(number: u64) -> Learnt {
        Learnt { spin: number as u32, long: (number >> 32) as u32 }
    }

    /// How long to spin this time.
    pub(crate) fn budget(self) -> u64 {
        u64::from(if self.long < LONG_WAITS { self.spin } else { SPIN_MIN_NS })
    }

    /// A wake came: what it cost, from the waker's post to here.
    pub(crate) fn woken(&mut self, cost: u64) {
        // Older than any wake: the post was no waker's.
        if cost < 10_000_000 {
            let spin = (u64::from(self.spin) * 7 + 2 * cost) / 8;
            self.spin = spin.clamp(u64::from(SPIN_MIN_NS), u64::from(SPIN_MAX_NS)) as u32;
        }
    }

    /// How long a wait took until its end.
    pub(crate) fn took(&mut self, time: u64) {
        let long = time > LONG_TIMES * u64::from(self.spin);
        self.long = if long { self.long.saturating_add(1) } else { 0 };
    }
}

impl Pace {
    pub(crate) fn new(wait: Wait) -> Pace {
        Pace {
            wait,
            learnt: Learnt { spin: SPIN_MAX_NS / 2, long: 0 },
            alone: crate::sysv::process::processors() < 2,
            parks: 0,
        }
    }

    /// The same with what was learnt before. Asks nobody for the number of processors, which takes
    /// several system calls.
    pub(crate) fn with(&self, learnt: Learnt) -> Pace {
        Pace { wait: self.wait, learnt, alone: self.alone, parks: 0 }
    }

    /// Looks a few times before anything is done that takes as long as a message that is on its way.
    /// Whether it came.
    #[inline(always)]
    pub(crate) fn glance(&self, mut came: impl FnMut() -> bool) -> bool {
        if self.wait == Wait::Park || self.alone {
            return false;
        }
        for _ in 0..GLANCES {
            if came() {
                return true;
            }
            spin_loop();
        }
        false
    }

    pub(crate) fn learnt(&self) -> Learnt {
        self.learnt
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn fresh() -> Learnt {
        Pace::new(Wait::Balanced).learnt()
    }

    #[test]
    fn what_was_learnt_is_a_number_and_back() {
        for learnt in
            [fresh(), Learnt { spin: u32::MAX, long: 0 }, Learnt { spin: 1, long: u32::MAX }]
        {
            let same = Learnt::from_number(learnt.number());
            assert_eq!((same.spin, same.long), (learnt.spin, learnt.long));
        }
    }

    #[test]
    fn wakes_teach_how_long_to_spin() {
        for (cost, spin) in [(0, SPIN_MIN_NS), (20_000, 40_000), (9_999_999, SPIN_MAX_NS)] {
            let mut learnt = fresh();
            (0..100).for_each(|_| learnt.woken(cost));
            assert!(learnt.spin.abs_diff(spin) < 10, "{} for {cost}", learnt.spin);
            learnt.woken(10_000_000);
            assert!(learnt.spin.abs_diff(spin) < 10, "an old post taught something");
        }
    }

    /// Not after a few, for a pause now and then says nothing; and a single short one is enough to go back.
    #[test]
    fn after_long_waits_spinning_is_short() {
        let mut learnt = fresh();
        let spin = u64::from(learnt.spin);
        for _ in 0..LONG_WAITS {
            assert_eq!(learnt.budget(), spin);
            learnt.took(spin * LONG_TIMES + 1);
        }
        assert_eq!(learnt.budget(), u64::from(SPIN_MIN_NS));
        learnt.took(u64::MAX);
        assert_eq!(learnt.budget(), u64::from(SPIN_MIN_NS));
        learnt.took(spin * LONG_TIMES);
        assert_eq!(learnt.budget(), spin);
    }
}
