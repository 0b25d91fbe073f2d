//! The messages of a receiver as a stream.

use std::task::{Context, Poll, ready};

use super::future::{Party, Waiting};
use crate::error::RecvError;
use crate::iter;

/// A receiver, or a reference to one, of sized messages.
pub(crate) trait Source: Party<Error = RecvError> {
    type Message;

    /// Returns a message that was obtained.
    fn value(&mut self, got: Self::Got) -> Result<Self::Message, RecvError>;
}

impl<P: Source> Source for &mut P {
    type Message = P::Message;

    fn value(&mut self, got: P::Got) -> Result<P::Message, RecvError> {
        P::value(self, got)
    }
}

/// The state of a stream; it ends where the blocking iterator would.
#[derive(Debug)]
pub(crate) struct Messages<P: Party> {
    waiting: Waiting<P>,
    pub(crate) is_over: bool,
}

impl<P: Source> Messages<P> {
    pub(crate) fn of(party: P) -> Messages<P> {
        Messages { waiting: Waiting::on(party), is_over: false }
    }

    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<P::Message, RecvError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let got = ready!(self.waiting.poll_next(context));
        let result = got.and_then(|got| self.waiting.party.value(got));
        Poll::Ready(iter::next(result, &mut self.is_over))
    }
}
