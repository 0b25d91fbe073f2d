//! One call that waits: spin, then announce, look, sleep, and pass on. The steps are those of `wait/mod.rs`.

use std::time::Duration;

use super::{Holder, Parker, Poll, Slept, Table, WaitError, spin, wake};
use crate::error::Fault;
use crate::layout::Parking;
use crate::sync::Ordering::SeqCst;
use crate::sync::{fence, plain};
use crate::sysv::time::{self, Deadline};
use crate::wait::adaptive_spin::{Wait, WaitPolicy};

/// The longest a waiter sleeps without a look of its own.
pub(crate) const SLICE: Duration = Duration::from_millis(200);

/// How long a waker may take from publishing to posting, on a busy machine.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// Looks in that time.
const LOOKS: u32 = 20;

/// How long a waiter that was woken in vain rests: at first, and at most. Such a wake takes up to 50 us of a
/// processor that its fellows or the other side could use, half of it for the barrier: a sixtieth at last.
const REST_MIN: Duration = Duration::from_micros(50);
const REST_MAX: Duration = Duration::from_micros(3_200);

/// A waiter that stands back for another one looks so often, and for a slice at most.
const NAP: Duration = Duration::from_micros(400);
const NAPS: u128 = SLICE.as_micros() / NAP.as_micros();

/// One member's place to wait.
#[derive(Debug)]
pub(crate) struct WaitSite<'a, G> {
    pub(crate) gate: &'a G,
    pub(crate) parking: &'a Parking,
    pub(crate) table: Table<'a>,
    pub(crate) holder: Holder,
}

/// Waits until `look` finds what it wants.
#[inline(never)]
pub(crate) fn wait<G: Parker, E: From<Fault>>(
    place: WaitSite<'_, G>,
    policy: &mut WaitPolicy,
    deadline: Option<Deadline>,
    mut look: impl FnMut(Poll) -> Result<bool, E>,
) -> Result<(), WaitError<E>> {
    let gate = place.gate;
    // A handler may have forked since the last look: what comes is the parent's.
    let look = |how| match gate.is_forked() {
        true => Err(WaitError::Failed(Fault::Forked.into())),
        false => look(how).map_err(WaitError::Failed),
    };
    let mut waiter =
        Waiter { place, look, deadline, start: time::now_ns(), duty: false, rest: Duration::ZERO };
    let waited = waiter.run(policy);
    // Also where waiting failed: others may have to hear of it.
    if waiter.duty {
        waiter.pass_on();
    }
    match gate.is_forked() {
        true => Err(WaitError::Failed(Fault::Forked.into())),
        false => waited,
    }
}

/// One thread in one call that waits.
struct Waiter<'a, G, F> {
    place: WaitSite<'a, G>,
    look: F,
    deadline: Option<Deadline>,
    /// Nanoseconds of the monotonic clock.
    start: u64,
    /// It ate a token, or took PARKED off, and has not passed that on.
    duty: bool,
    /// How long to rest after the next wake in vain; not yet after the first one.
    rest: Duration,
}

impl<G: Parker, E: From<Fault>, F: FnMut(Poll) -> Result<bool, WaitError<E>>> Waiter<'_, G, F> {
    fn run(&mut self, policy: &mut WaitPolicy) -> Result<(), WaitError<E>> {
        if spin::spin(policy, self.start, self.deadline, &mut self.look)? {
            return Ok(());
        }
        let mut parked = false;
        loop {
            let left = self.deadline.map_or(SLICE, |deadline| deadline.remaining().min(SLICE));
            if left.is_zero() {
                return self.give_up(policy, parked);
            }
            parked = true;
            if self.park(policy, left)? {
                return Ok(());
            }
        }
    }

    /// S1 to T1. Whether it found something.
    fn park(&mut self, policy: &mut WaitPolicy, at_most: Duration) -> Result<bool, WaitError<E>> {
        self.announce()?;
        match (self.look)(Poll::BeforePark) {
            Ok(false) => match self.hand_on() {
                Ok(false) => {}
                handed_on => {
                    self.withdraw();
                    return handed_on.and_then(|_| self.stand_back());
                }
            },
            ended => {
                // Otherwise spinning were never tried again where messages come as soon as this.
                policy.estimate.outlasted(time::now_ns().saturating_sub(self.start));
                self.withdraw();
                self.unpark();
                return ended;
            }
        }
        policy.parks += 1;
        let slept = self.sleep(at_most);
        self.withdraw();
        match slept {
            Ok(Slept::Token) => {
                self.duty = true;
                self.learn(policy);
                if (self.look)(Poll::Quick)? {
                    return Ok(true);
                }
                self.tidy()?;
                self.rest()
            }
            // What is not worth waking for is worth to be taken by now.
            Ok(Slept::TimedOut) => self.look_alone(),
            Ok(Slept::Interrupted) => Ok(false),
            // What was sent before the channel went away is still to be had.
            Err(failed) => match (self.look)(Poll::Quick)? {
                true => Ok(true),
                false => Err(failed),
            },
        }
    }

    /// The last look when the time is over.
    fn give_up(&mut self, policy: &mut WaitPolicy, parked: bool) -> Result<(), WaitError<E>> {
        if parked {
            // Nobody shall post for a waiter that is gone.
            self.unpark();
        }
        if (self.look)(Poll::Exact)? {
            return Ok(());
        }
        if policy.wait == Wait::Balanced {
            policy.estimate.timed_out(time::now_ns().saturating_sub(self.start));
        }
        Err(WaitError::TimedOut)
    }

    /// S1, S2, S3.
    fn announce(&mut self) -> Result<(), WaitError<E>> {
        if !self.place.table.add(self.place.holder) {
            return Err(WaitError::Failed(Fault::LivenessLost.into()));
        }
        self.place.parking.park();
        self.barrier();
        Ok(())
    }

    /// Not in a forked child, where the count is of its parent's thread.
    fn withdraw(&self) {
        if !self.place.gate.is_forked() {
            self.place.table.remove(self.place.holder);
        }
    }

    /// F2; likewise.
    fn unpark(&mut self) {
        self.duty |= !self.place.gate.is_forked() && self.place.parking.unpark();
    }

    fn barrier(&self) {
        let WaitSite { gate, parking, .. } = &self.place;
        if !parking.needs_fences() && !gate.barrier() {
            parking.require_fences();
            gate.settle();
        }
        if parking.needs_fences() {
            fence(SeqCst);
        }
    }

    /// S5.
    fn sleep(&mut self, at_most: Duration) -> Result<Slept, WaitError<E>> {
        let (gate, side) = (self.place.gate, self.place.holder.seat.side);
        let sleep = |time| gate.sleep(side, time).map_err(|fault| WaitError::Failed(fault.into()));
        let slept = sleep(at_most)?;
        if slept != Slept::TimedOut || at_most < SLICE {
            return Ok(slept);
        }
        // What is there may have come just now, with a waker on its way; or others take it, and more comes
        // all the time. A fault is what nobody takes, and nobody wakes for.
        for _ in 0..LOOKS {
            let left = self.deadline.map_or(GRACE, |deadline| deadline.remaining());
            if left < GRACE / LOOKS || !(self.look)(Poll::Peek)? {
                return Ok(slept);
            }
            match sleep(GRACE / LOOKS)? {
                Slept::TimedOut => {}
                slept => return Ok(slept),
            }
        }
        self.place.parking.overslept.fetch_add(1, plain::Ordering::Relaxed);
        Ok(slept)
    }

    /// A look that nobody asked for.
    fn look_alone(&mut self) -> Result<bool, WaitError<E>> {
        let looked = (self.look)(Poll::Exact);
        if !matches!(looked, Ok(false)) {
            self.unpark();
        }
        looked
    }

    /// T1.
    fn tidy(&self) -> Result<(), WaitError<E>> {
        let WaitSite { gate, table, holder, .. } = &self.place;
        let tidied = table.clear_dead(*holder, || gate.lives()).and_then(|lives| {
            match lives.tokens(holder.seat.side) {
                0 => Ok(()),
                tokens => gate.drain(holder.seat.side, tokens),
            }
        });
        tidied.map_err(|fault| WaitError::Failed(fault.into()))
    }

    /// R1: woken in vain again, since others of this side take what comes. Were PARKED set at once, the next
    /// message would end in a post and a wake for nothing, too. Whether it found something.
    fn rest(&mut self) -> Result<bool, WaitError<E>> {
        let rest = self.rest;
        self.rest = (rest * 2).clamp(REST_MIN, REST_MAX);
        if rest.is_zero() {
            return Ok(false);
        }
        let posted = self.pass_on();
        self.duty = false;
        self.nap(rest);
        if posted { self.stand_back() } else { Ok(false) }
    }

    fn nap(&self, time: Duration) {
        let left = self.deadline.map_or(time, |deadline| deadline.remaining());
        self.place.gate.rest(time.min(left));
    }

    /// B1: the token just posted is for another one, who may be between its look and its sleep. It is left to
    /// that one. Whether this one found something meanwhile; exactly, since another may stand back for it.
    fn stand_back(&mut self) -> Result<bool, WaitError<E>> {
        let side = self.place.holder.seat.side;
        for _ in 0..NAPS {
            let lives = self.place.gate.lives().map_err(|fault| WaitError::Failed(fault.into()))?;
            if lives.tokens(side) == 0 || self.deadline.is_some_and(|d| d.remaining().is_zero()) {
                break;
            }
            self.nap(NAP);
            if (self.look)(Poll::Exact)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// O1, O2, O3. Whether that ended in a token.
    fn pass_on(&mut self) -> bool {
        let WaitSite { gate, parking, table, holder } = &self.place;
        if gate.is_forked() || !table.has_waiters(holder.seat.side) {
            return false;
        }
        parking.park();
        self.barrier();
        let WaitSite { gate, parking, holder, .. } = &self.place;
        // What fails here fails again in the next call that waits.
        !matches!((self.look)(Poll::Others), Ok(false))
            && wake(*gate, parking, holder.seat.side).unwrap_or(false)
    }

    /// There is nothing for this waiter. Looks are not quite alike: for another one it may be the end of the
    /// stream. Then whoever has the duty hands it on; the look says so once for each state of the channel,
    /// so that nothing goes round for ever. Whether that ended in a token.
    fn hand_on(&mut self) -> Result<bool, WaitError<E>> {
        let WaitSite { gate, parking, table, holder } = &self.place;
        let is_due = self.duty && table.has_waiters_beside(*holder) && (self.look)(Poll::Others)?;
        self.duty = false;
        match is_due {
            true => wake(*gate, parking, holder.seat.side)
                .map_err(|fault| WaitError::Failed(fault.into())),
            false => Ok(false),
        }
    }

    /// From a wake: how long spinning would have had to take, and what the way back took.
    fn learn(&self, policy: &mut WaitPolicy) {
        let now = time::now_ns();
        let woken_at = self.place.parking.woken_at.load(plain::Ordering::Relaxed);
        // Spinning would have met what came when the waker posted, however long the way back took.
        let by_waker = (self.start..now).contains(&woken_at);
        policy.estimate.outlasted(if by_waker { woken_at } else { now } - self.start);
        if by_waker {
            policy.estimate.woken(now - woken_at);
        }
    }
}
