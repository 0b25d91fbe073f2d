//! Polling repeatedly before blocking.

use super::{Poll, WaitError};
use crate::sync::spin_loop;
use crate::sysv::time::{self, Deadline};
use crate::wait::adaptive_spin::{Wait, WaitPolicy};

/// The number of polls between two readings of the clock.
const POLLS: u32 = 32;
/// The interval of the liveness checks of a spinning waiter that never parks.
const LIFE_NS: u64 = 1_000_000;

/// Spins if the policy allows it, and updates the estimate. Returns whether a poll succeeded.
///
/// No `sched_yield` follows the spin: next to a busy process that gives away a time slice, which
/// parking does not.
pub(super) fn spin<E>(
    policy: &mut WaitPolicy,
    start: u64,
    deadline: Option<Deadline>,
    poll: &mut impl FnMut(Poll) -> Result<bool, WaitError<E>>,
) -> Result<bool, WaitError<E>> {
    let found = policy.spins() && spin_budget(policy, start, deadline, poll)?;
    if found && policy.wait == Wait::Balanced {
        policy.estimate.spun(time::since(start));
    }
    Ok(found)
}

/// Spins for the budget, or without limit when the handle never parks.
fn spin_budget<E>(
    policy: &WaitPolicy,
    start: u64,
    deadline: Option<Deadline>,
    poll: &mut impl FnMut(Poll) -> Result<bool, WaitError<E>>,
) -> Result<bool, WaitError<E>> {
    let budget = policy.estimate.budget();
    let mut life = start.saturating_add(LIFE_NS);
    loop {
        for _ in 0..POLLS {
            if poll(Poll::Quick)? {
                return Ok(true);
            }
            spin_loop();
        }
        let now = time::now_ns();
        if deadline.is_some_and(|d| d.passed_at(now)) {
            return Ok(false);
        }
        if policy.wait != Wait::Spin {
            if now.saturating_sub(start) >= budget {
                return Ok(false);
            }
        } else if now >= life {
            if poll(Poll::Exact)? {
                return Ok(true);
            }
            life = now.saturating_add(LIFE_NS);
        }
    }
}
