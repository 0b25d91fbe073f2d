//! How a receiver obtains a message, and how it acknowledges it and notifies blocked senders.

use super::{Membership, Polled, returned};
use crate::error::{Fault, RecvError};
use crate::liveness::SemaphoreValues;
use crate::ring::Slot;
use crate::role::Side;
use crate::sync::Ordering::SeqCst;
use crate::sync::fence;
use crate::wait::blocking::Blocking;
use crate::wait::{self, Poll, WaitError};

/// The receiving end of a ring, by reference.
pub(crate) trait RecvRing {
    /// A message that this receiver holds, unacknowledged.
    type Held;

    /// What is known of the other members at one moment.
    type Seen;

    /// Whether the side can have other members, to which a ring is passed on, and which return messages
    /// that have to be searched for.
    const HAS_OTHERS: bool;

    fn capacity(&self) -> u64;

    /// Asks who is alive, and what this ring has to know of the dead.
    fn see(member: &impl Membership) -> Result<Self::Seen, Fault>;

    /// Returns which members are alive.
    fn alive(seen: &Self::Seen) -> &SemaphoreValues;

    /// Returns how many messages this receiver has missed, once. If it has, no message was obtained.
    fn take_missed(&mut self) -> u64 {
        0
    }

    /// Returns whether no message can come before other receivers make room.
    fn waits_for_others(&self) -> bool {
        false
    }

    /// Returns the next message if it is available: the fast path.
    fn next_message(&mut self) -> Option<Self::Held>;

    /// Makes an attempt: with the newest knowledge of the dead, or, without it, quickly.
    fn poll(
        &mut self,
        seen: Option<&Self::Seen>,
        member: &impl Membership,
    ) -> Result<Polled<Self::Held>, Fault>;

    /// Returns whether a receiver would find a message. Takes nothing.
    fn has_work(&mut self, seen: &Self::Seen, member: &impl Membership) -> Result<bool, Fault>;

    /// Returns whether the stream has ended for a receiver that finds no message, once the senders
    /// are known to be gone: no other member has a message in flight.
    fn is_drained(&self) -> bool;

    /// Returns whether the next message is to be given up, and holds up all messages behind it.
    fn has_stuck(&self, member: &impl Membership) -> bool;

    /// Returns whether a message is complete behind the one that a living member is writing.
    fn hides_message(&self) -> bool;

    /// Returns what distinguishes one state of the messages in flight from the next, if every
    /// message was taken; otherwise `None`.
    fn in_flight(&self) -> Option<u64>;

    /// Takes over a message that a dead receiver left or a receiver returned, if a search finds
    /// one.
    fn search(
        &mut self,
        seen: &Self::Seen,
        member: &impl Membership,
    ) -> Result<Option<Self::Held>, Fault>;

    /// Returns whether messages were orphaned since `seen`.
    fn has_new_orphans(&self, seen: &Self::Seen) -> bool;

    /// Returns how often a message was delivered, this delivery included.
    fn deliveries(&self, held: &Self::Held) -> u8;

    /// Records that the delivery of a message begins, in a channel with a limit.
    fn begin_delivery(&mut self, held: &Self::Held);

    /// Returns a message without telling other receivers.
    fn put_back(&mut self, held: &Self::Held);

    /// Returns the slot of a message.
    fn slot_of(&self, held: &Self::Held) -> Slot<'_>;

    /// Acknowledges a message.
    fn acknowledge(&mut self, held: &Self::Held) -> Acknowledged;

    /// Returns the position of a message.
    fn position_of(&self, held: &Self::Held) -> u64;

    /// Returns whether enough slots are free to wake a sender, after the message at this position
    /// was acknowledged.
    fn frees_enough(&self, position: u64) -> bool;

    /// Returns whether enough may be free to wake a sender, for a receiver that finds no message.
    fn frees_enough_when_dry(&self, _: &impl Membership) -> bool {
        true
    }

    /// Returns whether to wake a sender after the message at this position was taken: it would find a
    /// free slot.
    fn opens_way(&self, position: u64, member: &impl Membership) -> bool;

    /// Publishes what senders do not know yet, and returns the next position to receive.
    fn store_progress(&mut self) -> u64;

    /// Returns whether the next message is available, without taking it.
    fn has_message(&self) -> bool;

    /// Returns whether more than `messages` messages are available, or will soon be.
    fn has_more_than(&self, messages: u64) -> bool;

    /// Records that the ring is empty. Returns the number of messages since the last such record.
    fn take_burst_len(&mut self) -> u64;

    /// Enables prefetching: many messages are available.
    fn prefetch(&self);
}

/// The result of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// The senders do not see it yet.
    Unpublished,
    /// The senders see it, once in many messages.
    Credit,
    /// The senders see it.
    Published,
    /// The same, and they had stepped over its slot.
    SteppedOver,
    /// This member was evicted, and another receiver has the message.
    Evicted,
}

/// One receiving handle: an end of a ring, and its member.
#[derive(Debug)]
pub(crate) struct RecvPort<'a, R, M> {
    pub(crate) ring: R,
    pub(crate) member: &'a M,
}

impl<R: RecvRing, M: Membership> RecvPort<'_, R, M> {
    /// Obtains the next message.
    #[inline(always)]
    pub(crate) fn next(mut self, blocking: Blocking) -> Result<R::Held, RecvError> {
        if self.member.is_open()
            && let Some(held) = self.ring.next_message()
        {
            return Ok(held);
        }
        self.next_slow(blocking)
    }

    /// Obtains another message, if one is available. An error recurs in the next call.
    #[inline(always)]
    pub(crate) fn another(mut self) -> Option<R::Held> {
        self.ring.next_message().or_else(|| self.another_slow())
    }

    #[inline(never)]
    fn another_slow(mut self) -> Option<R::Held> {
        match self.poll(None) {
            Ok(Polled::Found(held)) => Some(held),
            _ => None,
        }
    }

    fn poll(&mut self, seen: Option<&R::Seen>) -> Result<Polled<R::Held>, Fault> {
        returned::poll(&mut self.ring, seen, self.member)
    }

    #[cold]
    #[inline(never)]
    fn next_slow(mut self, blocking: Blocking) -> Result<R::Held, RecvError> {
        let is_gated = !self.member.is_open();
        let next = self.next_blocking(blocking, is_gated);
        let next = match self.ring.take_missed() {
            0 => next,
            messages => Err(RecvError::Lagged { messages }),
        };
        if R::HAS_OTHERS && is_gated {
            self.member.end_gated_call(next.is_ok());
            self.pass_on_duty();
        }
        match next {
            // Sent before the channel was removed, and noticed after that.
            Err(RecvError::Fault(Fault::Removed)) => {
                match (self.poll(None), self.ring.take_missed()) {
                    (_, messages @ 1..) => Err(RecvError::Lagged { messages }),
                    (Ok(Polled::Found(held)), _) => Ok(held),
                    _ => Err(self.member.stop(Fault::Removed).into()),
                }
            }
            Err(RecvError::Fault(fault)) => Err(self.member.stop(fault).into()),
            other => other,
        }
    }

    /// `is_gated`: the fast path is forbidden, since the handle was stopped, or a message was returned,
    /// or the member was rung.
    fn next_blocking(&mut self, blocking: Blocking, is_gated: bool) -> Result<R::Held, RecvError> {
        if is_gated {
            self.member.check()?;
            if let Some(held) = returned::take(&mut self.ring, self.member)? {
                return Ok(held);
            }
        }
        let position = self.ring.store_progress();
        self.member.withdraw_fences_in_stream(position);
        if blocking.may_wait() {
            self.member.poll_briefly(&mut self.ring);
        }
        if let Polled::Found(held) = self.poll(None)? {
            return Ok(held);
        }
        if self.ring.frees_enough_when_dry(self.member) {
            self.member.wake(Side::Senders)?;
        }
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
    fn look(&mut self) -> Result<R::Held, RecvError> {
        let looked = self.wait(Blocking::Never).map_err(|error| match error {
            RecvError::Blocked { pid } if self.ring.hides_message() => RecvError::Behind { pid },
            RecvError::Blocked { .. } | RecvError::Timeout => RecvError::Empty,
            error => error,
        });
        match looked {
            Err(RecvError::Empty | RecvError::Behind { .. } | RecvError::NotMoved { .. }) => {
                self.member.stay_armed();
            }
            _ => self.member.disarm(),
        }
        self.pass_on_duty();
        looked
    }

    /// Passes a ring on to another receiver if there is more to receive (O1 to O3).
    #[cold]
    #[inline(never)]
    fn pass_on_duty(&mut self) {
        let side = self.member.seat().side;
        if !R::HAS_OTHERS || !self.member.take_duty() || !self.member.offer_duty() {
            return;
        }
        let seen = R::see(self.member);
        let has_work = seen.and_then(|seen| self.ring.has_work(&seen, self.member));
        // An error here recurs in the next call; the others find out for themselves.
        if has_work != Ok(false) {
            let _ = self.member.wake(side);
        }
    }

    /// The rest of a call that does not block. `is_check_due`: whether it asks who is alive.
    fn try_once(&mut self, is_check_due: bool) -> Result<R::Held, RecvError> {
        self.member.check_removed()?;
        // The flag is loaded first: the joins of the members that left precede it.
        let is_told = self.member.has_peer_left();
        let joins = self.member.peer_joins();
        let asks = is_told && !self.member.is_end_denied(joins) || is_check_due;
        let seen = if asks { Some(R::see(self.member)?) } else { None };
        let gone = seen.as_ref().is_some_and(|seen| self.member.is_abandoned(R::alive(seen)));
        // Everything sent before the senders left is visible by now.
        match self.poll(seen.as_ref())? {
            Polled::Found(held) => Ok(held),
            _ if gone && self.ring.is_drained() => Err(RecvError::Disconnected),
            Polled::Behind { seat } if self.ring.hides_message() => {
                Err(RecvError::Behind { pid: self.member.pid(seat) })
            }
            _ => {
                let waits = |seen| !gone && !R::alive(seen).is_there(Side::Senders);
                if seen.as_ref().is_some_and(waits) {
                    self.member.deny_end(joins);
                }
                Err(self.stuck().unwrap_or(RecvError::Empty))
            }
        }
    }

    /// The rest of a call that blocks, or that is to look once, exactly.
    fn wait(&mut self, blocking: Blocking) -> Result<R::Held, RecvError> {
        let (ring, member) = (&mut self.ring, &self.member);
        let (mut found, mut behind, mut reported) = (None, None, None);
        let mut attempt = |ring: &mut R, seen: Option<&R::Seen>| {
            behind = None;
            match returned::poll(ring, seen, *member)? {
                Polled::Found(held) => found = Some(held),
                Polled::Nothing | Polled::Orphaned | Polled::Held { .. } => {}
                Polled::Behind { seat } => behind = Some(seat),
            }
            Ok::<bool, Fault>(found.is_some())
        };
        let poll = |poll: Poll| {
            if poll == Poll::Quick {
                let is_there = attempt(ring, None)?;
                if !is_there && ring.waits_for_others() {
                    // They may need this processor.
                    std::thread::yield_now();
                }
                return Ok(is_there);
            }
            if poll.takes() && attempt(ring, None)? {
                return Ok(true);
            }
            let seen = R::see(*member)?;
            let gone = member.is_abandoned(R::alive(&seen));
            // Everything sent before the senders left is visible by now.
            match poll {
                Poll::Peek => Ok(gone && ring.is_drained() || ring.has_work(&seen, *member)?),
                Poll::Others => {
                    // The end may be reached for some receiver, if not for this one: no sender is
                    // left, and every message was taken. Reported once for each state of the
                    // messages in flight.
                    let over = !R::alive(&seen).is_there(Side::Senders)
                        && ring.in_flight().is_some_and(|in_flight| {
                            let now = Some((member.peer_joins(), in_flight));
                            std::mem::replace(&mut reported, now) != now
                        });
                    Ok(over || ring.has_work(&seen, *member)?)
                }
                _ if attempt(ring, Some(&seen))? => Ok(true),
                _ if gone && ring.is_drained() => Err(RecvError::Disconnected),
                _ => Ok(false),
            }
        };
        let waited = match blocking {
            Blocking::Never => wait::look(member.site().parker, poll),
            _ => member
                .with_policy(|policy| wait::wait(member.site(), policy, blocking.deadline(), poll)),
        };
        Err(match (waited, behind) {
            (Ok(()), _) => return found.ok_or(RecvError::Empty),
            (Err(WaitError::TimedOut), None) if self.ring.has_stuck(self.member) => {
                self.stuck().unwrap_or(RecvError::Timeout)
            }
            (Err(WaitError::TimedOut), Some(seat)) => RecvError::Blocked { pid: member.pid(seat) },
            (Err(WaitError::TimedOut), None) => RecvError::Timeout,
            (Err(WaitError::Interrupted), _) => RecvError::Interrupted,
            (Err(WaitError::Failed(error)), _) => error,
        })
    }

    /// Returns the error of a call that cannot go past the next message.
    fn stuck(&self) -> Option<RecvError> {
        let reason = self.member.give_up_failure()?;
        self.ring.has_stuck(self.member).then_some(RecvError::NotMoved { reason })
    }

    /// Acknowledges a message. Fails if this member was evicted: its token is gone, or was for a
    /// moment.
    #[inline(always)]
    pub(crate) fn acknowledge(mut self, held: &R::Held) -> Result<(), Fault> {
        match self.ring.acknowledge(held) {
            Acknowledged::Unpublished => {}
            Acknowledged::Credit => self.give_credit(),
            Acknowledged::Published => {
                let position = self.ring.position_of(held);
                self.notify_if_needed(position);
            }
            Acknowledged::SteppedOver => self.notify(),
            Acknowledged::Evicted => return Err(self.member.stop(Fault::LivenessLost)),
        }
        Ok(())
    }

    /// Publishes the credit of all acknowledged messages.
    #[inline(never)]
    pub(crate) fn give_credit(mut self) {
        let position = self.ring.store_progress();
        self.member.withdraw_fences_in_stream(position);
        // The publisher's barrier, which a blocked sender relies on.
        fence(SeqCst);
        self.notify_if_needed(position);
    }

    /// The same for a message that was taken and is held: a sender that was parked because the
    /// message was not taken may step over its slot, if one behind it is free.
    #[inline(always)]
    pub(crate) fn notify_taken(self, position: u64) {
        self.member.waker_fence();
        if self.member.parking(Side::Senders).has_waiter() {
            self.notify_taken_slow(position);
        }
    }

    #[cold]
    #[inline(never)]
    fn notify_taken_slow(self, position: u64) {
        if self.ring.opens_way(position, self.member) {
            // An error here recurs in the next call that blocks.
            let _ = self.member.wake(Side::Senders);
        }
    }

    /// The publisher's half of the order in `wait/mod.rs`: the slot of a position became free; now
    /// check the flags.
    #[inline(always)]
    fn notify_if_needed(self, position: u64) {
        self.member.waker_fence();
        let flags = self.member.parking(Side::Senders).flags();
        if flags != 0 {
            self.notify_slow(position, flags);
        }
    }

    /// Handles the case that senders are parked or left, or that another flag of theirs is set.
    /// Takes the port by value, which fits in registers: on the fast path it is not in memory.
    #[cold]
    #[inline(never)]
    fn notify_slow(self, position: u64, flags: u32) {
        if flags & wait::RETURNED != 0 {
            self.member.require_slow_path();
        }
        // An error here recurs in the next call that blocks.
        let others = flags & !wait::RETURNED;
        let has_waiter = others & (wait::PARKED | wait::BELL) != 0;
        match others != 0 && (!has_waiter || self.ring.frees_enough(position)) {
            true => self.notify(),
            false => self.notify_of_end(),
        }
    }

    /// Wakes a sender if one is parked, whatever is free: how much is free is not known after a slot
    /// that was stepped over.
    #[cold]
    #[inline(never)]
    fn notify(self) {
        let _ = self.member.wake(Side::Senders);
        self.notify_of_end();
    }

    fn notify_of_end(self) {
        if self.member.has_peer_left() {
            let _ = returned::announce_end(&self.ring, self.member);
        }
    }
}
