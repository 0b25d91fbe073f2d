//! Pauses between attempts that fail.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const MAX: Duration = Duration::from_secs(5);

/// Pauses that double from 50 milliseconds to 5 seconds. Each is shortened at random by up to a half, so
/// that many bridges do not come back at once.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Returns the next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = longest(self.failures);
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    /// Starts again with the shortest pause.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Returns a pause after so many failures, for a place that counts them itself.
pub fn after(failures: usize) -> Duration {
    Backoff { failures: failures.try_into().unwrap_or(u32::MAX) }.pause()
}

fn longest(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(16)).min(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_maximum_and_start_again() {
        let mut backoff = Backoff::default();
        for failures in 0..100 {
            let (pause, longest) = (backoff.pause(), longest(failures));
            assert!(pause <= longest && pause >= longest / 2);
        }
        assert_eq!(longest(100), MAX);
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
        assert!(after(usize::MAX) <= MAX);
    }
}
