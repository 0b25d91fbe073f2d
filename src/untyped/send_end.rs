//! The sending ends of all flavors behind one interface, with the message layout of the header.
//!
//! A reserved slot is kept together with the end that it belongs to: an SPSC end knows its own, an
//! MPMC end is told.

use core::ptr::NonNull;
use core::time::Duration;
use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::error::{Error, SendError};
use crate::flavor::Flavor;
use crate::message::MessageLayout;
use crate::ring::geometry::Geometry;
use crate::ring::mpmc::Claim;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;
use crate::{mpmc, spsc};

/// A sending end.
#[derive(Debug)]
pub(super) enum SendEnd {
    Spsc(Box<spsc::SendEnd>),
    /// In an `Arc`, where it stays: see `Endpoint::register`.
    Mpmc(Arc<mpmc::SendEnd>),
}

impl SendEnd {
    pub(super) fn of(attachment: Attachment, wait: Wait) -> Result<SendEnd, Error> {
        Ok(match attachment.facts.flavor {
            Flavor::Spsc | Flavor::Broadcast => {
                SendEnd::Spsc(Box::new(spsc::SendEnd::from_attachment(attachment, wait)?))
            }
            Flavor::Mpmc => {
                SendEnd::Mpmc(Arc::new(mpmc::SendEnd::from_attachment(attachment, wait)))
            }
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        match self {
            SendEnd::Spsc(end) => &end.endpoint,
            SendEnd::Mpmc(end) => &end.endpoint,
        }
    }

    /// Checks that a message can have this length.
    pub(super) fn check_length(&self, len: usize) -> Result<(), SendError> {
        let Geometry { shape, slot_size, .. } = *self.endpoint().geometry();
        if shape.variable && len > slot_size {
            return Err(SendError::TooLong { len, max: slot_size });
        }
        if !shape.allows(len) {
            let MessageLayout { size, element, .. } = shape;
            return Err(SendError::WrongLength { len, size, element });
        }
        Ok(())
    }

    pub(super) fn reserve(&mut self, blocking: Blocking) -> Result<Reserved<'_>, SendError> {
        Ok(match self {
            SendEnd::Spsc(end) => {
                end.reserve(blocking)?;
                Reserved::Spsc(end)
            }
            SendEnd::Mpmc(end) => Reserved::Mpmc(end, end.reserve(blocking)?),
        })
    }

    pub(super) fn flush(&mut self, timeout: Duration) -> Result<(), SendError> {
        match self {
            SendEnd::Spsc(end) => end.port().flush(timeout),
            SendEnd::Mpmc(end) => end.port().flush(timeout),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            SendEnd::Spsc(end) => end.len(),
            SendEnd::Mpmc(end) => end.len(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        match self {
            SendEnd::Spsc(end) => end.len() >= end.endpoint.geometry().capacity,
            SendEnd::Mpmc(end) => end.is_full(),
        }
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        match self {
            SendEnd::Spsc(end) => end.finish(),
            SendEnd::Mpmc(end) => {
                end.endpoint.set_finishing()?;
                end.endpoint.close()
            }
        }
    }

    pub(super) fn close(self) -> Result<(), Error> {
        match self {
            SendEnd::Spsc(end) => end.close(),
            SendEnd::Mpmc(end) => end.endpoint.close(),
        }
    }
}

/// A slot that was reserved, with the end that reserved it.
#[derive(Debug)]
pub(crate) enum Reserved<'a> {
    Spsc(&'a mut spsc::SendEnd),
    Mpmc(&'a mpmc::SendEnd, Claim),
}

impl Reserved<'_> {
    fn is_variable(&self) -> bool {
        match self {
            Reserved::Spsc(end) => end.endpoint.geometry().shape.variable,
            Reserved::Mpmc(end, _) => end.endpoint.geometry().shape.variable,
        }
    }

    #[cfg(feature = "postcard")]
    pub(crate) fn slot_size(&self) -> usize {
        match self {
            Reserved::Spsc(end) => end.endpoint.geometry().slot_size,
            Reserved::Mpmc(end, _) => end.endpoint.geometry().slot_size,
        }
    }

    /// Sends a message whose length was checked.
    pub(super) fn send(self, message: &[u8]) -> Result<(), SendError> {
        let (len, is_variable) = (message.len(), self.is_variable());
        match self {
            Reserved::Spsc(end) => {
                // SAFETY: its length was checked: it is that of every message, and so of the slot,
                // or at most the slot's.
                unsafe { end.write(message, is_variable) };
                end.publish_and_notify();
            }
            Reserved::Mpmc(end, claim) => {
                // SAFETY: as above.
                unsafe { end.write(&claim, message) };
                end.publish(claim, len, is_variable)?;
                end.port().notify_if_needed();
            }
        }
        Ok(())
    }

    /// Returns where the message begins.
    pub(super) fn payload(&self) -> NonNull<u8> {
        match self {
            Reserved::Spsc(end) => end.payload(),
            Reserved::Mpmc(end, claim) => end.payload(claim),
        }
    }

    pub(super) fn position(&self) -> u64 {
        match self {
            Reserved::Spsc(end) => end.position(),
            Reserved::Mpmc(_, claim) => claim.position(),
        }
    }

    /// Sends the message that was written in place.
    pub(super) fn commit(self, len: usize) -> Result<(), SendError> {
        let is_variable = self.is_variable();
        match self {
            Reserved::Spsc(end) => {
                end.end_loan(len, is_variable)?;
                end.publish_and_notify();
                Ok(())
            }
            Reserved::Mpmc(end, claim) => end.commit(claim, len, is_variable),
        }
    }

    /// Gives the slot up. In an SPSC channel, the next message gets it.
    pub(super) fn abandon(self) {
        if let Reserved::Mpmc(end, claim) = self {
            end.abandon(claim);
        }
    }
}
