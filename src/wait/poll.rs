//! Waiting for events that have no wake-up.

use std::time::Duration;

use super::{Poll, WaitError, spin};
use crate::sysv::time::{self, Deadline};
use crate::wait::adaptive_spin::WaitPolicy;

/// The pauses between two polls of [`poll`].
const NAP_MIN: Duration = Duration::from_micros(50);
const NAP_MAX: Duration = Duration::from_millis(16);

/// Waits for an event that has no wake-up, such as the last acknowledgement, by polling: often at
/// first, then less often. It notices the event late, by an eighth of the time waited and 16 ms at
/// most.
pub(crate) fn poll<E>(
    policy: &mut WaitPolicy,
    nap: impl Fn(Duration) -> Result<(), E>,
    deadline: Option<Deadline>,
    mut poll: impl FnMut(Poll) -> Result<bool, E>,
) -> Result<(), WaitError<E>> {
    let mut poll = |how| poll(how).map_err(WaitError::Failed);
    let start = time::now_ns();
    if spin::spin(policy, start, deadline, &mut poll)? {
        return Ok(());
    }
    while !poll(Poll::Exact)? {
        let left = deadline.map_or(NAP_MAX, |deadline| deadline.remaining());
        if left.is_zero() {
            return Err(WaitError::TimedOut);
        }
        let eighth = Duration::from_nanos((time::now_ns() - start) / 8);
        nap(eighth.clamp(NAP_MIN, NAP_MAX).min(left)).map_err(WaitError::Failed)?;
    }
    policy.estimate.record_failure(time::now_ns() - start);
    Ok(())
}
