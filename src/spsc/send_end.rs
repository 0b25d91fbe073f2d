//! The sending end of an SPSC or broadcast channel, whatever its messages are.
//!
//! Whether they have variable length is a parameter where it matters: a typed handle passes a
//! constant, which costs nothing, and an untyped one what the header says.

use core::ptr::NonNull;
use core::time::Duration;

use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::error::{Error, Fault, SendError};
use crate::message;
use crate::protocol::spsc::Sending;
use crate::protocol::{self, Membership, SendPort};
use crate::ring::Slot;
use crate::ring::spsc::Producer;
use crate::sync::plain::Ordering::Relaxed;
use crate::sysv::process;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;

#[derive(Debug)]
pub(crate) struct SendEnd {
    pub(super) sending: Sending,
    /// Must be last: the ring is in its mapping.
    pub(crate) endpoint: Endpoint,
}

impl SendEnd {
    pub(crate) fn from_attachment(attachment: Attachment, wait: Wait) -> Result<SendEnd, Error> {
        let producer = Producer::new(attachment.ring()).map_err(Fault::from)?;
        attachment.begin_at(producer.position());
        let sending = Sending::new(producer, process::register_membarrier());
        Ok(SendEnd { sending, endpoint: Endpoint::new(attachment, wait) })
    }

    /// Reserves the slot at the next position.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, blocking: Blocking) -> Result<(), SendError> {
        self.port().reserve(blocking)
    }

    #[inline(always)]
    pub(crate) fn port(&mut self) -> SendPort<'_, &mut Sending, Endpoint> {
        SendPort { ring: &mut self.sending, member: &self.endpoint }
    }

    /// Blocks until a broadcast channel has so many receivers, for at most `timeout`.
    pub(crate) fn gather(&mut self, count: usize, timeout: Duration) -> Result<(), SendError> {
        self.port().gather(count, timeout)
    }

    /// Returns the number of receivers of a broadcast channel.
    pub(crate) fn count_receivers(&mut self) -> Result<usize, Fault> {
        self.endpoint.check()?;
        let counted = protocol::count_receivers(&mut self.sending, &self.endpoint);
        counted.map_err(|fault| self.endpoint.stop(fault))
    }

    /// Returns the number of messages that are not acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.sending.producer.unacknowledged() as usize
    }

    /// Writes a message into the reserved slot.
    ///
    /// # Safety
    /// It is at most as long as a slot.
    #[inline(always)]
    pub(crate) unsafe fn write(&mut self, message: &[u8], is_variable: bool) {
        // SAFETY: the slot is reserved, and the caller's contract.
        unsafe { write_into(self.sending.producer.slot(), message, is_variable, &self.endpoint) };
    }

    /// Prepares to publish the message that was written into a loan.
    #[inline(always)]
    pub(crate) fn end_loan(&mut self, len: usize, is_variable: bool) -> Result<(), SendError> {
        if !self.endpoint.is_open() {
            self.endpoint.check()?;
        }
        set_length(self.sending.producer.slot(), len, is_variable, &self.endpoint);
        Ok(())
    }

    /// Returns the position of the next message, which is that of the reserved slot.
    pub(crate) fn position(&self) -> u64 {
        self.sending.producer.position()
    }

    /// Returns where the message of the reserved slot begins.
    #[inline(always)]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        let slot = self.sending.producer.slot();
        slot.writing();
        slot.payload()
    }

    /// Publishes the message in the reserved slot and notifies the receiver.
    #[inline(always)]
    pub(crate) fn publish_and_notify(&mut self) {
        self.sending.producer.publish();
        self.port().notify_if_needed();
    }

    /// Leaves the channel, and finishes its stream.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.publish_final();
        self.endpoint.set_finishing()?;
        self.endpoint.leave()
    }

    /// Leaves the channel.
    pub(crate) fn close(mut self) -> Result<(), Error> {
        self.publish_final();
        self.endpoint.leave()
    }

    /// Stores the progress of this handle for the last time.
    fn publish_final(&mut self) {
        if self.endpoint.attachment.owns_seat() {
            self.sending.producer.publish_tail();
        }
    }
}

/// Writes a message into a reserved slot.
///
/// # Safety
/// The slot is reserved for the caller, and the message is at most as long as a slot.
#[inline(always)]
pub(super) unsafe fn write_into(
    slot: Slot<'_>,
    message: &[u8],
    is_variable: bool,
    endpoint: &Endpoint,
) {
    slot.writing();
    // SAFETY: the slot is ours until it is published, and the caller's contract.
    unsafe { message::copy_in(message, slot.payload()) };
    set_length(slot, message.len(), is_variable, endpoint);
}

/// Stores the length of the message in a reserved slot, if messages have variable length.
#[inline(always)]
fn set_length(slot: Slot<'_>, len: usize, is_variable: bool, endpoint: &Endpoint) {
    if is_variable {
        slot.length().store(len as u64, Relaxed);
        endpoint.count_bytes(len);
    }
}

impl Drop for SendEnd {
    fn drop(&mut self) {
        self.publish_final();
    }
}
