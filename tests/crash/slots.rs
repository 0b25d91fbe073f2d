//! The ring of a channel without the crate, by the numbers of `docs/design/memory-layout.md`.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use sysvring_support::raw_ipc::{Segment, at};

use crate::steps::handle::Flavor;
use crate::steps::messages::{CAPACITY, Message, State};

/// The size of a slot with the messages used here: its state and the message.
const STRIDE: usize = 8 + size_of::<Message>();

/// The phase of a slot, as its state encodes it. An SPSC channel uses the second last one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Free = 0,
    Claimed = 1,
    Full = 2,
    Reading = 3,
    Held = 5,
}

/// Returns the offset of the slot of a position.
#[inline(always)]
pub fn slot(position: u64) -> usize {
    at::SLOTS + (position % CAPACITY) as usize * STRIDE
}

/// Returns the offset of the entry of a position's slot in the table of origins.
fn origin(position: u64) -> usize {
    at::SLOTS + CAPACITY as usize * STRIDE + 8 * (position % CAPACITY) as usize
}

/// Returns the slot state of a position in this phase.
pub fn state(position: u64, phase: Phase, deliveries: u64, seat: u64) -> u64 {
    (position / CAPACITY) << 16 | deliveries << 11 | seat << 3 | phase as u64
}

/// Sets the state after `state.base` messages were sent and all of them received.
pub fn move_to(memory: &Segment, flavor: Flavor, to: State) {
    for word in [at::TAIL, at::HEAD] {
        memory.u64(word).store(to.base, Relaxed);
    }
    for n in 0..CAPACITY {
        let (position, phase) = match flavor {
            // The slots hold the messages of the last lap.
            Flavor::Spsc => (to.base.wrapping_sub(n + 1), Phase::Full),
            // The slots are free in the lap of the next position.
            Flavor::Mpmc => (to.base.wrapping_add(n), Phase::Free),
        };
        memory.u64(slot(position)).store(state(position, phase, 0, 0), Relaxed);
        if flavor == Flavor::Mpmc {
            // Those of messages before: positions that wrap are compared by their distance.
            memory.u64(origin(position)).store(position.wrapping_sub(CAPACITY), Relaxed);
        }
    }
    if flavor == Flavor::Spsc {
        memory.u64(at::CREDIT).store(to.base, Relaxed);
    }
}

/// Reads the message in the slot of a position, word by word.
pub fn read(memory: &Segment, position: u64) -> Message {
    std::array::from_fn(|i| memory.u64(slot(position) + 8 * (1 + i)).load(Acquire))
}

/// Writes a message to the slot of a position, word by word; no store is reordered with another.
pub fn write(memory: &Segment, position: u64, message: &Message) {
    for (i, part) in message.iter().enumerate() {
        let at = slot(position) + 8 * (1 + i);
        memory.u64(at).store(std::hint::black_box(*part), Release);
    }
}

/// Advances the slot of a position. Returns whether it was in the expected state.
#[inline(always)]
pub fn swap(memory: &Segment, position: u64, old: u64, new: u64) -> bool {
    memory.u64(slot(position)).compare_exchange(old, new, AcqRel, Acquire).is_ok()
}

/// Returns how many slots hold a message, taken by a receiver or not.
pub fn messages(memory: &Segment) -> u64 {
    let holds_one = |slot_of: &u64| {
        let phase = memory.u64(slot(*slot_of)).load(Acquire) & 7;
        [Phase::Full, Phase::Reading, Phase::Held].iter().any(|p| *p as u64 == phase)
    };
    (0..CAPACITY).filter(holds_one).count() as u64
}

/// Receives from an MPMC channel without any recovery: a claimed slot blocks it, and it leaves a
/// slot that a receiver reads to that receiver.
pub fn drain(memory: &Segment, base: u64) -> Vec<Message> {
    let mut all = Vec::new();
    for position in (0..2 * CAPACITY).map(|n| base.wrapping_add(n)) {
        let now = memory.u64(slot(position)).load(Acquire);
        let next = position.wrapping_add(CAPACITY);
        if now == state(position, Phase::Full, 0, 0) {
            all.push(read(memory, position));
            swap(memory, position, now, state(next, Phase::Free, 0, 0));
        } else if now & 7 == Phase::Claimed as u64 || now == state(position, Phase::Free, 0, 0) {
            break;
        }
    }
    all
}
