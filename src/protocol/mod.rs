//! The handle loop: how a sender obtains a free slot, how a receiver obtains a message, and how each
//! notifies the other side.
//!
//! Both loops have the same three stages. The fast path is one attempt at the next slot, and makes
//! no system call. The slow path publishes the credit that is owed, polls for a moment, and checks
//! what a flag of the segment shows: the channel was removed, or the other side left.
//! Then a call either returns (`try_`), or waits: it polls the ring and the kernel's record of who
//! is alive, at each point where `wait/mod.rs` polls, until there is work, or until there will be
//! none.
//!
//! The loops know neither the channel's flavor nor the kernel. What an end of a ring offers is in
//! the traits [`SendRing`](send::SendRing) and [`RecvRing`](recv::RecvRing), which `spsc.rs` and
//! `mpmc.rs` implement for the ends of the two rings. What is known of the member and of the others
//! is in the trait [`Membership`]: the handles supply an endpoint with a segment and a semaphore set,
//! the models a simulated kernel. So the code that the model checker explores is the code that
//! ships.
//!
//! # Why the end of the stream loses nothing
//!
//! A call ends with `Disconnected` only if the ring was polled once more after the kernel said that
//! the other side is gone: for a receiver, that no sender is there, and either it saw one before or
//! the stream has ended (`liveness/stream.rs`). A member that is found dead, or that left, has done
//! everything that it ever did before that question; the answer acquires it. So a receiver that
//! finds no message then has received all of them, and a sender that finds no free slot then will
//! not find one. A poll before the question only saves the question.

mod flush;
mod gather;
pub(crate) mod mpmc;
pub(crate) mod recv;
pub(crate) mod returned;
pub(crate) mod send;
pub(crate) mod spsc;

#[cfg(test)]
pub(crate) use self::flush::is_flushed;
pub(crate) use self::gather::count_receivers;
pub(crate) use self::recv::{RecvPort, RecvRing};
pub(crate) use self::returned::GivenUp;
pub(crate) use self::send::{SendPort, SendRing};

use core::time::Duration;

use crate::error::{DeadLetterFailure, Fault};
use crate::flavor::Flavor;
use crate::layout::Parking;
use crate::liveness::{Seat, SemaphoreValues};
use crate::ring::mpmc::{Snapshot, Watch};
use crate::role::Side;
use crate::sync::Ordering::SeqCst;
use crate::sync::fence;
use crate::wait::adaptive_spin::WaitPolicy;
use crate::wait::doorbell::{self, Doorbells};
use crate::wait::{self, FenceRequest, Parker, WaitSite};

/// A snapshot of which members are alive and which died.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) alive: SemaphoreValues,
    pub(crate) dead: Snapshot,
}

/// A member of a channel, as its handle loop sees it: where it parks, and who is alive.
pub(crate) trait Membership {
    type Parker: Parker;

    fn flavor(&self) -> Flavor;

    fn seat(&self) -> Seat;

    /// Returns where this member waits.
    fn site(&self) -> WaitSite<'_, Self::Parker>;

    /// Returns what asks the sender for fences, in a receiver of an SPSC channel.
    fn fence_request(&self) -> Option<&FenceRequest>;

    /// Returns the parking line of a side.
    fn parking(&self, side: Side) -> &Parking;

    /// Returns whether the handle may take its fast path.
    fn is_open(&self) -> bool;

    /// Sends the next calls to the slow path.
    fn require_slow_path(&self);

    /// Permits the fast path again, unless the handle was stopped.
    fn permit_fast_path(&self);

    /// Returns the fault that stopped the handle for good, if there is one.
    fn check(&self) -> Result<(), Fault>;

    /// Stops the handle for good, and returns the first reason.
    fn stop(&self, fault: Fault) -> Fault;

    /// Fails if the channel was removed, as far as a flag in the segment shows.
    fn check_removed(&self) -> Result<(), Fault>;

    /// Returns who is alive, and fails if this handle may not go on: the channel was removed, or
    /// this process is no member of it any more.
    fn semaphore_values(&self) -> Result<SemaphoreValues, Fault>;

    /// Returns the same, and what is known of the dead.
    fn see(&self) -> Result<Seen, Fault>;

    /// The liveness check of one seat: returns whether its holder is dead.
    fn is_dead(&self, seat: u8) -> Result<bool, Fault>;

    /// Returns the pid of the process in a seat; 0 if it is unknown.
    fn pid(&self, seat: u8) -> u32;

    /// Returns whether a flag in the segment shows that the other side left.
    fn has_peer_left(&self) -> bool {
        self.parking(self.seat().side.other()).has_left()
    }

    /// Returns whether no member of the other side was there yet when that side had been joined `joins`
    /// times.
    fn is_peer_unseen(&self, joins: u32) -> bool;

    /// Records that a member of the other side was seen.
    fn mark_peer_seen(&self);

    /// Returns how often the other side was joined.
    fn peer_joins(&self) -> u32;

    /// Returns whether the kernel said that no sender is there and that the stream has not ended,
    /// when the senders had been joined this often: then LEFT is no reason to ask it again.
    fn is_end_denied(&self, joins: u32) -> bool;

    /// Records that the kernel said so.
    fn deny_end(&self, joins: u32);

    /// Returns whether a non-blocking call is to check liveness now.
    fn is_check_due(&self) -> bool;

    /// Returns whether a member that never waits is to ask the kernel now whether the channel was
    /// removed.
    fn is_removal_check_due(&self) -> bool;

    /// Sleeps for `time`, unless the channel is removed, or this side is interrupted after `seen`.
    fn nap(&self, time: Duration, seen: Option<u16>) -> Result<(), Fault>;

    /// Runs a wait with the handle's policy, and keeps what the policy learnt.
    fn with_policy<R>(&self, wait: impl FnOnce(&mut WaitPolicy) -> R) -> R;

    /// Polls for a moment, or backs off longer if senders should get ahead.
    fn poll_briefly(&self, ring: &mut impl RecvRing);

    /// Lets the sender of an SPSC channel do without fences if this receiver, which is at this
    /// position, is in a stream.
    fn withdraw_fences_in_stream(&self, position: u64) {
        if let Some(request) = self.fence_request() {
            request.withdraw_in_stream(position, self.parking(Side::Receivers));
        }
    }

    /// Counts a wake-up of another member.
    fn count_wakeup(&self);

    /// Returns how often a message may be delivered; `None` without a limit.
    fn delivery_limit(&self) -> Option<u8>;

    /// Returns whether a message can be given up now: not for a moment after it failed.
    fn can_give_up(&self) -> bool;

    /// Returns whether giving a message up has failed on this handle.
    fn has_failed_to_give_up(&self) -> bool;

    /// Discards a message, or moves it to the dead-letter channel; returns false if that failed.
    /// The caller acknowledges it afterwards.
    fn give_up(&self, message: GivenUp<'_>) -> bool;

    /// Returns why a message could not be given up last, if that ever happened.
    fn give_up_failure(&self) -> Option<DeadLetterFailure>;

    /// Counts a message that is delivered again.
    fn count_redelivery(&self);

    /// Counts a message that was given up.
    fn count_given_up(&self, position: u64);

    /// Returns what rings the doorbells of members.
    fn doorbells(&self) -> impl Doorbells + '_;

    /// Arms the doorbell of this member; returns false if it has none (A1 to A3 in
    /// `wait/doorbell.rs`).
    fn arm(&self) -> bool;

    /// Records that the poll after that found nothing.
    fn show_armed(&self);

    /// Ends a call whose poll found nothing. Where there are others to pass a ring on to, the fast path
    /// would leave a ring unnoticed that came for what it finds.
    fn stay_armed(&self) {
        self.show_armed();
        if self.flavor() == Flavor::Mpmc {
            self.require_slow_path();
        }
    }

    /// Disarms it: the poll found something (D1).
    fn disarm(&self);

    /// Returns whether it is armed.
    fn is_armed(&self) -> bool;

    /// Ends a call of a member that may have been armed before: if the call `found` something, that
    /// may be what the member was rung for (D1).
    fn end_gated_call(&self, found: bool) {
        if self.is_armed() {
            match found {
                true => self.disarm(),
                // The fast path would not disarm.
                false => self.require_slow_path(),
            }
        }
    }

    /// Returns whether this member was rung and has to pass that on, and takes the duty away.
    fn take_duty(&self) -> bool;

    /// Prepares to pass it on; returns false if there is no other armed member (O1, O2).
    fn offer_duty(&self) -> bool;

    /// Makes the receivers search for a message that was returned, this one included.
    fn announce_returned(&self) -> Result<(), Fault> {
        self.require_slow_path();
        self.parking(Side::Senders).set(wait::RETURNED);
        self.wake(Side::Receivers)
    }

    /// The waker's half of the barrier that `wait/mod.rs` describes, on the fast path.
    #[inline(always)]
    fn waker_fence(&self) {
        wait::waker_fence();
    }

    /// Returns the flags of the receivers' parking line if they are not those that are known. It is
    /// the publisher's half of the order in `wait/mod.rs`: a message was published before, by a
    /// compare-and-swap (`swaps`) or by a plain store.
    #[inline(always)]
    fn changed_flags(&self, known: u32, swaps: bool) -> Option<u32> {
        self.waker_fence();
        let parking = self.parking(Side::Receivers);
        let flags = if swaps { parking.flags() } else { parking.flags_after_store() };
        (flags != known).then_some(flags)
    }

    /// Wakes one waiter of a side if any is parked, and rings one doorbell if any is armed. A failure
    /// stops the handle: what was to be announced is done and cannot be taken back, so the next call
    /// reports the failure.
    fn wake(&self, side: Side) -> Result<(), Fault> {
        self.try_wake(side).map_err(|fault| self.stop(fault))
    }

    /// The same without consequences. The fence stands between whatever was published and the load of
    /// the parking word.
    fn try_wake(&self, side: Side) -> Result<(), Fault> {
        fence(SeqCst);
        let parking = self.parking(side);
        let flags = parking.flags();
        if flags & wait::PARKED != 0 && wait::wake(self.site().parker, parking, side)? {
            self.count_wakeup();
        }
        let is_for_all = self.flavor() == Flavor::Broadcast && side == Side::Receivers;
        let ring = if is_for_all { doorbell::ring_each } else { doorbell::ring };
        if flags & wait::BELL != 0 && ring(&self.doorbells(), parking, side)? {
            self.count_wakeup();
        }
        Ok(())
    }

    /// Returns what a walk over an MPMC ring queries and reports. Members in the middle of a
    /// message are usually alive: only a call that may take its time checks whether one is dead
    /// (`asks`).
    #[inline(always)]
    fn watch(&self, asks: bool) -> Watching<'_, Self> {
        Watching { member: self, asks }
    }

    /// Returns whether the other side is entirely gone for this member, according to a snapshot of
    /// the semaphores: it was present and no member of it is left or, for a receiver, the stream has
    /// ended.
    ///
    /// No waiter of an MPMC channel knows which member will cause the end of the stream: it comes
    /// with the last acknowledgement. So a member that learns that the other side is gone sets the
    /// flag that members check after each message, also on behalf of those that died.
    ///
    /// The sender of a broadcast channel needs no receiver: it passes dead ones over. One that dies after
    /// that is passed over by the next poll.
    fn is_abandoned(&self, alive: &SemaphoreValues) -> bool {
        let side = self.seat().side.other();
        if self.flavor() == Flavor::Broadcast && side == Side::Receivers {
            return false;
        }
        let mut there = alive.is_there(side);
        let is_unseen = self.is_peer_unseen(alive.peer_joins);
        // A member that has its seat but did not count its joining yet may withdraw.
        if is_unseen && !(side == Side::Senders && alive.is_ended()) {
            return false;
        }
        if self.flavor() == Flavor::Mpmc {
            let (peers, parker) = (self.parking(side), self.site().parker);
            if there && peers.has_left() {
                // It joined late. Or that snapshot is old, and it left since.
                peers.clear(wait::LEFT);
                there = parker.semaphore_values().map_or(true, |alive| alive.is_there(side));
            }
            if !there {
                peers.set(wait::LEFT);
                // As in `wait/mod.rs`: an acknowledgement made without seeing the flag is seen by
                // the poll that follows.
                fence(SeqCst);
            }
        }
        // A receiver of a stream that ended before it joined has not seen a sender yet: if the next
        // stream is not finished, it waits for its end.
        if !is_unseen {
            self.mark_peer_seen();
        }
        !there
    }

    /// The same, with a snapshot of its own.
    fn has_lost_peer(&self) -> Result<bool, Fault> {
        let is_unseen = self.is_peer_unseen(self.peer_joins());
        Ok(!is_unseen && self.is_abandoned(&self.site().parker.semaphore_values()?))
    }
}

/// The queries and reports of a walk; see [`Membership::watch`].
#[derive(Debug)]
pub(crate) struct Watching<'a, M: ?Sized> {
    member: &'a M,
    asks: bool,
}

impl<M: Membership + ?Sized> Watch for Watching<'_, M> {
    type Error = Fault;

    #[inline]
    fn is_dead(&mut self, seat: u8) -> Result<bool, Fault> {
        if self.asks { self.member.is_dead(seat) } else { Ok(false) }
    }

    /// Asks now and then in any call: while there is room beside a dead receiver, no sender would
    /// ever wait for its slot.
    fn is_dead_beside(&mut self, seat: u8) -> Result<bool, Fault> {
        match self.asks || self.member.is_check_due() {
            true => self.member.is_dead(seat),
            false => Ok(false),
        }
    }

    // An error of a wake-up recurs in the next call that blocks.

    /// As `returned.rs` describes: after the ring counted it.
    #[cold]
    fn orphaned(&mut self) {
        self.member.parking(Side::Senders).set(wait::RETURNED);
        let _ = self.member.wake(Side::Receivers);
    }

    #[cold]
    fn freed(&mut self) {
        let _ = self.member.wake(Side::Senders);
    }

    #[cold]
    fn unblocked(&mut self) {
        let _ = self.member.wake(Side::Receivers);
    }
}

/// The result of one poll of a ring.
#[derive(Debug)]
pub(crate) enum Polled<T> {
    Found(T),
    Nothing,
    /// A slot holds a message that a dead receiver left: another receiver must recover it.
    Orphaned,
    /// A living member is writing in a slot, and others cannot go past it.
    Behind {
        seat: u8,
    },
    /// Receivers are reading in every slot, this living member in the next one.
    Held {
        seat: u8,
    },
}
