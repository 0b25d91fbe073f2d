//! The slots of an MPMC channel without the crate.

use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::steps::kernel::Memory;
use crate::steps::messages::{CAPACITY, Load};

/// The phase of a slot, as its word encodes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Free = 0,
    Claimed = 1,
    Full = 2,
    Reading = 3,
}

/// Returns the word of a position in this phase.
pub fn word(position: u64, phase: Phase, deliveries: u64, seat: u64) -> u64 {
    (position / CAPACITY) << 16 | deliveries << 11 | seat << 3 | phase as u64
}

/// Reads the message in the slot of a position, word by word.
pub fn message(memory: &Memory, position: u64) -> Load {
    let mut load = [0; 6];
    for (i, part) in load.iter_mut().enumerate() {
        *part = memory.word(Memory::slot(position) + 8 * (1 + i)).load(Acquire);
    }
    load
}

/// Advances the slot of a position. Returns whether it was in the expected state.
#[inline(always)]
pub fn swap(memory: &Memory, position: u64, old: u64, new: u64) -> bool {
    memory.word(Memory::slot(position)).compare_exchange(old, new, AcqRel, Acquire).is_ok()
}

/// Returns whether some slot holds a message, taken by a receiver or not.
pub fn holds_messages(memory: &Memory) -> bool {
    (0..CAPACITY).any(|slot| {
        let word = memory.word(Memory::slot(slot)).load(Acquire);
        [Phase::Full as u64, Phase::Reading as u64].contains(&(word & 7))
    })
}

/// Returns whether every slot holds a message.
pub fn is_full(memory: &Memory) -> bool {
    (0..CAPACITY).all(|slot| {
        let word = memory.word(Memory::slot(slot)).load(Acquire);
        [Phase::Full as u64, Phase::Reading as u64].contains(&(word & 7))
    })
}

/// Receives without any recovery: a claimed slot blocks it, and it leaves a slot that a receiver
/// reads to that receiver.
pub fn drain(memory: &Memory, base: u64) -> Vec<Load> {
    let mut all = Vec::new();
    for position in (0..2 * CAPACITY).map(|n| base.wrapping_add(n)) {
        let now = memory.word(Memory::slot(position)).load(Acquire);
        let next = position.wrapping_add(CAPACITY);
        if now == word(position, Phase::Full, 0, 0) {
            all.push(message(memory, position));
            swap(memory, position, now, word(next, Phase::Free, 0, 0));
        } else if now & 7 == Phase::Claimed as u64 || now == word(position, Phase::Free, 0, 0) {
            break;
        }
    }
    all
}
