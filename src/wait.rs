//! Waiting: spin, yield, park; and waking without a system call or a fence while nobody sleeps.
//!
//! # Why no wake-up is lost
//!
//! The waker does: *publish* (a Release store to the ring), then *look* at the other side's parked
//! word. The sleeper does: *announce* itself there, then *look again* at the ring, then sleep. One of
//! the two must see the other. That takes a store-load barrier on both sides, and a full one on the
//! waker's costs most of a message's time. So the sleeper buys both: `membarrier(GLOBAL_EXPEDITED)`
//! between announcing and looking again makes every running thread of every registered process pass a
//! full barrier. A waker whose look came before that barrier has published before it too, and the
//! sleeper sees the message; a waker whose look comes after it sees the announcement. On the waker's
//! side it is enough that the compiler keeps the order ([`light_fence`]).
//!
//! A process that cannot register (seccomp, old kernel) would silently get no barrier. It switches
//! the channel to fences before it sends or sleeps: the flag FENCE in the parked words, which each
//! waker reads anyway and which sends it to [`wake`], where a real fence stands in front of a second
//! look. A peer that was between its store and its look in that instant is covered by the next slice.
//!
//! The semaphore's value is a hint, not a count of messages. The waker takes the announcement off
//! before it posts, so one sleep costs one post; who returns from sleeping takes its announcement
//! back and looks again, whatever woke it. A waker killed between taking and posting wakes the sleeper
//! all the same: its death posts (`members.rs`). Against everything else (a waker stopped there, a
//! segment removed by hand) sleeping is in slices of [`SLICE`].

use std::time::Duration;

use crate::error::Fault;
use crate::layout::Parking;
use crate::pace::{Pace, Wait};
use crate::sync::Ordering::{AcqRel, Relaxed, SeqCst};
use crate::sync::{fence, plain, spin_loop};
use crate::sysv::time::{self, Deadline};

/// Bits of the parked count.
const PARKED: u32 = 0xffff;
/// This side left by its own will and nobody came since.
pub(crate) const LEFT: u32 = 1 << 29;
/// The channel was removed.
pub(crate) const REMOVED: u32 = 1 << 30;
/// A member could not register for membarrier: wakers need a fence.
const FENCE: u32 = 1 << 31;

/// The longest a sleeper sleeps without a look of its own.
pub(crate) const SLICE: Duration = Duration::from_millis(200);

/// The two sides of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Senders,
    Receivers,
}

impl Side {
    /// What a member of this side is called.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Side::Senders => "sender",
            Side::Receivers => "receiver",
        }
    }

    /// As a line of the members' table has it.
    pub(crate) fn role_number(self) -> u32 {
        match self {
            Side::Senders => 1,
            Side::Receivers => 2,
        }
    }

    /// The side of such a number.
    pub(crate) fn from_role_number(number: u32) -> Option<Side> {
        [Side::Senders, Side::Receivers].into_iter().find(|side| side.role_number() == number)
    }

    pub(crate) fn other(self) -> Side {
        match self {
            Side::Senders => Side::Receivers,
            Side::Receivers => Side::Senders,
        }
    }
}

/// Where sleepers sleep: the channel's semaphore set, or the model checker's.
pub(crate) trait Gate {
    /// Sleeps until a post of this side comes or the time is over; whether a post came. May
    /// return early.
    fn sleep(&self, side: Side, at_most: Duration) -> Result<bool, Fault>;
    /// Lets one sleeper of this side go, now or when it comes to sleep.
    fn post(&self, side: Side) -> Result<(), Fault>;
    /// A full barrier in every thread of every member; false where that is not to be had.
    fn barrier(&self) -> bool;
}

/// The waker's half of the order: publish, then look. See the top of this file.
#[inline(always)]
pub(crate) fn light_fence() {
    #[cfg(not(loom))]
    crate::sync::compiler_fence(SeqCst);
    // The model has no membarrier: both sides fence.
    #[cfg(loom)]
    fence(SeqCst);
}

impl Parking {
    /// What a waker sees with one plain load: zero while there is nothing to do for it.
    #[inline(always)]
    pub(crate) fn flags(&self) -> u32 {
        self.word.load(Relaxed)
    }

    /// Whether that side left and nobody came since. Acquire: what it sent before is visible.
    pub(crate) fn has_left(&self) -> bool {
        self.word.load(crate::sync::Ordering::Acquire) & LEFT != 0
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.flags() & REMOVED != 0
    }

    /// AcqRel: a flag set is seen with all that was done before.
    pub(crate) fn set(&self, flag: u32) {
        self.word.fetch_or(flag, AcqRel);
    }

    pub(crate) fn clear(&self, flag: u32) {
        self.word.fetch_and(!flag, AcqRel);
    }

    /// Takes off all that only living members need, or never wrote.
    pub(crate) fn forget_sleepers(&self) {
        self.clear(!LEFT);
    }

    /// Tells the waking side to use fences from now on.
    pub(crate) fn require_fences(&self) {
        self.set(FENCE);
    }

    /// Announces a sleeper. Written by RMW only, like every use of this word: a plain store could
    /// undo a flag.
    fn announce(&self, most: u32) {
        if most == 1 {
            self.word.fetch_or(1, SeqCst);
            return;
        }
        let mut word = self.word.load(Relaxed);
        while word & PARKED < most {
            match self.word.compare_exchange(word, word + 1, SeqCst, Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        // More were announced than there can be, by some who died. A fence all the same.
        fence(SeqCst);
    }

    /// Takes an announcement off; whether there was one. The sleeper's way back and the waker's
    /// right to post.
    fn take(&self) -> bool {
        let mut word = self.word.load(Relaxed);
        while word & PARKED != 0 {
            match self.word.compare_exchange(word, word - 1, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Whether anybody of this side is parked, or about to.
    #[inline(always)]
    pub(crate) fn is_parked(&self) -> bool {
        self.flags() & PARKED != 0
    }
}

/// The waker's slow half: somebody is parked, or fences are required. Whether a post was made.
#[cold]
pub(crate) fn wake<G: Gate>(gate: &G, parking: &Parking, side: Side) -> Result<bool, Fault> {
    if parking.flags() & FENCE != 0 {
        fence(SeqCst);
    }
    if parking.flags() & PARKED == 0 || !parking.take() {
        return Ok(false);
    }
    parking.woken_at.store(time::now_ns(), plain::Ordering::Relaxed);
    gate.post(side)?;
    Ok(true)
}

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// At the ring; no system call.
    Quick,
    /// As closely as can be: at the ring, the peer's life and the flags.
    Exact,
    /// As closely, but content to sleep until there is enough to be worth waking for.
    BeforeSleep,
}

/// Why waiting ended without what was waited for.
#[derive(Debug)]
pub(crate) enum Ended<E> {
    TimedOut,
    Failed(E),
}

/// Looks between two looks at the clock.
const POLLS: u32 = 32;
/// A spinning waiter that never parks looks after its peer this often.
const LIFE_NS: u64 = 1_000_000;
const YIELDS: u32 = 3;

/// One side's place to wait.
#[derive(Debug)]
pub(crate) struct Place<'a, G> {
    pub(crate) gate: &'a G,
    pub(crate) parking: &'a Parking,
    pub(crate) side: Side,
    /// Sleep no longer than this at a time, where nobody is sure to post.
    pub(crate) slice: Duration,
    /// How many may sleep there at once.
    pub(crate) most: u32,
}

/// Waits until `look` finds what it wants.
#[inline(never)]
pub(crate) fn wait<G: Gate, E: From<Fault>>(
    place: Place<'_, G>,
    pace: &mut Pace,
    deadline: Option<Deadline>,
    mut look: impl FnMut(Look) -> Result<bool, E>,
) -> Result<(), Ended<E>> {
    let mut look = |how| look(how).map_err(Ended::Failed);
    let start = time::now_ns();
    if pace.wait != Wait::Park && !pace.alone && spin(pace, start, deadline, &mut look)? {
        pace.learnt.met();
        return Ok(());
    }
    if pace.wait != Wait::Park {
        for _ in 0..YIELDS {
            if look(Look::Quick)? {
                pace.learnt.outlasted(time::now_ns().saturating_sub(start));
                return Ok(());
            }
            // On a busy machine the processor may be back only much later.
            if deadline.is_some_and(|d| d.passed()) {
                break;
            }
            crate::sysv::process::yield_now();
        }
    }
    loop {
        let left = deadline.map_or(place.slice, |d| d.remaining().min(place.slice));
        if left.is_zero() {
            if look(Look::Exact)? {
                return Ok(());
            }
            if pace.wait == Wait::Balanced {
                pace.learnt.timed_out(time::now_ns().saturating_sub(start));
            }
            return Err(Ended::TimedOut);
        }
        let posted = match park(&place, pace, start, left, &mut look)? {
            Parked::Found => return Ok(()),
            Parked::Woken => true,
            Parked::Overslept => false,
        };
        // Nobody woke us, and perhaps nobody will for what is there now.
        if look(if posted { Look::Quick } else { Look::Exact })? {
            return Ok(());
        }
    }
}

/// Spins for the budget, or as long as it takes when the handle never parks.
fn spin<E>(
    pace: &Pace,
    start: u64,
    deadline: Option<Deadline>,
    look: &mut impl FnMut(Look) -> Result<bool, Ended<E>>,
) -> Result<bool, Ended<E>> {
    let budget = pace.learnt.budget();
    let mut life = start + LIFE_NS;
    loop {
        for _ in 0..POLLS {
            if look(Look::Quick)? {
                return Ok(true);
            }
            spin_loop();
        }
        let now = time::now_ns();
        if deadline.is_some_and(|d| d.passed_at(now)) {
            return Ok(false);
        }
        if pace.wait != Wait::Spin {
            if now - start >= budget {
                return Ok(false);
            }
        } else if now >= life {
            if look(Look::Exact)? {
                return Ok(true);
            }
            life = now + LIFE_NS;
        }
    }
}

/// How one sleep ended.
enum Parked {
    /// What was waited for is there.
    Found,
    /// Somebody posted.
    Woken,
    /// The slice is over, or a signal came.
    Overslept,
}

/// One sleep.
fn park<G: Gate, E: From<Fault>>(
    place: &Place<'_, G>,
    pace: &mut Pace,
    start: u64,
    at_most: Duration,
    look: &mut impl FnMut(Look) -> Result<bool, Ended<E>>,
) -> Result<Parked, Ended<E>> {
    place.parking.announce(place.most);
    // Between announcing and looking again: see the top of this file.
    if place.parking.flags() & FENCE != 0 {
        fence(SeqCst);
    } else if !place.gate.barrier() {
        place.parking.require_fences();
        fence(SeqCst);
    }
    match look(Look::BeforeSleep) {
        Ok(false) => {}
        other => {
            place.parking.take();
            return other.map(|_| Parked::Found);
        }
    }
    pace.parks += 1;
    let posted = place.gate.sleep(place.side, at_most);
    // Of many, whoever was posted leaves the count to the waker who took one off: it may stand for
    // another sleeper by now.
    let announced = match posted {
        Ok(true) if place.most > 1 => false,
        _ => place.parking.take(),
    };
    match posted {
        Ok(true) => {
            let now = time::now_ns();
            let woken_at = place.parking.woken_at.load(plain::Ordering::Relaxed);
            // Spinning would have met what came when the waker posted, however long the way back took.
            let by_waker = !announced && (start..now).contains(&woken_at);
            pace.learnt.outlasted(if by_waker { woken_at } else { now } - start);
            if !announced {
                pace.learnt.woken(now.saturating_sub(woken_at));
            }
            Ok(Parked::Woken)
        }
        Ok(false) => Ok(Parked::Overslept),
        // What was sent before the set went away is still to be had.
        Err(fault) => match look(Look::Quick)? {
            true => Ok(Parked::Found),
            false => Err(Ended::Failed(fault.into())),
        },
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
