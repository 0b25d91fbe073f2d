//! A process with write access that writes to a channel in violation of all rules.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

use sysvring_support::board::Dice;
use sysvring_support::memory::Memory;

use crate::ground::Key;
use crate::{header, page};

/// The maximum time in milliseconds that a channel is scribbled on before it is removed, so that a
/// new one can be made.
const LIFE: u64 = 20;
/// The offset of the slots of a channel with this number of members.
const SLOTS: usize = 4096;

/// The offsets of the words of the header's fields: those written once, and those that members
/// write.
struct Words {
    once: Vec<usize>,
    often: Vec<usize>,
}

impl Words {
    fn new() -> Words {
        let mut words: Vec<usize> = header::bytes(true).iter().map(|at| at / 8 * 8).collect();
        words.sort();
        words.dedup();
        let first = page::place("Header", 0, "tail").0;
        let (once, often) = words.into_iter().partition(|at| *at < first);
        Words { once, often }
    }
}

fn one_of(words: &[usize], dice: &mut Dice) -> usize {
    words[dice.below(words.len() as u64) as usize]
}

/// Scribbles on the objects under the key until the run is over, and counts the writes.
pub fn scribble(key: i32, over: &AtomicU64, writes: &AtomicU64) {
    // It is never dropped: the parent removes the objects that exist at the end.
    let key = std::mem::ManuallyDrop::new(Key(key));
    let (mut dice, words) = (Dice::new(), Words::new());
    while over.load(Acquire) == 0 {
        let Some(memory) = key.segment().and_then(Memory::try_of) else {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        };
        let (born, life) = (Instant::now(), Duration::from_millis(dice.below(LIFE)));
        // Some channels get few writes, so that the members make progress.
        let calm = dice.below(4);
        while born.elapsed() < life && over.load(Acquire) == 0 {
            for _ in 0..1 + dice.below(20) {
                write(&memory, &words, &mut dice);
                writes.fetch_add(1, Relaxed);
            }
            if dice.below(20) == 0 {
                set_a_semaphore(&key, &mut dice);
            }
            dice.pause(10 + calm * 4);
        }
        // Removes objects as `ipcrm` does, in all combinations.
        match dice.below(4) {
            0 => key.remove_segment(),
            1 => key.remove_set(),
            _ => key.clear(),
        }
    }
}

fn write(memory: &Memory, words: &Words, dice: &mut Dice) {
    let slots = memory.len().saturating_sub(SLOTS);
    let value = match dice.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << dice.below(64),
        3 => dice.below(1 << 20),
        // A state word near the existing ones: any phase, any owner.
        4 => dice.below(64) << 16 | dice.below(1 << 16),
        _ => dice.below(u64::MAX),
    };
    match dice.below(8) {
        0 if dice.below(200) == 0 => {
            let word = memory.u64(one_of(&words.once, dice));
            word.fetch_xor(1 << dice.below(64), Relaxed);
        }
        0..3 => memory.u64(one_of(&words.often, dice)).store(value, Relaxed),
        3 => {
            let word = memory.u64(one_of(&words.often, dice));
            word.fetch_add(dice.below(5).wrapping_sub(2), Relaxed);
        }
        _ if slots >= 8 => {
            let at = SLOTS + 8 * dice.below(slots as u64 / 8) as usize;
            match dice.below(3) {
                // Changes to another phase of the same lap, or another owner.
                0 => _ = memory.u64(at).fetch_xor(dice.below(1 << 16), Relaxed),
                1 => _ = memory.u64(at).fetch_add(1 << 16, Relaxed),
                _ => memory.u64(at).store(value, Relaxed),
            }
        }
        _ => {}
    }
}

fn set_a_semaphore(key: &Key, dice: &mut Dice) {
    let Some(set) = key.set() else { return };
    let value = [0, 1, 2, 32_767, dice.below(32_768)][dice.below(5) as usize];
    // Mostly the semaphores on which waiters are parked.
    let semaphore = match dice.below(3) {
        0 => dice.below(12),
        _ => 2 + dice.below(2),
    };
    // SAFETY: takes numbers only; a removed set stays removed.
    unsafe { libc::semctl(set, semaphore as libc::c_int, libc::SETVAL, value as libc::c_int) };
}
