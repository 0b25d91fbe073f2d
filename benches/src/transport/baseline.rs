//! The baseline: a raw two-index ring, the classic SPSC ring, optimized. It has no wake-ups, no
//! validation and no lifecycle beyond two pointers: a waiting side spins, and the death of one side
//! hangs the other. Its cost per message is the cost of moving memory between two cores.
//!
//! Tail and head are on cache lines of their own, 128 bytes apart. Each side keeps its own index
//! and caches the other's, which it reloads only when the ring seems full or empty. A message is
//! copied once in and once out.

use std::hint::spin_loop;
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::transport::traits::{IpcTransport, Receive, Send};

/// A word padded to two cache lines.
#[repr(C, align(128))]
pub struct CachePadded(pub AtomicU64);

/// The start of the segment; the slots follow.
#[repr(C)]
struct Indexes {
    tail: CachePadded,
    head: CachePadded,
}

/// A private System V segment, the same kind of memory as sysvring's. It is already marked for
/// removal, so it disappears with its last user, however that user ends.
pub struct Segment {
    start: *mut u8,
    id: i32,
}

impl Segment {
    pub fn create(len: usize) -> Segment {
        // SAFETY: numbers only.
        let id = unsafe { libc::shmget(libc::IPC_PRIVATE, len, 0o600) };
        assert!(id >= 0, "shmget: {}", io::Error::last_os_error());
        let segment = Segment::attach(id);
        // SAFETY: this command accesses no buffer. Linux still lets others attach by the id.
        unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        // SAFETY: `len` bytes were just attached, and no other process has the id yet. Touching
        // every page now keeps page faults out of the measurement.
        unsafe { segment.start.write_bytes(0, len) };
        segment
    }

    pub fn attach(id: i32) -> Segment {
        // SAFETY: the kernel chooses a free address.
        let start = unsafe { libc::shmat(id, std::ptr::null(), 0) }.cast::<u8>();
        assert!(start.addr() != usize::MAX, "shmat: {}", io::Error::last_os_error());
        Segment { start, id }
    }
}

impl Segment {
    /// Returns the address at which it is attached.
    #[inline(always)]
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    pub fn id(&self) -> i32 {
        self.id
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: it is attached there, and every pointer into it borrows or owns `self`.
        unsafe { libc::shmdt(self.start.cast()) };
    }
}

/// One end of a ring.
struct Endpoint<M> {
    segment: Segment,
    /// Own index: the next position to write or to read.
    next: u64,
    /// The other side's index, as last loaded.
    seen: u64,
    /// Slots, a power of two.
    capacity: u64,
    message: PhantomData<M>,
}

impl<M: Copy> Endpoint<M> {
    fn new(segment: Segment, capacity: usize) -> Endpoint<M> {
        assert!(capacity.is_power_of_two());
        Endpoint { segment, next: 0, seen: 0, capacity: capacity as u64, message: PhantomData }
    }

    /// Returns the length of the segment.
    const fn len(capacity: usize) -> usize {
        size_of::<Indexes>() + capacity * size_of::<M>()
    }

    #[inline(always)]
    fn indexes(&self) -> &Indexes {
        // SAFETY: every segment starts with the indexes, page-aligned and initially zero, and lives
        // as long as `self`; they are only accessed as atomics.
        unsafe { &*self.segment.start.cast::<Indexes>() }
    }

    #[inline(always)]
    fn slot(&self) -> *mut M {
        let index = (self.next & (self.capacity - 1)) as usize;
        // SAFETY: `len` includes `capacity` slots after the indexes.
        unsafe { self.segment.start.add(size_of::<Indexes>()).cast::<M>().add(index) }
    }
}

/// The sending end.
pub struct Producer<M>(Endpoint<M>);

impl<M: Copy> Producer<M> {
    pub fn create(capacity: usize) -> Producer<M> {
        Producer(Endpoint::new(Segment::create(Endpoint::<M>::len(capacity)), capacity))
    }

    pub fn address(&self) -> String {
        self.0.segment.id.to_string()
    }

    #[inline(always)]
    pub fn send(&mut self, message: &M) {
        let end = &mut self.0;
        while end.next - end.seen == end.capacity {
            end.seen = end.indexes().head.0.load(Acquire);
            if end.next - end.seen == end.capacity {
                spin_loop();
            }
        }
        // SAFETY: the slot is within the segment, aligned to 8 like every `M` here, and released by
        // the consumer.
        unsafe { end.slot().copy_from_nonoverlapping(message, 1) };
        end.next += 1;
        end.indexes().tail.0.store(end.next, Release);
    }

    /// Sends a batch, with one store of the index.
    #[inline(always)]
    pub fn send_batch(&mut self, messages: &[M]) {
        let end = &mut self.0;
        let last = end.next + messages.len() as u64;
        while last - end.seen > end.capacity {
            end.seen = end.indexes().head.0.load(Acquire);
            if last - end.seen > end.capacity {
                spin_loop();
            }
        }
        for message in messages {
            // SAFETY: as in `send`; there is room for all of them.
            unsafe { end.slot().copy_from_nonoverlapping(message, 1) };
            end.next += 1;
        }
        end.indexes().tail.0.store(end.next, Release);
    }
}

/// The receiving end.
pub struct Consumer<M>(Endpoint<M>);

impl<M: Copy> Consumer<M> {
    pub fn attach(address: &str, capacity: usize) -> Consumer<M> {
        Consumer(Endpoint::new(Segment::attach(address.parse().expect("a segment's id")), capacity))
    }

    #[inline(always)]
    pub fn recv(&mut self, message: &mut M) {
        let end = &mut self.0;
        while end.next == end.seen {
            end.seen = end.indexes().tail.0.load(Acquire);
            if end.next == end.seen {
                spin_loop();
            }
        }
        // SAFETY: the slot is within the segment and aligned, and the producer published an `M`
        // there.
        unsafe { end.slot().copy_to_nonoverlapping(message, 1) };
        end.next += 1;
        end.indexes().head.0.store(end.next, Release);
    }

    /// Receives the available messages, at least one and at most `places.len()`, with one store of
    /// the index.
    #[inline(always)]
    pub fn recv_batch(&mut self, places: &mut [M]) -> usize {
        let end = &mut self.0;
        while end.next == end.seen {
            end.seen = end.indexes().tail.0.load(Acquire);
            if end.next == end.seen {
                spin_loop();
            }
        }
        let many = places.len().min((end.seen - end.next) as usize);
        for place in &mut places[..many] {
            // SAFETY: as in `recv`; `many` messages were published.
            unsafe { end.slot().copy_to_nonoverlapping(place, 1) };
            end.next += 1;
        }
        end.indexes().head.0.store(end.next, Release);
        many
    }
}

/// The lower bound: one word on one cache line. Every message must differ from the last, and may be
/// sent only after that one was received.
pub struct SingleLine(Segment);

impl SingleLine {
    pub fn create() -> SingleLine {
        SingleLine(Segment::create(size_of::<CachePadded>()))
    }

    pub fn attach(address: &str) -> SingleLine {
        SingleLine(Segment::attach(address.parse().expect("a segment's id")))
    }

    pub fn address(&self) -> String {
        self.0.id.to_string()
    }

    #[inline(always)]
    fn word(&self) -> &AtomicU64 {
        // SAFETY: every such segment is that long, initially zero, and lives as long as `self`.
        unsafe { &(*self.0.start.cast::<CachePadded>()).0 }
    }

    #[inline(always)]
    pub fn send(&self, word: u64) {
        self.word().store(word, Release);
    }

    /// Spins until the word differs from `last`, and returns it.
    #[inline(always)]
    pub fn recv(&self, last: u64) -> u64 {
        while self.word().load(Relaxed) == last {
            spin_loop();
        }
        self.word().load(Acquire)
    }
}

/// The SPSC baseline: a raw two-index ring.
pub struct Baseline;

impl<const N: usize> IpcTransport<N> for Baseline {
    type Tx = Producer<[u64; N]>;
    type Rx = Consumer<[u64; N]>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let tx = Producer::create(capacity);
        let address = tx.address();
        (|| tx, address)
    }

    fn attach(address: &str, capacity: usize) -> Self::Rx {
        Consumer::attach(address, capacity)
    }
}

impl<const N: usize> Send<N> for Producer<[u64; N]> {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        Producer::send(self, message);
    }

    #[inline]
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        Producer::send_batch(self, messages);
    }
}

impl<const N: usize> Receive<N> for Consumer<[u64; N]> {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        self.recv(place);
    }

    #[inline]
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        self.recv_batch(&mut places[..most])
    }
}

/// One cache line, which holds the first word of a message: the lower bound of communication
/// between two processors. Only for messages that are answered one by one.
pub struct CacheLine;

/// The receiving end, and the word that it last received.
pub struct Watched(SingleLine, u64);

impl<const N: usize> IpcTransport<N> for CacheLine {
    type Tx = SingleLine;
    type Rx = Watched;

    fn offer(_: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let line = SingleLine::create();
        let address = line.address();
        (|| line, address)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        Watched(SingleLine::attach(address), 0)
    }
}

impl<const N: usize> Send<N> for SingleLine {
    #[inline]
    fn send(&mut self, message: &[u64; N]) {
        SingleLine::send(self, message[0]);
    }
}

impl<const N: usize> Receive<N> for Watched {
    #[inline]
    fn receive(&mut self, place: &mut [u64; N]) {
        self.1 = self.0.recv(self.1);
        *place = [self.1; N];
    }
}
