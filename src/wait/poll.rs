//! Waiting for what nobody wakes for.

use std::time::Duration;

use super::{Ended, Look, spin};
use crate::sysv::time::{self, Deadline};
use crate::wait::adaptive_spin::Pace;

/// Sleeps between two looks of [`poll`].
const NAP_MIN: Duration = Duration::from_micros(50);
const NAP_MAX: Duration = Duration::from_millis(16);

/// Waits for what nobody wakes for, such as the last acknowledgement: looks now and then, at first
/// often. It is late by an eighth of the time that it took, and 16 ms at most.
pub(crate) fn poll<E>(
    pace: &mut Pace,
    nap: impl Fn(Duration) -> Result<(), E>,
    deadline: Option<Deadline>,
    mut look: impl FnMut(Look) -> Result<bool, E>,
) -> Result<(), Ended<E>> {
    let mut look = |how| look(how).map_err(Ended::Failed);
    let start = time::now_ns();
    if spin::spin(pace, start, deadline, &mut look)? {
        return Ok(());
    }
    while !look(Look::Exact)? {
        let left = deadline.map_or(NAP_MAX, |deadline| deadline.remaining());
        if left.is_zero() {
            return Err(Ended::TimedOut);
        }
        let eighth = Duration::from_nanos((time::now_ns() - start) / 8);
        nap(eighth.clamp(NAP_MIN, NAP_MAX).min(left)).map_err(Ended::Failed)?;
    }
    pace.learnt.outlasted(time::now_ns() - start);
    Ok(())
}
