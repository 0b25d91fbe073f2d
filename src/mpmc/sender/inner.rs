//! How a sender comes by a free slot, and looks after those who sleep.

use super::Inner;
use super::claimed::Claimed;
use crate::error::{Fault, SendError};
use crate::ring::mpmc::{Claim, Room};
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::blocking::Patience;
use crate::wait::{self, Ended, Look};

/// Quick looks at whether much is free, before one slot is enough: some twenty microseconds, less than a
/// sleep would cost, while three quarters of the ring are still there for receivers.
const FAR_LOOKS: u32 = 1_000;

/// Walks of one exact look at most, where each is overtaken by others.
const WALKS: u32 = 8;

impl Inner {
    /// Claims a slot.
    #[inline(always)]
    pub(super) fn claim(&self, patience: Patience) -> Result<Claim, SendError> {
        self.post.check()?;
        match self.producer.claim_next() {
            Some(claim) => Ok(claim),
            None => self.find_room(patience),
        }
    }

    /// Gives up what was claimed at a position, which fits a register: the claim need not be in memory for
    /// it.
    #[cold]
    #[inline(never)]
    pub(super) fn give_up(&self, position: u64) {
        drop(Claimed::new(self, self.producer.claimed(position)));
    }

    #[inline(never)]
    fn find_room(&self, patience: Patience) -> Result<Claim, SendError> {
        match self.producer.claim(self.post.watch(false)) {
            Ok(Room::Claimed(claim)) => Ok(claim),
            _ => self.make_room(patience),
        }
    }

    /// A walk; or some, for who takes its time, where they are overtaken.
    fn walk(&self, asks: bool) -> Result<Room, Fault> {
        for _ in 0..if asks { WALKS } else { 1 } {
            match self.producer.claim(self.post.watch(asks))? {
                Room::Overtaken => {}
                room => return Ok(room),
            }
        }
        // Those who are faster free slots, and wake.
        Ok(Room::Full)
    }

    /// Who published looks: see `wait/mod.rs`.
    #[inline(always)]
    pub(super) fn look_after_receivers(&self) {
        wait::light_fence();
        if self.producer.ring().header().receivers.flags() != self.quiet.load(Relaxed) {
            self.see_receivers();
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn see_receivers(&self) {
        // What fails here fails again in the next call, which can say so: the message is sent.
        let _ = self.post.membership.wake(Side::Receivers);
        let parking = self.post.membership.peer_parking();
        if parking.is_removed() {
            self.post.stop(Fault::Removed);
            return;
        }
        let left = parking.has_left();
        // While nobody came since, that they left is how things are.
        let quiet = left && matches!(self.post.has_lost_peers(), Ok(false));
        self.quiet.store(if quiet { wait::LEFT } else { 0 }, Relaxed);
    }

    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&self, patience: Patience) -> Result<Claim, SendError> {
        let stop = |error| match error {
            SendError::Fault(fault) => self.post.stop(fault).into(),
            error => error,
        };
        self.seek_room(patience).map_err(stop)
    }

    pub(super) fn seek_room(&self, patience: Patience) -> Result<Claim, SendError> {
        self.post.membership.check_removed()?;
        self.account();
        let left = self.post.membership.peer_parking().has_left();
        if left && self.post.has_lost_peers()? {
            return Err(SendError::Disconnected);
        }
        let mut claimed = None;
        let mut behind = None;
        // Whether a slot was claimed; asks after the living only where it may take its time.
        let mut look = |asking: bool| {
            let room = self.walk(asking)?;
            behind = None;
            match room {
                Room::Claimed(claim) => claimed = Some(Claimed::new(self, claim)),
                Room::Full | Room::Overtaken => {}
                Room::Orphaned => self.post.membership.wake(Side::Receivers)?,
                Room::Behind { seat } => behind = Some(seat),
            }
            Ok::<bool, SendError>(claimed.is_some())
        };
        // A batch that filled the ring was not announced yet.
        self.look_after_receivers();
        if patience == Patience::Now {
            if !look(true)? {
                let gone = self.post.seldom.is_due() && {
                    let lives = self.post.membership.look_at_lives()?;
                    self.post.is_abandoned(&lives)
                };
                return Err(if gone { SendError::Disconnected } else { SendError::Full });
            }
        } else {
            let (mut far_looks, mut told) = (FAR_LOOKS, None);
            let waited = self.wait(patience, |how| {
                if how == Look::Quick && far_looks != 0 && !self.producer.has_much_room() {
                    far_looks -= 1;
                    return Ok(false);
                }
                if how == Look::BeforeSleep {
                    // Who is woken takes what there is.
                    far_looks = 0;
                }
                if let Look::Peek | Look::Others = how {
                    let lives = self.post.look_at_lives()?;
                    let gone = match how {
                        Look::Peek => self.post.is_abandoned(&lives),
                        // Once for each time that they went.
                        _ => {
                            let now = Some(self.post.peer_joins());
                            !lives.is_there(Side::Receivers)
                                && std::mem::replace(&mut told, now) != now
                        }
                    };
                    return Ok(gone || self.is_worth_waking(how)?);
                }
                if look(how != Look::Quick)? {
                    return Ok(true);
                }
                if how == Look::Quick {
                    return Ok(false);
                }
                match self.post.is_abandoned(&self.post.look_at_lives()?) {
                    true => Err(SendError::Disconnected),
                    false => Ok(false),
                }
            });
            match (waited, behind) {
                (Err(SendError::Timeout), Some(seat)) => {
                    return Err(SendError::Behind { pid: self.post.pid(seat) });
                }
                (waited, _) => waited?,
            }
        }
        claimed.map(Claimed::into_claim).ok_or(SendError::Full)
    }

    /// Whether so much is free that a sender is to be woken for it. While messages are in hand, the next
    /// acknowledgement may be what wakes: who peeks knows it only without.
    fn is_worth_waking(&self, how: Look) -> Result<bool, Fault> {
        let ring = self.producer.ring();
        let has_room = ring.is_half_free() && self.producer.has_any(self.post.watch(true))?;
        Ok(has_room && (how != Look::Peek || !ring.has_taken()))
    }

    /// Waits where senders wait.
    fn wait(
        &self,
        patience: Patience,
        look: impl FnMut(Look) -> Result<bool, SendError>,
    ) -> Result<(), SendError> {
        let waited = self.post.with_pace(|pace| {
            wait::wait(self.post.membership.place(), pace, patience.deadline(), look)
        });
        waited.map_err(|ended| self.ended(ended))
    }

    /// What a wait that ended in vain comes to.
    pub(super) fn ended(&self, ended: Ended<SendError>) -> SendError {
        match ended {
            Ended::TimedOut => SendError::Timeout,
            Ended::Failed(SendError::Fault(fault)) => self.post.stop(fault).into(),
            Ended::Failed(error) => error,
        }
    }

    pub(super) fn account(&self) {
        self.post.account(self.producer.position());
    }
}
