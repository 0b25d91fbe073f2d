//! How far a long command is: one line on standard error that is written over.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::units;

/// The time between two lines, and before the first.
const INTERVAL: Duration = Duration::from_millis(500);

/// Messages and bytes so far.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    is_wanted: bool,
    is_shown: bool,
    start: Instant,
    next: Instant,
    /// Messages since the last look at the clock.
    unchecked: u32,
    last: (Instant, u64),
    has_line: bool,
    pub messages: u64,
    pub bytes: u64,
}

impl Progress {
    /// Counts from now on. The line is shown if the user asked for it, or if standard error is a
    /// terminal that standard output does not write to.
    pub fn new(what: &'static str, is_wanted: bool) -> Progress {
        let now = Instant::now();
        let is_free = io::stderr().is_terminal() && !io::stdout().is_terminal();
        Progress {
            what,
            is_wanted,
            is_shown: is_wanted || is_free,
            start: now,
            next: now + INTERVAL,
            unchecked: 0,
            last: (now, 0),
            has_line: false,
            messages: 0,
            bytes: 0,
        }
    }

    /// Counts a message.
    pub fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
        if self.is_shown {
            self.unchecked += 1;
            if self.unchecked >= 1024 {
                self.show_if_due();
            }
        }
    }

    /// Shows the line if it is time. To be called before a wait, too.
    pub fn show_if_due(&mut self) {
        let now = Instant::now();
        self.unchecked = 0;
        if self.is_shown && now >= self.next {
            let (then, messages) = self.last;
            let rate = (self.messages - messages) as f64 / (now - then).as_secs_f64();
            self.show(&format!("{} messages/s", units::rate(rate)), now);
            self.last = (now, self.messages);
            self.next = now + INTERVAL;
        }
    }

    fn show(&mut self, rate: &str, now: Instant) {
        let messages = match self.messages {
            1 => "1 message".into(),
            n => format!("{} messages", units::number(n)),
        };
        let size = units::size(self.bytes);
        let seconds = units::duration(now - self.start);
        // Erases what is left of a longer line.
        let erase = if io::stderr().is_terminal() { "\r\x1b[K" } else { "\r" };
        let line = format!("{erase}{} {messages}, {size}, {rate}, {seconds}", self.what);
        let _ = io::stderr().write_all(line.as_bytes());
        self.has_line = true;
    }
}

impl Drop for Progress {
    /// Ends the line with the mean of the whole. What took no time has a line if it was asked for.
    fn drop(&mut self) {
        if self.has_line || self.is_wanted {
            let now = Instant::now();
            let rate = self.messages as f64 / (now - self.start).as_secs_f64();
            self.show(&format!("{} messages/s on average", units::rate(rate)), now);
            let _ = io::stderr().write_all(b"\n");
        }
    }
}
