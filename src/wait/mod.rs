//! Waiting: spinning, parking, and waking. In a stream, the check whether a thread is parked costs
//! neither a system call nor a fence.
//!
//! # Why no wake-up is lost
//!
//! A side has one parking word with the bit PARKED, a count of waiting threads for each of its
//! members (`waiting_table.rs`), and a wake semaphore. *Work* is what a thread of this side waits for: a
//! message, a free slot, or a state that is permanent, such as the end of the stream. Senders wait
//! for a burst: a free slot counts as work for them once half of the ring is free; in a small ring
//! it counts at once. A thread has *the duty* when it must see to it that further waiters are woken.
//! Blocking is in *slices* of 200 ms; a slice that ends is no wake-up.
//!
//! ```text
//! P1  publisher        Publishes, then loads the parking word. If it is zero: done. Only FENCE: executes
//!                      a fence and loads it again; PARKED is clear: done.
//! P2  waker            Clears PARKED. If it was clear already: done, another thread has the duty.
//! P3  waker            Posts one token.
//! S1  waiter           Adds 1 to its own count.
//! S2  waiter           Sets PARKED; an SPSC receiver also sets FENCE.
//! S3  waiter           Executes a barrier. An SPSC receiver whose request for fences did not stand
//!                      first calls `membarrier`.
//! S4  waiter           Polls exactly and takes what it finds; an SPSC receiver that knows that its
//!                      stream is open polls the ring only (`known_open.rs`). Found something: F1.
//!                      Nothing: H1 if it has the duty, else S5.
//! H1  waiter that has  A state that is not the end of the stream for it may be the end for another
//!     the duty         waiter: P2 and P3, once for each state of the channel. It no longer has the
//!                      duty. If it posted: subtracts 1 from its count, then B1. If not: S5.
//! S5  waiter           Blocks until a token arrives, and consumes it.
//! F1  finder           Subtracts 1 from its count.
//! F2  finder           Clears PARKED. If it was set: the finder has the duty.
//! F3  finder           Passes the wake-up on (O1) if it has the duty.
//! K1  woken waiter     Has the duty. Subtracts 1 from its count; polls quickly and takes what it
//!                      finds. Found something: O1.
//! T1  woken waiter     Found nothing: clears the counts of dead members, drains all remaining
//!                      tokens, keeps the duty; S1.
//! R1  waiter after a   Passes the wake-up on (O1 to O3), rests for about as long as it has waited
//!     second futile    so far, at most 3.2 ms; S1.
//!     wake-up
//! B1  waiter that      Until its token is consumed, and for one slice at most: polls exactly every
//!     posted in H1     0.4 ms and takes what it finds; S1.
//!     or R1
//! L1  waiter whose     Subtracts 1 from its count; polls exactly and takes what it finds. Found
//!     slice is over    something: F2, F3. Nothing: S1.
//! G1  waiter whose     Subtracts 1 from its count; F2; polls exactly and takes what it finds; F3.
//!     time is over
//! O1  thread that      If no thread of this side is counted: done.
//!     passes on
//! O2  same             Sets PARKED and executes a barrier.
//! O3  same             Polls exactly without taking anything. If there is work: P2 and P3.
//! ```
//!
//! **Invariant.** A thread is *committed* from a poll in S4 that found nothing until it has
//! returned from S5. A process has *the duty* from P2, F2 or a consumed token on, until P3, or the
//! end of O1 to O3, or a poll in S4 that finds nothing. While a thread is committed, its count is
//! not 0, and PARKED is set, or a token is available, or a process has the duty. While there is
//! also work, a token is available, or a process has the duty, or a publisher is between its
//! publication and its load of the parking word and will find PARKED set.
//!
//! The end of the stream is not the same for all waiters: a receiver that joined after all senders
//! had left, and none had finished, waits for the next sender, and the messages that its own member has in flight are no
//! reason for a thread to wait. So the thread that is woken for the end of the stream is not always
//! the thread for which the stream has ended; H1 passes the wake-up on. The thread that passes it
//! on must not consume that token itself before the other thread gets from S4 to S5; B1 prevents
//! that.
//!
//! *PARKED* is cleared in P2 and F2 only, and tokens are consumed in S5 and T1 only; each of these
//! creates a duty. A duty ends in one of three ways. Either a token is posted (P3). Or all counts
//! are zero (O1), and any thread that commits later sets PARKED itself. Or the same thread has set
//! PARKED (O2, S2), and a barrier and a poll of the ring followed: then a publisher either is seen by
//! that poll, or loads the parking word after it and finds PARKED set, or finds that a third thread
//! has cleared it, which has a duty for that reason. Nothing has to balance: a surplus token or
//! count costs one poll, and one token can stand for any number of duties, since the thread that
//! consumes it polls for everything. So the tokens for each side that the kernel posts at the end of
//! every member (`liveness/mod.rs`) pay every duty that a dead member had.
//!
//! These steps were found by exhaustive search and stress tests: most of them, when left out or
//! moved, lose a wake-up (`tests/waiting_model`, which also documents the interleavings, and the
//! variants that hold alone and fail in pairs). H1 is not part of that model;
//! `tests/waiting/passed_on_wake_ups.rs` fails without it. In an SPSC channel there is no other
//! waiter to pass a wake-up on to, and no count is kept. A thread that rests in R1 is not committed
//! and has no duty, so the model may let it rest for ever; while it has the duty it must not.
//!
//! # Broadcast channels
//!
//! A message of a broadcast channel is for every receiver, so a waker wakes all of them. They consume
//! no tokens, have no counts, and pass nothing on: the wake-up is a *value that changes*, as that of
//! `interrupt.rs`, and it is the value of the same semaphore. Doorbells are all rung
//! (`doorbell::ring_each`). The sender waits for tokens, as described above.
//!
//! ```text
//! S0  receiver   Reads the value.
//! S2  receiver   Sets PARKED.
//! S3  receiver   Calls `membarrier`, unless S2 found FENCE set. Executes a barrier.
//! S4  receiver   Polls exactly and takes what it finds. Nothing: S5. PARKED stays set in any case.
//! S5  receiver   Blocks until the value is not that of S0.
//! K1  receiver   Polls quickly and takes what it finds. Nothing: S0, after a rest from the second
//!                futile wake-up on (R1).
//! P1  publisher  As above.
//! P2  waker      Clears PARKED. If it was clear already: done.
//! P3  waker      Changes the value.
//! ```
//!
//! **Invariant.** While a receiver is committed, from a poll in S4 that found nothing until it has
//! returned from S5, PARKED is set, or the value is not that of its S0, or a living process is between
//! P2 and P3. While there is also work for it, the value is not that of its S0, or such a process is
//! between P2 and P3, or a publisher is between its publication and its load of the parking word and
//! will find PARKED set.
//!
//! S2 sets PARKED, and only P2 clears it: a receiver that found a message leaves it set, since others
//! may rely on it, and that costs one P3 for nobody. A P2 that clears it after some S2 is followed by
//! P3, and that comes after the S0 before that S2, so it changes what S0 read. If the value were read
//! after S2, it could be the changed one already. A process that is killed between P2 and P3 is a
//! member, and in the step in which the kernel gives back the seat of a member, of either side, it
//! adds 1 to the value. The barrier is that of the next section.
//!
//! *The value wraps.* P3 adds 1; where it exceeds 32,000, P3 subtracts 32,000 instead. If two do that
//! at once, one of them finds it done, and that was after its own P2. So a receiver can mistake a value
//! only if it is changed a multiple of 32,000 times between S4 and S5. Each of these changes needs an
//! S2, an interrupt or the end of a process, and the slice is over before. At the maximum of a
//! semaphore, 32,767, the end of a process would change nothing; so S0 begins the count again if the
//! value exceeds 32,000. Whatever a receiver watches can then grow.
//!
//! *The sender parks* until half of the ring is free for all receivers. A receiver that has stored its
//! head looks at the heads of the others before it wakes the sender, when credit is due and when it
//! finds no message. In both cases a fence stands between the two: of two receivers that make room at
//! the same time, at least one sees the head of the other, and wakes the sender. Dead ones are not in
//! the way (`ring/broadcast.rs`).
//!
//! # The barrier
//!
//! At least one of publisher and waiter must observe the other's store, which needs a full barrier
//! on both sides, between the store and the load that follows. The waiter's is in S3. The
//! publisher's is in P1, and depends on what it publishes:
//!
//! - In an MPMC channel, each publication is a SeqCst compare-and-swap of a slot state, and P1 loads
//!   the parking word SeqCst: on the processor, the locked instruction is the barrier.
//! - An SPSC receiver that publishes its credit, once in many messages, executes a fence. So does
//!   every slow path ([`Membership::wake`](crate::protocol::Membership::wake)).
//! - An SPSC sender publishes by a plain store. A fence for each message would take most of a
//!   message's time in a stream, so it executes one only while its receiver asks for it: the flag
//!   FENCE in the parking word, which it loads anyway, sends it to its slow path.
//!
//! The receiver sets FENCE together with PARKED (S2). If it was set before, the sender's loads see
//! it. If not, the sender may just have published and loaded the word without FENCE. Therefore the
//! receiver calls `membarrier(GLOBAL_EXPEDITED)` once for each request: it executes a full barrier
//! in every running thread of every process that registered for it, as SPSC senders do. If the
//! sender's load precedes that barrier, its publication does too, and the receiver's poll sees the
//! message; if its load follows the barrier, it sees FENCE. The request stands until the receiver
//! has received 64 messages without parking (`fence_request.rs`), so that one that parks for each
//! message makes no such call: `membarrier` interrupts every processor that runs a registered process.
//!
//! A sender that cannot register (seccomp, an old kernel) would silently get no barrier: it takes
//! its slow path for every message. A receiver that cannot call `membarrier` asks for fences for
//! good, and sleeps for a millisecond after the first request ([`Parker::settle`]). That the stores of
//! a sender that had not yet seen the flag are visible by then is an assumption about processors.
//!
//! The receivers of a broadcast channel share one parking word, so none of them can withdraw what
//! another one relies on. There the sender decides: as long as FENCE is set, it *promises* a fence
//! after each message. It alone sets FENCE, once it has found a waiter, and clears it after 64 messages
//! without one.
//!
//! - A receiver that finds FENCE in S2 need not call `membarrier`. What the sender published before it
//!   made the promise is visible: a fence stands between that and the read-modify-write operation that
//!   set FENCE, and S2, an operation on the same word, follows it. After anything that it publishes
//!   later, the sender finds its own FENCE, executes a fence, and loads the word again (P1).
//! - A receiver that does not find FENCE calls `membarrier`. A load that follows that barrier finds
//!   PARKED, which sends the sender to its slow path as well.
//! - The sender withdraws its promise by one operation on the word. An S2 that comes after it finds no
//!   FENCE. If S2 came before, the operation reads PARKED, and so does every load of the sender after
//!   it, until PARKED is cleared in a P2: the next message takes the slow path. What was published
//!   before was followed by the fence of P1.
//! - The promise of a sender that died or left stays in the word. Its successor finds FENCE there, and
//!   keeps it.
//!
//! A receiver that cannot call `membarrier` sleeps for a millisecond, as above, unless it finds FENCE.
//!
//! # Interrupts
//!
//! A call can be interrupted from outside. That has its own semaphore, and its own proof in
//! `interrupt.rs`: tokens do not serve for it, since any thread of the side consumes them. An
//! interrupted thread ends like one whose time is over: it subtracts 1 from its count, and passes
//! on a duty that it has (F1 to F3, O1 to O3). It polls before it looks for an interrupt, so it
//! never leaves work behind that it was woken for.
//!
//! # The last resort
//!
//! A process can be stopped (SIGSTOP) while it has the duty, and a segment can be removed by hand.
//! So a waiter blocks in slices of [`SLICE`]. If a slice ends while there is work, and no waker
//! posts for it within [`waiter::GRACE`], the event is counted in [`Parking::overslept`]. Unless a
//! process was stopped, that count stays 0: the tests of this crate require it.

pub(crate) mod adaptive_spin;
pub(crate) mod backoff;
pub(crate) mod blocking;
pub(crate) mod doorbell;
mod fence_request;
pub(crate) mod interrupt;
mod known_open;
mod parking;
pub(crate) mod poll;
mod spin;
mod waiter;
mod waiting_table;

use std::time::Duration;

pub(crate) use self::fence_request::FenceRequest;
pub(crate) use self::known_open::KnownOpen;
pub(crate) use self::parking::{BELL, LEFT, NEVER_SET, PARKED, REMOVED, RETURNED, WAITING};
pub(crate) use self::poll::poll;
pub(crate) use self::waiter::{WaitSite, wait};
pub(crate) use self::waiting_table::{Holder, Table};
use crate::error::{Fault, RecvError, SendError};
use crate::layout::Parking;
use crate::liveness::SemaphoreValues;
use crate::role::Side;
use crate::sync::Ordering::SeqCst;
use crate::sync::plain;
use crate::sysv::time;

/// How a blocking wait in the kernel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParkResult {
    /// It consumed a token.
    Token,
    /// The timeout elapsed.
    TimedOut,
    /// A signal or an interrupt arrived, or the process was stopped and continued.
    Interrupted,
}

/// The place where waiters block: the channel's semaphore set, or the model checker's.
pub(crate) trait Parker {
    /// Blocks until a token of this side is available and consumes it, until the timeout elapses,
    /// or until the value of [`interrupts`](Parker::interrupts) is not `seen`.
    fn park(&self, side: Side, at_most: Duration, seen: Option<u16>) -> Result<ParkResult, Fault>;
    /// Returns a value that changes with each interrupt of this side.
    fn interrupts(&self, side: Side) -> Result<u16, Fault>;
    /// Adds a token: one waiter of this side continues, now or when it next blocks.
    fn post(&self, side: Side) -> Result<(), Fault>;
    /// Consumes up to `tokens` tokens of this side without blocking, if they are still available.
    fn drain(&self, side: Side, tokens: u16) -> Result<(), Fault>;
    /// Reads all semaphores at one instant.
    fn semaphore_values(&self) -> Result<SemaphoreValues, Fault>;
    /// Executes a full barrier in this thread.
    fn fence(&self);
    /// Executes a full barrier in every thread of every SPSC sender; returns false where that is not
    /// supported.
    fn membarrier(&self) -> bool;
    /// Returns whether this member still has its seat, as far as the segment shows.
    fn has_seat(&self) -> bool;
    /// Waits until the stores that other processes made before the call are visible.
    fn settle(&self);
    /// Pauses for `time`.
    fn pause(&self, time: Duration);
    /// Returns whether this process is a forked child, so that the handle belongs to its parent.
    fn is_forked(&self) -> bool;
}

/// Orders the two halves of P1 on the fast paths: the publication before the load of the parking
/// word. The module's documentation explains why a compiler fence is enough outside the models.
#[inline(always)]
pub(crate) fn waker_fence() {
    #[cfg(not(loom))]
    crate::sync::compiler_fence(SeqCst);
    // The model has no membarrier, and no SeqCst compare-and-swap: both sides execute a fence.
    #[cfg(loom)]
    crate::sync::fence(SeqCst);
}

/// Performs P2 and P3 if a waiter is parked. Returns whether it posted a token.
#[cold]
pub(crate) fn wake<P: Parker>(parker: &P, parking: &Parking, side: Side) -> Result<bool, Fault> {
    if parking.flags() & PARKED == 0 || !parking.unpark() {
        return Ok(false);
    }
    parking.woken_at.store(time::now_ns(), plain::Ordering::Relaxed);
    match parker.post(side) {
        Ok(()) => Ok(true),
        Err(fault) => {
            // Somebody else may be able to.
            parking.set(PARKED);
            Err(fault)
        }
    }
}

/// Polls once, exactly, without waiting: A4 in `doorbell.rs`.
pub(crate) fn look<P: Parker, E: From<Fault>>(
    parker: &P,
    mut poll: impl FnMut(Poll) -> Result<bool, E>,
) -> Result<(), WaitError<E>> {
    // A signal handler may have forked: the handle belongs to the parent.
    if parker.is_forked() {
        return Err(WaitError::Failed(Fault::Forked.into()));
    }
    match poll(Poll::Exact) {
        Ok(true) => Ok(()),
        Ok(false) => Err(WaitError::TimedOut),
        Err(error) => Err(WaitError::Failed(error)),
    }
}

/// How thoroughly to poll, and for what purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// Polls the ring only; makes no system call.
    Quick,
    /// Polls the ring, the peer's liveness and the flags.
    Exact,
    /// Polls as thoroughly as `Exact`, but accepts blocking until there is enough work for a
    /// wake-up.
    BeforePark,
    /// Like `BeforePark`, but takes nothing: is there work for which a waker would have woken this
    /// very waiter? The end of the stream counts as work, too.
    Peek,
    /// Like `Peek`, but for any waiter of this side: may there be work for one of them? The end of
    /// the stream is reported once for each state of the channel.
    Others,
}

impl Poll {
    /// Returns whether the poll takes what it finds.
    pub(crate) fn takes(self) -> bool {
        !matches!(self, Poll::Peek | Poll::Others)
    }
}

/// Why a wait ended without the event that it waited for.
#[derive(Debug)]
pub(crate) enum WaitError<E> {
    TimedOut,
    Interrupted,
    Failed(E),
}

impl From<WaitError<Fault>> for SendError {
    fn from(error: WaitError<Fault>) -> SendError {
        match error {
            WaitError::TimedOut => SendError::Timeout,
            WaitError::Interrupted => SendError::Interrupted,
            WaitError::Failed(fault) => fault.into(),
        }
    }
}

impl From<WaitError<Fault>> for RecvError {
    fn from(error: WaitError<Fault>) -> RecvError {
        match error {
            WaitError::TimedOut => RecvError::Timeout,
            WaitError::Interrupted => RecvError::Interrupted,
            WaitError::Failed(fault) => fault.into(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
