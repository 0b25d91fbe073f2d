//! What victims and peers report, in memory that they share with the driver and that outlives them.

use std::sync::atomic::{AtomicU64, Ordering};

use sysvring_support::shared_counters;

use crate::steps::ledger::Ledger;

/// The number of messages moved, as far as a reporter that may die at any instruction can record
/// it: the messages of calls that returned, and those of calls that were begun.
#[derive(Clone, Copy)]
pub struct Span {
    min: &'static AtomicU64,
    max: &'static AtomicU64,
}

fn add(to: &AtomicU64, n: u64) {
    // There is one writer at a time, so a plain store is enough, and the report costs few
    // instructions.
    to.store(to.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
}

impl Span {
    pub fn new(min: &'static AtomicU64, max: &'static AtomicU64) -> Span {
        Span { min, max }
    }

    pub fn set(&self, n: u64) {
        self.min.store(n, Ordering::Release);
        self.max.store(n, Ordering::Release);
    }

    /// Records that a call that moves `n` messages is about to be made.
    #[inline(always)]
    pub fn begin(&self, n: u64) {
        add(self.max, n);
    }

    /// Records that the call returned and moved `moved` of the `n` messages.
    #[inline(always)]
    pub fn end(&self, n: u64, moved: u64) {
        add(self.min, moved);
        add(self.max, moved.wrapping_sub(n));
    }

    /// Returns the minimum and the maximum that can have been moved.
    pub fn get(&self) -> (u64, u64) {
        (self.min.load(Ordering::Acquire), self.max.load(Ordering::Acquire))
    }
}

/// One number.
#[derive(Clone, Copy)]
pub struct Cell(&'static AtomicU64);

impl Cell {
    pub fn new(number: &'static AtomicU64) -> Cell {
        Cell(number)
    }

    #[inline(always)]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Release);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

const TEXT: usize = 32;

/// Text of up to 256 bytes, empty at first.
#[derive(Clone, Copy)]
pub struct Text(&'static [AtomicU64; TEXT]);

impl Text {
    pub fn set(&self, text: &str) {
        let bytes = &text.as_bytes()[..text.len().min(TEXT * 8)];
        for (i, word) in self.0.iter().enumerate() {
            let mut eight = [0; 8];
            let part = bytes.get(i * 8..).unwrap_or_default();
            let n = part.len().min(8);
            eight[..n].copy_from_slice(&part[..n]);
            word.store(u64::from_ne_bytes(eight), Ordering::Release);
        }
    }

    pub fn get(&self) -> String {
        let words = self.0.iter().map(|word| word.load(Ordering::Acquire));
        let bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).take_while(|b| *b != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The victim's progress.
pub mod victim {
    /// Its operation has not returned.
    pub const AT_WORK: u64 = 0;
    pub const SUCCEEDED: u64 = 1;
    /// Its operation failed, as its text describes.
    pub const FAILED: u64 = 2;
}

/// The peer's progress; 0 before it has joined.
pub mod peer {
    /// It has its seat.
    pub const HERE: u64 = 1;
    /// Its call returned with success.
    pub const SUCCEEDED: u64 = 2;
    /// Its call returned `Disconnected`.
    pub const DISCONNECTED: u64 = 3;
    /// Its call returned `Fault::Removed`.
    pub const REMOVED: u64 = 4;
    /// Its call returned another error, as the text describes.
    pub const FAILED: u64 = 5;
}

/// The memory that the driver, the victim and the peer share.
#[derive(Clone, Copy)]
pub struct Shared {
    /// One of the values in [`victim`].
    pub victim: Cell,
    pub victim_text: Text,
    pub victim_pid: Cell,
    /// Whether the victim stops at its last mark. Without a tracer, it would sleep forever there.
    pub traced: Cell,
    /// One of the values in [`peer`].
    pub peer: Cell,
    pub peer_text: Text,
    /// When the peer's call returned.
    pub peer_at: Cell,
    /// What the peer is to do next.
    pub order: Cell,
    /// The identifier of a private channel.
    pub id: Text,
    pub ledger: Ledger,
}

impl Shared {
    /// Returns zeros, for the life of this process.
    pub fn new() -> Shared {
        let [victim, victim_pid, traced, peer, peer_at, order] =
            shared_counters::shared_counters::<6>().each_ref().map(Cell::new);
        let [victim_text, peer_text, id] =
            [(); 3].map(|()| Text(shared_counters::shared_counters()));
        let ledger = Ledger::new();
        Shared {
            victim,
            victim_text,
            victim_pid,
            traced,
            peer,
            peer_text,
            peer_at,
            order,
            id,
            ledger,
        }
    }

    /// Resets everything for the next victim.
    pub fn clear(&self) {
        self.traced.set(1);
        self.ledger.clear();
        for cell in [self.victim, self.peer, self.peer_at, self.order] {
            cell.set(0);
        }
        for text in [self.victim_text, self.peer_text, self.id] {
            text.set("");
        }
    }
}
