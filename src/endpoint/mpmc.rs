//! One member's view of a many-to-many channel: what stopped it, who is there, who died.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::stop::Stop;
use crate::admin::stat::Role;
use crate::endpoint::attachment::Attachment;
use crate::error::{Error, Fault};
use crate::flavor::SEATS_MAX;
use crate::layout;
use crate::liveness::{self, Lives};
use crate::options::Options;
use crate::ring::mpmc::{Snapshot, Stamps, Watch};
use crate::role::Side;
use crate::segment::{self, Redelivery};
use crate::sync::plain::Ordering::{Acquire, Relaxed};
use crate::sync::plain::{AtomicU32, AtomicU64};
use crate::sync::{Ordering::SeqCst, fence};
use crate::wait::adaptive_spin::{SpinEstimate, Wait, WaitPolicy};
use crate::wait::blocking::{Blocking, Throttle};
use crate::wait::{self, Parker, WaitError};

/// A member that ended without leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Death {
    /// Its seat.
    pub seat: u8,
    /// What it did.
    pub role: Role,
    /// Its process, in this process' PID namespace (0: not visible there).
    pub pid: u32,
    /// The label it gave itself.
    pub label: String,
    /// The position behind the last message it had claimed or taken when it last slept or looked
    /// around; it may have been further.
    pub position: u64,
    /// When it had joined.
    pub joined: SystemTime,
}

/// One look at who lives and who died.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) lives: Lives,
    pub(crate) dead: Snapshot,
}

/// See the top of this file. Used by all threads of the process.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// That of every wait, but for what is learnt.
    policy: WaitPolicy,
    /// What all threads learnt of waiting.
    estimate: AtomicU64,
    parks: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    pub(crate) throttle: Throttle,
    /// 0 while nobody of the other side was seen.
    met: AtomicU32,
    stop: Stop,
    /// The deaths that were told of. Locked by [`deaths`](Endpoint::deaths) alone, which is on the way of no
    /// message and not for signal handlers.
    told: Mutex<Stamps>,
    pub(crate) attachment: Attachment,
}

impl Endpoint {
    pub(crate) fn new(attachment: Attachment, wait: Wait) -> Endpoint {
        let policy = WaitPolicy::new(wait);
        let endpoint = Endpoint {
            estimate: AtomicU64::new(policy.estimate.to_bits()),
            policy,
            parks: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            throttle: Throttle::default(),
            met: AtomicU32::new(u32::from(attachment.unmet().is_none())),
            stop: Stop::new(),
            told: Mutex::new([0; SEATS_MAX]),
            attachment,
        };
        // What the last holder of our seat had in hand is nobody's, before we have anything in hand.
        if endpoint.attachment.took_over_from_dead() {
            endpoint.orphan_slots();
        }
        endpoint
    }

    /// What makes another member like this one.
    pub(crate) fn like_this(&self) -> Options {
        let line = self.attachment.line();
        let label = layout::load_text(&line.label, line.label_len.load(Relaxed));
        Options::id(self.attachment.id).wait(self.policy.wait).label(label)
    }

    /// Gives back what was forgotten in hand. Only by the last handle, of which nobody has a guard or
    /// a loan any more.
    pub(crate) fn let_go(&self) {
        // A seat that was lost may be another's by now.
        if self.attachment.is_seated() && self.attachment.look_at_lives().is_ok() {
            self.orphan_slots();
        }
    }

    fn orphan_slots(&self) {
        if self.attachment.ring().orphan_slots(self.attachment.seat.number).is_any() {
            self.freed();
            self.unblocked();
        }
    }

    /// A slot became free, in whatever way: one of the senders that sleep has room.
    pub(crate) fn freed(&self) {
        // What fails here fails again in the next call that waits.
        let _ = self.attachment.wake(Side::Senders);
    }

    /// What held receivers up is out of their way: one of those that sleep has something to do.
    pub(crate) fn unblocked(&self) {
        // As above.
        let _ = self.attachment.wake(Side::Receivers);
    }

    /// What a walk over the ring asks and tells. Members in the middle of a message are alive, as a
    /// rule: whether one is dead is asked for by calls that take their time.
    #[inline(always)]
    pub(crate) fn watch(&self, asks: bool) -> Watching<'_> {
        Watching { endpoint: self, asks }
    }

    /// Whether something comes within a few looks.
    #[inline(always)]
    pub(crate) fn poll_briefly(&self, came: impl FnMut() -> bool) -> bool {
        let mut policy = self.policy();
        let came = policy.poll_briefly(came);
        self.keep(&policy);
        came
    }

    /// Keeps what a wait taught.
    fn keep(&self, policy: &WaitPolicy) {
        let bits = policy.estimate.to_bits();
        if bits != self.estimate.load(Relaxed) {
            self.estimate.store(bits, Relaxed);
        }
    }

    /// Whether a receiver may look away for a moment.
    pub(crate) fn backs_off(&self) -> bool {
        self.policy().backs_off()
    }

    /// A pace for one wait.
    fn policy(&self) -> WaitPolicy {
        self.policy.with(SpinEstimate::from_bits(self.estimate.load(Relaxed)))
    }

    /// Waits, and remembers what was learnt by it.
    pub(crate) fn with_policy<R>(&self, wait: impl FnOnce(&mut WaitPolicy) -> R) -> R {
        let mut policy = self.policy();
        let result = wait(&mut policy);
        self.keep(&policy);
        self.parks.fetch_add(policy.parks, Relaxed);
        result
    }

    /// Counts a message.
    #[inline(always)]
    pub(crate) fn count(&self, len: usize) {
        self.count_all(1, len);
    }

    /// Counts messages of that length. Not worth a locked instruction: of several threads at once some may
    /// be missed.
    #[inline(always)]
    pub(crate) fn count_all(&self, messages: usize, len: usize) {
        let add = |counter: &AtomicU64, n| counter.store(counter.load(Relaxed) + n, Relaxed);
        add(&self.messages, messages as u64);
        add(&self.bytes, (messages * len) as u64);
    }

    /// What stopped this handle for good, if anything did.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if !self.stop.may_be_set() && !self.attachment.is_forked() {
            return Ok(());
        }
        self.look_closer()
    }

    #[cold]
    fn look_closer(&self) -> Result<(), Fault> {
        match self.stop.get() {
            Some(fault) => Err(fault),
            None if self.attachment.is_forked() => Err(Fault::Forked),
            // Another thread is about to say why.
            None => Ok(()),
        }
    }

    /// Stops this handle for good. A receiver of a removed channel still has what is there.
    pub(crate) fn stop(&self, fault: Fault) -> Fault {
        if fault == Fault::Removed && self.attachment.seat.side == Side::Receivers {
            return fault;
        }
        if fault == Fault::LivenessLost {
            // Whoever sits there by now, and be it this very process.
            let _ = self.attachment.mark_seat_lost();
        }
        let is_first = !self.stop.may_be_set();
        let fault = self.stop.set(fault);
        if is_first {
            self.attachment.wake_own_threads();
        }
        fault
    }

    /// The verdict over a seat, by the kernel's word.
    pub(crate) fn is_dead(&self, seat: u8) -> Result<bool, Fault> {
        if usize::from(seat) >= self.attachment.geometry().seats {
            return Err(Fault::Corrupt { what: "a slot belongs to a seat that is not there" });
        }
        self.attachment
            .members
            .is_taken(seat)
            .map(|taken| !taken)
            .map_err(liveness::fault("semctl"))
    }

    /// The process in a seat; 0 when it is not known.
    pub(crate) fn pid(&self, seat: u8) -> u32 {
        match usize::from(seat) < SEATS_MAX {
            true => self.attachment.members.pid(seat).unwrap_or(0),
            false => 0,
        }
    }

    /// Somebody of the other side was seen, or something of theirs.
    #[inline(always)]
    pub(crate) fn meet(&self) {
        if self.met.load(Relaxed) == 0 {
            self.met.store(1, Relaxed);
        }
    }

    /// How often the other side was joined.
    pub(crate) fn peer_joins(&self) -> u32 {
        self.attachment.peer_parking().joins.load(Relaxed)
    }

    /// Whether nobody of the other side came yet, as far as can be seen without a call.
    fn is_unmet(&self) -> bool {
        self.met.load(Relaxed) == 0
            && self.attachment.unmet() == Some(self.attachment.peer_parking().joins.load(Acquire))
    }

    /// Whether the other side was there and is gone, all of it, as a look at the semaphores has it.
    ///
    /// Of those who wait for the end, nobody knows who will bring it: it comes with the last
    /// acknowledgement. So whoever learns that the other side is gone leaves the flag that members look
    /// at after each message, also for those that died.
    pub(crate) fn is_abandoned(&self, lives: &Lives) -> bool {
        if self.is_unmet() {
            return false;
        }
        let (peers, side) = (self.attachment.peer_parking(), self.attachment.seat.side.other());
        let mut there = lives.is_there(side);
        if there && peers.has_left() {
            // It came late. Or that look is old, and they left since.
            peers.clear(wait::LEFT);
            there = self.attachment.lives().map_or(true, |lives| lives.is_there(side));
        }
        if !there {
            peers.set(wait::LEFT);
            // As in `wait/mod.rs`: who acknowledged without seeing the flag is seen by the look that follows.
            if !self.attachment.barrier() {
                fence(SeqCst);
            }
        }
        self.meet();
        !there
    }

    /// The same, with a look of its own.
    pub(crate) fn has_lost_peers(&self) -> Result<bool, Fault> {
        Ok(!self.is_unmet() && self.is_abandoned(&self.attachment.lives()?))
    }

    /// Waits until somebody of the other side is there.
    pub(crate) fn wait_for_peer(&self, timeout: Duration) -> Result<(), WaitError<Fault>> {
        let deadline = Blocking::For(timeout).deadline();
        let met = self.attachment.await_peer(deadline, || self.check());
        match met {
            Ok(()) => self.meet(),
            Err(WaitError::Failed(fault)) => return Err(WaitError::Failed(self.stop(fault))),
            Err(WaitError::TimedOut) => return Err(WaitError::TimedOut),
        }
        Ok(())
    }

    /// When the last holder of a seat had joined, if it did not leave; else 0. No two holders of a seat
    /// have the same.
    fn stamp(&self, seat: u8) -> u64 {
        let line = self.attachment.line_of(seat);
        match line.state.load(Acquire) == segment::HERE {
            true => line.joined.load(Relaxed),
            false => 0,
        }
    }

    /// Who lives, and what is known of the dead, if this handle may go on waiting.
    pub(crate) fn see(&self) -> Result<Seen, Fault> {
        let ring = self.attachment.ring();
        // In this order: see `search.rs`.
        let dead = Snapshot::before(&ring, self.attachment.geometry().seats, |n| self.stamp(n));
        let lives = self.look_at_lives()?;
        Ok(Seen { dead: dead.without(|seat| lives.is_taken(seat)), lives })
    }

    /// The deaths that were not told of yet.
    pub(crate) fn deaths(&self) -> Result<Vec<Death>, Fault> {
        self.check()?;
        let Seen { dead, .. } = self.see()?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = Vec::new();
        for (seat, (&stamp, told)) in (0..).zip(dead.stamps().iter().zip(told.iter_mut())) {
            // Of another holder by now, the line tells nothing of this one.
            if stamp != 0 && stamp != *told && stamp == self.stamp(seat) {
                news.extend(self.describe(seat, stamp));
                *told = stamp;
            }
        }
        Ok(news)
    }

    fn describe(&self, seat: u8, stamp: u64) -> Option<Death> {
        let line = self.attachment.line_of(seat);
        Some(Death {
            seat,
            role: Role::of(Side::from_role_number(line.role.load(Relaxed))?),
            pid: self.pid(seat),
            label: layout::load_text(&line.label, line.label_len.load(Relaxed)),
            position: line.position.load(Relaxed),
            joined: SystemTime::UNIX_EPOCH + Duration::from_nanos(stamp),
        })
    }

    /// Brings our line of the members' table up to date.
    pub(crate) fn account(&self, position: u64) {
        if self.attachment.is_seated() {
            let (bytes, parks) = (self.bytes.load(Relaxed), self.parks.load(Relaxed));
            self.attachment.account(position, bytes, parks);
            self.attachment.line().messages.store(self.messages.load(Relaxed), Relaxed);
        }
    }

    /// The same for the last time.
    pub(crate) fn settle(&self, position: u64) {
        if self.attachment.owns_seat() {
            self.account(position);
        }
    }

    /// Leaves, for the last handle.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.check()?;
        self.let_go();
        let left = self.leave();
        self.stop(Fault::Closed);
        left
    }

    /// Closes for the other handles of this member too. The seat stays until the last of them is gone:
    /// a guard or a loan of theirs is in memory that belongs to it.
    pub(crate) fn close_for_others(&self) -> Result<(), Error> {
        self.check()?;
        self.stop(Fault::Closed);
        Ok(())
    }

    /// Who lives, if this handle may go on waiting.
    pub(crate) fn look_at_lives(&self) -> Result<Lives, Fault> {
        self.check()?;
        self.attachment.look_at_lives()
    }

    /// Gives the seat back. The last of a side says so to those who look without a call.
    pub(crate) fn leave(&self) -> Result<(), Error> {
        let side = self.attachment.seat.side;
        self.attachment.leave()?;
        if self.attachment.members.is_there(side) == Ok(false) {
            self.attachment.parking().set(wait::LEFT);
        }
        Ok(())
    }
}

/// See [`Endpoint::watch`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watching<'a> {
    endpoint: &'a Endpoint,
    asks: bool,
}

impl Watch for Watching<'_> {
    type Error = Fault;

    #[inline]
    fn is_dead(&mut self, seat: u8) -> Result<bool, Fault> {
        if self.asks { self.endpoint.is_dead(seat) } else { Ok(false) }
    }

    #[cold]
    fn freed(&mut self) {
        self.endpoint.freed();
    }

    #[cold]
    fn unblocked(&mut self) {
        self.endpoint.unblocked();
    }

    #[cold]
    fn set_aside(&mut self, position: u64) {
        let attachment = &self.endpoint.attachment;
        let repairs = &attachment.header().repairs;
        if attachment.facts.redelivery == Redelivery::Never {
            repairs.dropped.fetch_add(1, Relaxed);
        } else {
            repairs.set_aside.fetch_add(1, Relaxed);
            repairs.last_set_aside.store(position, Relaxed);
        }
    }
}
