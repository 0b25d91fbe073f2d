//! The sending end of an MPMC channel, whatever its messages are.
//!
//! Whether they have variable length is a parameter where it matters: a typed handle passes a
//! constant, which costs nothing, and an untyped one what the header says.

use core::ptr::NonNull;

use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::deaths::Deaths;
use crate::error::{Fault, SendError};
use crate::protocol::mpmc::Sending;
use crate::protocol::{Membership, SendPort};
use crate::ring::mpmc::{Claim, Producer};
use crate::ring::slot_state::SlotState;
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;

/// One member, which its handles share.
#[derive(Debug)]
pub(crate) struct SendEnd {
    pub(super) sending: Sending,
    pub(super) deaths: Deaths,
    /// Must be last: the ring is in its mapping.
    pub(crate) endpoint: Endpoint,
}

impl SendEnd {
    pub(crate) fn from_attachment(attachment: Attachment, wait: Wait) -> SendEnd {
        let endpoint = Endpoint::new(attachment, wait);
        let producer = Producer::new(endpoint.attachment.ring(), endpoint.attachment.seat.number);
        endpoint.attachment.begin_at(producer.position());
        SendEnd { sending: Sending::new(producer), deaths: Deaths::new(), endpoint }
    }

    #[inline(always)]
    pub(crate) fn port(&self) -> SendPort<'_, &Sending, Endpoint> {
        SendPort { ring: &self.sending, member: &self.endpoint }
    }

    /// Reserves a slot.
    #[inline(always)]
    pub(crate) fn reserve(&self, blocking: Blocking) -> Result<Claim, SendError> {
        self.port().reserve(blocking)
    }

    /// Returns the number of messages that are not acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.sending.producer.ring().count_messages() as usize
    }

    /// Returns whether no slot can be claimed.
    pub(crate) fn is_full(&self) -> bool {
        // An error is for the next call to return.
        self.sending.producer.has_any(self.endpoint.watch(true)) == Ok(false)
    }

    /// Writes a message into a claimed slot.
    ///
    /// # Safety
    /// It is at most as long as a slot.
    #[inline(always)]
    pub(crate) unsafe fn write(&self, claim: &Claim, message: &[u8]) {
        let slot = self.sending.producer.slot(claim);
        slot.writing();
        // SAFETY: the slot is ours until it is published, and the caller's contract.
        unsafe {
            slot.payload().as_ptr().copy_from_nonoverlapping(message.as_ptr(), message.len());
        }
    }

    /// Publishes a message that was written into its slot, and counts it.
    #[inline(always)]
    pub(crate) fn publish(
        &self,
        claim: Claim,
        len: usize,
        is_variable: bool,
    ) -> Result<(), SendError> {
        if is_variable {
            self.sending.producer.slot(&claim).length().store(len as u64, Relaxed);
        }
        let position = claim.position();
        if !self.sending.producer.publish(claim) {
            return Err(self.evicted());
        }
        self.endpoint.count(position);
        if is_variable {
            self.endpoint.count_bytes(len);
        }
        Ok(())
    }

    /// The error of a member that was evicted: its token is gone, or was for a moment.
    #[cold]
    #[inline(never)]
    fn evicted(&self) -> SendError {
        self.endpoint.stop(Fault::LivenessLost).into()
    }

    /// Sends the message that was written into a claimed slot; on a fault, gives the claim up.
    #[inline(always)]
    pub(crate) fn commit(
        &self,
        claim: Claim,
        len: usize,
        is_variable: bool,
    ) -> Result<(), SendError> {
        if !self.endpoint.is_open()
            && let Err(fault) = self.endpoint.check()
        {
            self.give_up(claim.position(), claim.state());
            return Err(fault.into());
        }
        self.publish(claim, len, is_variable)?;
        self.port().notify_if_needed();
        Ok(())
    }

    /// Gives a claim up.
    pub(crate) fn abandon(&self, claim: Claim) {
        self.give_up(claim.position(), claim.state());
    }

    /// Gives up the claim at a position: receivers skip it, and senders may use its slot. A position
    /// fits in a register: the claim need not be in memory for this call.
    #[cold]
    #[inline(never)]
    fn give_up(&self, position: u64, word: SlotState) {
        // In a forked child the claim is the parent's. It is refused if we were evicted: then
        // another member gave it up for us.
        if !self.endpoint.is_forked()
            && self.sending.producer.abandon(self.sending.producer.claimed(position, word))
        {
            // An error here recurs in the next call that blocks.
            let _ = self.endpoint.wake(Side::Senders);
            let _ = self.endpoint.wake(Side::Receivers);
        }
    }

    /// Returns where the message of a claimed slot begins.
    #[inline(always)]
    pub(crate) fn payload(&self, claim: &Claim) -> NonNull<u8> {
        let slot = self.sending.producer.slot(claim);
        slot.writing();
        slot.payload()
    }
}

impl Drop for SendEnd {
    fn drop(&mut self) {
        self.endpoint.release_in_flight();
        // A caller that needs the errors calls `close`.
        let _ = self.endpoint.leave();
    }
}
