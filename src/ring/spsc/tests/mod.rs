//! The SPSC ring in one thread, over a block of the heap. What other threads see is tested by
//! `models`.

mod ends;
mod pair;
mod takeover;

/// Capacities to try.
const CAPACITIES: [usize; 5] = [1, 2, 4, 8, 16];

/// Positions where arithmetic could go wrong: the start, laps that no longer fit a state word, the
/// end of `u64`.
pub(in crate::ring) fn places(capacity: usize) -> [u64; 4] {
    let capacity = capacity as u64;
    let laps = (1u64 << 48).wrapping_mul(capacity);
    [0, 3 * capacity, laps.wrapping_sub(capacity + 1), 0u64.wrapping_sub(capacity + 1)]
}
