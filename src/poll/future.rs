//! The future of every call that waits for a message or for room.
//!
//! It makes the attempt of the `try_` call, twice when it is polled first: *glances*, without arming
//! anything, which is all that it does if there is something; then enters its waker in the handle's
//! table and makes the attempt that arms the handle. The argument why no wake-up is lost is in
//! `doorbell/tasks.rs`, whose steps are named here. Between two polls the future holds nothing of the
//! channel, so that dropping it changes nothing in it: what its last attempt obtained was returned
//! by that poll.
//!
//! A future that has found nothing once is a blocked call for an [`Interrupter`]: it counts as one
//! (B1 in `wait/interrupt.rs`) until it is ready or dropped (B5). The interrupt disarms the handle
//! and wakes its tasks, so each of them looks once more and finds its generation moved on.
//!
//! [`Interrupter`]: crate::Interrupter

use std::future::Future;
use std::pin::Pin;
#[cfg(feature = "tokio")]
use std::task::ready;
use std::task::{Context, Poll};
use std::time::Duration;

use super::reactor::timers::Alarm;
use super::reactor::{self, Reactor};
use crate::doorbell::tasks::Turn;
use crate::endpoint::Endpoint;
use crate::endpoint::readiness::Refused;
use crate::error::{Fault, RecvError, RegistrationFailure, SendError};
use crate::protocol::Membership;
use crate::sysv::Errno;
use crate::wait::Parker;
use crate::wait::blocking::Blocking;
use crate::wait::interrupt::SuspendedCall;

/// How long a task waits until it tries again to give a message up, as a blocked call does.
const RETRY: Duration = Duration::from_millis(200);

/// The error of a call that can wait.
pub(crate) trait Outcome: Sized + From<Fault> {
    const INTERRUPTED: Self;
    /// The error of an attempt that finds nothing.
    const NOTHING: Self;

    /// Returns whether the call waits on.
    fn is_nothing(&self) -> bool;

    fn is_interrupt(&self) -> bool;

    fn not_registered(reason: RegistrationFailure) -> Self;
}

impl Outcome for RecvError {
    const INTERRUPTED: RecvError = RecvError::Interrupted;
    const NOTHING: RecvError = RecvError::Empty;

    fn is_interrupt(&self) -> bool {
        *self == RecvError::Interrupted
    }

    fn is_nothing(&self) -> bool {
        matches!(self, RecvError::Empty | RecvError::Behind { .. } | RecvError::NotMoved { .. })
    }

    fn not_registered(reason: RegistrationFailure) -> RecvError {
        RecvError::NotRegistered { reason }
    }
}

impl Outcome for SendError {
    const INTERRUPTED: SendError = SendError::Interrupted;
    const NOTHING: SendError = SendError::Full;

    fn is_interrupt(&self) -> bool {
        *self == SendError::Interrupted
    }

    fn is_nothing(&self) -> bool {
        matches!(self, SendError::Full | SendError::Behind { .. })
    }

    fn not_registered(reason: RegistrationFailure) -> SendError {
        SendError::NotRegistered { reason }
    }
}

/// Returns the error of a handle that was not registered.
pub(super) fn refused<E: Outcome>(refused: Refused) -> E {
    match refused {
        Refused::Fault(fault) => fault.into(),
        Refused::Failed((_, Errno::EBUSY)) => E::not_registered(RegistrationFailure::InWaitSet),
        Refused::Failed((call, errno)) => {
            E::not_registered(RegistrationFailure::System { call, errno: errno.0 })
        }
    }
}

/// A handle, or a reference to one, as a task waits for it.
pub(crate) trait Party {
    /// What an attempt obtains: a message that is held, or a reserved slot.
    type Got;
    type Error: Outcome;

    fn endpoint(&self) -> &Endpoint;

    /// Makes an attempt that does not block.
    fn attempt(&mut self, blocking: Blocking) -> Result<Self::Got, Self::Error>;
}

impl<P: Party> Party for &mut P {
    type Got = P::Got;
    type Error = P::Error;

    fn endpoint(&self) -> &Endpoint {
        P::endpoint(self)
    }

    fn attempt(&mut self, blocking: Blocking) -> Result<P::Got, P::Error> {
        P::attempt(self, blocking)
    }
}

/// Waits until an attempt obtains something.
#[derive(Debug)]
pub(crate) struct Waiting<P: Party> {
    pub(super) party: P,
    entered: Option<Entered>,
}

/// A task that has found nothing yet.
#[derive(Debug)]
struct Entered {
    /// The number of its entry.
    place: usize,
    call: SuspendedCall,
    /// Set if it is to try again without having been woken.
    retry: Option<Alarm>,
}

impl<P: Party> Waiting<P> {
    pub(crate) fn on(party: P) -> Waiting<P> {
        Waiting { party, entered: None }
    }

    /// Polls; once it is ready, the next poll begins anew.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<P::Got, P::Error>> {
        // A task of tokio that always finds something lets others run now and then.
        #[cfg(feature = "tokio")]
        let budget = ready!(tokio::task::coop::poll_proceed(context));
        let got = self.poll_attempt(context);
        #[cfg(feature = "tokio")]
        if got.is_ready() {
            budget.made_progress();
        }
        got
    }

    fn poll_attempt(&mut self, context: &Context<'_>) -> Poll<Result<P::Got, P::Error>> {
        if self.entered.is_none() {
            match self.party.attempt(Blocking::Glance) {
                Err(error) if error.is_nothing() => {}
                got => return Poll::Ready(got),
            }
        }
        if self.party.endpoint().is_forked() {
            // The table is the parent's, as are the handle and what it counts.
            self.entered = None;
            return Poll::Ready(Err(Fault::Forked.into()));
        }
        match self.look(context) {
            Err(error) if error.is_nothing() => Poll::Pending,
            got => {
                self.leave(matches!(&got, Err(error) if error.is_interrupt()));
                Poll::Ready(got)
            }
        }
    }

    /// Looks for something, unless it is certain that there is nothing and that the task will be
    /// woken. If there is nothing, the task will be woken.
    fn look(&mut self, context: &Context<'_>) -> Result<P::Got, P::Error> {
        let Waiting { party, entered } = self;
        let endpoint = party.endpoint();
        reactor::attend(endpoint, usize::from(entered.is_some())).map_err(refused::<P::Error>)?;
        if !endpoint.attachment.has_seat() {
            // Such a handle would not be armed, and the task not be woken.
            endpoint.semaphore_values().map_err(|fault| endpoint.stop(fault))?;
        }
        let registration = endpoint.attachment.registration();
        let (tasks, calls) = (registration.tasks(), registration.calls());
        let place = match entered {
            None => {
                let call = SuspendedCall::begin(calls);
                let place = tasks.enter(context.waker(), true);
                *entered = Some(Entered { place, call, retry: None });
                place
            }
            Some(Entered { place, call, retry }) => {
                let must_look =
                    retry.as_ref().is_some_and(Alarm::is_due) || call.is_interrupted(calls);
                let is_armed = || endpoint.attachment.is_armed();
                if tasks.resume(*place, context.waker(), must_look, is_armed) == Turn::WaitOn {
                    return Err(P::Error::NOTHING);
                }
                *place
            }
        };
        let got = party.attempt(Blocking::Never);
        if !matches!(&got, Err(error) if error.is_nothing()) {
            return got;
        }
        let endpoint = party.endpoint();
        let registration = endpoint.attachment.registration();
        let Some(Entered { call, retry, .. }) = entered else { return got };
        if call.is_interrupted(registration.calls()) {
            return Err(P::Error::INTERRUPTED);
        }
        *retry = None;
        if endpoint.has_failed_to_give_up() {
            // Nobody wakes a task when the message can be moved.
            let reactor = Reactor::current()
                .map_err(|failed| refused::<P::Error>(Refused::Failed(failed)))?;
            *retry = Some(Alarm::after(RETRY, context.waker(), reactor));
        }
        registration.tasks().found_nothing(place, || endpoint.attachment.is_armed());
        got
    }

    /// Performs L, C and B5. `is_returned`: the call returns an interrupt.
    fn leave(&mut self, is_returned: bool) {
        let Some(Entered { place, call, retry }) = self.entered.take() else { return };
        let attachment = &self.party.endpoint().attachment;
        if attachment.is_forked() {
            return;
        }
        drop(retry);
        let registration = attachment.registration();
        if registration.tasks().leave(place, || attachment.is_armed()) {
            attachment.pass_duty_on();
        }
        call.end(registration.calls(), is_returned);
    }
}

impl<P: Party + Unpin> Future for Waiting<P> {
    type Output = Result<P::Got, P::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_next(context)
    }
}

impl<P: Party> Drop for Waiting<P> {
    fn drop(&mut self) {
        self.leave(false);
    }
}
