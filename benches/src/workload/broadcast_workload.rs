//! The workload of a sender and of receivers that all get every message.

use sysvring_support::worker::{print_line, read_line};

use crate::clock;
use crate::transport::traits::{Receive, Send};
use crate::workload::stream_workload::check;

/// Sends turns: the first tenth to warm up. Reports when the rest began, and the processor time that
/// it took.
pub fn send<const N: usize>(mut tx: impl Send<N>, count: u64) {
    let mut place = [0; N];
    let mut next = 1;
    loop {
        (next..next + count / 10).for_each(|n| tx.send_nth(&mut place, n));
        let (start, worked) = (clock::now(), clock::worked());
        (next + count / 10..next + count).for_each(|n| tx.send_nth(&mut place, n));
        print_line(format!("{start} {}", clock::worked() - worked));
        next += count;
        read_line();
    }
}

/// Receives them, and reports when the last one of a turn was received.
pub fn receive<const N: usize>(mut rx: impl Receive<N>, count: u64) {
    let mut place = [0; N];
    let mut next = 1;
    loop {
        read_line();
        (next..next + count).for_each(|n| rx.read(&mut place, |message| check(message, n)));
        print_line(clock::now());
        next += count;
    }
}
