//! The baseline for MPMC: Vyukov's bounded queue, optimized. Each slot has a sequence number; a
//! member first advances the index and then writes the slot. The queue cannot survive a crash,
//! because a claimed slot does not record its owner. It has no wake-ups and no validation.
//!
//! After D. Vyukov, "Bounded MPMC queue" (1024cores.net).

use std::hint::spin_loop;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::transport::baseline::{CachePadded, Segment};
use crate::transport::ends;

const CAPACITY: u64 = ends::CAPACITY as u64;

#[repr(C)]
struct Indexes {
    tail: CachePadded,
    head: CachePadded,
}

/// A handle for sending and receiving, for any number of processes.
pub struct Queue<const N: usize>(Segment);

impl<const N: usize> Queue<N> {
    const STRIDE: usize = 8 + N * 8;
    const LEN: usize = size_of::<Indexes>() + CAPACITY as usize * Self::STRIDE;

    pub fn create() -> Self {
        let queue = Queue(Segment::create(Self::LEN));
        for i in 0..CAPACITY {
            queue.sequence(i).store(i, Relaxed);
        }
        queue
    }

    pub fn attach(address: &str) -> Self {
        Queue(Segment::attach(address.parse().expect("a segment's id")))
    }

    pub fn address(&self) -> String {
        self.0.id().to_string()
    }

    #[inline(always)]
    fn indexes(&self) -> &Indexes {
        // SAFETY: every segment starts with the indexes, page-aligned and initially zero, and lives
        // as long as `self`; they are only accessed as atomics.
        unsafe { &*self.0.start().cast::<Indexes>() }
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> *mut u8 {
        let index = (position % CAPACITY) as usize;
        // SAFETY: `LEN` includes `CAPACITY` slots after the indexes.
        unsafe { self.0.start().add(size_of::<Indexes>() + index * Self::STRIDE) }
    }

    #[inline(always)]
    fn sequence(&self, position: u64) -> &AtomicU64 {
        // SAFETY: a slot begins with its sequence number, which is only accessed as an atomic.
        unsafe { &*self.slot(position).cast::<AtomicU64>() }
    }

    /// Claims the position of a slot whose sequence number is `ahead` of it by advancing the index.
    #[inline(always)]
    fn claim(&self, index: &AtomicU64, ahead: u64) -> u64 {
        let mut position = index.load(Relaxed);
        loop {
            let distance = self.sequence(position).load(Acquire).wrapping_sub(position + ahead);
            if distance == 0 {
                match index.compare_exchange_weak(position, position + 1, Relaxed, Relaxed) {
                    Ok(_) => return position,
                    Err(now) => position = now,
                }
            } else {
                if distance > u64::MAX / 2 {
                    spin_loop();
                }
                position = index.load(Relaxed);
            }
        }
    }

    #[inline(always)]
    pub fn send(&self, message: &[u64; N]) {
        let position = self.claim(&self.indexes().tail.0, 0);
        // SAFETY: the slot is owned until its sequence number is stored, aligned to 8 and long
        // enough.
        unsafe { self.slot(position).add(8).cast::<[u64; N]>().write(*message) };
        self.sequence(position).store(position + 1, Release);
    }

    #[inline(always)]
    pub fn recv(&self) -> [u64; N] {
        let position = self.claim(&self.indexes().head.0, 1);
        // SAFETY: as above, and it holds a message.
        let message = unsafe { self.slot(position).add(8).cast::<[u64; N]>().read() };
        self.sequence(position).store(position + CAPACITY, Release);
        message
    }
}
