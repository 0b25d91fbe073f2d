//! Prefetching the next slots to write.
//!
//! A sender's stores become visible in program order. A cache line that the receiver read a lap ago
//! has to be fetched, and would stall all later stores; prefetched, several lines arrive in
//! parallel. The receiver then no longer keeps up with the sender, where each poll of a slot takes
//! away the line that is being written. `docs/design/experiments.md` has the figures, and those of
//! other distances.

use super::{Cursor, Ring};

/// The size of a cache line, in bytes.
const LINE: usize = 64;

/// Prefetching for the runs of an SPSC sender: how far ahead, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunPrefetcher {
    /// The number of cache lines to prefetch for each slot.
    lines: usize,
    /// The distance in slots from the one that is written to the one that is prefetched.
    slots: u64,
    /// The same distance in bytes; 0 while there is nothing to prefetch.
    bytes: usize,
}

impl RunPrefetcher {
    /// The distance in bytes; from 256 to 2,048 bytes it makes no difference.
    const BYTES: usize = 512;
    /// The maximum number of lines for each slot: after that many, the processor's own prefetcher
    /// has detected the stores. For messages of 16 KiB in place, 32 lines gain a twentieth of the
    /// throughput, and all of them would cost a twentieth.
    const LINES: usize = 32;

    pub(super) fn of(ring: &Ring) -> RunPrefetcher {
        let slots = RunPrefetcher::BYTES.div_ceil(ring.stride);
        let lines = ring.stride.div_ceil(LINE).min(RunPrefetcher::LINES);
        RunPrefetcher { lines, slots: slots as u64, bytes: 0 }
    }

    /// Returns the number of slots to write before the next call: of the `room` free slots from
    /// `position` on, at most `most`. Slots that are not free are not prefetched: taking a line
    /// from a receiver that is reading it would cost both sides.
    pub(super) fn run(&mut self, ring: &Ring, position: u64, room: u64, most: u64) -> u64 {
        let asked = room.saturating_sub(self.slots + 1).min(most);
        if asked == 0 {
            self.bytes = 0;
            return room.min(most);
        }
        // From the end of the ring to its start, the distance is negative.
        let [here, there] = [position, position.wrapping_add(self.slots + 1)]
            .map(|p| ring.cursor(p).slot.addr().get());
        self.bytes = there.wrapping_sub(here);
        asked
    }

    /// Prefetches the slot at that distance from this one, which was just written.
    #[inline(always)]
    pub(super) fn ask(&self, ring: &Ring, slot: *const u8) {
        let first = slot.wrapping_add(self.bytes);
        if opens_line(first, ring.stride) {
            prefetch_to_write(first);
            if self.lines > 1 {
                self.ask_more(first);
            }
        }
    }

    fn ask_more(&self, first: *const u8) {
        for line in 1..self.lines {
            prefetch_to_write(first.wrapping_add(line * LINE));
        }
    }
}

/// Prefetching for MPMC members: requests the cache line of the slot state at a fixed distance
/// ahead, whatever the state is. To know the state, a member would have to load it, which is the
/// very miss that this avoids.
///
/// A claim or a take waits for that line, and everything after it waits for the claim. Receivers
/// prefetch only while they are far behind: a receiver that keeps up with a sender would take away
/// the lines that the sender writes, and lower the throughput. `docs/design/experiments.md` has the
/// figures for both distances.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotPrefetcher {
    stride: usize,
    bytes: usize,
    /// Whether slots are longer than one line and at most two lines long: then a slot's second line
    /// is prefetched, too.
    two: bool,
}

impl SlotPrefetcher {
    /// The distance in bytes at which a sender prefetches, and a receiver.
    const TO_CLAIM: usize = 192;
    const TO_TAKE: usize = 128;

    pub(super) fn to_claim(ring: &Ring) -> SlotPrefetcher {
        SlotPrefetcher::of(ring, SlotPrefetcher::TO_CLAIM)
    }

    pub(super) fn to_take(ring: &Ring) -> SlotPrefetcher {
        SlotPrefetcher::of(ring, SlotPrefetcher::TO_TAKE)
    }

    fn of(ring: &Ring, bytes: usize) -> SlotPrefetcher {
        let two = (LINE + 1..=2 * LINE).contains(&ring.stride);
        SlotPrefetcher { stride: ring.stride, bytes: bytes.next_multiple_of(ring.stride), two }
    }

    #[inline(always)]
    pub(super) fn ask(&self, next: &Cursor) {
        let word = next.slot.as_ptr().wrapping_add(self.bytes);
        if opens_line(word, self.stride) {
            prefetch_to_write(word);
            if self.two {
                prefetch_to_write(word.wrapping_add(LINE));
            }
        }
    }
}

/// Returns whether a slot is the first of its line. Of the slots that share a line, only this one
/// prefetches it: a prefetch costs a notable part of a small message.
#[inline(always)]
fn opens_line(slot: *const u8, stride: usize) -> bool {
    slot.addr() % LINE < stride
}

/// Prefetches a cache line for writing. It is a hint: any address is allowed.
#[inline(always)]
fn prefetch_to_write(address: *const u8) {
    // SAFETY: a prefetch reads and writes nothing that the program can see and never faults; where
    // the processor has no such instruction, it does nothing.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!(
            "prefetchw [{address}]",
            address = in(reg) address.addr(),
            options(nostack, preserves_flags, nomem),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!(
            "prfm pstl1keep, [{address}]",
            address = in(reg) address.addr(),
            options(nostack, preserves_flags, nomem),
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}
