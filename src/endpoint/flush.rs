//! The check that ends a wait for every message to be acknowledged.

use crate::error::SendError;

/// Returns whether every message was acknowledged, or [`SendError::Disconnected`] if some were not
/// and no receiver is left to do it.
///
/// The last receiver may acknowledge the last message and leave between the two checks. So the ring
/// decides: it is checked again once the receivers are known to be gone, when everything that they
/// did is visible.
pub(crate) fn is_flushed<E>(
    is_drained: impl Fn() -> bool,
    is_abandoned: impl FnOnce() -> Result<bool, E>,
) -> Result<bool, SendError>
where
    SendError: From<E>,
{
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
    use crate::error::Fault;

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
                    Ok::<bool, Fault>(gone)
                },
            );
            assert_eq!(asked, expected);
        }
    }
}
