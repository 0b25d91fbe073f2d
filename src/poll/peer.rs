//! Waiting in a task until the other side of a channel has a member.
//!
//! A member that joins counts that and rings every armed member of both sides (J1 in
//! `wait/doorbell.rs`), so the task arms the handle and then looks whether somebody is there, or has
//! come and left. It does not look for work: see
//! `doorbell/tasks.rs` for what that means for tasks that wait for it. A ring for work is passed on
//! if no such task is there.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::future::{Outcome, Party, refused};
use super::reactor;
use crate::endpoint::Endpoint;
use crate::error::Fault;
use crate::protocol::Membership;
use crate::wait::interrupt::SuspendedCall;

/// Waits until the other side has a member, or had one since the handle last asked who is alive.
#[derive(Debug)]
pub(crate) struct Peer<P: Party> {
    party: P,
    /// How often the other side had been joined then, once the future was polled.
    known_joins: Option<u32>,
    /// The number of its entry in the table of tasks.
    entered: Option<(usize, SuspendedCall)>,
}

impl<P: Party> Peer<P> {
    pub(crate) fn of(party: P) -> Peer<P> {
        Peer { party, known_joins: None, entered: None }
    }

    /// Returns whether somebody has come. If not, the task will be woken.
    fn look(&mut self, context: &Context<'_>) -> Result<bool, P::Error> {
        let Peer { party, known_joins, entered } = self;
        let endpoint = party.endpoint();
        let known_joins = *known_joins.get_or_insert(endpoint.attachment.known_joins());
        if entered.is_none() && has_come(endpoint, known_joins)? {
            return Ok(true);
        }
        reactor::attend(endpoint, usize::from(entered.is_some())).map_err(refused::<P::Error>)?;
        let registration = endpoint.attachment.registration();
        let (tasks, calls) = (registration.tasks(), registration.calls());
        match entered {
            Some((place, _)) => tasks.stay(*place, context.waker()),
            None => {
                let call = SuspendedCall::begin(calls);
                *entered = Some((tasks.enter(context.waker(), false), call));
            }
        }
        endpoint.attachment.arm();
        let has_come = has_come(endpoint, known_joins)?;
        if !tasks.wake_for_work() {
            endpoint.attachment.pass_duty_on();
        }
        // An interrupt, or a ring that came since it was armed.
        if !has_come && entered.as_ref().is_some_and(|(_, call)| call.is_interrupted(calls)) {
            return Err(P::Error::INTERRUPTED);
        }
        tasks.settle(|| endpoint.attachment.is_armed());
        Ok(has_come)
    }

    fn leave(&mut self, is_returned: bool) {
        let Some((place, call)) = self.entered.take() else { return };
        let attachment = &self.party.endpoint().attachment;
        if attachment.is_forked() {
            return;
        }
        let registration = attachment.registration();
        if registration.tasks().leave(place, || attachment.is_armed()) {
            attachment.pass_duty_on();
        }
        call.end(registration.calls(), is_returned);
    }
}

/// Returns whether the other side has a member, or had one since it had been joined `known_joins`
/// times; fails if this member cannot go on.
fn has_come(endpoint: &Endpoint, known_joins: u32) -> Result<bool, Fault> {
    let has_come = || {
        endpoint.semaphore_values()?;
        endpoint.attachment.has_peer_come(known_joins)
    };
    let has_come = has_come().map_err(|fault| endpoint.stop(fault))?;
    if has_come {
        endpoint.mark_peer_seen();
    }
    Ok(has_come)
}

impl<P: Party + Unpin> Future for Peer<P> {
    type Output = Result<(), P::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.party.endpoint().is_forked() {
            self.entered = None;
            return Poll::Ready(Err(Fault::Forked.into()));
        }
        match self.look(context) {
            Ok(false) => Poll::Pending,
            Ok(true) => {
                self.leave(false);
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                self.leave(error.is_interrupt());
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<P: Party> Drop for Peer<P> {
    fn drop(&mut self) {
        self.leave(false);
    }
}
