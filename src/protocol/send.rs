//! How a sender reserves a slot, and how it notifies blocked receivers.

use super::{Membership, Polled};
use crate::error::{Fault, SendError};
use crate::layout::Parking;
use crate::role::Side;
use crate::wait::blocking::Blocking;
use crate::wait::{self, Poll, WaitError};

/// The sending end of a ring, by reference.
pub(crate) trait SendRing {
    /// A slot that was reserved for this sender.
    type Slot;

    /// State of one wait.
    type Wait: Default;

    /// Whether a sender goes on while there is room, although all receivers are gone. Otherwise it
    /// notices that at its next slow path.
    const FILLS_RING_ALONE: bool;

    /// Whether a message is published by a SeqCst compare-and-swap, not by a plain store.
    const SWAPS: bool;

    /// Whether the side can have other members, to which a ring is passed on.
    const HAS_OTHERS: bool;

    /// Returns the next slot if it is free: the fast path.
    fn next_slot(&mut self) -> Option<Self::Slot>;

    /// Makes the attempt that follows a failed fast path. It must not disturb a busy receiver,
    /// unless the call returns after it (`last`).
    fn next_slot_slow(
        &mut self,
        last: bool,
        member: &impl Membership,
    ) -> Result<Polled<Self::Slot>, Fault>;

    /// Makes an attempt in a wait.
    fn poll(
        &mut self,
        poll: Poll,
        wait: &mut Self::Wait,
        member: &impl Membership,
    ) -> Result<Polled<Self::Slot>, Fault>;

    /// Returns whether enough slots are free to wake a sender. Takes nothing.
    fn is_worth_waking(&mut self, poll: Poll, member: &impl Membership) -> Result<bool, Fault>;

    /// Returns whether every message was acknowledged.
    fn is_flushed(&self) -> bool;

    /// Stops waiting for receivers that are dead, in a ring that waits for each of them.
    fn pass_over_dead(&mut self, _: &impl Membership) -> Result<(), Fault> {
        Ok(())
    }

    /// Makes the next call take its slow path, where it notices that the other side left.
    fn forget_room(&mut self);

    /// Returns the flags of the receivers' parking line that require no action at present.
    fn known_flags(&self) -> u32;

    fn set_known_flags(&mut self, flags: u32);

    /// Begins or ends to execute a fence for each message, where that is the sender's decision, after
    /// it found these flags in the receivers' parking line.
    fn adapt_fences(&mut self, _flags: u32, _receivers: &Parking) {}
}

/// One sending handle: an end of a ring, and its member.
#[derive(Debug)]
pub(crate) struct SendPort<'a, R, M> {
    pub(crate) ring: R,
    pub(crate) member: &'a M,
}

impl<R: SendRing, M: Membership> SendPort<'_, R, M> {
    /// Reserves a slot.
    #[inline(always)]
    pub(crate) fn reserve(mut self, blocking: Blocking) -> Result<R::Slot, SendError> {
        if self.member.is_open()
            && let Some(slot) = self.ring.next_slot()
        {
            return Ok(slot);
        }
        self.reserve_slow(blocking)
    }

    #[cold]
    #[inline(never)]
    fn reserve_slow(mut self, blocking: Blocking) -> Result<R::Slot, SendError> {
        let is_gated = !self.member.is_open();
        let reserved = self.reserve_blocking(blocking, is_gated);
        if R::HAS_OTHERS && is_gated {
            self.member.end_gated_call(reserved.is_ok());
            self.pass_on_duty();
        }
        reserved.map_err(|error| match error {
            SendError::Fault(fault) => self.member.stop(fault).into(),
            error => error,
        })
    }

    /// `is_gated`: the fast path is forbidden, since the handle was stopped, or the member was rung.
    fn reserve_blocking(
        &mut self,
        blocking: Blocking,
        is_gated: bool,
    ) -> Result<R::Slot, SendError> {
        if is_gated {
            self.member.check()?;
            self.member.permit_fast_path();
        }
        self.member.check_removed()?;
        if !R::FILLS_RING_ALONE {
            self.check_peer()?;
        }
        let last = !blocking.may_wait();
        if let Polled::Found(slot) = self.ring.next_slot_slow(last, self.member)? {
            return Ok(slot);
        }
        self.check_peer()?;
        // The receivers may not have been notified yet of a batch that filled the ring.
        self.notify_again();
        match blocking {
            Blocking::Never if self.member.arm() => self.look(),
            Blocking::Never => self.try_once(self.member.is_check_due()),
            // A task that finds nothing arms the handle next, and looks exactly then.
            Blocking::Glance => self.try_once(false),
            _ => self.wait(blocking),
        }
    }

    /// The rest of a call that does not block, in a handle whose doorbell was just armed (A4).
    #[cold]
    #[inline(never)]
    fn look(&mut self) -> Result<R::Slot, SendError> {
        let looked = self.wait(Blocking::Never).map_err(|error| match error {
            SendError::Blocked { pid } => SendError::Behind { pid },
            SendError::Timeout => SendError::Full,
            error => error,
        });
        match looked {
            Err(SendError::Full | SendError::Behind { .. }) => self.member.stay_armed(),
            _ => self.member.disarm(),
        }
        self.pass_on_duty();
        looked
    }

    /// Passes a ring on to another sender if there is more room (O1 to O3).
    #[cold]
    #[inline(never)]
    fn pass_on_duty(&mut self) {
        let side = self.member.seat().side;
        if R::HAS_OTHERS
            && self.member.take_duty()
            && self.member.offer_duty()
            && self.ring.is_worth_waking(Poll::Others, self.member) != Ok(false)
        {
            // An error here recurs in the next call that blocks.
            let _ = self.member.wake(side);
        }
    }

    /// Fails if the segment shows that the receivers left, and the kernel confirms it.
    fn check_peer(&self) -> Result<(), SendError> {
        if self.member.has_peer_left() && self.member.has_lost_peer()? {
            return Err(SendError::Disconnected);
        }
        Ok(())
    }

    /// The rest of a call that does not block. `is_check_due`: whether it asks who is alive.
    fn try_once(&mut self, is_check_due: bool) -> Result<R::Slot, SendError> {
        let polled = self.ring.poll(Poll::Exact, &mut R::Wait::default(), self.member)?;
        let mut behind = None;
        match polled {
            Polled::Found(slot) => return Ok(slot),
            Polled::Orphaned => self.member.wake(Side::Receivers)?,
            Polled::Behind { seat } => behind = Some(seat),
            Polled::Nothing | Polled::Held { .. } => {}
        }
        let member = self.member;
        match (is_check_due && member.is_abandoned(&member.semaphore_values()?), behind) {
            (true, _) => Err(SendError::Disconnected),
            (false, Some(seat)) => Err(SendError::Behind { pid: member.pid(seat) }),
            (false, None) => Err(SendError::Full),
        }
    }

    /// The rest of a call that blocks, or that is to look once, exactly.
    fn wait(&mut self, blocking: Blocking) -> Result<R::Slot, SendError> {
        let SendPort { ring, member } = self;
        let (mut state, mut reported) = (R::Wait::default(), None);
        let (mut found, mut behind) = (None, None);
        let mut attempt = |ring: &mut R, poll| {
            behind = None;
            match ring.poll(poll, &mut state, *member)? {
                Polled::Found(slot) => found = Some(slot),
                Polled::Nothing => {}
                Polled::Orphaned => member.wake(Side::Receivers)?,
                // Nobody waits for receivers to finish here.
                Polled::Held { .. } if blocking == Blocking::Never => {}
                Polled::Behind { seat } | Polled::Held { seat } => behind = Some(seat),
            }
            Ok::<bool, Fault>(found.is_some())
        };
        let poll = |poll| {
            if let Poll::Peek | Poll::Others = poll {
                let alive = member.semaphore_values()?;
                let over = match poll {
                    Poll::Peek => member.is_abandoned(&alive),
                    // Reported once for each time that the receivers left.
                    _ => {
                        let now = Some(member.peer_joins());
                        !alive.is_there(Side::Receivers)
                            && std::mem::replace(&mut reported, now) != now
                    }
                };
                return Ok(over || ring.is_worth_waking(poll, *member)?);
            }
            if attempt(ring, poll)? {
                return Ok(true);
            }
            if poll == Poll::Quick || !member.is_abandoned(&member.semaphore_values()?) {
                return Ok(false);
            }
            // Receivers that are gone free no more slots to wait for: any free slot will do.
            match attempt(ring, Poll::Exact)? {
                true => Ok(true),
                false => Err(SendError::Disconnected),
            }
        };
        let waited = match blocking {
            Blocking::Never => wait::look(member.site().parker, poll),
            _ => member
                .with_policy(|policy| wait::wait(member.site(), policy, blocking.deadline(), poll)),
        };
        Err(match (waited, behind) {
            (Ok(()), _) => return found.ok_or(SendError::Full),
            (Err(WaitError::TimedOut), Some(seat)) => SendError::Blocked { pid: member.pid(seat) },
            (Err(WaitError::TimedOut), None) => SendError::Timeout,
            (Err(WaitError::Interrupted), _) => SendError::Interrupted,
            (Err(WaitError::Failed(error)), _) => error,
        })
    }

    /// The publisher's half of the order in `wait/mod.rs`: a message was published; now check the
    /// flags.
    #[inline(always)]
    pub(crate) fn notify_if_needed(self) {
        if let Some(flags) = self.changed_flags() {
            self.notify_slow(flags);
        }
    }

    /// The same on a slow path.
    pub(super) fn notify_again(&mut self) {
        if let Some(flags) = self.changed_flags() {
            self.notify(flags);
        }
    }

    /// Returns the flags of the receivers' parking line if they may require an action.
    #[inline(always)]
    fn changed_flags(&self) -> Option<u32> {
        self.member.changed_flags(self.ring.known_flags(), R::SWAPS)
    }

    /// Takes the port by value, which fits in registers: on the fast path it is not in memory.
    #[cold]
    #[inline(never)]
    fn notify_slow(mut self, flags: u32) {
        self.notify(flags);
    }

    /// Handles the case that a receiver is parked, that all receivers left, or that another flag of
    /// theirs changed.
    fn notify(&mut self, flags: u32) {
        let member = self.member;
        // The message is sent: whatever fails here stops the handle, and the next call reports it.
        let _ = member.wake(Side::Receivers);
        self.ring.adapt_fences(flags, member.parking(Side::Receivers));
        self.ring.set_known_flags(0);
        if R::FILLS_RING_ALONE && member.is_removal_check_due() {
            let _ = member.semaphore_values().map_err(|fault| member.stop(fault));
        }
        if flags & wait::REMOVED != 0 {
            self.ring.forget_room();
            if R::FILLS_RING_ALONE {
                member.stop(Fault::Removed);
            }
        } else if member.has_peer_left() {
            if member.is_peer_unseen(member.peer_joins()) {
                // They left before we joined: nothing changes until another one joins.
                self.ring.set_known_flags(wait::LEFT);
            } else {
                let lost = member.has_lost_peer().map_err(|fault| member.stop(fault));
                if lost != Ok(false) {
                    self.ring.forget_room();
                }
            }
        }
    }
}
