//! Waiting: spin, park; and waking without a system call or a fence while nobody is parked.
//!
//! # Why no wake-up is lost
//!
//! A side has one word with the bit PARKED, a count of waiting threads for each of its members
//! (`waiting.rs`), and a wake semaphore. *Work* is what a thread of this side waits for: a message, a
//! free slot, or news that stays true, such as the end of the stream. Senders wait for a burst: a slot is
//! work for them when half of the ring is free, in a small ring at once.
//!
//! | step | by | what |
//! |---|---|---|
//! | P1 | publisher | publishes (a Release store to the ring), then looks at the word: zero, done |
//! | P2 | waker | takes PARKED off; it was off: done, somebody else has the duty |
//! | P3 | waker | posts one token |
//! | S1 | waiter | its own count + 1 |
//! | S2 | waiter | sets PARKED |
//! | S3 | waiter | `membarrier` |
//! | S4 | waiter | an exact look, taking. It found something: F1. Nothing: H1 |
//! | H1 | waiter with the duty | what is no end for it may be one for another: P2 and P3, once for each state of the channel. It has no duty any more. It posted: its count - 1, B1 |
//! | S5 | waiter | sleeps until a token comes, and eats it |
//! | F1 | finder | its count - 1 |
//! | F2 | finder | takes PARKED off; it was on: it has the duty |
//! | F3 | finder | passes on if it has the duty |
//! | K1 | woken | has the duty; its count - 1; a quick look, taking. It found something: O1 |
//! | T1 | woken | found nothing: clears counts of the dead, eats all tokens left, keeps the duty; S1 |
//! | R1 | woken in vain again | passes on (O1 to O3), does nothing for a while, about as long as it was in vain so far, of at most 3.2 ms; S1 |
//! | B1 | who posted in H1 or R1 | until its token is eaten, for a slice at most: an exact look, taking, every 0.4 ms; S1 |
//! | G1 | whose time is over | its count - 1; F2; an exact look, taking; F3 |
//! | O1 | who passes on | nobody of this side is counted: done |
//! | O2 | who passes on | sets PARKED, `membarrier` |
//! | O3 | who passes on | an exact look, taking nothing: work, P2 and P3 |
//!
//! **Invariant.** Call a thread *committed* from a look in S4 that found nothing until it is back from
//! S5, and say that a process has *the duty* from P2, F2 or an eaten token on, until P3, or the end of
//! O1 to O3, or a look in S4 that finds nothing. While a thread is committed, its count is not 0, and
//! PARKED is on, or a token is there, or somebody has the duty. While there is also work, a token is
//! there, or somebody has the duty, or a publisher is between publishing and its look and will find
//! PARKED on.
//!
//! A receiver that came when all senders were gone waits for the next one, and messages that its own
//! member has in hand are no reason for a thread to wait. So the end of the stream is not the same for all,
//! and who is woken for it is not always who it is for: H1. Nor may the one who hands on eat that token itself,
//! before the other one comes from S4 to S5: B1.
//!
//! *PARKED* goes off in P2 and F2 only, and tokens go in S5 and T1 only: each of these makes a duty. A
//! duty ends with a token (P3); with all counts at zero (O1), and then whoever commits later sets
//! PARKED itself; or after PARKED was set by the very thread (O2, S2) and a barrier and an exact look
//! followed, so that a publisher either is seen by that look, or looks after it and finds PARKED on,
//! or finds it taken off by a third, who has a duty by that. Nothing has to balance: a token or a
//! count too many costs a look, and one token stands for any number of duties, since who eats it looks
//! at everything. So one token for each side, posted by the kernel at the end of every member
//! (`liveness/mod.rs`), makes good whatever the dead one owed.
//!
//! Found by exhaustive search and stress: most of these steps, left out or moved, lose a wake-up
//! (`tests/waiting_model`, which also tells the interleavings, and which of them hold alone and fail in
//! pairs). H1 is not in that model; `tests/channel/unlike.rs` fails without it. In a channel of one and
//! one there is nobody to pass on to, and no count is kept. Who rests in R1 is not committed and has no
//! duty, so the model may let it rest for ever; with the duty it may not.
//!
//! # The barrier
//!
//! One of publisher and waiter must see the other: a store-load order on both sides, and a full
//! barrier in each message costs most of its time. So the waiter buys both:
//! `membarrier(GLOBAL_EXPEDITED)` makes every running thread of every registered process pass a full
//! barrier. A publisher whose look came before it has published before it too, and the waiter's look
//! sees that; one whose look comes after it sees PARKED. On its side it is enough that the compiler
//! keeps the order ([`waker_fence`]).
//!
//! A process that cannot register (seccomp, old kernel) would silently get no barrier. It switches
//! the channel to fences before it sends or sleeps: the flag FENCE in the parking words, which each
//! waker reads anyway and which sends it to [`wake`], where a real fence stands in front of a second
//! look. Who sets the flag first lets a moment pass ([`Parker::settle`]), in which what others had
//! stored when they did not see it yet becomes visible.
//!
//! # The last resort
//!
//! A process may be stopped (SIGSTOP) while it has the duty, and a segment may be removed by hand. So
//! sleeping is in slices of [`SLICE`]. A sleep that ended by its slice, with work there that nobody
//! woke it for within [`waiter::GRACE`], is counted in [`Parking::overslept`]; but for stopped processes the
//! count stays 0: the tests of this crate demand it.

pub(crate) mod adaptive_spin;
pub(crate) mod backoff;
pub(crate) mod blocking;
mod parking;
mod poll;
mod spin;
mod waiter;
mod waiting;

use std::time::Duration;

pub(crate) use self::parking::{LEFT, REMOVED};
pub(crate) use self::poll::poll;
pub(crate) use self::waiter::{WaitSite, wait};
pub(crate) use self::waiting::{Holder, Table};
use crate::error::Fault;
use crate::layout::Parking;
use crate::liveness::Lives;
use crate::role::Side;
use crate::sync::Ordering::SeqCst;
use crate::sync::{fence, plain};
use crate::sysv::time;

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// It ate a token.
    Token,
    /// The time is over.
    TimedOut,
    /// A signal came, or a stop and its continuation.
    Interrupted,
}

/// Where waiters sleep: the channel's semaphore set, or the model checker's.
pub(crate) trait Parker {
    /// Sleeps until there is a token of this side, and eats it, or until the time is over.
    fn sleep(&self, side: Side, at_most: Duration) -> Result<Slept, Fault>;
    /// Adds a token: one waiter of this side goes on, now or when it comes to sleep.
    fn post(&self, side: Side) -> Result<(), Fault>;
    /// Eats so many tokens of this side, if they are still there.
    fn drain(&self, side: Side, tokens: u16) -> Result<(), Fault>;
    /// All semaphores at one instant.
    fn lives(&self) -> Result<Lives, Fault>;
    /// A full barrier in every thread of every member; false where that is not to be had.
    fn barrier(&self) -> bool;
    /// Lets so much time pass that what others stored before is visible.
    fn settle(&self);
    /// Does nothing for so long.
    fn rest(&self, time: Duration);
    /// Whether this is a forked child, and all this its parent's.
    fn is_forked(&self) -> bool;
}

/// P1, between publishing and looking. See the top of this file.
#[inline(always)]
pub(crate) fn waker_fence() {
    #[cfg(not(loom))]
    crate::sync::compiler_fence(SeqCst);
    // The model has no membarrier: both sides fence.
    #[cfg(loom)]
    fence(SeqCst);
}

/// P2 and P3: somebody is parked, or fences are required. Whether a token was posted.
#[cold]
pub(crate) fn wake<G: Parker>(gate: &G, parking: &Parking, side: Side) -> Result<bool, Fault> {
    if parking.needs_fences() {
        fence(SeqCst);
    }
    if !parking.is_parked() || !parking.unpark() {
        return Ok(false);
    }
    parking.woken_at.store(time::now_ns(), plain::Ordering::Relaxed);
    gate.post(side)?;
    Ok(true)
}

/// How closely to look, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// At the ring; no system call.
    Quick,
    /// As closely as can be: at the ring, the peer's life and the flags.
    Exact,
    /// As closely, but content to sleep until there is enough to be worth waking for.
    BeforePark,
    /// As `BeforePark`, but takes nothing: is there what a waker would have woken this very waiter for?
    /// The end of the stream is something, too.
    Peek,
    /// As `Peek`, but for any waiter of this side: may there be something for one of them? Of the end, once
    /// for each state of the channel.
    Others,
}

/// Why waiting ended without what was waited for.
#[derive(Debug)]
pub(crate) enum WaitError<E> {
    TimedOut,
    Failed(E),
}

impl WaitError<Fault> {
    /// The same of a call with errors of its own.
    pub(crate) fn of_call<E: From<Fault>>(self) -> WaitError<E> {
        match self {
            WaitError::TimedOut => WaitError::TimedOut,
            WaitError::Failed(fault) => WaitError::Failed(fault.into()),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
