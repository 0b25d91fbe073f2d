//! How a receiver comes by a message, and gives it back.

use std::sync::PoisonError;

use super::{Inner, Searched};
use crate::error::{Fault, RecvError};
use crate::members::Snapshot;
use crate::patience::Patience;
use crate::ring::mpmc::{Held, Next};
use crate::segment::Redelivery;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::{self, Ended, Look, Side};

impl Inner {
    /// Takes a message.
    #[inline(always)]
    pub(super) fn hold(&self, patience: Patience) -> Result<Held, RecvError> {
        self.post.check()?;
        let held = match self.consumer.take_next() {
            Some(held) => held,
            None => self.find_message(patience)?,
        };
        self.post.meet();
        Ok(held)
    }

    /// Another message, if it is there.
    #[inline(always)]
    pub(super) fn find_another(&self) -> Option<Held> {
        self.consumer.take_next().or_else(|| self.take_now())
    }

    #[inline(never)]
    fn take_now(&self) -> Option<Held> {
        match self.consumer.take(|_| Ok::<bool, Fault>(false)) {
            Ok(Next::Message(held)) => Some(held),
            // What is wrong is wrong in the next call, too, which says so.
            _ => None,
        }
    }

    #[inline(never)]
    fn find_message(&self, patience: Patience) -> Result<Held, RecvError> {
        if patience != Patience::Now {
            // Seldom, since it takes as long as a message that is on its way.
            if self.post.membership.is_behind(self.consumer.position()) {
                self.account();
            }
            self.comes_soon();
        }
        // The first look asks nobody: members in the middle of a message are alive, as a rule.
        match self.consumer.take(|_| Ok::<bool, Fault>(false)) {
            Ok(Next::Message(held)) => Ok(held),
            _ => self.await_message(patience),
        }
    }

    /// Waits a moment, or longer where senders shall get a lead.
    fn comes_soon(&self) {
        let Inner { consumer, lead, post, .. } = self;
        let found = consumer.dry();
        if post.lets_lead()
            && lead.is_due(found)
            && lead.let_lead(|messages| consumer.has_more_than(messages), || consumer.has_message())
        {
            consumer.ask();
        }
        lead.came(post.glance(|| consumer.has_message()));
    }

    #[inline(always)]
    pub(super) fn acknowledge(&self, held: &Held) -> Result<(), RecvError> {
        if self.post.membership.is_inherited() {
            return Err(Fault::Forked.into());
        }
        if !self.consumer.acknowledge(held) {
            // Somebody took us for dead: our token is gone, or was for a moment.
            return Err(self.post.stop(Fault::LivenessLost).into());
        }
        wait::light_fence();
        if self.consumer.ring().header().senders.flags() != 0 {
            self.see_senders();
        }
        Ok(())
    }

    /// Senders sleep, or left, or there is something else about them.
    #[cold]
    #[inline(never)]
    pub(super) fn see_senders(&self) {
        let ring = self.consumer.ring();
        let senders = &ring.header().senders;
        if !senders.is_parked() || ring.is_half_free() || !self.consumer.has_message() {
            // What fails here fails again in the next call that waits.
            let _ = self.post.membership.wake(Side::Senders);
        }
        // The other receivers end when the last message is acknowledged.
        if senders.has_left() {
            let _ = self.post.membership.wake(Side::Receivers);
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn await_message(&self, patience: Patience) -> Result<Held, RecvError> {
        match self.seek_message(patience) {
            // Sent before the channel was removed, and seen after.
            Err(RecvError::Fault(Fault::Removed)) => {
                match self.consumer.take(|_| Ok::<bool, Fault>(false)) {
                    Ok(Next::Message(held)) => Ok(held),
                    _ => Err(self.post.stop(Fault::Removed).into()),
                }
            }
            Err(RecvError::Fault(fault)) => Err(self.post.stop(fault).into()),
            other => other,
        }
    }

    pub(super) fn seek_message(&self, patience: Patience) -> Result<Held, RecvError> {
        self.account();
        self.post.membership.wake(Side::Senders)?;
        let mut found = None;
        let mut behind = None;
        // Whether a message was taken; asks after the living only where it may take its time.
        let mut look = |lives: Option<&Snapshot>| {
            let next = self.consumer.take(|seat| match lives {
                Some(_) => self.post.is_dead(seat),
                None => Ok(false),
            })?;
            behind = None;
            match next {
                Next::Message(held) => found = Some(held),
                Next::Nothing => {}
                Next::Behind { seat } => behind = Some(seat),
            }
            if let (None, Some(lives)) = (&found, lives) {
                found = self.inherit(lives)?;
            }
            Ok::<bool, RecvError>(found.is_some())
        };
        if patience == Patience::Now {
            self.post.membership.check_removed()?;
            let left = self.post.membership.peer_parking().has_left();
            let lives = match left || self.post.seldom.is_due() {
                true => Some(self.post.membership.look_at_lives()?),
                false => None,
            };
            let gone = lives.as_ref().is_some_and(|lives| self.post.is_abandoned(lives));
            // What was sent before they went is visible by now.
            if !look(lives.as_ref())? {
                return Err(match gone && self.is_drained() {
                    true => RecvError::Disconnected,
                    false => RecvError::Empty,
                });
            }
        } else {
            let waited = self.wait(patience, |how| {
                if how == Look::Quick {
                    return look(None);
                }
                let lives = self.post.look_at_lives()?;
                let gone = self.post.is_abandoned(&lives);
                // What was sent before they went is visible by now.
                if how == Look::Peek {
                    return self.has_news(&lives, gone);
                }
                if look(Some(&lives))? {
                    return Ok(true);
                }
                match gone && self.is_drained() {
                    true => Err(RecvError::Disconnected),
                    false => Ok(false),
                }
            });
            match (waited, behind) {
                (Err(RecvError::Timeout), Some(seat)) => {
                    return Err(RecvError::Behind { pid: self.post.pid(seat) });
                }
                (waited, _) => waited?,
            }
        }
        found.ok_or(RecvError::Empty)
    }

    /// Whether every message was acknowledged, but for those that this process has in hand.
    pub(super) fn is_drained(&self) -> bool {
        self.consumer.ring().is_drained(self.post.membership.seat.number)
    }

    /// A message whose receiver died, if there is one. Looks through the slots only when somebody
    /// died since it last did.
    pub(super) fn inherit(&self, lives: &Snapshot) -> Result<Option<Held>, RecvError> {
        let repairs = &self.post.membership.header().repairs;
        let orphaned = self.consumer.ring().orphaned();
        let now = Searched { dead: self.post.dead(lives), orphaned };
        let mut searched = self.searched.lock().unwrap_or_else(PoisonError::into_inner);
        if *searched == now {
            return Ok(None);
        }
        let limit = match self.post.membership.facts.redelivery {
            Redelivery::UpTo(times) => times,
            Redelivery::Never => 0,
        };
        let found = self.consumer.take_over(
            limit,
            |seat| self.post.is_dead(seat),
            |position| {
                if limit == 0 {
                    repairs.dropped.fetch_add(1, Relaxed);
                } else {
                    repairs.set_aside.fetch_add(1, Relaxed);
                    repairs.last_set_aside.store(position, Relaxed);
                }
            },
        )?;
        match &found {
            Some(_) => {
                repairs.redelivered.fetch_add(1, Relaxed);
                self.post.membership.line().repairs.fetch_add(1, Relaxed);
            }
            None => *searched = now,
        }
        Ok(found)
    }

    /// Whether there is something for another receiver: a message, what a dead one left, the end.
    fn has_news(&self, lives: &Snapshot, gone: bool) -> Result<bool, RecvError> {
        let has_message = self.consumer.has_any(|seat| self.post.is_dead(seat))?;
        Ok(has_message || self.may_inherit(lives) || gone && self.is_drained())
    }

    /// Whether somebody died, or left something to nobody, since this member last looked for that.
    fn may_inherit(&self, lives: &Snapshot) -> bool {
        let now =
            Searched { dead: self.post.dead(lives), orphaned: self.consumer.ring().orphaned() };
        *self.searched.lock().unwrap_or_else(PoisonError::into_inner) != now
    }

    /// Waits where receivers wait.
    fn wait(
        &self,
        patience: Patience,
        look: impl FnMut(Look) -> Result<bool, RecvError>,
    ) -> Result<(), RecvError> {
        let waited = self.post.with_pace(|pace| {
            wait::wait(self.post.membership.place(), pace, patience.deadline(), look)
        });
        waited.map_err(|ended| self.ended(ended))
    }

    /// What a wait that ended in vain comes to.
    pub(super) fn ended(&self, ended: Ended<RecvError>) -> RecvError {
        match ended {
            Ended::TimedOut => RecvError::Timeout,
            Ended::Failed(RecvError::Fault(fault)) => self.post.stop(fault).into(),
            Ended::Failed(error) => error,
        }
    }

    pub(super) fn account(&self) {
        self.post.account(self.consumer.position());
    }
}
