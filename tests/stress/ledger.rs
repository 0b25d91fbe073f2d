//! What the members of a channel did, in memory that outlives them.
//!
//! A sender numbers its messages, and its successor continues with unused numbers. Before it sends
//! some, it records the number after them; when the call has returned, it records that they are
//! sent. The messages between the two records of a dead sender may or may not have been sent; all
//! others must arrive. A receiver marks a number while it has the message under its guard, and
//! acknowledges afterwards.

use std::ops::Range;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};

use sysvring_support::shared_counters::shared_counters;

/// The maximum number of senders, and of receivers.
pub const SIDE_MAX: usize = 4;
/// The maximum number of messages of one sender. Each message that is sent takes one bit.
const NUMBERS: usize = 1 << 33;
const WORDS: usize = NUMBERS / 64;

/// One sender, over all its lives.
#[repr(C, align(128))]
pub struct Sent {
    /// Numbers below this are certainly sent, except those that a dead sender had begun.
    pub acknowledged: AtomicU64,
    /// Numbers from this one on are not used yet.
    pub begun: AtomicU64,
    /// How often it was started.
    pub lives: AtomicU64,
}

/// One receiver, over all its lives.
#[repr(C, align(128))]
pub struct Received {
    /// The number of messages that had no mark before.
    pub fresh: AtomicU64,
    /// The number of messages that were redelivered after a receiver's death.
    pub redelivered: AtomicU64,
    /// The number of torn messages, which must be zero, as must the following counts.
    pub torn: AtomicU64,
    pub twice: AtomicU64,
    pub disordered: AtomicU64,
}

/// What the members of one channel share with their supervisor.
#[repr(C)]
pub struct Ledger {
    /// With 1, senders end. With 2, receivers end too.
    pub over: AtomicUsize,
    pub sent: [Sent; SIDE_MAX],
    pub received: [Received; SIDE_MAX],
    marks: [[AtomicU64; WORDS]; SIDE_MAX],
}

/// Increments a number that has one writer.
pub fn add(number: &AtomicU64) {
    number.store(number.load(Relaxed) + 1, Relaxed);
}

impl Ledger {
    /// Returns an empty ledger, shared with the children that are forked later.
    pub fn new() -> &'static Ledger {
        const N: usize = size_of::<Ledger>() / 8;
        // SAFETY: the memory has the length of a ledger, is aligned to a page and never unmapped;
        // zeros are valid numbers.
        unsafe { &*shared_counters::<N>().as_ptr().cast() }
    }

    /// Marks a message as received. Returns whether it was marked before.
    pub fn mark(&self, sender: usize, number: u64) -> bool {
        assert!((number as usize) < NUMBERS, "too many messages for the ledger");
        let word = &self.marks[sender][number as usize / 64];
        let bit = 1 << (number % 64);
        word.fetch_or(bit, Relaxed) & bit != 0
    }

    /// Returns the sum of one of the receivers' numbers.
    pub fn sum(&self, number: fn(&Received) -> &AtomicU64) -> u64 {
        self.received.iter().map(|line| number(line).load(Acquire)).sum()
    }

    /// Returns a dead sender's numbers that may or may not have been sent. Its successor continues
    /// after them.
    pub fn take_doubtful(&self, sender: usize) -> Range<u64> {
        let line = &self.sent[sender];
        let begun = line.begun.load(Acquire);
        let doubtful = line.acknowledged.load(Acquire)..begun;
        line.acknowledged.store(begun, Release);
        doubtful
    }

    /// Scans all numbers. Returns how many were certainly sent and not received, how many were
    /// received and never sent, and in how many lives a later message arrived and an earlier one
    /// did not.
    pub fn close(&self, sender: usize, doubtful: &[Range<u64>]) -> Account {
        let end = self.sent[sender].begun.load(Acquire);
        let mut account = Account::default();
        let mut at = 0;
        for doubt in doubtful {
            account.lost += self.missing(sender, at..doubt.start);
            let arrived = doubt.clone().filter(|&n| self.missing(sender, n..n + 1) == 0).count();
            let arrived_in_front = doubt.start..doubt.start + arrived as u64;
            account.disordered += u64::from(self.missing(sender, arrived_in_front) != 0);
            account.doubtful += doubt.end - doubt.start;
            at = doubt.end;
        }
        account.lost += self.missing(sender, at..end);
        account.sent = end - account.doubtful;
        let behind = &self.marks[sender][(end as usize).div_ceil(64)..][..1_000];
        account.invented =
            behind.iter().map(|word| u64::from(word.load(Acquire).count_ones())).sum();
        account
    }

    /// Returns how many of these numbers have no mark.
    fn missing(&self, sender: usize, numbers: Range<u64>) -> u64 {
        let (mut at, mut missing) = (numbers.start, 0);
        while at < numbers.end {
            let end = numbers.end.min((at / 64 + 1) * 64);
            let wanted = (u64::MAX >> (64 - (end - at))) << (at % 64);
            let word = self.marks[sender][at as usize / 64].load(Acquire);
            missing += u64::from((wanted & !word).count_ones());
            at = end;
        }
        missing
    }
}

/// The account of one sender's messages.
#[derive(Debug, Default)]
pub struct Account {
    /// Certainly sent.
    pub sent: u64,
    /// Begun by a sender that died.
    pub doubtful: u64,
    pub lost: u64,
    pub invented: u64,
    pub disordered: u64,
}
