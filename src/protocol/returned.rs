//! Messages that are delivered again: returned by their receiver, or left by one that died.
//!
//! A message leaves a channel only when it is acknowledged. A receiver that does not acknowledge a
//! message returns it: in an SPSC channel it is still the next message, in an MPMC channel its slot
//! is orphaned, as if the receiver had died, and another receiver takes it over.
//!
//! # Why a returned message does not wait for an idle moment
//!
//! A search for orphaned messages loads every slot, so receivers search only when they find nothing
//! else; in a channel that is never empty, that is never. So the member that returns a message
//! increments the count of orphaned messages (`Ring::orphaned`), then sets RETURNED in the senders'
//! parking word. Receivers load that word after every acknowledgement. A receiver that finds
//! RETURNED there sends its next call to the slow path, which searches first.
//!
//! A receiver that searched and found nothing clears RETURNED, and sets it again if the count of
//! orphaned messages is no longer the one from before its search. So while there is a returned
//! message, RETURNED is set, or its member is about to set it, or a receiver is between these two
//! steps. A process that is killed between the two steps, on either side, leaves the message to be
//! found when a receiver finds nothing else.
//!
//! # The limit of deliveries
//!
//! A message that was delivered as often as the channel permits is not handed out again: the receiver
//! that takes it over gives it up. It owns the message like any other, discards it or moves it to
//! the dead-letter channel, and only then acknowledges it. If it is killed before the acknowledgement,
//! the next receiver does the same, so a moved message can be in both channels, and is never in
//! neither. If it cannot be moved, the receiver returns it without RETURNED, and tries again at its
//! next search, after a pause (`Membership::can_give_up`).
//!
//! In an MPMC channel the slot's state counts the deliveries. In an SPSC channel with a limit, the
//! receiver records in the header that a delivery begins, on the slow path, which all its calls
//! take; a successor finds there whether the message was delivered when its receiver died.

use super::recv::{Acknowledged, RecvRing};
use super::{Membership, Polled};
use crate::error::Fault;
use crate::ring::Slot;
use crate::role::Side;
use crate::wait::{RETURNED, doorbell};

/// A message that is to be given up, and how often it was delivered.
#[derive(Debug)]
pub(crate) struct GivenUp<'a> {
    pub(crate) slot: Slot<'a>,
    pub(crate) position: u64,
    pub(crate) deliveries: u8,
}

/// Makes one attempt to obtain a message. A message whose deliveries are used up is given up.
pub(super) fn poll<R: RecvRing, M: Membership>(
    ring: &mut R,
    seen: Option<&R::Seen>,
    member: &M,
) -> Result<Polled<R::Held>, Fault> {
    // No more often than the ring has slots: this bounds the duration of a call.
    for _ in 0..ring.capacity() {
        let polled = ring.poll(seen, member)?;
        let Polled::Found(held) = polled else {
            return Ok(polled);
        };
        match settle(ring, held, member)? {
            Settled::Deliver(held) => return Ok(Polled::Found(held)),
            Settled::GivenUp => {}
            Settled::Kept => break,
        }
    }
    Ok(Polled::Nothing)
}

/// Obtains a message that was returned, for a handle whose fast path is forbidden.
#[cold]
pub(crate) fn take<R: RecvRing, M: Membership>(
    ring: &mut R,
    member: &M,
) -> Result<Option<R::Held>, Fault> {
    if !R::HAS_OTHERS {
        // The returned message is the next one. With a limit, the fast path stays forbidden.
        if member.delivery_limit().is_none() {
            member.permit_fast_path();
        }
        return Ok(match poll(ring, None, member)? {
            Polled::Found(held) => Some(held),
            _ => None,
        });
    }
    member.permit_fast_path();
    if member.parking(Side::Senders).flags() & RETURNED == 0 {
        return Ok(None);
    }
    let seen = R::see(member)?;
    for _ in 0..ring.capacity() {
        let Some(held) = ring.search(&seen, member)? else {
            break;
        };
        if let Settled::Deliver(held) = settle(ring, held, member)? {
            // There may be more of them.
            member.require_slow_path();
            return Ok(Some(held));
        }
    }
    member.parking(Side::Senders).clear(RETURNED);
    if ring.has_new_orphans(&seen) {
        member.parking(Side::Senders).set(RETURNED);
    }
    Ok(None)
}

/// What became of a message that was obtained.
enum Settled<H> {
    Deliver(H),
    GivenUp,
    /// It was to be given up, which was not possible.
    Kept,
}

/// Gives up a message whose deliveries are used up; returns any other.
fn settle<R: RecvRing, M: Membership>(
    ring: &mut R,
    held: R::Held,
    member: &M,
) -> Result<Settled<R::Held>, Fault> {
    let (deliveries, limit) = (ring.deliveries(&held), member.delivery_limit());
    if limit.is_none_or(|limit| deliveries <= limit) {
        if deliveries > 1 {
            member.count_redelivery();
        }
        if limit.is_some() {
            ring.begin_delivery(&held);
        }
        return Ok(Settled::Deliver(held));
    }
    let position = ring.position_of(&held);
    // This one is not handed out.
    let message = GivenUp { slot: ring.slot_of(&held), position, deliveries: deliveries - 1 };
    if !member.can_give_up() || !member.give_up(message) {
        ring.put_back(&held);
        return Ok(Settled::Kept);
    }
    if ring.acknowledge(&held) == Acknowledged::Evicted {
        return Err(member.stop(Fault::LivenessLost));
    }
    ring.store_progress();
    member.count_given_up(position);
    member.wake(Side::Senders)?;
    if member.has_peer_left() {
        announce_end(ring, member)?;
    }
    Ok(Settled::GivenUp)
}

/// Tells the other receivers of an acknowledgement after the senders left: with the last one, the
/// stream ends for all of them.
pub(super) fn announce_end<R: RecvRing>(ring: &R, member: &impl Membership) -> Result<(), Fault> {
    member.wake(Side::Receivers)?;
    if R::HAS_OTHERS && ring.is_drained() {
        doorbell::ring_all(&member.doorbells(), Side::Receivers);
    }
    Ok(())
}

/// Returns the number of deliveries from which on a message is no work for a parked receiver: one
/// that could not be given up is tried again when a time slice ends, and nobody wakes for it.
pub(super) fn no_work_from(member: &impl Membership) -> u8 {
    match member.delivery_limit() {
        Some(limit) if member.has_failed_to_give_up() => limit,
        _ => u8::MAX,
    }
}

/// Returns the number of deliveries from which on a message is to be left where it is: those that
/// cannot be given up at the moment.
pub(super) fn leave_from(member: &impl Membership) -> u8 {
    match member.delivery_limit() {
        Some(limit) if !member.can_give_up() => limit,
        _ => u8::MAX,
    }
}
