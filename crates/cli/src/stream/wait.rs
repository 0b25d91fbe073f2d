//! A pause that a signal ends.

use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::signals::{self, Signals};

/// Pauses.
#[derive(Debug)]
pub struct Pause<'a> {
    signals: &'a Signals,
}

impl<'a> Pause<'a> {
    pub fn new(signals: &'a Signals) -> Pause<'a> {
        Pause { signals }
    }

    /// Sleeps for this time. Returns false if a signal came.
    pub fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now().checked_add(time);
        loop {
            if signals::received().is_some() {
                return false;
            }
            let left =
                end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return true;
            }
            // Milliseconds, rounded up, would be too coarse for the last one.
            if left < Duration::from_millis(2) {
                std::thread::sleep(left);
                continue;
            }
            let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let left = u16::try_from(left.as_millis() - 1).unwrap_or(u16::MAX);
            let _ = poll(&mut fds, PollTimeout::from(left));
        }
    }
}
