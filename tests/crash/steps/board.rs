//! What victims and peers report, in memory that they share with the driver: it outlives them.

use std::sync::atomic::{AtomicU64, Ordering};

use sysvring_support::board;

use crate::steps::many::ledger::Ledger;

/// How many messages were moved, as far as a reporter that may die at any instruction can tell:
/// those of calls that returned, and those of calls that were begun.
#[derive(Clone, Copy)]
pub struct Span {
    least: &'static AtomicU64,
    most: &'static AtomicU64,
}

fn add(to: &AtomicU64, n: u64) {
    // One writer at a time: a plain store, so that the report costs few instructions.
    to.store(to.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
}

impl Span {
    pub fn new(least: &'static AtomicU64, most: &'static AtomicU64) -> Span {
        Span { least, most }
    }

    pub fn set(&self, n: u64) {
        self.least.store(n, Ordering::Release);
        self.most.store(n, Ordering::Release);
    }

    /// A call that moves `n` messages is about to be made.
    #[inline(always)]
    pub fn begin(&self, n: u64) {
        add(self.most, n);
    }

    /// It returned, and moved `moved` of the `n`.
    #[inline(always)]
    pub fn end(&self, n: u64, moved: u64) {
        add(self.least, moved);
        add(self.most, moved.wrapping_sub(n));
    }

    /// The least and the most that can have been moved.
    pub fn get(&self) -> (u64, u64) {
        (self.least.load(Ordering::Acquire), self.most.load(Ordering::Acquire))
    }
}

/// One number of the board.
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

/// Text of up to 256 bytes; empty at first.
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

/// How far the victim is.
pub mod victim {
    /// Its operation did not return.
    pub const AT_WORK: u64 = 0;
    pub const SUCCEEDED: u64 = 1;
    /// Its text tells how.
    pub const FAILED: u64 = 2;
}

/// How far the peer is; 0 when it is not there yet.
pub mod peer {
    /// It has its seat.
    pub const HERE: u64 = 1;
    /// Its call returned with success,
    pub const SUCCEEDED: u64 = 2;
    /// with `Disconnected`,
    pub const DISCONNECTED: u64 = 3;
    /// with `Fault::Removed`,
    pub const REMOVED: u64 = 4;
    /// or with what the text tells.
    pub const FAILED: u64 = 5;
}

/// See the top of this file.
#[derive(Clone, Copy)]
pub struct Board {
    pub sent: Span,
    pub taken: Span,
    /// One of [`victim`].
    pub victim: Cell,
    pub victim_text: Text,
    /// Whether the victim stops at its last mark; it would sleep for ever without a tracer.
    pub traced: Cell,
    /// One of [`peer`].
    pub peer: Cell,
    pub peer_text: Text,
    /// When the peer's call returned.
    pub peer_at: Cell,
    /// What the peer is to do next.
    pub order: Cell,
    /// Messages that were not what their position says.
    pub wrong: Cell,
    /// The identifier of a private channel.
    pub id: Text,
    /// Of a many-to-many channel, instead of `sent` and `taken`.
    pub many: Ledger,
}

impl Board {
    /// A board of zeros, for the life of this process.
    pub fn new() -> Board {
        let [a, b, c, d, e, f, g, h, i, j] = board::board::<10>();
        Board {
            sent: Span { least: a, most: b },
            taken: Span { least: c, most: d },
            victim: Cell(e),
            victim_text: Text(board::board()),
            traced: Cell(f),
            peer: Cell(g),
            peer_text: Text(board::board()),
            peer_at: Cell(h),
            order: Cell(i),
            wrong: Cell(j),
            id: Text(board::board()),
            many: Ledger::new(),
        }
    }

    /// As at the start of a case with `fill` messages in the ring.
    pub fn clear(&self, fill: u64) {
        self.sent.set(fill);
        self.taken.set(0);
        self.traced.set(1);
        self.many.clear();
        for cell in [self.victim, self.peer, self.peer_at, self.order, self.wrong] {
            cell.set(0);
        }
        for text in [self.victim_text, self.peer_text, self.id] {
            text.set("");
        }
    }
}
