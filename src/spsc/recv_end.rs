//! The receiving end of an SPSC or broadcast channel, whatever its messages are.
//!
//! Whether they have variable length is a parameter, as in `send_end.rs`.

use core::ptr::NonNull;

use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::error::{Error, Fault, RecvError};
use crate::flavor::Flavor;
use crate::mpmc::DeadLetters;
use crate::protocol::{GivenUp, Membership, RecvPort};
use crate::ring::spsc::Consumer;
use crate::role::Side;
use crate::sync::plain::Ordering::Relaxed;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;

#[derive(Debug)]
pub(crate) struct RecvEnd {
    pub(super) consumer: Consumer,
    /// Must be last: the ring is in its mapping.
    pub(crate) endpoint: Endpoint,
}

impl RecvEnd {
    pub(crate) fn from_attachment(attachment: Attachment, wait: Wait) -> Result<RecvEnd, Error> {
        let consumer = RecvEnd::consumer(&attachment)?;
        attachment.begin_at(consumer.position());
        let letters = DeadLetters::of(&attachment)?;
        let endpoint = Endpoint::new(attachment, wait).with_dead_letters(letters);
        if endpoint.flavor() == Flavor::Broadcast {
            // J6 in `ring/broadcast.rs`. An error here recurs in the next call that blocks.
            let _ = endpoint.wake(Side::Senders);
        }
        let is_limited = endpoint.delivery_limit().is_some();
        // Without a limit it is not recorded whether a receiver that died had begun.
        let is_successor = match endpoint.flavor() {
            Flavor::Broadcast => endpoint.attachment.resumes(),
            Flavor::Spsc | Flavor::Mpmc => endpoint.attachment.took_over_from_dead(),
        };
        let may_have_begun = !is_limited && is_successor && consumer.is_sent();
        if consumer.inherit_delivery(may_have_begun) || is_limited || consumer.has_missed() {
            endpoint.require_slow_path();
        }
        Ok(RecvEnd { consumer, endpoint })
    }

    fn consumer(attachment: &Attachment) -> Result<Consumer, Fault> {
        let ring = attachment.ring();
        if ring.is_broadcast() {
            let (seat, stamp, start) =
                (attachment.seat.number, attachment.stamp(), attachment.start());
            let joined = ring.join(seat, stamp, start, || attachment.order_stores())?;
            let geometry = attachment.geometry();
            return Ok(match geometry.overwrites() {
                true => joined.copying(geometry.shape.variable),
                false => joined,
            });
        }
        Consumer::check(&ring)?;
        Ok(Consumer::new(ring))
    }

    /// Obtains the message at the next position.
    #[inline(always)]
    pub(crate) fn next(&mut self, blocking: Blocking) -> Result<(), RecvError> {
        self.port().next(blocking)
    }

    #[inline(always)]
    pub(crate) fn port(&mut self) -> RecvPort<'_, &mut Consumer, Endpoint> {
        RecvPort { ring: &mut self.consumer, member: &self.endpoint }
    }

    /// Returns the number of messages that this receiver has not acknowledged.
    pub(crate) fn len(&self) -> usize {
        let ring = self.consumer.ring();
        match ring.is_broadcast() {
            true => ring.tail().wrapping_sub(self.position()).min(ring.capacity()) as usize,
            false => ring.depth() as usize,
        }
    }

    /// Returns whether no message is available.
    pub(crate) fn is_empty(&self) -> bool {
        !self.consumer.is_sent()
    }

    pub(crate) fn position(&self) -> u64 {
        self.consumer.position()
    }

    /// Returns the address and length of the message that arrived; it never exceeds a slot.
    #[inline(always)]
    pub(crate) fn payload(&self, is_variable: bool) -> Result<(NonNull<u8>, usize), RecvError> {
        let slot = self.consumer.slot();
        slot.reading();
        let geometry = self.endpoint.geometry();
        if !is_variable {
            return Ok((slot.payload(), geometry.slot_size));
        }
        let len = slot.length().load(Relaxed);
        if len > geometry.slot_size as u64 {
            let what = "a message is longer than its slot";
            return Err(self.endpoint.stop(Fault::Corrupt { what }).into());
        }
        Ok((slot.payload(), len as usize))
    }

    /// Returns the address and length of the message so many positions behind the next one, if it is
    /// available and can be in its slot.
    pub(crate) fn payload_ahead(
        &self,
        ahead: usize,
        is_variable: bool,
    ) -> Option<(NonNull<u8>, usize)> {
        let slot = self.consumer.slot_ahead(ahead as u64)?;
        slot.reading();
        let slot_size = self.endpoint.geometry().slot_size;
        let len = match is_variable {
            true => usize::try_from(slot.length().load(Relaxed)).ok()?,
            false => slot_size,
        };
        (len <= slot_size).then_some((slot.payload(), len))
    }

    /// Acknowledges the message at the next position.
    #[inline(always)]
    pub(crate) fn acknowledge(&mut self, len: usize, is_variable: bool) {
        if is_variable {
            self.endpoint.count_bytes(len);
        }
        // An SPSC receiver that was evicted notices it elsewhere.
        let _ = self.port().acknowledge(&());
    }

    /// Checks that the message of a guard can be acknowledged: in a forked child, only the parent
    /// may do that.
    #[inline(always)]
    pub(crate) fn check_guard(&self) -> Result<(), RecvError> {
        if !self.endpoint.is_open() {
            self.endpoint.check()?;
        }
        Ok(())
    }

    /// Ends the delivery of a guard's message without acknowledging it: the next call receives it
    /// again.
    #[cold]
    pub(crate) fn release(&mut self) -> Result<(), RecvError> {
        self.endpoint.check()?;
        self.consumer.end_delivery();
        // The next call checks whether the message was delivered too often.
        self.endpoint.require_slow_path();
        Ok(())
    }

    /// Gives the message of a guard up for good, or returns it.
    #[cold]
    pub(crate) fn reject(&mut self, len: usize, is_variable: bool) -> Result<(), RecvError> {
        self.endpoint.check()?;
        let (slot, position) = (self.consumer.slot(), self.consumer.position());
        let message = GivenUp { slot, position, deliveries: self.consumer.deliveries() };
        if let Err(reason) = self.endpoint.dispose_of(&message) {
            self.release()?;
            return Err(RecvError::NotMoved { reason });
        }
        self.acknowledge(len, is_variable);
        self.endpoint.count_rejection();
        Ok(())
    }

    /// Returns how often the message at the next position was delivered.
    pub(crate) fn deliveries(&self) -> u8 {
        self.consumer.deliveries()
    }

    /// The error for the message just acknowledged, which was not a valid one.
    #[cold]
    pub(crate) fn invalid(&self) -> RecvError {
        RecvError::Invalid { position: self.consumer.position().wrapping_sub(1) }
    }

    /// Leaves the channel.
    pub(crate) fn close(mut self) -> Result<(), Error> {
        self.publish_final();
        self.endpoint.leave()
    }

    /// Publishes everything received to the sender, and wakes it whatever it waits for.
    fn publish_final(&mut self) {
        if self.endpoint.attachment.owns_seat() {
            self.consumer.publish_credit();
            self.consumer.ring().leave(self.endpoint.attachment.seat.number);
            // An error here recurs in the next step.
            let _ = self.endpoint.wake(Side::Senders);
        }
    }
}

impl Drop for RecvEnd {
    fn drop(&mut self) {
        self.publish_final();
    }
}
