//! One blocking call: spin, announce, poll, block, and pass on. The step names are those of
//! `wait/mod.rs`.

use std::time::Duration;

use super::{
    FenceRequest, Holder, KnownOpen, PARKED, ParkResult, Parker, Poll, Table, WaitError, spin, wake,
};
use crate::error::Fault;
use crate::layout::Parking;
use crate::sync::plain;
use crate::sysv::time::{self, Deadline};
use crate::wait::adaptive_spin::{Wait, WaitPolicy};
use crate::wait::interrupt::{BlockedCall, Interrupts};

/// The maximum time that a waiter blocks without polling by itself.
pub(crate) const SLICE: Duration = Duration::from_millis(200);

/// The maximum time that a waker may take from publishing to posting, on a busy machine.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// The number of polls within that time.
const POLLS: u32 = 20;

/// How long a waiter rests after a futile wake-up, one that finds nothing to take: at first, and at
/// most. Such a wake-up takes some microseconds of a processor that other waiters or the other side
/// could use; with the longest rest that is less than one hundredth of the time.
const REST_MIN: Duration = Duration::from_micros(50);
const REST_MAX: Duration = Duration::from_micros(3_200);

/// A waiter that leaves a token to another one polls at this interval, and for one slice at most.
const NAP: Duration = Duration::from_micros(400);
const NAPS: u128 = SLICE.as_micros() / NAP.as_micros();

/// The place where one member waits.
#[derive(Debug)]
pub(crate) struct WaitSite<'a, P> {
    pub(crate) parker: &'a P,
    pub(crate) parking: &'a Parking,
    pub(crate) table: Table<'a>,
    pub(crate) holder: Holder,
    /// What asks the wakers for fences, where they do not have one for each publication anyway.
    pub(crate) request: Option<&'a FenceRequest>,
    /// What the handle knows of the end of its stream, if it can know that without asking.
    pub(crate) known_open: Option<&'a KnownOpen>,
    /// Whether a waker wakes all that wait here, as a broadcast channel's sender does: PARKED is theirs
    /// together, and a change of the interrupt semaphore is the wake-up.
    pub(crate) wakes_all: bool,
    /// The blocked calls of the handle; `None` if no interrupter can exist.
    pub(crate) interrupts: Option<&'a Interrupts>,
}

/// Blocks until `poll` succeeds, or until the call is interrupted.
#[inline(never)]
pub(crate) fn wait<P: Parker, E: From<Fault>>(
    site: WaitSite<'_, P>,
    policy: &mut WaitPolicy,
    deadline: Option<Deadline>,
    mut poll: impl FnMut(Poll) -> Result<bool, E>,
) -> Result<(), WaitError<E>> {
    let parker = site.parker;
    let call = BlockedCall::begin(site.interrupts);
    let is_interrupted = call.check();
    // A signal handler may have forked since the last poll: the handle belongs to the parent.
    let poll = |how| match parker.is_forked() {
        true => Err(WaitError::Failed(Fault::Forked.into())),
        false => match poll(how) {
            // What is there comes before the interrupt.
            Ok(false) if how.takes() && is_interrupted() => Err(WaitError::Interrupted),
            polled => polled.map_err(WaitError::Failed),
        },
    };
    let start = time::now_ns();
    let mut waiter =
        Waiter { site, poll, deadline, call, seen: None, start, duty: false, rest: Duration::ZERO };
    let waited = waiter.run(policy);
    // Also after a failed wait: other waiters may need the wake-up.
    if waiter.duty {
        waiter.pass_on();
    }
    waiter.call.end(matches!(waited, Err(WaitError::Interrupted)));
    match parker.is_forked() {
        true => Err(WaitError::Failed(Fault::Forked.into())),
        false => waited,
    }
}

/// One thread in one blocking call.
struct Waiter<'a, P, F> {
    site: WaitSite<'a, P>,
    poll: F,
    deadline: Option<Deadline>,
    call: BlockedCall<'a>,
    /// The value of the interrupt semaphore before the last poll, if it is to be compared.
    seen: Option<u16>,
    /// When the call began to wait, in nanoseconds of the monotonic clock.
    start: u64,
    /// It consumed a token or cleared PARKED, and has not passed that on.
    duty: bool,
    /// How long to rest after the next futile wake-up; zero before the first one.
    rest: Duration,
}

impl<P: Parker, E: From<Fault>, F: FnMut(Poll) -> Result<bool, WaitError<E>>> Waiter<'_, P, F> {
    fn run(&mut self, policy: &mut WaitPolicy) -> Result<(), WaitError<E>> {
        // An interrupt that was pending before does not keep a call from what is there.
        if self.call.is_interrupted() && (self.poll)(Poll::Exact)? {
            return Ok(());
        }
        if spin::spin(policy, self.start, self.deadline, &mut self.poll)? {
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

    /// Performs S1 to T1, and R1. Returns whether a poll succeeded.
    fn park(&mut self, policy: &mut WaitPolicy, at_most: Duration) -> Result<bool, WaitError<E>> {
        self.register()?;
        let known_open = self.site.known_open;
        let asks = !known_open.is_some_and(KnownOpen::holds);
        match (self.poll)(if asks { Poll::BeforePark } else { Poll::Quick }) {
            Ok(false) => match self.pass_on_end() {
                Ok(false) => {}
                passed_on => {
                    self.unregister();
                    return passed_on.and_then(|_| self.yield_token());
                }
            },
            ended => {
                // Otherwise spinning would never be tried again where messages arrive as soon as
                // this.
                policy.estimate.record_failure(time::since(self.start));
                self.unregister();
                self.unpark();
                return ended;
            }
        }
        if let Some(known_open) = known_open.filter(|_| asks) {
            known_open.was_asked();
        }
        policy.parks += 1;
        let slept = self.block(at_most);
        self.unregister();
        match slept {
            Ok(ParkResult::Token) => {
                self.duty = true;
                self.learn(policy);
                let found = (self.poll)(Poll::Quick);
                if !matches!(found, Ok(true))
                    && let Some(known_open) = known_open
                {
                    known_open.forget();
                }
                if found? {
                    return Ok(true);
                }
                self.clear_stale_counts()?;
                self.back_off()
            }
            // Work too small for a wake-up is worth taking by now.
            Ok(ParkResult::TimedOut) => self.poll_alone(),
            Ok(ParkResult::Interrupted) => Ok(false),
            // Messages that were sent before the channel was removed are still delivered.
            Err(failed) => match (self.poll)(Poll::Quick)? {
                true => Ok(true),
                false => Err(failed),
            },
        }
    }

    /// Performs G1: the last poll after the deadline has passed.
    fn give_up(&mut self, policy: &mut WaitPolicy, parked: bool) -> Result<(), WaitError<E>> {
        if parked {
            // No waker shall post for a waiter that is gone.
            self.unpark();
        }
        if (self.poll)(Poll::Exact)? {
            return Ok(());
        }
        if policy.wait == Wait::Balanced {
            policy.estimate.timed_out(time::since(self.start));
        }
        Err(WaitError::TimedOut)
    }

    /// Performs S1, S2 and S3.
    fn register(&mut self) -> Result<(), WaitError<E>> {
        let (parker, side) = (self.site.parker, self.site.holder.seat.side);
        // Before the poll: an interrupt that comes after it changes the value.
        let seen = self.call.watch(parker, side).and_then(|seen| match seen {
            None if self.site.wakes_all => parker.interrupts(side).map(Some),
            seen => Ok(seen),
        });
        self.seen = seen.map_err(|fault| WaitError::Failed(fault.into()))?;
        // A successor in the seat may wait in the same word: its PARKED is not ours to clear.
        if !parker.has_seat() || !self.site.table.add(self.site.holder) {
            return Err(WaitError::Failed(Fault::LivenessLost.into()));
        }
        self.announce();
        Ok(())
    }

    /// Subtracts this thread from the count (F1, K1), but not in a forked child, where the count
    /// belongs to the parent's thread.
    fn unregister(&self) {
        if !self.site.parker.is_forked() {
            self.site.table.remove(self.site.holder);
        }
    }

    /// Performs F2, but not in a forked child, nor where others may rely on PARKED.
    fn unpark(&mut self) {
        let is_own = !self.site.wakes_all && !self.site.parker.is_forked();
        self.duty |= is_own && self.site.parking.unpark();
    }

    /// Performs S2 and S3, or O2.
    fn announce(&self) {
        let WaitSite { parker, parking, request, .. } = &self.site;
        let asks = request.is_some_and(FenceRequest::sets_flag);
        let was_asked = parking.announce(PARKED, asks);
        if let Some(request) = request {
            request.complete(was_asked, *parker);
        }
        parker.fence();
    }

    /// Performs S5, and counts a wake-up that did not come.
    fn block(&mut self, at_most: Duration) -> Result<ParkResult, WaitError<E>> {
        let (parker, side, seen) = (self.site.parker, self.site.holder.seat.side, self.seen);
        let sleep =
            |time| parker.park(side, time, seen).map_err(|fault| WaitError::Failed(fault.into()));
        let slept = sleep(at_most)?;
        if slept != ParkResult::TimedOut || at_most < SLICE {
            return Ok(slept);
        }
        // The work may have arrived just now, with a waker about to post; or other members take it,
        // and more arrives all the time. It is a fault only if no member takes it and no waker
        // posts for it.
        for _ in 0..POLLS {
            let left = self.deadline.map_or(GRACE, |deadline| deadline.remaining());
            if left < GRACE / POLLS || !(self.poll)(Poll::Peek)? {
                return Ok(slept);
            }
            match sleep(GRACE / POLLS)? {
                ParkResult::TimedOut => {}
                slept => return Ok(slept),
            }
        }
        self.site.parking.overslept.fetch_add(1, plain::Ordering::Relaxed);
        Ok(slept)
    }

    /// Polls without having been woken.
    fn poll_alone(&mut self) -> Result<bool, WaitError<E>> {
        let polled = (self.poll)(Poll::Exact);
        if !matches!(polled, Ok(false)) {
            self.unpark();
        }
        polled
    }

    /// Performs T1.
    fn clear_stale_counts(&self) -> Result<(), WaitError<E>> {
        let WaitSite { parker, table, holder, .. } = &self.site;
        let cleared = table.clear_dead(*holder, || parker.semaphore_values()).and_then(|alive| {
            match alive.tokens(holder.seat.side) {
                0 => Ok(()),
                tokens => parker.drain(holder.seat.side, tokens),
            }
        });
        cleared.map_err(|fault| WaitError::Failed(fault.into()))
    }

    /// Performs R1, after a second futile wake-up: other members of this side take what arrives. If
    /// PARKED were set at once, the next message would cause another post and another futile
    /// wake-up. Returns whether a poll succeeded.
    fn back_off(&mut self) -> Result<bool, WaitError<E>> {
        let rest = self.rest;
        self.rest = (rest * 2).clamp(REST_MIN, REST_MAX);
        if rest.is_zero() {
            return Ok(false);
        }
        let posted = self.pass_on();
        self.duty = false;
        self.pause(rest);
        if posted { self.yield_token() } else { Ok(false) }
    }

    fn pause(&self, time: Duration) {
        let left = self.deadline.map_or(time, |deadline| deadline.remaining());
        self.site.parker.pause(time.min(left));
    }

    /// Performs B1: the token just posted is for another waiter, which may be between its poll and
    /// its blocking; this waiter leaves it to that one. Returns whether this waiter found something
    /// meanwhile. It polls exactly, since another waiter may leave a token to it in the same way.
    fn yield_token(&mut self) -> Result<bool, WaitError<E>> {
        let side = self.site.holder.seat.side;
        for _ in 0..NAPS {
            let alive = self
                .site
                .parker
                .semaphore_values()
                .map_err(|fault| WaitError::Failed(fault.into()))?;
            if alive.tokens(side) == 0 || self.deadline.is_some_and(|d| d.remaining().is_zero()) {
                break;
            }
            self.pause(NAP);
            if (self.poll)(Poll::Exact)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Performs O1, O2 and O3. Returns whether it posted a token.
    fn pass_on(&mut self) -> bool {
        let WaitSite { parker, table, holder, .. } = &self.site;
        if parker.is_forked() || !table.has_waiters(holder.seat.side) {
            return false;
        }
        self.announce();
        let WaitSite { parker, parking, holder, .. } = &self.site;
        // An error here occurs again in the next blocking call.
        !matches!((self.poll)(Poll::Others), Ok(false))
            && wake(*parker, parking, holder.seat.side).unwrap_or(false)
    }

    /// Performs H1: there is nothing for this waiter, but the polls of two waiters are not quite
    /// alike. For another one the same state may be the end of the stream, so the thread that has
    /// the duty hands it on. `poll` reports that once for each state of the channel, so that no
    /// wake-up circulates for ever. Returns whether it posted a token.
    fn pass_on_end(&mut self) -> Result<bool, WaitError<E>> {
        let WaitSite { parker, parking, table, holder, .. } = &self.site;
        let is_due = self.duty && table.has_waiters_beside(*holder) && (self.poll)(Poll::Others)?;
        self.duty = false;
        match is_due {
            true => wake(*parker, parking, holder.seat.side)
                .map_err(|fault| WaitError::Failed(fault.into())),
            false => Ok(false),
        }
    }

    /// Updates the estimate after a wake-up: how long a spin would have had to last, and how long
    /// the wake-up took.
    fn learn(&self, policy: &mut WaitPolicy) {
        let now = time::now_ns();
        let woken_at = self.site.parking.woken_at.load(plain::Ordering::Relaxed);
        // Spinning would have met the event when the waker posted, however long the wake-up took.
        let by_waker = (self.start..now).contains(&woken_at);
        let end = if by_waker { woken_at } else { now };
        policy.estimate.record_failure(end.saturating_sub(self.start));
        if by_waker {
            policy.estimate.woken(now.saturating_sub(woken_at));
        }
    }
}
