//! The baseline: a raw two-index ring, the classic SPSC ring, optimized. It has no wake-ups, no
//! validation and no lifecycle beyond two pointers: a waiting side spins, and the death of one side
//! hangs the other. Its cost per message is the cost of moving memory between two cores.
//!
//! Tail and head are on cache lines of their own, 128 bytes apart. Each side keeps its own index
//! and caches the other's, which it reloads only when the ring seems full or empty. A message is
//! copied once in and once out.

use std::hint::spin_loop;
use std::io;
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
struct Endpoint<const N: usize> {
    segment: Segment,
    /// Own index: the next position to write or to read.
    next: u64,
    /// The other side's index, as last loaded.
    seen: u64,
    /// Slots, a power of two.
    capacity: u64,
}

impl<const N: usize> Endpoint<N> {
    fn new(segment: Segment, capacity: usize) -> Self {
        assert!(capacity.is_power_of_two());
        Endpoint { segment, next: 0, seen: 0, capacity: capacity as u64 }
    }

    #[inline(always)]
    fn indexes(&self) -> &Indexes {
        // SAFETY: every segment starts with the indexes, page-aligned and initially zero, and lives
        // as long as `self`; they are only accessed as atomics.
        unsafe { &*self.segment.start.cast::<Indexes>() }
    }

    #[inline(always)]
    fn slot(&self) -> *mut [u64; N] {
        let index = (self.next & (self.capacity - 1)) as usize;
        // SAFETY: the segment has `capacity` slots after the indexes.
        unsafe { self.segment.start.add(size_of::<Indexes>()).cast::<[u64; N]>().add(index) }
    }

    /// Waits until there is room for `n` messages.
    #[inline(always)]
    fn await_room(&mut self, n: u64) {
        while self.next + n - self.seen > self.capacity {
            self.seen = self.indexes().head.0.load(Acquire);
            if self.next + n - self.seen > self.capacity {
                spin_loop();
            }
        }
    }

    /// Waits until there is a message.
    #[inline(always)]
    fn await_message(&mut self) {
        while self.next == self.seen {
            self.seen = self.indexes().tail.0.load(Acquire);
            if self.next == self.seen {
                spin_loop();
            }
        }
    }

    /// Writes a message into the next slot, for which there is room.
    #[inline(always)]
    fn write(&mut self, message: &[u64; N]) {
        // SAFETY: the slot is within the segment, aligned to 8, and released by the consumer.
        unsafe { self.slot().copy_from_nonoverlapping(message, 1) };
        self.next += 1;
    }

    /// Reads the next message, which is there.
    #[inline(always)]
    fn read(&mut self, place: &mut [u64; N]) {
        // SAFETY: the slot is within the segment and aligned, and the producer published a message
        // there.
        unsafe { self.slot().copy_to_nonoverlapping(place, 1) };
        self.next += 1;
    }
}

/// The SPSC baseline: a raw two-index ring.
pub struct Baseline;

/// The sending end.
pub struct Producer<const N: usize>(Endpoint<N>);

/// The receiving end.
pub struct Consumer<const N: usize>(Endpoint<N>);

impl<const N: usize> IpcTransport<N> for Baseline {
    type Tx = Producer<N>;
    type Rx = Consumer<N>;

    fn offer(capacity: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let segment = Segment::create(size_of::<Indexes>() + capacity * size_of::<[u64; N]>());
        let address = segment.id.to_string();
        (move || Producer(Endpoint::new(segment, capacity)), address)
    }

    fn attach(address: &str, capacity: usize) -> Self::Rx {
        let segment = Segment::attach(address.parse().expect("a segment's id"));
        Consumer(Endpoint::new(segment, capacity))
    }
}

impl<const N: usize> Send<N> for Producer<N> {
    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) {
        self.0.await_room(1);
        self.0.write(message);
        self.0.indexes().tail.0.store(self.0.next, Release);
    }

    /// Sends a batch, with one store of the index.
    #[inline(always)]
    fn send_batch(&mut self, messages: &[[u64; N]]) {
        self.0.await_room(messages.len() as u64);
        messages.iter().for_each(|message| self.0.write(message));
        self.0.indexes().tail.0.store(self.0.next, Release);
    }
}

impl<const N: usize> Receive<N> for Consumer<N> {
    #[inline(always)]
    fn receive(&mut self, place: &mut [u64; N]) {
        self.0.await_message();
        self.0.read(place);
        self.0.indexes().head.0.store(self.0.next, Release);
    }

    /// Receives a batch, with one store of the index.
    #[inline(always)]
    fn receive_batch(&mut self, places: &mut Vec<[u64; N]>, most: usize) -> usize {
        self.0.await_message();
        let many = most.min((self.0.seen - self.0.next) as usize);
        places[..many].iter_mut().for_each(|place| self.0.read(place));
        self.0.indexes().head.0.store(self.0.next, Release);
        many
    }
}

/// One cache line, which holds the first word of a message: the lower bound of communication
/// between two processors. Every message must differ from the last, and may be sent only after that
/// one was received.
pub struct CacheLine;

/// One end, and the word that it last received.
pub struct SingleLine(Segment, u64);

impl SingleLine {
    #[inline(always)]
    fn word(&self) -> &AtomicU64 {
        // SAFETY: every such segment is that long, initially zero, and lives as long as `self`.
        unsafe { &(*self.0.start.cast::<CachePadded>()).0 }
    }
}

impl<const N: usize> IpcTransport<N> for CacheLine {
    type Tx = SingleLine;
    type Rx = SingleLine;

    fn offer(_: usize) -> (impl FnOnce() -> Self::Tx, String) {
        let segment = Segment::create(size_of::<CachePadded>());
        let address = segment.id.to_string();
        (|| SingleLine(segment, 0), address)
    }

    fn attach(address: &str, _: usize) -> Self::Rx {
        SingleLine(Segment::attach(address.parse().expect("a segment's id")), 0)
    }
}

impl<const N: usize> Send<N> for SingleLine {
    #[inline(always)]
    fn send(&mut self, message: &[u64; N]) {
        self.word().store(message[0], Release);
    }
}

impl<const N: usize> Receive<N> for SingleLine {
    /// Spins until the word differs from the last one.
    #[inline(always)]
    fn receive(&mut self, place: &mut [u64; N]) {
        while self.word().load(Relaxed) == self.1 {
            spin_loop();
        }
        self.1 = self.word().load(Acquire);
        *place = [self.1; N];
    }
}
