//! A member's queries to the kernel: whether it is still a member, which members are alive; and
//! where it blocks.

use std::mem::replace;
use std::time::Duration;

use super::{Attachment, LOST, SEATED};
use crate::endpoint::vacate;
use crate::error::Fault;
use crate::flavor::Flavor;
use crate::liveness::{self, SemaphoreValues};
use crate::role::Side;
use crate::segment;
use crate::sync::Ordering::SeqCst;
use crate::sync::fence;
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::shm;
use crate::sysv::time::Deadline;
use crate::sysv::{self, Errno, process};
use crate::wait::interrupt::BlockedCall;
use crate::wait::{ParkResult, Parker, WaitError};

/// How often the nonce of the set is checked. The kernel reuses the identifier of a removed set
/// after some millions of others, which takes seconds, unless a process made most of them before.
/// Such a process could cause a semaphore of an unrelated set to be raised by one, for at most this
/// time.
pub(super) const SET_EVERY: Duration = Duration::from_secs(1);

/// How often waiters check whether the segment was removed: `ipcrm -m` leaves it to the processes
/// that have it attached, and leaves no trace in it.
pub(super) const SEGMENT_EVERY: Duration = Duration::from_millis(100);

/// The longest time that a wait for the other side does not check whether another thread closed its
/// handle: no token wakes it.
const PEER_SLICE: Duration = Duration::from_millis(50);

/// Stores made before a receiver asked for fences are visible to all processes after far less time.
const SETTLED: Duration = Duration::from_millis(1);

impl Attachment {
    /// Returns whether this handle still has a seat to write for.
    pub(crate) fn is_seated(&self) -> bool {
        self.seated.load(Relaxed) == SEATED && !self.is_forked()
    }

    /// Like [`is_seated`](Attachment::is_seated), but also checks the kernel's record: once another
    /// member holds the seat, we must not write to its line while leaving. If the kernel refuses to
    /// answer, the table tells.
    pub(crate) fn owns_seat(&self) -> bool {
        self.is_seated()
            && self.check_seat() != Err(Fault::LivenessLost)
            && self.waiting().is_of(self.holder)
    }

    /// Fails if the channel was removed, as far as a flag in the segment shows.
    pub(crate) fn check_removed(&self) -> Result<(), Fault> {
        if self.parking().is_removed() { Err(Fault::Removed) } else { Ok(()) }
    }

    /// Returns all semaphores, and checks that this handle may go on: the channel still exists, and
    /// this process is a member of it. Usually one system call.
    pub(crate) fn check_membership(&self) -> Result<SemaphoreValues, Fault> {
        self.check_removed()?;
        self.check_lost()?;
        let alive = self.semaphore_values()?;
        // Another holder has another incarnation, even in this very process.
        if !alive.is_taken(self.seat.number) || !self.waiting().is_of(self.holder) {
            return Err(self.mark_seat_lost());
        }
        if self.segment_is_due.is_due() {
            self.check_segment()?;
        }
        Ok(alive)
    }

    /// Checks all of that, whatever was checked before.
    pub(crate) fn confirm(&self) -> Result<(), Fault> {
        self.check_membership()?;
        self.check_segment()
    }

    /// Fails if the segment was removed.
    fn check_segment(&self) -> Result<(), Fault> {
        if self.key == 0 {
            return Ok(());
        }
        let stat = shm::stat(self.id.segment).map_err(liveness::fault("shmctl"))?;
        if stat.marked_for_removal {
            // What one member found, the others need not check.
            segment::mark_removed(&self.mapping);
            self.bells().ring_all();
            return Err(Fault::Removed);
        }
        Ok(())
    }

    /// Checks that the kernel still counts this process' token. After a loss, a token on this seat
    /// belongs to another member, possibly in this very process.
    pub(crate) fn check_seat(&self) -> Result<(), Fault> {
        self.check_lost()?;
        self.check_set()?;
        match self.members.is_own(self.seat) {
            Ok(true) if self.waiting().is_of(self.holder) => Ok(()),
            Ok(_) => Err(self.mark_seat_lost()),
            Err(errno) => Err(self.fault("semctl", errno)),
        }
    }

    fn check_lost(&self) -> Result<(), Fault> {
        if self.seated.load(Relaxed) == LOST { Err(Fault::LivenessLost) } else { Ok(()) }
    }

    /// Records that the seat is no longer ours, and never will be again.
    pub(crate) fn mark_seat_lost(&self) -> Fault {
        // A member that left has no seat to lose.
        let _ = self.seated.compare_exchange(SEATED, LOST, Relaxed, Relaxed);
        Fault::LivenessLost
    }

    /// Ensures that the identifier of the set is still that of this channel's set.
    fn check_set(&self) -> Result<(), Fault> {
        if !self.set_is_due.is_past() {
            return Ok(());
        }
        match self.members.nonce() {
            Ok(nonce) if nonce == self.id.nonce => {
                self.set_is_due.done();
                Ok(())
            }
            Ok(_) => Err(Fault::Removed),
            Err(errno) => Err(self.fault("semctl", errno)),
        }
    }

    /// Converts the errno of a call on the set to a fault.
    fn fault(&self, call: &'static str, errno: Errno) -> Fault {
        match liveness::fault(call)(errno) {
            // A removed segment remains known while it is attached, as it is here. If it is
            // unknown, this process moved to another IPC namespace, and left its tokens behind.
            Fault::Removed if shm::stat(self.id.segment) == Err(Errno::EINVAL) => {
                self.mark_seat_lost()
            }
            fault => fault,
        }
    }

    /// Frees the seats of members that left and could not give them back. It may be that another
    /// process is doing that, or that we may not either: then a later check finds them.
    fn vacate_resigned(&self) {
        let (table, flavor) = (self.waiting(), self.facts.flavor);
        for resigned in table.all_resigned() {
            let is_pending = vacate::is_pending(resigned, table, flavor, &self.members);
            if is_pending == Ok(true) && self.members.try_lock() == Ok(true) {
                // What is set here must be of this channel, whatever `check_set` takes on trust.
                if self.members.nonce() == Ok(self.id.nonce) {
                    let resigned = table.resigned(resigned.seat.number).into_iter();
                    let _ = vacate::vacate(resigned, table, flavor, &self.members, &self.bells());
                }
                let _ = self.members.unlock();
            }
        }
    }

    /// Returns whether a member of the other side is alive, according to the kernel.
    pub(crate) fn is_peer_there(&self) -> Result<bool, Fault> {
        self.check_set()?;
        self.vacate_resigned();
        self.is_side_there(self.seat.side.other()).map_err(|errno| self.fault("semctl", errno))
    }

    /// Returns whether a member of this side is alive.
    pub(crate) fn is_side_there(&self, side: Side) -> sysv::Result<bool> {
        self.members.is_there(self.facts.flavor, self.facts.geometry.seats, side)
    }

    /// Sleeps for `time`, unless the channel is removed, or our side is interrupted after `seen`.
    pub(crate) fn nap(&self, time: Duration, seen: Option<u16>) -> Result<(), Fault> {
        self.check_set()?;
        self.members
            .nap(self.seat.side, seen, time)
            .map_err(|errno| self.fault("semtimedop", errno))
    }

    /// Executes a full barrier in every thread of every sender, or waits until what they stored before is
    /// visible.
    pub(crate) fn order_stores(&self) {
        if !process::membarrier() {
            self.settle();
        }
    }

    /// Returns how often the other side had been joined when this member last asked who is alive.
    pub(crate) fn known_joins(&self) -> u32 {
        self.known_joins.load(Relaxed)
    }

    /// Returns whether a member of the other side is there, or was since it had been joined
    /// `known_joins` times: one that sends a few messages and leaves again must not be missed by a
    /// member that waits for it, nor by one that is about to.
    pub(crate) fn has_peer_come(&self, known_joins: u32) -> Result<bool, Fault> {
        let joins = self.peer_joins();
        let has_come = joins != known_joins || self.is_peer_there()?;
        if has_come {
            self.known_joins.store(joins, Relaxed);
        }
        Ok(has_come)
    }

    /// Waits until the other side has a member, or had one since this member last asked who is alive;
    /// calls `may_go_on` at intervals.
    pub(crate) fn await_peer(
        &self,
        deadline: Option<Deadline>,
        may_go_on: impl Fn() -> Result<(), Fault>,
    ) -> Result<(), WaitError<Fault>> {
        let mut call = BlockedCall::begin(Some(self.interruption.calls()));
        let waited = self.await_peer_in(&mut call, deadline, may_go_on);
        call.end(matches!(waited, Err(WaitError::Interrupted)));
        waited
    }

    fn await_peer_in(
        &self,
        call: &mut BlockedCall<'_>,
        deadline: Option<Deadline>,
        may_go_on: impl Fn() -> Result<(), Fault>,
    ) -> Result<(), WaitError<Fault>> {
        let side = self.seat.side;
        let known_joins = self.known_joins();
        let mut is_woken = false;
        loop {
            may_go_on().and_then(|()| self.check_membership()).map_err(WaitError::Failed)?;
            // Before the check: an interrupt that comes after it changes the value.
            let seen = call.watch(self, side).map_err(WaitError::Failed)?;
            if self.has_peer_come(known_joins).map_err(WaitError::Failed)? {
                return Ok(());
            }
            let is_over = deadline.is_some_and(|d| d.passed());
            let left = match call.is_interrupted() {
                // The kernel ended the last wait, for a member that is not there.
                false if is_woken && is_over => return Err(WaitError::TimedOut),
                true => return Err(WaitError::Interrupted),
                false => deadline.map_or(PEER_SLICE, |d| d.remaining().min(PEER_SLICE)),
            };
            // The kernel counts members whose seats were vacated: it would not let us wait.
            let waited = match replace(&mut is_woken, false) {
                true => self.members.nap(side, seen, left),
                false => self.members.await_peer(side, seen, left).map(|()| is_woken = true),
            };
            match waited {
                Ok(()) => {}
                Err(Errno::EAGAIN) if deadline.is_some_and(|d| d.passed()) => {
                    return Err(WaitError::TimedOut);
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return Err(WaitError::Failed(self.fault("semtimedop", errno))),
            }
        }
    }
}

impl Parker for Attachment {
    fn park(&self, side: Side, at_most: Duration, seen: Option<u16>) -> Result<ParkResult, Fault> {
        self.check_set()?;
        match self.members.sleep(side, seen, at_most) {
            Ok(()) => Ok(ParkResult::Token),
            Err(Errno::EAGAIN) => Ok(ParkResult::TimedOut),
            // A wake-up, unless it was a signal or an interrupt: the poll that follows tells.
            Err(Errno::EINTR) if self.wakes_all() => Ok(ParkResult::Token),
            Err(Errno::EINTR) => Ok(ParkResult::Interrupted),
            Err(errno) => Err(self.fault("semtimedop", errno)),
        }
    }

    fn interrupts(&self, side: Side) -> Result<u16, Fault> {
        self.check_set()?;
        let value = match self.wakes_all() {
            true => self.members.value_to_watch(),
            false => self.members.interrupts(side),
        };
        value.map_err(|errno| self.fault("semctl", errno))
    }

    fn post(&self, side: Side) -> Result<(), Fault> {
        self.check_set()?;
        let posted = match (self.facts.flavor, side) {
            (Flavor::Broadcast, Side::Receivers) => self.members.wake_receivers(),
            _ => self.members.post(side),
        };
        posted.map_err(|errno| self.fault("semtimedop", errno))
    }

    fn drain(&self, side: Side, tokens: u16) -> Result<(), Fault> {
        self.members.drain(side, tokens).map_err(|errno| self.fault("semtimedop", errno))
    }

    fn semaphore_values(&self) -> Result<SemaphoreValues, Fault> {
        self.check_set()?;
        self.vacate_resigned();
        let peer_joins = self.peer_joins();
        let alive = self.members.semaphore_values(self.facts.geometry.seats);
        let mut alive = alive.map_err(|errno| self.fault("semctl", errno))?;
        alive.peer_joins = peer_joins;
        self.known_joins.store(peer_joins, Relaxed);
        Ok(alive)
    }

    fn fence(&self) {
        fence(SeqCst);
    }

    fn membarrier(&self) -> bool {
        process::membarrier()
    }

    fn has_seat(&self) -> bool {
        self.waiting().is_of(self.holder)
    }

    fn settle(&self) {
        std::thread::sleep(SETTLED);
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn is_forked(&self) -> bool {
        Attachment::is_forked(self)
    }
}
