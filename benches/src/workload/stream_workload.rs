//! The stream workload of both sides, and its messages.

use std::hint::black_box;
use std::ops::Range;

use sysvring_support::worker::{print_line, read_line};

use crate::{clock, trace};

/// Runs the sender: on `go`, it sends a turn, the first tenth to warm up and the rest between two
/// marks for the tracer.
pub fn turns(count: u64, mut send: impl FnMut(Range<u64>)) {
    let mut next = 1;
    loop {
        read_line();
        send(next..next + count / 10);
        trace::mark(trace::START);
        send(next + count / 10..next + count);
        trace::mark(trace::END);
        next += count;
    }
}

/// Runs the receiver likewise and reports the throughput of each turn in Mmsg/s.
pub fn timed_turns(count: u64, mut receive: impl FnMut(Range<u64>)) {
    print_line("ready");
    let mut next = 1;
    loop {
        read_line();
        receive(next..next + count / 10);
        trace::mark(trace::START);
        let start = clock::now();
        receive(next + count / 10..next + count);
        let ns = clock::now() - start;
        trace::mark(trace::END);
        print_line((count - count / 10) as f64 / ns as f64 * 1e3);
        next += count;
    }
}

/// Writes the `n`th message into a buffer: consecutive numbers from `n`, one per word.
#[inline(always)]
pub fn write<const N: usize>(place: &mut [u64; N], n: u64) {
    for (word, n) in place.iter_mut().zip(n..) {
        *word = n;
    }
}

/// Checks the first word and the sum of all words.
#[inline(always)]
pub fn check<const N: usize>(message: &[u64; N], n: u64) {
    let message = shown(message);
    let sum = message.iter().fold(0u64, |sum, word| sum.wrapping_add(*word));
    let words = N as u64;
    let right = n.wrapping_mul(words).wrapping_add(words * (words - 1) / 2);
    assert!(message[0] == n && sum == right, "message {n} is wrong: {:?}", &message[..1]);
}

/// Keeps the compiler from merging the work on a message with its transport. Messages that fit into
/// a register may stay there.
#[inline(always)]
pub fn shown<T>(message: &T) -> &T {
    if size_of::<T>() > 8 { black_box(message) } else { message }
}
