//! Waiting until every message is acknowledged.

use core::time::Duration;

use super::Membership;
use super::send::{SendPort, SendRing};
use crate::error::{Fault, SendError};
use crate::wait::blocking::Blocking;
use crate::wait::{self, Poll, WaitError};

impl<R: SendRing, M: Membership> SendPort<'_, R, M> {
    /// Blocks until every message is acknowledged, for at most `timeout`.
    pub(crate) fn flush(mut self, timeout: Duration) -> Result<(), SendError> {
        self.member.check()?;
        self.notify_again();
        let SendPort { ring, member } = &mut self;
        let poll = |poll| match poll {
            Poll::Quick => Ok(ring.is_flushed()),
            _ => {
                ring.pass_over_dead(*member)?;
                is_flushed(
                    || ring.is_flushed(),
                    || Ok(member.is_abandoned(&member.semaphore_values()?)),
                )
            }
        };
        let nap = |time, seen| Ok(member.nap(time, seen)?);
        let deadline = Blocking::For(timeout).deadline();
        let polled =
            member.with_policy(|policy| wait::poll(member.site(), policy, nap, deadline, poll));
        polled.map_err(|error| match error {
            WaitError::TimedOut => SendError::Timeout,
            WaitError::Interrupted => SendError::Interrupted,
            WaitError::Failed(SendError::Fault(fault)) => member.stop(fault).into(),
            WaitError::Failed(error) => error,
        })
    }
}

#[cfg(feature = "async")]
impl<R: SendRing, M: Membership> SendPort<'_, R, M> {
    /// Returns whether every message is acknowledged, without blocking.
    pub(crate) fn try_flush(mut self) -> Result<bool, SendError> {
        self.member.check()?;
        self.notify_again();
        let SendPort { ring, member } = &mut self;
        ring.pass_over_dead(*member)?;
        let is_abandoned = || Ok(member.is_abandoned(&member.semaphore_values()?));
        is_flushed(|| ring.is_flushed(), is_abandoned).map_err(|error| match error {
            SendError::Fault(fault) => member.stop(fault).into(),
            error => error,
        })
    }
}

/// Returns whether every message was acknowledged, or [`SendError::Disconnected`] if some were not
/// and no receiver is left to do it.
///
/// The last receiver may acknowledge the last message and leave between the two checks. So the ring
/// decides: it is checked again once the receivers are known to be gone, when everything that they
/// did is visible.
pub(crate) fn is_flushed(
    is_drained: impl Fn() -> bool,
    is_abandoned: impl FnOnce() -> Result<bool, Fault>,
) -> Result<bool, SendError> {
    if is_drained() {
        return Ok(true);
    }
    match is_abandoned()? {
        true if !is_drained() => Err(SendError::Disconnected),
        drained => Ok(drained),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[test]
    fn the_ring_has_the_last_word() {
        for (before, gone, after, expected) in [
            (true, true, true, Ok(true)),
            (false, false, false, Ok(false)),
            // Drained in the meantime, but a receiver is left, and the caller polls again.
            (false, false, true, Ok(false)),
            (false, true, true, Ok(true)),
            (false, true, false, Err(SendError::Disconnected)),
        ] {
            let drained = Cell::new(before);
            let asked = is_flushed(
                || drained.get(),
                || {
                    drained.set(after);
                    Ok(gone)
                },
            );
            assert_eq!(asked, expected);
        }
    }
}
