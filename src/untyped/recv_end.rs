//! The receiving ends of all flavors behind one interface, with the message layout of the header.
//!
//! A message that was taken is kept together with the end that holds it: an SPSC end knows its own,
//! an MPMC end is told.

use core::ptr::NonNull;
use std::collections::VecDeque;
use std::sync::Arc;

use super::batch::InPlace;
use crate::endpoint::Endpoint;
use crate::endpoint::attachment::Attachment;
use crate::error::{Error, RecvError};
use crate::flavor::Flavor;
use crate::message::MessageLayout;
use crate::protocol::Membership;
use crate::ring::mpmc::Held;
use crate::wait::adaptive_spin::Wait;
use crate::wait::blocking::Blocking;
use crate::{mpmc, spsc};

/// A receiving end.
#[derive(Debug)]
pub(super) enum RecvEnd {
    Spsc(Box<spsc::RecvEnd>),
    /// In an `Arc`, where it stays: see `Endpoint::register`.
    Mpmc(Arc<mpmc::RecvEnd>),
}

impl RecvEnd {
    pub(super) fn of(attachment: Attachment, wait: Wait) -> Result<RecvEnd, Error> {
        Ok(match attachment.facts.flavor {
            Flavor::Spsc | Flavor::Broadcast => {
                RecvEnd::Spsc(Box::new(spsc::RecvEnd::from_attachment(attachment, wait)?))
            }
            Flavor::Mpmc => {
                RecvEnd::Mpmc(Arc::new(mpmc::RecvEnd::from_attachment(attachment, wait)?))
            }
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        match self {
            RecvEnd::Spsc(end) => &end.endpoint,
            RecvEnd::Mpmc(end) => &end.endpoint,
        }
    }

    pub(super) fn next(&mut self, blocking: Blocking) -> Result<Taken<'_>, RecvError> {
        Ok(match self {
            RecvEnd::Spsc(end) => {
                end.next(blocking)?;
                Taken::Spsc(end)
            }
            RecvEnd::Mpmc(end) => Taken::Mpmc(end, end.next(blocking)?),
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            RecvEnd::Spsc(end) => end.len(),
            RecvEnd::Mpmc(end) => end.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            RecvEnd::Spsc(end) => end.is_empty(),
            RecvEnd::Mpmc(end) => end.len() == 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        match self {
            RecvEnd::Spsc(end) => end.len() >= end.endpoint.geometry().capacity,
            RecvEnd::Mpmc(end) => end.is_full(),
        }
    }

    pub(super) fn close(self) -> Result<(), Error> {
        match self {
            RecvEnd::Spsc(end) => end.close(),
            RecvEnd::Mpmc(end) => end.endpoint.close(),
        }
    }
}

/// A message that was taken and is not acknowledged, with the end that took it.
#[derive(Debug)]
pub(crate) enum Taken<'a> {
    Spsc(&'a mut spsc::RecvEnd),
    Mpmc(&'a mpmc::RecvEnd, Held),
}

impl<'a> Taken<'a> {
    fn shape(&self) -> MessageLayout {
        match self {
            Taken::Spsc(end) => end.endpoint.geometry().shape,
            Taken::Mpmc(end, _) => end.endpoint.geometry().shape,
        }
    }

    /// Lets senders step over its slot, if it is to be held.
    pub(super) fn notify_taken(&self) {
        if let Taken::Mpmc(end, held) = self {
            end.port().notify_taken(held.position());
        }
    }

    /// Returns the message with its address and its length, which never exceeds a slot. A message
    /// whose length is impossible is discarded.
    pub(super) fn with_bytes(mut self) -> Result<(Taken<'a>, NonNull<u8>, usize), RecvError> {
        let shape = self.shape();
        let (payload, len) = match &self {
            Taken::Spsc(end) => end.payload(shape.variable)?,
            Taken::Mpmc(end, held) => end.payload(held, shape.variable)?,
        };
        if !shape.allows(len) {
            let position = self.position();
            self.acknowledge(len)?;
            return Err(RecvError::Invalid { position });
        }
        Ok((self, payload, len))
    }

    pub(crate) fn position(&self) -> u64 {
        match self {
            Taken::Spsc(end) => end.position(),
            Taken::Mpmc(_, held) => held.position(),
        }
    }

    /// Returns how often it was delivered, this delivery included.
    pub(super) fn deliveries(&self) -> u8 {
        match self {
            Taken::Spsc(end) => end.deliveries(),
            Taken::Mpmc(_, held) => held.deliveries(),
        }
    }

    pub(super) fn acknowledge(&mut self, len: usize) -> Result<(), RecvError> {
        let is_variable = self.shape().variable;
        match self {
            Taken::Spsc(end) => {
                end.check_guard()?;
                end.acknowledge(len, is_variable);
                Ok(())
            }
            Taken::Mpmc(end, held) => end.finish(held, len, is_variable),
        }
    }

    /// Returns it to be delivered again.
    pub(super) fn release(&mut self) -> Result<(), RecvError> {
        match self {
            Taken::Spsc(end) => end.release(),
            Taken::Mpmc(end, held) => Ok(end.release(held)?),
        }
    }

    /// Gives it up for good, or returns it.
    pub(super) fn reject(&mut self, len: usize) -> Result<(), RecvError> {
        let is_variable = self.shape().variable;
        match self {
            Taken::Spsc(end) => end.reject(len, is_variable),
            Taken::Mpmc(end, held) => end.reject(held),
        }
    }
}

impl<'a> Taken<'a> {
    /// Begins a batch with this message.
    pub(super) fn together(self) -> TakenTogether<'a> {
        match self {
            Taken::Spsc(end) => TakenTogether::Spsc(end),
            Taken::Mpmc(end, first) => TakenTogether::Mpmc(end, VecDeque::from([first])),
        }
    }
}

/// Messages that were taken together and are not acknowledged, with the end that took them.
#[derive(Debug)]
pub(super) enum TakenTogether<'a> {
    /// Those from the end's position on.
    Spsc(&'a mut spsc::RecvEnd),
    Mpmc(&'a mpmc::RecvEnd, VecDeque<Held>),
}

impl TakenTogether<'_> {
    /// Takes the messages that are available behind these, and appends where they are to `messages`,
    /// until these are `max`. There must be one.
    pub(super) fn take_more(&mut self, messages: &mut VecDeque<InPlace>, max: usize) {
        match self {
            TakenTogether::Spsc(end) => {
                let shape = end.endpoint.geometry().shape;
                // The header records how often one message was delivered, not several.
                let max = if end.endpoint.delivery_limit().is_some() { 1 } else { max };
                while messages.len() < max
                    && let Some((bytes, len)) = end.payload_ahead(messages.len(), shape.variable)
                    && shape.allows(len)
                {
                    messages.push_back(InPlace { bytes, len });
                }
            }
            TakenTogether::Mpmc(end, all) => {
                let shape = end.endpoint.geometry().shape;
                // An error recurs in the next call.
                while all.len() < max
                    && let Ok(held) = end.next(Blocking::Never)
                {
                    match end.payload(&held, shape.variable) {
                        Ok((bytes, len)) if shape.allows(len) => {
                            end.port().notify_taken(held.position());
                            messages.push_back(InPlace { bytes, len });
                            all.push_back(held);
                        }
                        // The next call discards it, and reports that.
                        Ok(_) => {
                            let _ = end.release(&held);
                            break;
                        }
                        // It was released, and the next call reports the fault.
                        Err(_) => break,
                    }
                }
            }
        }
    }

    /// Returns the position of one of them. In an SPSC channel they follow one another; a message that
    /// does not exist has the position behind the last one.
    pub(super) fn position(&self, index: usize) -> u64 {
        match self {
            TakenTogether::Spsc(end) => end.position().wrapping_add(index as u64),
            TakenTogether::Mpmc(_, all) => match all.get(index) {
                Some(held) => held.position(),
                None => all.back().map_or(0, |held| held.position().wrapping_add(1)),
            },
        }
    }

    /// Returns how often the first one was delivered, this delivery included.
    pub(super) fn deliveries(&self) -> u8 {
        match self {
            TakenTogether::Spsc(end) => end.deliveries(),
            TakenTogether::Mpmc(_, all) => all.front().map_or(1, Held::deliveries),
        }
    }

    /// Acknowledges the first ones of them, whose lengths are given in their order, and forgets them.
    pub(super) fn acknowledge(
        &mut self,
        lengths: impl ExactSizeIterator<Item = usize>,
    ) -> Result<(), RecvError> {
        match self {
            TakenTogether::Spsc(end) => {
                end.check_guard()?;
                let is_variable = end.endpoint.geometry().shape.variable;
                lengths.for_each(|len| end.acknowledge(len, is_variable));
                Ok(())
            }
            TakenTogether::Mpmc(end, all) => {
                let is_variable = end.endpoint.geometry().shape.variable;
                let mut result = Ok(());
                // All of them, even if one fails.
                for (held, len) in all.drain(..lengths.len()).zip(lengths) {
                    result = result.and(end.finish(&held, len, is_variable));
                }
                result
            }
        }
    }

    /// Returns all of them to be delivered again.
    pub(super) fn release(&mut self) -> Result<(), RecvError> {
        match self {
            TakenTogether::Spsc(end) => end.release(),
            TakenTogether::Mpmc(end, all) => {
                let mut result = Ok(());
                for held in all {
                    result = result.and(end.release(held));
                }
                Ok(result?)
            }
        }
    }
}
