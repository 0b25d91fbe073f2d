//! Waiting for what nobody wakes for.

use std::time::Duration;

use super::{Poll, WaitError, spin};
use crate::sysv::time::{self, Deadline};
use crate::wait::adaptive_spin::WaitPolicy;

/// Sleeps between two looks of [`poll`].
const NAP_MIN: Duration = Duration::from_micros(50);
const NAP_MAX: Duration = Duration::from_millis(16);

/// Waits for what nobody wakes for, such as the last acknowledgement: looks now and then, at first
/// often. It is late by an eighth of the time that it took, and 16 ms at most.
pub(crate) fn poll<E>(
    policy: &mut WaitPolicy,
    nap: impl Fn(Duration) -> Result<(), E>,
    deadline: Option<Deadline>,
    mut look: impl FnMut(Poll) -> Result<bool, E>,
) -> Result<(), WaitError<E>> {
    let mut look = |how| look(how).map_err(WaitError::Failed);
    let start = time::now_ns();
    if spin::spin(policy, start, deadline, &mut look)? {
        return Ok(());
    }
    while !look(Poll::Exact)? {
        let left = deadline.map_or(NAP_MAX, |deadline| deadline.remaining());
        if left.is_zero() {
            return Err(WaitError::TimedOut);
        }
        let eighth = Duration::from_nanos((time::now_ns() - start) / 8);
        nap(eighth.clamp(NAP_MIN, NAP_MAX).min(left)).map_err(WaitError::Failed)?;
    }
    policy.estimate.outlasted(time::now_ns() - start);
    Ok(())
}
