//! Taps beside real senders and receivers: what they report is whole, what they miss is counted, and
//! no member can tell that they are there.

mod corrupted_segments;
mod deaths;
mod positions;
mod removal;
mod streams;
mod unnoticed;
mod users;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sysvring::{Tap, Tapped};

/// Longer than anything that is waited for.
const LONG: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    sysvring_support::suite::main()
}

/// Returns the words of a message.
fn words(message: &[u8]) -> Vec<u64> {
    let words = message.chunks_exact(8);
    assert!(words.remainder().is_empty(), "{} bytes", message.len());
    words.map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes"))).collect()
}

/// Returns the next message, which must come in time, with its words.
#[track_caller]
fn next(tap: &mut Tap) -> (Tapped, Vec<u64>) {
    let mut message = Vec::new();
    let tapped = tap.next_timeout(&mut message, LONG).expect("a channel");
    (tapped.expect("a message in time"), words(&message))
}

/// Returns the positions of all messages that are there now. Each word of a message must be its
/// position.
fn rest(tap: &mut Tap) -> Vec<u64> {
    let (mut message, mut positions) = (Vec::new(), Vec::new());
    while let Some(tapped) = tap.try_next(&mut message).expect("a channel") {
        check(&message, tapped.position);
        positions.push(tapped.position);
    }
    positions
}

/// Checks that each word of a message is its position.
#[track_caller]
fn check(message: &[u8], position: u64) {
    assert!(!message.is_empty(), "at {position}");
    for word in message.chunks_exact(8) {
        assert_eq!(word, position.to_ne_bytes(), "torn or wrong at {position}: {message:x?}");
    }
}

/// Follows a channel until `is_over` and until nothing is left then. Checks every message, and the
/// counts. Returns how many messages were looked at.
fn follow(tap: &mut Tap, mut is_over: impl FnMut(&Tap) -> bool) -> u64 {
    let (mut message, start, mut last) = (Vec::new(), Instant::now(), None);
    loop {
        let over = is_over(tap);
        let found = tap.next_timeout(&mut message, Duration::from_millis(1)).expect("a channel");
        match found {
            Some(tapped) => {
                check(&message, tapped.position);
                if let Some(last) = last.replace(tapped.position) {
                    assert!(tapped.position > last, "{} comes after {last}", tapped.position);
                    let passed = tapped.position - last - 1;
                    assert!(tapped.missed <= passed, "{} missed of {passed}", tapped.missed);
                }
            }
            None if over => return tap.seen(),
            None => {}
        }
        assert!(start.elapsed() < 4 * LONG, "it is never over");
    }
}
