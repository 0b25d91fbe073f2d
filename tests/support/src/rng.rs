//! Random numbers, by splitmix64.

use std::time::{Duration, Instant};

use crate::shared_counters::now_ns;

/// A generator of random numbers.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// Returns a generator whose numbers differ between processes and between calls.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Rng {
        Rng(now_ns() ^ u64::from(std::process::id()) << 40)
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    /// Returns a number from 0 to `n` - 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }

    /// Returns one of these.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// Returns a time of at most 2^`bits` nanoseconds. Each order of magnitude is equally likely.
    pub fn time(&mut self, bits: u64) -> Duration {
        let reach = self.below(bits) + 1;
        Duration::from_nanos(self.below(1 << reach))
    }

    /// Waits for such a time, without giving up the processor if it is short.
    pub fn pause(&mut self, bits: u64) {
        let time = self.time(bits);
        if time > Duration::from_micros(50) {
            return std::thread::sleep(time);
        }
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}
