//! Members of an MPMC channel: their messages and workloads.

use sysvring_support::worker::{print_line, read_line};

use crate::clock;

/// The workload of a member once it has joined; it runs until the process is killed.
pub trait MpmcWorkload {
    /// Sends messages, each identified by its first word.
    fn send(&self, send: impl FnMut(u64));

    /// Receives messages; `receive` returns the first word of each.
    fn receive(&self, receive: impl FnMut() -> u64);
}

/// Turns of a fixed message count, after a tenth as many to warm up.
pub struct Turns(pub u64);

impl MpmcWorkload for Turns {
    fn send(&self, mut send: impl FnMut(u64)) {
        loop {
            read_line();
            (0..self.0 + self.0 / 10).for_each(&mut send);
        }
    }

    /// Reports the throughput of each turn in Mmsg/s.
    fn receive(&self, mut receive: impl FnMut() -> u64) {
        print_line("ready");
        loop {
            read_line();
            (0..self.0 / 10).for_each(|n| assert_eq!(receive(), n));
            let start = clock::now();
            (self.0 / 10..self.0 + self.0 / 10).for_each(|n| assert_eq!(receive(), n));
            print_line(self.0 as f64 / (clock::now() - start) as f64 * 1e3);
        }
    }
}

/// Returns the message that begins with `first`.
pub fn message<const N: usize>(first: u64) -> [u64; N] {
    std::array::from_fn(|i| first + i as u64)
}

/// Checks every word and returns the first.
pub fn check<const N: usize>(message: &[u64; N]) -> u64 {
    let first = message[0];
    assert!(message.iter().zip(first..).all(|(word, right)| *word == right), "a torn message");
    first
}
