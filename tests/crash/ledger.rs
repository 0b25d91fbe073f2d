//! Which process sent and received which messages.
//!
//! In an SPSC channel, positions identify messages, and all processes add to one report of the
//! stream. In an MPMC channel, messages have numbers: each sender has a separate range and each
//! process a report.

use sysvring_support::shared_counters;

use crate::steps::handle::{Rx, Tx};
use crate::steps::messages::{Message, message};
use crate::steps::report::{Cell, Span};

/// The first number of the messages that were in the ring before.
const OLD: u64 = 0;
/// The first number of the victim's messages. The next constant is that of its peer or follower.
pub const VICTIM: u64 = 16;
const PEER: u64 = 32;
/// The first number of the survivors' messages.
pub const SURVIVOR: u64 = 64;

/// What one process reports that it did, or what all processes of an SPSC channel report.
#[derive(Clone, Copy)]
pub struct Report {
    /// Its first number.
    pub first: u64,
    pub sent: Span,
    /// MPMC: the number of messages that it has, or may have, in flight.
    pub held: Span,
    /// The number of messages that it acknowledged, or may have acknowledged.
    pub taken: Span,
    /// MPMC: one bit for each message that it received, and one for each that it read in its slot.
    pub got: Cell,
    pub seen: Cell,
    /// The number of messages that were not those expected.
    wrong: Cell,
}

impl Report {
    fn new(first: u64, wrong: Cell) -> Report {
        let [a, b, c, d, e, f, g, h] = shared_counters::shared_counters::<8>();
        Report {
            first,
            sent: Span::new(a, b),
            held: Span::new(c, d),
            taken: Span::new(e, f),
            got: Cell::new(g),
            seen: Cell::new(h),
            wrong,
        }
    }

    fn clear(&self) {
        [self.sent, self.held, self.taken].iter().for_each(|span| span.set(0));
        [self.got, self.seen].iter().for_each(|cell| cell.set(0));
    }

    /// Returns the next message that the sender of this report sends.
    pub fn next(&self, tx: &Tx) -> Message {
        message(tx.position().unwrap_or_else(|| self.first + self.sent.get().0))
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
        rx: &mut Rx,
        call: impl FnOnce(&mut Rx) -> Result<Message, E>,
    ) -> Result<(), E> {
        let position = rx.position();
        self.taken.begin(1);
        if position.is_none() {
            self.held.begin(1);
        }
        let result = call(rx);
        if let Ok(got) = &result {
            self.received(position, got);
        }
        self.taken.end(1, result.is_ok().into());
        if position.is_none() {
            self.held.end(1, result.is_ok().into());
        }
        result.map(drop)
    }

    /// Records a message that was received. The position is that of an SPSC channel. A message that
    /// is torn, at another position, or received a second time is counted as wrong.
    #[inline(always)]
    pub fn received(&self, position: Option<u64>, got: &Message) {
        match position {
            Some(position) if *got == message(position) => {}
            Some(_) => self.wrong.set(1),
            None => self.note(self.got, got),
        }
    }

    /// MPMC: records a message that was read in its slot.
    #[inline(always)]
    pub fn read(&self, got: &Message) {
        self.note(self.seen, got);
    }

    #[inline(always)]
    fn note(&self, cell: Cell, got: &Message) {
        let number = got[0];
        let known = cell.get();
        let bit = if number < SURVIVOR { 1 << number } else { 0 };
        if *got != message(number) || known & bit != 0 {
            self.wrong.set(1);
        }
        cell.set(known | bit);
    }

    /// Returns, for calls that were begun and did not return, how many messages they may have in
    /// flight and how many they may have acknowledged.
    pub fn open(&self) -> (u64, u64) {
        let open = |span: Span| span.get().1.wrapping_sub(span.get().0);
        (open(self.held), open(self.taken))
    }
}

/// The reports of all processes of a case.
#[derive(Clone, Copy)]
pub struct Ledger {
    /// SPSC: what all of them report.
    pub stream: Report,
    pub victim: Report,
    /// The report of the peer, or of the process that follows the victim.
    pub peer: Report,
    /// How many messages were in the ring before.
    old: Cell,
    /// How many of those a dead member had in flight.
    pub orphans: Cell,
    /// Not zero if a message was torn, at another position than its own, or received twice.
    pub wrong: Cell,
}

impl Ledger {
    pub fn new() -> Ledger {
        let [old, orphans, wrong] =
            shared_counters::shared_counters::<3>().each_ref().map(Cell::new);
        let [stream, victim, peer] = [OLD, VICTIM, PEER].map(|first| Report::new(first, wrong));
        Ledger { stream, victim, peer, old, orphans, wrong }
    }

    pub fn clear(&self) {
        [self.stream, self.victim, self.peer].iter().for_each(Report::clear);
        [self.old, self.orphans, self.wrong].iter().for_each(|cell| cell.set(0));
    }

    pub fn reports(&self) -> [Report; 2] {
        [self.victim, self.peer]
    }

    /// Sends a message that is in the ring before the victim begins. Returns whether there was a
    /// free slot.
    pub fn send_old(&self, tx: &mut Tx) -> bool {
        if tx.position().is_some() {
            let next = self.stream.next(tx);
            return self.stream.sending(|| tx.try_send(&next)).is_ok();
        }
        let sent = tx.try_send(&self.next_old()).is_ok();
        self.old.set(self.old.get() - u64::from(!sent));
        sent
    }

    /// MPMC: returns the next message that is in the ring before the victim begins.
    pub fn next_old(&self) -> Message {
        self.old.set(self.old.get() + 1);
        message(OLD + self.old.get() - 1)
    }

    /// Returns whether a message of this number may have been sent, and whether it was sent for
    /// sure.
    pub fn sent(&self, number: u64) -> (bool, bool) {
        if number < VICTIM {
            let old = number - OLD < self.old.get();
            return (old, old);
        }
        let of = |report: &Report| {
            let (min, max) = report.sent.get();
            let n = number.wrapping_sub(report.first);
            (n < max, n < min)
        };
        let reports = self.reports();
        match reports.iter().rev().find(|report| number >= report.first) {
            Some(report) if number < SURVIVOR => of(report),
            _ => (false, false),
        }
    }
}
