//! Waiting in a task until every message is acknowledged, or a broadcast channel has its receivers.
//!
//! The last acknowledgement wakes nobody, so the task polls, as the blocking call does: often at
//! first, then less often. The times are the reactor's. It is late by an eighth of the time that it
//! waited, and by [`NAP_MAX`] at most; so is an interrupt.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::future::{Party, refused};
use super::reactor::Reactor;
use super::reactor::timers::Alarm;
use crate::doorbell::Registration;
use crate::endpoint::readiness::Refused;
use crate::error::{Fault, SendError};
use crate::sysv::time;
use crate::wait::interrupt::SuspendedCall;
use crate::wait::poll::{NAP_MAX, NAP_MIN};

/// A sender, or a reference to one, that waits for an event which wakes nobody: its messages are
/// acknowledged some time.
pub(crate) trait Flushable: Party<Error = SendError> {
    /// Returns whether they are.
    fn is_flushed(&mut self) -> Result<bool, SendError>;
}

impl<P: Flushable> Flushable for &mut P {
    fn is_flushed(&mut self) -> Result<bool, SendError> {
        P::is_flushed(self)
    }
}

/// Waits until every message is acknowledged.
#[derive(Debug)]
pub(crate) struct Flush<P> {
    party: P,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    start: u64,
    call: SuspendedCall,
    registration: Arc<Registration>,
    /// The next time to poll.
    alarm: Option<Alarm>,
}

impl<P: Flushable> Flush<P> {
    pub(crate) fn of(party: P) -> Flush<P> {
        Flush { party, pending: None }
    }

    fn poll_next(&mut self, context: &Context<'_>) -> Result<bool, SendError> {
        if self.party.is_flushed()? {
            return Ok(true);
        }
        let registration = self.party.endpoint().attachment.registration();
        let pending = self.pending.get_or_insert_with(|| Pending {
            start: time::now_ns(),
            call: SuspendedCall::begin(registration.calls()),
            registration: Arc::clone(registration),
            alarm: None,
        });
        if pending.call.is_interrupted(registration.calls()) {
            return Err(SendError::Interrupted);
        }
        let waited = Duration::from_nanos(time::since(pending.start));
        let reactor =
            Reactor::current().map_err(|failed| refused::<SendError>(Refused::Failed(failed)))?;
        let nap = (waited / 8).clamp(NAP_MIN, NAP_MAX);
        pending.alarm = Some(Alarm::after(nap, context.waker(), reactor));
        Ok(false)
    }
}

impl<P> Flush<P> {
    fn leave(&mut self, is_returned: bool) {
        if let Some(Pending { call, registration, .. }) = self.pending.take() {
            call.end(registration.calls(), is_returned);
        }
    }
}

impl<P: Flushable + Unpin> Future for Flush<P> {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.party.endpoint().is_forked() {
            return Poll::Ready(Err(Fault::Forked.into()));
        }
        match self.poll_next(context) {
            Ok(false) => Poll::Pending,
            flushed => {
                self.leave(flushed == Err(SendError::Interrupted));
                Poll::Ready(flushed.map(drop))
            }
        }
    }
}

impl<P> Drop for Flush<P> {
    fn drop(&mut self) {
        self.leave(false);
    }
}
