//! How a sender obtains a free slot, and how it notifies blocked receivers.

use super::Inner;
use super::claimed::Claimed;
use crate::error::{Fault, SendError};
use crate::ring::mpmc::{Claim, Room};
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::blocking::Blocking;
use crate::wait::{self, Poll, WaitError};

/// Quick polls for a quarter of the ring to be free, before one slot is enough: about twenty
/// microseconds, less than blocking would cost, while receivers still have three quarters of the
/// ring.
const FAR_LOOKS: u32 = 1_000;

/// Maximum number of walks in one exact poll, if other members overtake each of them.
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

    /// Gives up the claim at a position. A position fits in a register: the claim need not be in
    /// memory for this call.
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

    /// Walks once; or, in a call that may take its time, again while other members overtake the
    /// walk.
    fn walk(&self, asks: bool) -> Result<Room, Fault> {
        for _ in 0..if asks { WALKS } else { 1 } {
            match self.producer.claim(self.endpoint.watch(asks))? {
                Room::Overtaken => {}
                room => return Ok(room),
            }
        }
        // The faster members free slots, and wake us.
        Ok(Room::Full)
    }

    /// The notifier's half of the order in `wait/mod.rs`: the message is published, now check the
    /// flags.
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
        // An error here recurs in the next call, which can report it: the message is sent.
        let _ = self.endpoint.attachment.wake(Side::Receivers);
        let parking = self.endpoint.attachment.peer_parking();
        if parking.is_removed() {
            self.endpoint.stop(Fault::Removed);
            return;
        }
        let left = parking.has_left();
        // Unless a receiver has joined since, LEFT is the current state and requires no action.
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
        // Returns whether a slot was claimed; checks liveness only in a call that may take its
        // time.
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
        // The receivers may not have been notified yet of a batch that filled the ring.
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
                    // A sender that was woken takes what is free.
                    far_looks = 0;
                }
                if let Poll::Peek | Poll::Others = how {
                    let lives = self.endpoint.look_at_lives()?;
                    let gone = match how {
                        Poll::Peek => self.endpoint.is_abandoned(&lives),
                        // Reported once for each time that the receivers left.
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
                    return Err(SendError::Blocked { pid: self.endpoint.pid(seat) });
                }
                (waited, _) => waited?,
            }
        }
        claimed.map(Claimed::into_claim).ok_or(SendError::Full)
    }

    /// Returns whether enough slots are free to wake a sender. While messages are in flight, the
    /// next acknowledgement may be what wakes it: a `Peek` is certain only without them.
    fn is_worth_waking(&self, how: Poll) -> Result<bool, Fault> {
        let ring = self.producer.ring();
        let has_room = ring.is_half_free() && self.producer.has_any(self.endpoint.watch(true))?;
        Ok(has_room && (how != Poll::Peek || !ring.has_taken()))
    }

    /// Blocks where senders wait.
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

    /// Converts the error of a wait to that of the call.
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
