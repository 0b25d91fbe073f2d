//! One member's end of an MPMC channel: the fault that stopped it, which members are alive, which
//! died.

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
    /// The number of its seat.
    pub seat: u8,
    /// Whether it was a sender or a receiver.
    pub role: Role,
    /// Its pid in this process' PID namespace (0: not visible there).
    pub pid: u32,
    /// The label that it was opened with.
    pub label: String,
    /// One past the last message that it is known to have claimed or taken. It is updated when the
    /// member is about to block, for example, so it may lag.
    pub position: u64,
    /// When it joined.
    pub joined: SystemTime,
}

/// A snapshot of which members are alive and which died.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) lives: Lives,
    pub(crate) dead: Snapshot,
}

/// The end of an MPMC channel that belongs to one member; shared by all threads of the process.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The policy of every wait, except for the estimate.
    policy: WaitPolicy,
    /// What all threads learnt from their waits: the bits of a [`SpinEstimate`].
    estimate: AtomicU64,
    parks: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    pub(crate) throttle: Throttle,
    /// 0 until a member of the other side was seen.
    met: AtomicU32,
    stop: Stop,
    /// The deaths already reported. Locked only by [`deaths`](Endpoint::deaths), which is not on
    /// the hot path and not for signal handlers.
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
        // What the last holder of our seat had in flight becomes orphaned before we have anything
        // in flight.
        if endpoint.attachment.took_over_from_dead() {
            endpoint.orphan_slots();
        }
        endpoint
    }

    /// Returns the options that open another member like this one.
    pub(crate) fn like_this(&self) -> Options {
        let line = self.attachment.line();
        let label = layout::load_text(&line.label, line.label_len.load(Relaxed));
        Options::id(self.attachment.id).wait(self.policy.wait).label(label)
    }

    /// Orphans the slots of guards and loans that were forgotten. Called only by the last handle,
    /// when no guard or loan of it exists any more.
    pub(crate) fn let_go(&self) {
        // A seat that was lost may belong to another member by now.
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

    /// Called when a slot became free in any way: wakes a blocked sender, which has room now.
    pub(crate) fn freed(&self) {
        // An error here recurs in the next call that blocks.
        let _ = self.attachment.wake(Side::Senders);
    }

    /// Called when what held receivers up is gone: wakes a blocked receiver, which has work now.
    pub(crate) fn unblocked(&self) {
        // As above.
        let _ = self.attachment.wake(Side::Receivers);
    }

    /// Returns what a walk over the ring queries and reports. Members in the middle of a message
    /// are usually alive: only calls that may take their time check whether one is dead (`asks`).
    #[inline(always)]
    pub(crate) fn watch(&self, asks: bool) -> Watching<'_> {
        Watching { endpoint: self, asks }
    }

    /// Returns whether something arrives within a few polls.
    #[inline(always)]
    pub(crate) fn poll_briefly(&self, came: impl FnMut() -> bool) -> bool {
        let mut policy = self.policy();
        let came = policy.poll_briefly(came);
        self.keep(&policy);
        came
    }

    /// Stores the estimate of a wait.
    fn keep(&self, policy: &WaitPolicy) {
        let bits = policy.estimate.to_bits();
        if bits != self.estimate.load(Relaxed) {
            self.estimate.store(bits, Relaxed);
        }
    }

    /// Returns whether a receiver may back off.
    pub(crate) fn backs_off(&self) -> bool {
        self.policy().backs_off()
    }

    /// Returns the policy for one wait, with the current estimate.
    fn policy(&self) -> WaitPolicy {
        self.policy.with(SpinEstimate::from_bits(self.estimate.load(Relaxed)))
    }

    /// Runs a wait, and stores its estimate.
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

    /// Counts messages of that length. Not worth a locked instruction: with several threads at
    /// once, some may be missed.
    #[inline(always)]
    pub(crate) fn count_all(&self, messages: usize, len: usize) {
        let add = |counter: &AtomicU64, n| counter.store(counter.load(Relaxed) + n, Relaxed);
        add(&self.messages, messages as u64);
        add(&self.bytes, (messages * len) as u64);
    }

    /// Returns the fault that stopped this handle for good, if there is one.
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
            // Another thread is about to store the reason.
            None => Ok(()),
        }
    }

    /// Stops this handle for good. A receiver of a removed channel still receives the messages that
    /// are in the ring.
    pub(crate) fn stop(&self, fault: Fault) -> Fault {
        if fault == Fault::Removed && self.attachment.seat.side == Side::Receivers {
            return fault;
        }
        if fault == Fault::LivenessLost {
            // Another member may hold the seat by now, even one in this very process.
            let _ = self.attachment.mark_seat_lost();
        }
        let is_first = !self.stop.may_be_set();
        let fault = self.stop.set(fault);
        if is_first {
            self.attachment.wake_own_threads();
        }
        fault
    }

    /// The liveness check of a seat: returns whether its holder is dead, according to the kernel.
    pub(crate) fn is_dead(&self, seat: u8) -> Result<bool, Fault> {
        if usize::from(seat) >= self.attachment.geometry().seats {
            return Err(Fault::Corrupt { what: "a slot belongs to a seat that does not exist" });
        }
        self.attachment
            .members
            .is_taken(seat)
            .map(|taken| !taken)
            .map_err(liveness::fault("semctl"))
    }

    /// Returns the pid of the process in a seat; 0 if it is unknown.
    pub(crate) fn pid(&self, seat: u8) -> u32 {
        match usize::from(seat) < SEATS_MAX {
            true => self.attachment.members.pid(seat).unwrap_or(0),
            false => 0,
        }
    }

    /// Records that a member of the other side, or something it did, was seen.
    #[inline(always)]
    pub(crate) fn meet(&self) {
        if self.met.load(Relaxed) == 0 {
            self.met.store(1, Relaxed);
        }
    }

    /// Returns how often the other side was joined.
    pub(crate) fn peer_joins(&self) -> u32 {
        self.attachment.peer_parking().joins.load(Relaxed)
    }

    /// Returns whether no member of the other side has joined yet, as far as can be seen without a
    /// call.
    fn is_unmet(&self) -> bool {
        self.met.load(Relaxed) == 0
            && self.attachment.unmet() == Some(self.attachment.peer_parking().joins.load(Acquire))
    }

    /// Returns whether the other side was present and is entirely gone, according to a snapshot of
    /// the semaphores.
    ///
    /// No waiter for the end of the stream knows which member will cause it: it comes with the last
    /// acknowledgement. So a member that learns that the other side is gone sets the flag that
    /// members check after each message, also on behalf of those that died.
    pub(crate) fn is_abandoned(&self, lives: &Lives) -> bool {
        if self.is_unmet() {
            return false;
        }
        let (peers, side) = (self.attachment.peer_parking(), self.attachment.seat.side.other());
        let mut there = lives.is_there(side);
        if there && peers.has_left() {
            // It joined late. Or that snapshot is old, and it left since.
            peers.clear(wait::LEFT);
            there = self.attachment.lives().map_or(true, |lives| lives.is_there(side));
        }
        if !there {
            peers.set(wait::LEFT);
            // As in `wait/mod.rs`: an acknowledgement made without seeing the flag is seen by the
            // poll that follows.
            if !self.attachment.barrier() {
                fence(SeqCst);
            }
        }
        self.meet();
        !there
    }

    /// The same, with a snapshot of its own.
    pub(crate) fn has_lost_peers(&self) -> Result<bool, Fault> {
        Ok(!self.is_unmet() && self.is_abandoned(&self.attachment.lives()?))
    }

    /// Waits until the other side has a member.
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

    /// Returns when the last holder of a seat joined, if it did not leave; else 0. No two holders
    /// of a seat have the same stamp.
    fn stamp(&self, seat: u8) -> u64 {
        let line = self.attachment.line_of(seat);
        match line.state.load(Acquire) == segment::HERE {
            true => line.joined.load(Relaxed),
            false => 0,
        }
    }

    /// Returns which members are alive and what is known of the dead, if this handle may go on
    /// waiting.
    pub(crate) fn see(&self) -> Result<Seen, Fault> {
        let ring = self.attachment.ring();
        // In this order: see `ring/mpmc/search.rs`.
        let dead = Snapshot::before(&ring, self.attachment.geometry().seats, |n| self.stamp(n));
        let lives = self.look_at_lives()?;
        Ok(Seen { dead: dead.without(|seat| lives.is_taken(seat)), lives })
    }

    /// Returns the deaths that were not reported yet.
    pub(crate) fn deaths(&self) -> Result<Vec<Death>, Fault> {
        self.check()?;
        let Seen { dead, .. } = self.see()?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = Vec::new();
        for (seat, (&stamp, told)) in (0..).zip(dead.stamps().iter().zip(told.iter_mut())) {
            // If the seat has another holder by now, the line says nothing about the dead one.
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

    /// Updates our line of the members' table.
    pub(crate) fn account(&self, position: u64) {
        if self.attachment.is_seated() {
            let (bytes, parks) = (self.bytes.load(Relaxed), self.parks.load(Relaxed));
            self.attachment.account(position, bytes, parks);
            self.attachment.line().messages.store(self.messages.load(Relaxed), Relaxed);
        }
    }

    /// Updates it for the last time.
    pub(crate) fn settle(&self, position: u64) {
        if self.attachment.owns_seat() {
            self.account(position);
        }
    }

    /// Leaves the channel, for the last handle.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.check()?;
        self.let_go();
        let left = self.leave();
        self.stop(Fault::Closed);
        left
    }

    /// Closes for the other handles of this member too. The seat is kept until the last of them is
    /// gone: their guards and loans are in memory that belongs to it.
    pub(crate) fn close_for_others(&self) -> Result<(), Error> {
        self.check()?;
        self.stop(Fault::Closed);
        Ok(())
    }

    /// Returns which members are alive, if this handle may go on waiting.
    pub(crate) fn look_at_lives(&self) -> Result<Lives, Fault> {
        self.check()?;
        self.attachment.look_at_lives()
    }

    /// Gives the seat back. The last member of a side sets LEFT, for members that check without a
    /// call.
    pub(crate) fn leave(&self) -> Result<(), Error> {
        let side = self.attachment.seat.side;
        self.attachment.leave()?;
        if self.attachment.members.is_there(side) == Ok(false) {
            self.attachment.parking().set(wait::LEFT);
        }
        Ok(())
    }
}

/// The queries and reports of a walk; see [`Endpoint::watch`].
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
    fn poisoned(&mut self, position: u64) {
        let attachment = &self.endpoint.attachment;
        let repairs = &attachment.header().repairs;
        if attachment.facts.redelivery == Redelivery::Never {
            repairs.dropped.fetch_add(1, Relaxed);
        } else {
            repairs.poisoned.fetch_add(1, Relaxed);
            repairs.last_poisoned.store(position, Relaxed);
        }
    }
}
