//! How a receiver obtains a message, and how it acknowledges or releases it.

use std::sync::TryLockError;

use super::Inner;
use super::taken::Taken;
use crate::endpoint::mpmc::Seen;
use crate::error::{Fault, RecvError};
use crate::ring::mpmc::{Held, Next, Snapshot};
use crate::role::Side;
use crate::segment::Redelivery;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::blocking::Blocking;
use crate::wait::{self, Poll, WaitError};

/// Maximum number of walks in one exact poll, if other members overtake each of them.
const WALKS: u32 = 8;

impl Inner {
    /// Takes a message.
    #[inline(always)]
    pub(super) fn hold(&self, blocking: Blocking) -> Result<Held, RecvError> {
        self.endpoint.check()?;
        let held = match self.consumer.take_next() {
            Some(held) => held,
            None => self.find_message(blocking)?,
        };
        self.endpoint.meet();
        Ok(held)
    }

    /// Takes another message, if one is available.
    #[inline(always)]
    pub(super) fn find_another(&self) -> Option<Held> {
        self.consumer.take_next().or_else(|| self.take_now())
    }

    #[inline(never)]
    fn take_now(&self) -> Option<Held> {
        match self.consumer.take(self.endpoint.watch(false)) {
            Ok(Next::Message(held)) => Some(held),
            // An error recurs in the next call, which reports it.
            _ => None,
        }
    }

    #[inline(never)]
    fn find_message(&self, blocking: Blocking) -> Result<Held, RecvError> {
        if blocking != Blocking::Never {
            // Not at every wait: it takes as long as a message in transit.
            if self.endpoint.attachment.is_behind(self.consumer.position()) {
                self.account();
            }
            self.comes_soon();
        }
        match self.consumer.take(self.endpoint.watch(false)) {
            Ok(Next::Message(held)) => Ok(held),
            _ => self.await_message(blocking),
        }
    }

    /// Walks once; or, in a call that may take its time, again while other members overtake the
    /// walk.
    fn walk(&self, asks: bool) -> Result<Next, Fault> {
        for _ in 0..if asks { WALKS } else { 1 } {
            match self.consumer.take(self.endpoint.watch(asks))? {
                Next::Overtaken => {}
                next => return Ok(next),
            }
        }
        // The faster members take what is available, and wake others if there is more.
        Ok(Next::Nothing)
    }

    /// Polls for a moment, or backs off longer if senders should get ahead.
    fn comes_soon(&self) {
        let Inner { consumer, backoff, endpoint, .. } = self;
        let found = consumer.dry();
        if endpoint.backs_off()
            && backoff.is_due(found)
            && backoff
                .back_off(|messages| consumer.has_more_than(messages), || consumer.has_message())
        {
            consumer.ask();
        }
        backoff.came(endpoint.poll_briefly(|| consumer.has_message()));
    }

    #[inline(always)]
    pub(super) fn acknowledge(&self, held: &Held) -> Result<(), RecvError> {
        if self.endpoint.attachment.is_forked() {
            return Err(Fault::Forked.into());
        }
        if !self.consumer.acknowledge(held) {
            // We were evicted: our token is gone, or was for a moment.
            return Err(self.endpoint.stop(Fault::LivenessLost).into());
        }
        wait::waker_fence();
        if self.consumer.ring().header().senders.flags() != 0 {
            self.see_senders(held.position());
        }
        Ok(())
    }

    /// Releases a message that cannot be acknowledged: another receiver gets it.
    #[cold]
    pub(super) fn release(&self, held: &Held) {
        // In a forked child it is the parent's.
        if !self.endpoint.attachment.is_forked() && self.consumer.release(held) {
            self.endpoint.unblocked();
        }
    }

    /// Called after an acknowledgement if senders are parked or left, or another flag of theirs
    /// changed.
    #[cold]
    #[inline(never)]
    pub(super) fn see_senders(&self, position: u64) {
        let ring = self.consumer.ring();
        let senders = &ring.header().senders;
        if !senders.is_parked() || ring.became_half_free(position) || !self.consumer.has_message() {
            self.endpoint.freed();
        }
        // The other receivers end when the last message is acknowledged.
        if senders.has_left() {
            self.endpoint.unblocked();
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn await_message(&self, blocking: Blocking) -> Result<Held, RecvError> {
        match self.seek_message(blocking) {
            // Sent before the channel was removed, and noticed after that.
            Err(RecvError::Fault(Fault::Removed)) => match self.walk(false) {
                Ok(Next::Message(held)) => Ok(held),
                _ => Err(self.endpoint.stop(Fault::Removed).into()),
            },
            Err(RecvError::Fault(fault)) => Err(self.endpoint.stop(fault).into()),
            other => other,
        }
    }

    pub(super) fn seek_message(&self, blocking: Blocking) -> Result<Held, RecvError> {
        self.account();
        self.endpoint.attachment.wake(Side::Senders)?;
        let mut found = None;
        let mut behind = None;
        // Returns whether a message was taken; checks liveness only in a call that may take its
        // time.
        let mut look = |seen: Option<&Seen>| {
            let next = self.walk(seen.is_some())?;
            behind = None;
            match next {
                Next::Message(held) => found = Some(Taken::new(self, held)),
                Next::Nothing | Next::Overtaken => {}
                Next::Behind { seat } => behind = Some(seat),
            }
            if let (None, Some(seen)) = (&found, seen) {
                found = self.inherit(seen)?;
            }
            Ok::<bool, RecvError>(found.is_some())
        };
        if blocking == Blocking::Never {
            self.endpoint.attachment.check_removed()?;
            let left = self.endpoint.attachment.peer_parking().has_left();
            let seen = match left || self.endpoint.throttle.is_due() {
                true => Some(self.endpoint.see()?),
                false => None,
            };
            let gone = seen.as_ref().is_some_and(|seen| self.endpoint.is_abandoned(&seen.lives));
            // Everything sent before the senders left is visible by now.
            if !look(seen.as_ref())? {
                return Err(match gone && self.is_drained() {
                    true => RecvError::Disconnected,
                    false => RecvError::Empty,
                });
            }
        } else {
            let mut told = None;
            let waited = self.wait(blocking, |how| {
                if how == Poll::Quick {
                    return look(None);
                }
                let seen = self.endpoint.see()?;
                let gone = self.endpoint.is_abandoned(&seen.lives);
                // Everything sent before the senders left is visible by now.
                if let Poll::Peek | Poll::Others = how {
                    let over = match how {
                        Poll::Peek => gone && self.is_drained(),
                        _ => self.may_be_over(&seen, &mut told),
                    };
                    return Ok(over || self.has_message(&seen)?);
                }
                if look(Some(&seen))? {
                    return Ok(true);
                }
                match gone && self.is_drained() {
                    true => Err(RecvError::Disconnected),
                    false => Ok(false),
                }
            });
            match (waited, behind) {
                (Err(RecvError::Timeout), Some(seat)) => {
                    return Err(RecvError::Blocked { pid: self.endpoint.pid(seat) });
                }
                (waited, _) => waited?,
            }
        }
        found.map(Taken::into_held).ok_or(RecvError::Empty)
    }

    /// Returns whether every message was acknowledged, except those that this member has in flight.
    pub(super) fn is_drained(&self) -> bool {
        self.consumer.ring().is_drained(self.endpoint.attachment.seat.number)
    }

    /// Takes a message whose receiver died, if there is one. Searches the slots only if a member
    /// died since the last search.
    pub(super) fn inherit(&self, seen: &Seen) -> Result<Option<Taken<'_>>, RecvError> {
        let limit = match self.endpoint.attachment.facts.redelivery {
            Redelivery::UpTo(times) => times,
            Redelivery::Never => 0,
        };
        let watch = self.endpoint.watch(true);
        let inherit = |searched: &mut _| self.consumer.inherit(limit, &seen.dead, searched, watch);
        let found = self.with_searched(inherit)?;
        if found.is_some() {
            self.endpoint.attachment.header().repairs.redelivered.fetch_add(1, Relaxed);
            self.endpoint.attachment.line().repairs.fetch_add(1, Relaxed);
        }
        Ok(found.map(|held| Taken::new(self, held)))
    }

    /// Returns whether the end may be reached for some receiver, if not for this one: no sender is
    /// left, and every message was taken. Reported once for each state of the messages in flight.
    fn may_be_over(&self, seen: &Seen, told: &mut Option<(u32, u64)>) -> bool {
        let ring = self.consumer.ring();
        if seen.lives.is_there(Side::Senders) || ring.has_untaken() {
            return false;
        }
        let now = Some((self.endpoint.peer_joins(), ring.hands()));
        std::mem::replace(told, now) != now
    }

    /// Returns whether a receiver would find a message, or one that a dead receiver left.
    fn has_message(&self, seen: &Seen) -> Result<bool, RecvError> {
        Ok(self.consumer.has_any(self.endpoint.watch(true))? || self.may_inherit(seen)?)
    }

    /// Returns whether there is a message whose receiver died.
    fn may_inherit(&self, seen: &Seen) -> Result<bool, Fault> {
        let watch = self.endpoint.watch(true);
        self.with_searched(|searched| self.consumer.may_inherit(&seen.dead, searched, watch))
    }

    /// Runs `search` with what was known before the last unsuccessful search, if no other call uses
    /// it.
    fn with_searched<R>(&self, search: impl FnOnce(&mut Option<Snapshot>) -> R) -> R {
        match self.searched.try_lock() {
            Ok(mut searched) => search(&mut searched),
            Err(TryLockError::Poisoned(poisoned)) => search(&mut poisoned.into_inner()),
            // Another thread is searching, or the call that this signal handler interrupted.
            Err(TryLockError::WouldBlock) => search(&mut None),
        }
    }

    /// Blocks where receivers wait.
    fn wait(
        &self,
        blocking: Blocking,
        look: impl FnMut(Poll) -> Result<bool, RecvError>,
    ) -> Result<(), RecvError> {
        let waited = self.endpoint.with_policy(|policy| {
            wait::wait(self.endpoint.attachment.place(), policy, blocking.deadline(), look)
        });
        waited.map_err(|ended| self.ended(ended))
    }

    /// Converts the error of a wait to that of the call.
    pub(super) fn ended(&self, ended: WaitError<RecvError>) -> RecvError {
        match ended {
            WaitError::TimedOut => RecvError::Timeout,
            WaitError::Failed(RecvError::Fault(fault)) => self.endpoint.stop(fault).into(),
            WaitError::Failed(error) => error,
        }
    }

    pub(super) fn account(&self) {
        self.endpoint.account(self.consumer.position());
    }
}
