//! Members of a many-to-many channel: their messages, and how they go on.

use sysvring_support::worker::{hear, say};

use crate::clock;

/// How a member goes on once it is there; it never comes back.
pub trait Course {
    /// Sends messages that begin with a word.
    fn send(&self, send: impl FnMut(u64));

    /// Receives messages: their first words.
    fn receive(&self, receive: impl FnMut() -> u64);
}

/// Turns of so many messages; a tenth to warm up.
pub struct Turns(pub u64);

impl Course for Turns {
    fn send(&self, mut send: impl FnMut(u64)) {
        loop {
            hear();
            (0..self.0 + self.0 / 10).for_each(&mut send);
        }
    }

    /// The result of each turn: million messages a second.
    fn receive(&self, mut receive: impl FnMut() -> u64) {
        say("ready");
        loop {
            hear();
            (0..self.0 / 10).for_each(|n| assert_eq!(receive(), n));
            let start = clock::now();
            (self.0 / 10..self.0 + self.0 / 10).for_each(|n| assert_eq!(receive(), n));
            say(self.0 as f64 / (clock::now() - start) as f64 * 1e3);
        }
    }
}

/// The message that begins with a word.
pub fn message<const N: usize>(first: u64) -> [u64; N] {
    std::array::from_fn(|i| first + i as u64)
}

/// Looks at every word: the first is given back.
pub fn check<const N: usize>(message: &[u64; N]) -> u64 {
    let first = message[0];
    assert!(message.iter().zip(first..).all(|(word, right)| *word == right), "a torn message");
    first
}
