//! One handle's end of a channel, of any flavor: its mapping, its seat, the fault that stopped
//! it, its statistics, and what it knows of the other members.

pub(crate) mod attachment;
pub(crate) mod dead_letters;
pub(crate) mod deaths;
pub(crate) mod interrupter;
mod membership;
pub(crate) mod peer;
pub(crate) mod readiness;
mod stop;
pub(crate) mod vacate;

use core::time::Duration;

use crate::address::ChannelId;
use crate::admin::stat::Stat;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::dead_letters::{DeadLetterBox, RETRY_EVERY};
use crate::endpoint::stop::HandleGate;
use crate::error::{Error, Fault};
use crate::flavor::Flavor;
use crate::liveness::Departure;
use crate::options::Options;
use crate::protocol::Membership;
use crate::ring::geometry::Geometry;
use crate::role::Side;
use crate::segment;
use crate::sync::plain::Ordering::Relaxed;
use crate::sync::plain::{AtomicU32, AtomicU64};
use crate::wait;
use crate::wait::adaptive_spin::{Wait, WaitPolicy};
use crate::wait::backoff::ReceiverBackoff;
use crate::wait::blocking::Throttle;

/// The end of a channel that belongs to one member. An MPMC handle shares it between all threads of
/// its process.
#[derive(Debug)]
pub(crate) struct Endpoint {
    gate: HandleGate,
    /// The policy of every wait, except for the estimate.
    policy: WaitPolicy,
    /// What all threads learnt from their waits: the bits of a `SpinEstimate`.
    estimate: AtomicU64,
    backoff: ReceiverBackoff,
    liveness_throttle: Throttle,
    /// Of its own: a call that never waits also asks who is alive.
    removal_throttle: Throttle,
    dead_letters: Option<Box<dyn DeadLetterBox>>,
    /// Forbids giving messages up for a moment after it failed.
    give_up_throttle: Throttle,
    /// 0 until a member of the other side was seen.
    peer_seen: AtomicU32,
    /// How often the senders had been joined when they were last found gone and the stream open;
    /// see [`Membership::is_end_denied`].
    open_after: AtomicU64,
    /// 1 if the sender has finished when it leaves.
    finishes: AtomicU32,
    pub(crate) attachment: Attachment,
}

/// How often a sender that never waits asks the kernel whether the channel was removed by hand, which
/// leaves no trace in the segment.
const REMOVAL_EVERY: Duration = Duration::from_millis(200);

/// Adds to a counter that this member alone writes. Wrapping: the segment may contain any value.
/// Not worth a locked instruction: of several threads at once, some may be missed.
#[inline(always)]
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

impl Endpoint {
    pub(crate) fn new(attachment: Attachment, wait: Wait) -> Endpoint {
        let policy = WaitPolicy::new(wait);
        let endpoint = Endpoint {
            gate: HandleGate::new(),
            estimate: AtomicU64::new(policy.estimate.to_bits()),
            policy,
            backoff: ReceiverBackoff::new(attachment.geometry()),
            liveness_throttle: Throttle::default(),
            removal_throttle: Throttle::every(REMOVAL_EVERY),
            dead_letters: None,
            give_up_throttle: Throttle::every(RETRY_EVERY),
            peer_seen: AtomicU32::new(u32::from(attachment.peer_not_seen().is_none())),
            open_after: AtomicU64::new(u64::MAX),
            finishes: AtomicU32::new(0),
            attachment,
        };
        // It has just been there.
        endpoint.removal_throttle.done();
        // What the last holder of our seat had in flight becomes orphaned before we have anything
        // in flight.
        if endpoint.flavor() == Flavor::Mpmc && endpoint.attachment.took_over_from_dead() {
            endpoint.release_own_slots();
        }
        endpoint
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        self.attachment.geometry()
    }

    pub(crate) fn id(&self) -> ChannelId {
        self.attachment.id
    }

    /// Returns the state of the channel.
    pub(crate) fn stat(&self) -> Result<Stat, Error> {
        self.attachment.stat()
    }

    /// Returns the options that open another member like this one.
    pub(crate) fn like_this(&self) -> Options {
        let label = segment::label(self.attachment.record());
        Options::id(self.id()).wait(self.policy.wait).label(label)
    }

    /// Counts the message of an MPMC channel that was just sent or acknowledged: in our record,
    /// whose line no other member writes, so that the count outlives this process. In an SPSC
    /// channel, positions count the messages.
    #[inline(always)]
    pub(crate) fn count(&self, position: u64) {
        let record = self.attachment.record();
        add(&record.messages, 1);
        record.last.store(position, Relaxed);
    }

    /// Counts the bytes of a message of variable length.
    #[inline(always)]
    pub(crate) fn count_bytes(&self, len: usize) {
        add(&self.attachment.record().bytes, len as u64);
    }

    /// Returns whether this is a forked child with its parent's handle.
    #[inline(always)]
    pub(crate) fn is_forked(&self) -> bool {
        self.attachment.is_forked()
    }

    /// Orphans the slots of guards and loans that were forgotten. Called only by the last handle,
    /// when no guard or loan of it exists any more.
    pub(crate) fn release_in_flight(&self) {
        // A seat that was lost may belong to another member by now.
        if self.attachment.is_seated() && self.attachment.check_membership().is_ok() {
            self.release_own_slots();
        }
    }

    fn release_own_slots(&self) {
        if self.attachment.ring().release_slots_of(self.attachment.seat.number).is_any() {
            // An error here recurs in the next call that blocks.
            let _ = self.wake(Side::Senders);
            let _ = self.announce_returned();
        }
    }

    /// Gives the seat back. In an MPMC channel, the last member of a side sets LEFT, for members
    /// that check without a call.
    pub(crate) fn leave(&self) -> Result<(), Error> {
        let side = self.attachment.seat.side;
        let departure = match self.finishes.load(Relaxed) {
            0 => Departure::Leave,
            _ => Departure::Finish,
        };
        self.attachment.leave(departure)?;
        if self.flavor() == Flavor::Mpmc && self.attachment.is_side_there(side) == Ok(false) {
            self.attachment.parking().set(wait::LEFT);
        }
        Ok(())
    }

    /// Leaves the channel, for the last handle of an MPMC member.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.check()?;
        self.release_in_flight();
        let left = self.leave();
        self.stop(Fault::Closed);
        left
    }

    /// Makes this sender's departure a finish. A thread that drops the last handle sees it: it drops
    /// its share after this thread dropped its own.
    pub(crate) fn set_finishing(&self) -> Result<(), Error> {
        self.check()?;
        self.finishes.store(1, Relaxed);
        Ok(())
    }

    /// Lets this endpoint know whatever another one of this process knows of the other side.
    pub(crate) fn inherit(&self, other: &Endpoint) {
        if !other.is_peer_unseen(other.peer_joins()) {
            self.mark_peer_seen();
        }
    }

    /// Closes for the other handles of this member too. The seat is kept until the last of them is
    /// gone: their guards and loans are in memory that belongs to it.
    pub(crate) fn close_for_others(&self) -> Result<(), Error> {
        self.check()?;
        self.stop(Fault::Closed);
        Ok(())
    }
}
