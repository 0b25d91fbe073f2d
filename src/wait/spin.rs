//! Looking again and again before a sleep.

use super::{Ended, Look};
use crate::pace::{Pace, Wait};
use crate::sync::spin_loop;
use crate::sysv::time::{self, Deadline};

/// Looks between two looks at the clock.
const POLLS: u32 = 32;
/// A spinning waiter that never parks looks after its peer this often.
const LIFE_NS: u64 = 1_000_000;
const YIELDS: u32 = 3;

/// Spins, and gives the processor up a few times. Whether that found something.
pub(super) fn spin<E>(
    pace: &mut Pace,
    start: u64,
    deadline: Option<Deadline>,
    look: &mut impl FnMut(Look) -> Result<bool, Ended<E>>,
) -> Result<bool, Ended<E>> {
    if pace.wait == Wait::Park {
        return Ok(false);
    }
    if !pace.alone && spin_budget(pace, start, deadline, look)? {
        pace.learnt.met();
        return Ok(true);
    }
    for _ in 0..YIELDS {
        if look(Look::Quick)? {
            pace.learnt.outlasted(time::now_ns().saturating_sub(start));
            return Ok(true);
        }
        // On a busy machine the processor may be back only much later.
        if deadline.is_some_and(|d| d.passed()) {
            break;
        }
        crate::sysv::process::yield_now();
    }
    Ok(false)
}

/// Spins for the budget, or as long as it takes when the handle never parks.
fn spin_budget<E>(
    pace: &Pace,
    start: u64,
    deadline: Option<Deadline>,
    look: &mut impl FnMut(Look) -> Result<bool, Ended<E>>,
) -> Result<bool, Ended<E>> {
    let budget = pace.learnt.budget();
    let mut life = start + LIFE_NS;
    loop {
        for _ in 0..POLLS {
            if look(Look::Quick)? {
                return Ok(true);
            }
            spin_loop();
        }
        let now = time::now_ns();
        if deadline.is_some_and(|d| d.passed_at(now)) {
            return Ok(false);
        }
        if pace.wait != Wait::Spin {
            if now - start >= budget {
                return Ok(false);
            }
        } else if now >= life {
            if look(Look::Exact)? {
                return Ok(true);
            }
            life = now + LIFE_NS;
        }
    }
}
