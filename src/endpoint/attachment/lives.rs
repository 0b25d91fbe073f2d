//! What a member asks the kernel about: is it still a member, who is there; and where it sleeps.

use std::time::Duration;

use super::{Attachment, LOST, SEATED};
use crate::error::Fault;
use crate::liveness::{self, Lives};
use crate::role::Side;
use crate::segment;
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::shm;
use crate::sysv::time::Deadline;
use crate::sysv::{Errno, process};
use crate::wait::{Parker, Slept, WaitError};

/// How often the nonce of the set is looked at. The kernel gives the identifier of a set that was removed
/// out again after some millions of others, which takes seconds, unless somebody made most of them before.
/// That somebody could have a stranger's semaphore raised by one, for this time at most.
pub(super) const SET_EVERY: Duration = Duration::from_secs(1);

/// How often those who wait look whether the segment was removed: `ipcrm -m` leaves it to those who
/// have it attached, and no trace in it.
pub(super) const SEGMENT_EVERY: Duration = Duration::from_millis(100);

/// The longest that a wait for the other side does not look whether its handle was closed by another
/// thread: no token wakes it.
const PEER_SLICE: Duration = Duration::from_millis(50);

/// Stores that were made before somebody had to be told to fence are visible to all after far less.
const SETTLED: Duration = Duration::from_millis(1);

impl Attachment {
    /// Whether this handle still has a seat to write for.
    pub(crate) fn is_seated(&self) -> bool {
        self.seated.load(Relaxed) == SEATED && !self.is_forked()
    }

    /// Whether it has one by the kernel's record, too: of what others sit on by now, nothing is ours
    /// to write in leaving.
    pub(crate) fn owns_seat(&self) -> bool {
        self.is_seated() && self.check_seat() != Err(Fault::LivenessLost)
    }

    /// Whether the channel was removed, as far as a flag in the segment tells.
    pub(crate) fn check_removed(&self) -> Result<(), Fault> {
        if self.parking().is_removed() { Err(Fault::Removed) } else { Ok(()) }
    }

    /// All semaphores, and whether this handle may go on: the channel is still there, and this
    /// process a member of it. One system call, as a rule.
    pub(crate) fn look_at_lives(&self) -> Result<Lives, Fault> {
        self.check_removed()?;
        self.check_lost()?;
        let lives = self.lives()?;
        // Another holder has another incarnation, be it of this very process.
        if !lives.is_taken(self.seat.number) || !self.waiting().is_of(self.holder) {
            return Err(self.mark_seat_lost());
        }
        if self.key != 0 && self.segment_is_due.is_due() {
            let stat = shm::stat(self.id.segment).map_err(liveness::fault("shmctl"))?;
            if stat.marked_for_removal {
                // What one member found the others need not look for.
                segment::mark_removed(&self.mapping);
                return Err(Fault::Removed);
            }
        }
        Ok(lives)
    }

    /// Whether the kernel still has this process' token. Once it had not, a token there is another's,
    /// be it of this very process.
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

    /// The seat is no longer ours, and never will be again.
    pub(crate) fn mark_seat_lost(&self) -> Fault {
        // Who left has none to lose.
        let _ = self.seated.compare_exchange(SEATED, LOST, Relaxed, Relaxed);
        Fault::LivenessLost
    }

    /// Makes sure that the identifier of the set is still that of this channel's set.
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

    /// What an errno of a call on the set means.
    fn fault(&self, call: &'static str, errno: Errno) -> Fault {
        match liveness::fault(call)(errno) {
            // A removed segment stays known while it is attached, as it is here: who does not know it
            // went to another IPC namespace, and left its tokens behind.
            Fault::Removed if shm::stat(self.id.segment) == Err(Errno::EINVAL) => {
                self.mark_seat_lost()
            }
            fault => fault,
        }
    }

    /// Whether somebody alive is on the other side, by the kernel's record.
    pub(crate) fn is_peer_there(&self) -> Result<bool, Fault> {
        self.check_set()?;
        let there = self.members.is_there(self.seat.side.other());
        there.map_err(|errno| self.fault("semctl", errno))
    }

    /// Sleeps for a while, unless the channel goes away.
    pub(crate) fn nap(&self, time: Duration) -> Result<(), Fault> {
        self.check_set()?;
        self.members.nap(time).map_err(|errno| self.fault("semtimedop", errno))
    }

    /// Waits until somebody is on the other side; `may_go_on` is asked now and then.
    pub(crate) fn await_peer(
        &self,
        deadline: Option<Deadline>,
        may_go_on: impl Fn() -> Result<(), Fault>,
    ) -> Result<(), WaitError<Fault>> {
        loop {
            may_go_on().and_then(|()| self.look_at_lives()).map_err(WaitError::Failed)?;
            let left = deadline.map_or(PEER_SLICE, |d| d.remaining().min(PEER_SLICE));
            match self.members.await_side(self.seat.side.other(), left) {
                Ok(()) => return Ok(()),
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
    fn sleep(&self, side: Side, at_most: Duration) -> Result<Slept, Fault> {
        self.check_set()?;
        match self.members.sleep(side, at_most) {
            Ok(()) => Ok(Slept::Token),
            Err(Errno::EAGAIN) => Ok(Slept::TimedOut),
            Err(Errno::EINTR) => Ok(Slept::Interrupted),
            Err(errno) => Err(self.fault("semtimedop", errno)),
        }
    }

    fn post(&self, side: Side) -> Result<(), Fault> {
        self.check_set()?;
        self.members.post(side).map_err(|errno| self.fault("semop", errno))
    }

    fn drain(&self, side: Side, tokens: u16) -> Result<(), Fault> {
        self.members.drain(side, tokens).map_err(|errno| self.fault("semop", errno))
    }

    fn lives(&self) -> Result<Lives, Fault> {
        self.check_set()?;
        let lives = self.members.lives(self.facts.geometry.seats);
        lives.map_err(|errno| self.fault("semctl", errno))
    }

    fn barrier(&self) -> bool {
        process::membarrier()
    }

    fn settle(&self) {
        std::thread::sleep(SETTLED);
    }

    fn rest(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn is_forked(&self) -> bool {
        Attachment::is_forked(self)
    }
}
