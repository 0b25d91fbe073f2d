//! Which process sent and received which messages in an MPMC channel. Positions do not identify
//! messages there, so they have numbers: each sender has a separate range.

use sysvring_support::board;

use crate::steps::messages::{Load, load};
use crate::steps::report::{Board, Cell, Span};

/// The first number of the messages that were in the ring before.
pub const OLD: u64 = 0;
/// The first number of the victim's messages. The next constant is that of its peer or follower.
pub const VICTIM: u64 = 16;
pub const PEER: u64 = 32;
/// The first number of the survivors' messages.
pub const SURVIVOR: u64 = 64;

/// What one process reports that it did.
#[derive(Clone, Copy)]
pub struct Report {
    /// Its first number.
    pub first: u64,
    pub sent: Span,
    /// The number of messages that it has, or may have, in flight.
    pub held: Span,
    /// The number of messages that it acknowledged, or may have acknowledged.
    pub taken: Span,
    /// One bit for each message that it received, and one for each that it read in its slot.
    pub got: Cell,
    pub seen: Cell,
}

impl Report {
    fn new(first: u64) -> Report {
        let [a, b, c, d, e, f, g, h] = board::board::<8>();
        Report {
            first,
            sent: Span::new(a, b),
            held: Span::new(c, d),
            taken: Span::new(e, f),
            got: Cell::new(g),
            seen: Cell::new(h),
        }
    }

    fn clear(&self) {
        [self.sent, self.held, self.taken].iter().for_each(|span| span.set(0));
        [self.got, self.seen].iter().for_each(|cell| cell.set(0));
    }

    /// Makes a call that sends one message.
    #[inline(always)]
    pub fn sending<E>(&self, call: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        self.sent.begin(1);
        let result = call();
        self.sent.end(1, result.is_ok().into());
        result
    }

    /// Makes a call that receives one message.
    #[inline(always)]
    pub fn receiving<E>(
        &self,
        board: &Board,
        call: impl FnOnce() -> Result<Load, E>,
    ) -> Result<(), E> {
        self.held.begin(1);
        self.taken.begin(1);
        let result = call();
        if let Ok(got) = &result {
            note(board, self.got, got);
        }
        self.taken.end(1, result.is_ok().into());
        self.held.end(1, result.is_ok().into());
        result.map(drop)
    }

    /// Returns, for calls that were begun and did not return, how many messages they may have in
    /// flight and how many they may have acknowledged.
    pub fn open(&self) -> (u64, u64) {
        let open = |span: Span| span.get().1.wrapping_sub(span.get().0);
        (open(self.held), open(self.taken))
    }
}

/// Records a message. One that is torn, or received a second time, is counted as wrong.
#[inline(always)]
pub fn note(board: &Board, cell: Cell, got: &Load) {
    let number = got[0];
    let known = cell.get();
    let bit = if number < SURVIVOR { 1 << number } else { 0 };
    if *got != load(number) || known & bit != 0 {
        board.wrong.set(1);
    }
    cell.set(known | bit);
}

/// The reports of all processes of an MPMC case.
#[derive(Clone, Copy)]
pub struct Ledger {
    pub victim: Report,
    /// The report of the peer, or of the process that follows the victim.
    pub peer: Report,
    /// How many messages were in the ring before.
    pub old: Cell,
    /// How many of those a dead member had in flight.
    pub orphans: Cell,
}

impl Ledger {
    pub fn new() -> Ledger {
        let [old, orphans] = board::board::<2>();
        Ledger {
            victim: Report::new(VICTIM),
            peer: Report::new(PEER),
            old: Cell::new(old),
            orphans: Cell::new(orphans),
        }
    }

    pub fn clear(&self) {
        self.victim.clear();
        self.peer.clear();
        self.old.set(0);
        self.orphans.set(0);
    }

    pub fn reports(&self) -> [Report; 2] {
        [self.victim, self.peer]
    }

    /// Returns the number of the next message that is in the ring before the victim's.
    pub fn next_old(&self) -> u64 {
        self.old.set(self.old.get() + 1);
        OLD + self.old.get() - 1
    }

    /// Returns whether a message of this number may have been sent, and whether it was sent for
    /// sure.
    pub fn sent(&self, number: u64) -> (bool, bool) {
        if number < VICTIM {
            let old = number - OLD < self.old.get();
            return (old, old);
        }
        let of = |report: &Report| {
            let (least, most) = report.sent.get();
            let n = number.wrapping_sub(report.first);
            (n < most, n < least)
        };
        let reports = self.reports();
        match reports.iter().rev().find(|report| number >= report.first) {
            Some(report) if number < SURVIVOR => of(report),
            _ => (false, false),
        }
    }
}
