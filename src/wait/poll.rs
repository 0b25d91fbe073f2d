//! Waiting for events that have no wake-up.

use std::time::Duration;

use super::interrupt::BlockedCall;
use super::{Parker, Poll, WaitError, WaitSite, spin};
use crate::error::Fault;
use crate::sysv::time::{self, Deadline};
use crate::wait::adaptive_spin::WaitPolicy;

/// The pauses between two polls of [`poll`].
pub(crate) const NAP_MIN: Duration = Duration::from_micros(50);
pub(crate) const NAP_MAX: Duration = Duration::from_millis(16);

/// Waits for an event that has no wake-up, such as the last acknowledgement, by polling: often at
/// first, then less often. It notices the event late, by an eighth of the time waited and 16 ms at
/// most. `nap` pauses until the interrupt semaphore has another value than before the poll.
pub(crate) fn poll<P: Parker, E: From<Fault>>(
    site: WaitSite<'_, P>,
    policy: &mut WaitPolicy,
    nap: impl Fn(Duration, Option<u16>) -> Result<(), E>,
    deadline: Option<Deadline>,
    poll: impl FnMut(Poll) -> Result<bool, E>,
) -> Result<(), WaitError<E>> {
    let mut call = BlockedCall::begin(site.interrupts);
    let polled = poll_until(&site, &mut call, policy, nap, deadline, poll);
    call.end(matches!(polled, Err(WaitError::Interrupted)));
    polled
}

fn poll_until<P: Parker, E: From<Fault>>(
    site: &WaitSite<'_, P>,
    call: &mut BlockedCall<'_>,
    policy: &mut WaitPolicy,
    nap: impl Fn(Duration, Option<u16>) -> Result<(), E>,
    deadline: Option<Deadline>,
    mut poll: impl FnMut(Poll) -> Result<bool, E>,
) -> Result<(), WaitError<E>> {
    let is_interrupted = call.check();
    let mut poll = |how| match poll(how) {
        Ok(false) if is_interrupted() => Err(WaitError::Interrupted),
        polled => polled.map_err(WaitError::Failed),
    };
    let start = time::now_ns();
    if !call.is_interrupted() && spin::spin(policy, start, deadline, &mut poll)? {
        return Ok(());
    }
    let side = site.holder.seat.side;
    loop {
        // Before the poll: an interrupt that comes after it changes the value.
        let seen =
            call.watch(site.parker, side).map_err(|fault| WaitError::Failed(fault.into()))?;
        if poll(Poll::Exact)? {
            break;
        }
        let left = deadline.map_or(NAP_MAX, |deadline| deadline.remaining());
        if left.is_zero() {
            return Err(WaitError::TimedOut);
        }
        let eighth = Duration::from_nanos(time::since(start) / 8);
        nap(eighth.clamp(NAP_MIN, NAP_MAX).min(left), seen).map_err(WaitError::Failed)?;
    }
    policy.estimate.record_failure(time::since(start));
    Ok(())
}
