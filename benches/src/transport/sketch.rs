//! Sketches of the protocol of an SPSC ring with a state word for each slot, and nothing else: no
//! blocking, validation, notification or crash recovery. They show what its memory traffic allows,
//! by where the words are: in front of each payload, or in an array of their own, eight to a line.
//!
//! The receiver's progress has two words, as in sysvring: an exact one on a line that only it uses,
//! and credit for the sender, once in 64 messages.

use std::hint::spin_loop;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

use crate::transport::baseline::{CachePadded, Segment};
use crate::transport::traits::{IpcTransport, Receive, Send};

/// The number of messages between two stores of the credit.
const CREDIT_EVERY: u64 = 64;
/// How far ahead the sender of a ring with words apart prefetches, in bytes.
const AHEAD: usize = 512;
/// A receiver that finds nothing waits for that many messages, or for a few polls.
const LEAD: u64 = 64;

/// The start of the segment; words and payloads follow.
#[repr(C)]
struct Progress {
    credit: CachePadded,
    head: CachePadded,
}

/// The word of each slot is in front of its payload.
pub struct WordsInFront;
/// The words are in an array of their own.
pub struct WordsApart;

/// One end of a ring of messages of `N` words.
pub struct End<const N: usize, const APART: bool> {
    segment: Segment,
    /// The next position.
    next: u64,
    /// Sender: the first position that may have no room. Receiver: the credit last stored.
    mark: u64,
    capacity: u64,
}

impl<const N: usize, const APART: bool> End<N, APART> {
    const STRIDE: usize = if APART { 8 * N } else { 8 + 8 * N };

    /// Returns the offset of the payloads, and the length of the segment.
    fn extent(capacity: usize) -> (usize, usize) {
        let words = size_of::<Progress>() + if APART { 8 * capacity } else { 0 };
        let payloads = words.next_multiple_of(64);
        (payloads, payloads + capacity * Self::STRIDE)
    }

    fn new(segment: Segment, capacity: usize, mark: u64) -> Self {
        assert!(capacity.is_power_of_two());
        End { segment, next: 0, mark, capacity: capacity as u64 }
    }

    #[inline(always)]
    fn progress(&self) -> &Progress {
        // SAFETY: every segment starts with it, page-aligned and initially zero, and lives as long
        // as `self`.
        unsafe { &*self.segment.start().cast::<Progress>() }
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> *mut u8 {
        let index = (position & (self.capacity - 1)) as usize;
        let (payloads, _) = Self::extent(self.capacity as usize);
        // SAFETY: the segment has `capacity` slots there.
        unsafe { self.segment.start().add(payloads + index * Self::STRIDE) }
    }

    #[inline(always)]
    fn word(&self, position: u64) -> &AtomicU64 {
        let index = (position & (self.capacity - 1)) as usize;
        let word = match APART {
            // SAFETY: the segment has a word for each slot there.
            true => unsafe { self.segment.start().add(size_of::<Progress>() + 8 * index) },
            false => self.slot(position),
        };
        // SAFETY: aligned to 8, initially zero, and only accessed as an atomic.
        unsafe { &*word.cast::<AtomicU64>() }
    }

    #[inline(always)]
    fn payload(&self, position: u64) -> *mut [u64; N] {
        let in_front = if APART { 0 } else { 8 };
        // SAFETY: inside the slot.
        unsafe { self.slot(position).add(in_front).cast() }
    }

    #[inline(always)]
    fn has_message(&self, position: u64) -> bool {
        self.word(position).load(Acquire) == position + 1
    }

    #[inline(always)]
    fn put(&mut self, message: &[u64; N]) {
        while self.next == self.mark {
            self.mark = self.progress().credit.0.load(Acquire) + self.capacity;
            spin_loop();
        }
        if APART {
            let ahead = self.next + (AHEAD / (8 * N)).max(1) as u64;
            if ahead < self.mark && self.slot(ahead).addr() % 64 < 8 * N {
                prefetch_to_write(self.slot(ahead));
            }
        }
        // SAFETY: the receiver has released the slot, which is aligned to 8.
        unsafe { self.payload(self.next).copy_from_nonoverlapping(message, 1) };
        self.word(self.next).store(self.next + 1, Release);
        self.next += 1;
    }

    #[inline(always)]
    fn take(&mut self, place: &mut [u64; N]) {
        // SAFETY: the sender published a message there; the slot is aligned to 8.
        unsafe { self.payload(self.next).copy_to_nonoverlapping(place, 1) };
        self.next += 1;
        self.progress().head.0.store(self.next, Release);
        if self.next - self.mark >= CREDIT_EVERY.min(self.capacity / 4).max(1) {
            self.give_credit();
        }
    }

    #[inline(always)]
    fn give_credit(&mut self) {
        self.progress().credit.0.store(self.next, Release);
        self.mark = self.next;
    }

    #[inline(never)]
    fn wait(&mut self) {
        self.give_credit();
        let lead = LEAD.min(self.capacity / 4);
        for _ in 0..6 {
            if self.has_message(self.next + lead) {
                break;
            }
            (0..16).for_each(|_| spin_loop());
        }
        while !self.has_message(self.next) {
            spin_loop();
        }
    }
}

/// Prefetches a cache line for writing.
#[inline(always)]
fn prefetch_to_write(address: *const u8) {
    // SAFETY: a prefetch reads and writes nothing that the program can see, and never faults.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("prefetchw [{0}]", in(reg) address, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

macro_rules! transport {
    ($name:ident, $apart:literal) => {
        impl<const N: usize> IpcTransport<N> for $name {
            type Tx = End<N, $apart>;
            type Rx = End<N, $apart>;

            fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
                let segment = Segment::create(End::<N, $apart>::extent(capacity).1);
                let address = segment.id().to_string();
                (move || End::new(segment, capacity, capacity as u64), address)
            }

            fn attach(address: &str, capacity: usize) -> Self::Rx {
                let segment = Segment::attach(address.parse().expect("a segment's id"));
                End::new(segment, capacity, 0)
            }
        }
    };
}
transport!(WordsInFront, false);
transport!(WordsApart, true);

impl<const N: usize, const APART: bool> Send<N> for End<N, APART> {
    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) {
        self.put(message);
    }
}

impl<const N: usize, const APART: bool> Receive<N> for End<N, APART> {
    #[inline(always)]
    fn receive(&mut self, place: &mut [u64; N]) {
        if !self.has_message(self.next) {
            self.wait();
        }
        self.take(place);
    }

    #[inline(always)]
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        if !self.has_message(self.next) {
            self.wait();
        }
        let mut many = 0;
        while many < most && self.has_message(self.next) {
            self.take(&mut places[many]);
            many += 1;
        }
        many
    }
}
