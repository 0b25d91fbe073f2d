//! How a sender comes by a free slot, and looks after those who sleep.

use super::Inner;
use super::claimed::Claimed;
use crate::error::{Fault, SendError};
use crate::ring::mpmc::{Claim, Room};
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::blocking::Blocking;
use crate::wait::{self, Poll, WaitError};

/// Quick looks at whether much is free, before one slot is enough: some twenty microseconds, less than a
/// sleep would cost, while three quarters of the ring are still there for receivers.
const FAR_LOOKS: u32 = 1_000;

/// Walks of one exact look at most, where each is overtaken by others.
const WALKS: u32 = 8;

impl Inner {
    /// Claims a slot.
    #[inline(always)]
    pub(super) fn claim(&self, blocking: Blocking) -> Result<Claim, SendError> {
        self.endpoint.check()?;
        match self.producer.claim_next() {
            Some(claim) => Ok(claim),
            None => self.find_room(blocking),
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
    fn find_room(&self, blocking: Blocking) -> Result<Claim, SendError> {
        match self.producer.claim(self.endpoint.watch(false)) {
            Ok(Room::Claimed(claim)) => Ok(claim),
            _ => self.make_room(blocking),
        }
    }

    /// A walk; or some, for who takes its time, where they are overtaken.
    fn walk(&self, asks: bool) -> Result<Room, Fault> {
        for _ in 0..if asks { WALKS } else { 1 } {
            match self.producer.claim(self.endpoint.watch(asks))? {
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
        wait::waker_fence();
        if self.producer.ring().header().receivers.flags() != self.quiet.load(Relaxed) {
            self.see_receivers();
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn see_receivers(&self) {
        // What fails here fails again in the next call, which can say so: the message is sent.
        let _ = self.endpoint.attachment.wake(Side::Receivers);
        let parking = self.endpoint.attachment.peer_parking();
        if parking.is_removed() {
            self.endpoint.stop(Fault::Removed);
            return;
        }
        let left = parking.has_left();
        // While nobody came since, that they left is how things are.
        let quiet = left && matches!(self.endpoint.has_lost_peers(), Ok(false));
        self.quiet.store(if quiet { wait::LEFT } else { 0 }, Relaxed);
    }

    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&self, blocking: Blocking) -> Result<Claim, SendError> {
        let stop = |error| match error {
            SendError::Fault(fault) => self.endpoint.stop(fault).into(),
            error => error,
        };
        self.seek_room(blocking).map_err(stop)
    }

    pub(super) fn seek_room(&self, blocking: Blocking) -> Result<Claim, SendError> {
        self.endpoint.attachment.check_removed()?;
        self.account();
        let left = self.endpoint.attachment.peer_parking().has_left();
        if left && self.endpoint.has_lost_peers()? {
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
                Room::Orphaned => self.endpoint.attachment.wake(Side::Receivers)?,
                Room::Behind { seat } => behind = Some(seat),
            }
            Ok::<bool, SendError>(claimed.is_some())
        };
        // A batch that filled the ring was not announced yet.
        self.look_after_receivers();
        if blocking == Blocking::Never {
            if !look(true)? {
                let gone = self.endpoint.throttle.is_due() && {
                    let lives = self.endpoint.attachment.look_at_lives()?;
                    self.endpoint.is_abandoned(&lives)
                };
                return Err(if gone { SendError::Disconnected } else { SendError::Full });
            }
        } else {
            let (mut far_looks, mut told) = (FAR_LOOKS, None);
            let waited = self.wait(blocking, |how| {
                if how == Poll::Quick && far_looks != 0 && !self.producer.has_quarter_free() {
                    far_looks -= 1;
                    return Ok(false);
                }
                if how == Poll::BeforePark {
                    // Who is woken takes what there is.
                    far_looks = 0;
                }
                if let Poll::Peek | Poll::Others = how {
                    let lives = self.endpoint.look_at_lives()?;
                    let gone = match how {
                        Poll::Peek => self.endpoint.is_abandoned(&lives),
                        // Once for each time that they went.
                        _ => {
                            let now = Some(self.endpoint.peer_joins());
                            !lives.is_there(Side::Receivers)
                                && std::mem::replace(&mut told, now) != now
                        }
                    };
                    return Ok(gone || self.is_worth_waking(how)?);
                }
                if look(how != Poll::Quick)? {
                    return Ok(true);
                }
                if how == Poll::Quick {
                    return Ok(false);
                }
                match self.endpoint.is_abandoned(&self.endpoint.look_at_lives()?) {
                    true => Err(SendError::Disconnected),
                    false => Ok(false),
                }
            });
            match (waited, behind) {
                (Err(SendError::Timeout), Some(seat)) => {
                    return Err(SendError::Behind { pid: self.endpoint.pid(seat) });
                }
                (waited, _) => waited?,
            }
        }
        claimed.map(Claimed::into_claim).ok_or(SendError::Full)
    }

    /// Whether so much is free that a sender is to be woken for it. While messages are in hand, the next
    /// acknowledgement may be what wakes: who peeks knows it only without.
    fn is_worth_waking(&self, how: Poll) -> Result<bool, Fault> {
        let ring = self.producer.ring();
        let has_room = ring.is_half_free() && self.producer.has_any(self.endpoint.watch(true))?;
        Ok(has_room && (how != Poll::Peek || !ring.has_taken()))
    }

    /// Waits where senders wait.
    fn wait(
        &self,
        blocking: Blocking,
        look: impl FnMut(Poll) -> Result<bool, SendError>,
    ) -> Result<(), SendError> {
        let waited = self.endpoint.with_policy(|policy| {
            wait::wait(self.endpoint.attachment.place(), policy, blocking.deadline(), look)
        });
        waited.map_err(|ended| self.ended(ended))
    }

    /// What a wait that ended in vain comes to.
    pub(super) fn ended(&self, ended: WaitError<SendError>) -> SendError {
        match ended {
            WaitError::TimedOut => SendError::Timeout,
            WaitError::Failed(SendError::Fault(fault)) => self.endpoint.stop(fault).into(),
            WaitError::Failed(error) => error,
        }
    }

    pub(super) fn account(&self) {
        self.endpoint.account(self.producer.position());
    }
}
