//! A process with write access that writes to a channel in violation of all rules.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

use sysvring::Flavor;
use sysvring_support::raw_ipc::{self, Key, Segment, at};
use sysvring_support::rng::Rng;

use crate::{header, member};

/// The maximum time in milliseconds that a channel is scribbled on before it is removed, so that a
/// new one can be made.
const LIFE: u64 = 20;

/// The offsets of the words of the header's fields: those written once, and those that members
/// write.
struct Words {
    once: Vec<usize>,
    often: Vec<usize>,
}

impl Words {
    fn of(flavor: Flavor) -> Words {
        let mut words: Vec<usize> =
            header::bytes(flavor, member::SEATS).iter().map(|at| at / 8 * 8).collect();
        words.sort();
        words.dedup();
        let (once, often) = words.into_iter().partition(|at| *at < at::TAIL);
        Words { once, often }
    }
}

fn one_of(words: &[usize], rng: &mut Rng) -> usize {
    words[rng.below(words.len() as u64) as usize]
}

/// Scribbles on the objects under the key until the run is over, and counts the writes.
pub fn scribble(key: i32, flavor: Flavor, over: &AtomicU64, writes: &AtomicU64) {
    // It is never dropped: the parent removes the objects that exist at the end.
    let key = std::mem::ManuallyDrop::new(Key(key));
    let (mut rng, words) = (Rng::new(), Words::of(flavor));
    while over.load(Acquire) == 0 {
        let Some(Ok(segment)) = key.segment().map(Segment::attach) else {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        };
        let (born, life) = (Instant::now(), Duration::from_millis(rng.below(LIFE)));
        // Some channels get few writes, so that the members make progress.
        let calm = rng.below(4);
        while born.elapsed() < life && over.load(Acquire) == 0 {
            for _ in 0..1 + rng.below(20) {
                write(&segment, &words, &mut rng);
                writes.fetch_add(1, Relaxed);
            }
            if rng.below(20) == 0 {
                set_a_semaphore(&key, &mut rng);
            }
            rng.pause(10 + calm * 4);
        }
        // Removes objects as `ipcrm` does, in all combinations.
        match rng.below(4) {
            0 => _ = key.segment().map(raw_ipc::remove_segment),
            1 => _ = key.set().map(raw_ipc::remove_set),
            _ => key.clear(),
        }
    }
}

fn write(segment: &Segment, words: &Words, rng: &mut Rng) {
    let slots = segment.len().saturating_sub(at::SLOTS);
    let value = match rng.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << rng.below(64),
        3 => rng.below(1 << 20),
        // A state word near the existing ones: any phase, any owner.
        4 => rng.below(64) << 16 | rng.below(1 << 16),
        _ => rng.below(u64::MAX),
    };
    match rng.below(8) {
        0 if rng.below(200) == 0 => {
            let word = segment.u64(one_of(&words.once, rng));
            word.fetch_xor(1 << rng.below(64), Relaxed);
        }
        0..3 => segment.u64(one_of(&words.often, rng)).store(value, Relaxed),
        3 => {
            let word = segment.u64(one_of(&words.often, rng));
            word.fetch_add(rng.below(5).wrapping_sub(2), Relaxed);
        }
        _ if slots >= 8 => {
            let at = at::SLOTS + 8 * rng.below(slots as u64 / 8) as usize;
            match rng.below(3) {
                // Changes to another phase of the same lap, or another owner.
                0 => _ = segment.u64(at).fetch_xor(rng.below(1 << 16), Relaxed),
                1 => _ = segment.u64(at).fetch_add(1 << 16, Relaxed),
                _ => segment.u64(at).store(value, Relaxed),
            }
        }
        _ => {}
    }
}

fn set_a_semaphore(key: &Key, rng: &mut Rng) {
    let Some(set) = key.set() else { return };
    let value = [0, 1, 2, 32_767, rng.below(32_768)][rng.below(5) as usize];
    // Mostly the semaphores on which waiters are parked.
    let semaphore = match rng.below(3) {
        0 => rng.below(12) as usize,
        _ => [raw_ipc::WAKE_RECEIVERS, raw_ipc::WAKE_SENDERS][rng.below(2) as usize],
    };
    // A removed set stays removed.
    let _ = raw_ipc::set_value(set, semaphore, value as i32);
}
