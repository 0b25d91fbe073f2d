//! The receiving end of an MPMC channel, whatever its messages are.
//!
//! Whether they have variable length is a parameter, as in `send_end.rs`.

use core::ptr::NonNull;

use super::dead_letters::DeadLetters;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::endpoint::deaths::Deaths;
use crate::error::{Error, Fault, RecvError};
use crate::protocol::mpmc::Receiving;
use crate::protocol::{GivenUp, Membership, RecvPort};
use crate::ring::mpmc::{Consumer, Held};
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;

/// One member, which its handles share.
#[derive(Debug)]
pub(crate) struct RecvEnd {
    pub(super) receiving: Receiving,
    pub(super) deaths: Deaths,
    /// Must be last: the ring is in its mapping.
    pub(crate) endpoint: Endpoint,
}

impl RecvEnd {
    pub(crate) fn from_attachment(attachment: Attachment, wait: Wait) -> Result<RecvEnd, Error> {
        // It releases the messages of the last holder of our seat: before we can leave, if what
        // follows fails.
        let endpoint = Endpoint::new(attachment, wait);
        let letters = DeadLetters::of(&endpoint.attachment)?;
        let endpoint = endpoint.with_dead_letters(letters);
        let consumer = Consumer::new(endpoint.attachment.ring(), endpoint.attachment.seat.number);
        endpoint.attachment.begin_at(consumer.position());
        let receiving = Receiving::new(consumer);
        Ok(RecvEnd { receiving, deaths: Deaths::new(), endpoint })
    }

    #[inline(always)]
    pub(crate) fn port(&self) -> RecvPort<'_, &Receiving, Endpoint> {
        RecvPort { ring: &self.receiving, member: &self.endpoint }
    }

    /// Takes a message.
    #[inline(always)]
    pub(crate) fn next(&self, blocking: Blocking) -> Result<Held, RecvError> {
        self.port().next(blocking)
    }

    /// Returns the number of messages that are not acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.receiving.consumer.ring().count_messages() as usize
    }

    /// Returns whether no slot can be claimed.
    pub(crate) fn is_full(&self) -> bool {
        // An error is for the next call to return.
        let ring = self.receiving.consumer.ring();
        ring.has_any_room(self.endpoint.watch(true)) == Ok(false)
    }

    /// Returns the address and length of a held message; it never exceeds a slot. On an error the
    /// message is released to other receivers.
    #[inline(always)]
    pub(crate) fn payload(
        &self,
        held: &Held,
        is_variable: bool,
    ) -> Result<(NonNull<u8>, usize), RecvError> {
        let slot = self.receiving.consumer.slot(held);
        slot.reading();
        let slot_size = self.endpoint.geometry().slot_size;
        if !is_variable {
            return Ok((slot.payload(), slot_size));
        }
        let len = slot.length().load(Relaxed);
        if len > slot_size as u64 {
            let _ = self.release(held);
            let what = "a message is longer than its slot";
            return Err(self.endpoint.stop(Fault::Corrupt { what }).into());
        }
        Ok((slot.payload(), len as usize))
    }

    #[inline(always)]
    pub(super) fn acknowledge(&self, held: &Held) -> Result<(), RecvError> {
        if self.endpoint.is_forked() {
            return Err(Fault::Forked.into());
        }
        Ok(self.port().acknowledge(held)?)
    }

    /// Acknowledges and counts a held message.
    #[inline(always)]
    pub(crate) fn finish(
        &self,
        held: &Held,
        len: usize,
        is_variable: bool,
    ) -> Result<(), RecvError> {
        self.acknowledge(held)?;
        self.endpoint.count(held.position());
        if is_variable {
            self.endpoint.count_bytes(len);
        }
        Ok(())
    }

    /// Returns a message: another receiver gets it, possibly this one.
    #[cold]
    pub(crate) fn release(&self, held: &Held) -> Result<(), Fault> {
        // In a forked child it is the parent's.
        if self.endpoint.is_forked() {
            return Err(Fault::Forked);
        }
        if !self.receiving.consumer.release(held) {
            return Err(self.endpoint.stop(Fault::LivenessLost));
        }
        self.endpoint.announce_returned()
    }

    /// Gives a message up for good, or returns it.
    #[cold]
    pub(crate) fn reject(&self, held: &Held) -> Result<(), RecvError> {
        if self.endpoint.is_forked() {
            return Err(Fault::Forked.into());
        }
        let (slot, position) = (self.receiving.consumer.slot(held), held.position());
        let message = GivenUp { slot, position, deliveries: held.deliveries() };
        if let Err(reason) = self.endpoint.dispose_of(&message) {
            self.release(held)?;
            return Err(RecvError::NotMoved { reason });
        }
        self.acknowledge(held)?;
        self.endpoint.count_rejection();
        Ok(())
    }
}

impl Drop for RecvEnd {
    fn drop(&mut self) {
        self.endpoint.release_in_flight();
        // A caller that needs the errors calls `close`.
        let _ = self.endpoint.leave();
    }
}
