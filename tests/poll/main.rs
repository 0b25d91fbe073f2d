//! Wait sets and readiness: what makes a handle ready, how soon, and what it costs.

mod corrupted_words;
mod deaths;
mod descriptors;
mod forks;
mod interrupts;
mod limits;
mod other_events;
mod random_kills;
mod ready_handles;
mod removal;
mod scale;
mod sets;
mod shared_side;
mod successors;
mod threads;

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use sysvring::{Event, Token, WaitSet};

/// Does not wait.
const NOW: Option<Duration> = Some(Duration::ZERO);
/// Longer than anything that is waited for.
const LONG: Option<Duration> = Some(Duration::from_secs(20));

/// Returns the events of one wait.
fn wait(set: &WaitSet, timeout: Option<Duration>) -> Vec<Event> {
    set.wait(timeout).expect("a set of this process")
}

/// Returns the tokens of one wait.
fn tokens(set: &WaitSet, timeout: Option<Duration>) -> Vec<Token> {
    wait(set, timeout).iter().map(Event::token).collect()
}

/// Returns whether a descriptor is readable, or becomes so in time.
fn is_readable(fd: &impl AsFd, timeout: Duration) -> bool {
    let fd = fd.as_fd().as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one `pollfd`, which outlives the call.
    unsafe { libc::poll(&mut poll, 1, timeout.as_millis() as i32) == 1 }
}

/// Returns the number of open descriptors of this process.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("the descriptors of this process").count()
}

fn main() -> std::process::ExitCode {
    sysvring_support::suite::main()
}
