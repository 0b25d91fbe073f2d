//! Time that counts: without what a process waited for a processor that others had.

use std::time::{Duration, Instant};

/// A stop watch for this thread, and for a child or another thread that it waits for.
pub struct Watch {
    start: Instant,
    tasks: Vec<String>,
    waited: Duration,
}

impl Watch {
    pub fn start() -> Watch {
        Watch::of(vec!["thread-self".into()])
    }

    pub fn with(other: i32) -> Watch {
        Watch::of(vec!["thread-self".into(), other.to_string()])
    }

    fn of(tasks: Vec<String>) -> Watch {
        let waited = waited(&tasks);
        Watch { start: Instant::now(), tasks, waited }
    }

    /// The time since the start, without the waits for a processor.
    pub fn took(&self) -> Duration {
        let elapsed = self.start.elapsed();
        elapsed.saturating_sub(waited(&self.tasks).saturating_sub(self.waited))
    }
}

/// How long these tasks have waited for a processor; nothing where the kernel does not say.
fn waited(tasks: &[String]) -> Duration {
    let one = |task: &String| {
        let text = std::fs::read_to_string(format!("/proc/{task}/schedstat")).ok()?;
        // Nanoseconds at work, nanoseconds waiting to be, and how often.
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.iter().filter_map(one).sum())
}
