//! Waiting until a broadcast channel has receivers.

use core::time::Duration;

use super::Membership;
use super::send::SendPort;
use super::spsc::Sending;
use crate::error::{Fault, SendError};
use crate::wait::blocking::Blocking;
use crate::wait::{self, Poll, WaitError};

impl<M: Membership> SendPort<'_, &mut Sending, M> {
    /// Blocks until there are so many living receivers, for at most `timeout`.
    pub(crate) fn gather(self, count: usize, timeout: Duration) -> Result<(), SendError> {
        self.member.check()?;
        let SendPort { ring, member } = self;
        let poll = |poll| match poll {
            Poll::Quick => Ok(false),
            _ => Ok(count_receivers(ring, member)? >= count),
        };
        let nap = |time, seen| member.nap(time, seen);
        let deadline = Blocking::For(timeout).deadline();
        let polled =
            member.with_policy(|policy| wait::poll(member.site(), policy, nap, deadline, poll));
        polled.map_err(|error| match error {
            WaitError::Failed(fault) => member.stop(fault).into(),
            error => error.into(),
        })
    }
}

/// Returns the number of living receivers, and forgets dead ones.
pub(crate) fn count_receivers(
    ring: &mut Sending,
    member: &impl Membership,
) -> Result<usize, Fault> {
    let alive = member.semaphore_values()?;
    let ring = ring.producer.ring();
    let mut count = 0;
    for receiver in ring.receivers(true) {
        match alive.is_taken(receiver.seat) {
            true => count += 1,
            // Asked again: the receiver may have joined after that question.
            false if member.is_dead(receiver.seat)? => ring.forget_dead(receiver),
            false => count += 1,
        }
    }
    Ok(count)
}
