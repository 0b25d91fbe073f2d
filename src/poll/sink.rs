//! A sender as a sink of messages.
//!
//! A message is sent as soon as the sink gets it, if there is room. Otherwise the sink keeps it, and
//! every call that waits for the sink sends it first. It reserves no slot in advance: a slot of an
//! MPMC channel that is reserved and not written would hold up the messages of other senders.

use std::task::{Context, Poll, ready};

use super::future::{Party, Waiting};
use crate::error::SendError;
use crate::wait::blocking::Blocking;

/// A sender, or a reference to one, of messages of one type.
pub(crate) trait Target: Party<Error = SendError> {
    type Message;

    /// Sends a message in a slot that was reserved.
    fn put(&mut self, slot: Self::Got, message: &Self::Message) -> Result<(), SendError>;
}

impl<P: Target> Target for &mut P {
    type Message = P::Message;

    fn put(&mut self, slot: P::Got, message: &P::Message) -> Result<(), SendError> {
        P::put(self, slot, message)
    }
}

/// The state of a sink.
#[derive(Debug)]
pub(crate) struct Outbox<P: Target> {
    waiting: Waiting<P>,
    /// A message that found no room.
    kept: Option<P::Message>,
}

impl<P: Target> Outbox<P> {
    pub(crate) fn of(party: P) -> Outbox<P> {
        Outbox { waiting: Waiting::on(party), kept: None }
    }

    /// Sends the message that is kept. After an error it is still kept.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(message) = &self.kept else { return Poll::Ready(Ok(())) };
        let sent = ready!(self.waiting.poll_next(context))
            .and_then(|slot| self.waiting.party.put(slot, message));
        if sent.is_ok() {
            self.kept = None;
        }
        Poll::Ready(sent)
    }

    /// Sends a message, or keeps it. The sink must have been ready: nothing is kept.
    pub(crate) fn start(&mut self, message: P::Message) -> Result<(), SendError> {
        if self.kept.is_some() {
            return Err(SendError::Full);
        }
        match self.waiting.party.attempt(Blocking::Glance) {
            Ok(slot) => self.waiting.party.put(slot, &message),
            Err(SendError::Full | SendError::Behind { .. }) => {
                self.kept = Some(message);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
