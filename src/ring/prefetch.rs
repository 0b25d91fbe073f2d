//! Prefetching the next slots to write, and the next ones to read.
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
    /// The distance in slots from the one that is written to the one that is prefetched.
    slots: u64,
    /// The same distance in bytes; 0 while there is nothing to prefetch.
    bytes: usize,
}

impl RunPrefetcher {
    /// The distance in bytes. 512 bytes are a little slower, and 2,048 are for some sizes.
    const BYTES: usize = 1024;
    /// The maximum number of lines for each slot: after that many, the processor's own prefetcher
    /// has detected the stores. For messages of 16 KiB in place, 32 lines gain a twentieth of the
    /// throughput, and all of them would cost a twentieth.
    const LINES: usize = 32;

    pub(super) fn of(ring: &Ring) -> RunPrefetcher {
        RunPrefetcher { slots: RunPrefetcher::BYTES.div_ceil(ring.stride) as u64, bytes: 0 }
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
    pub(super) fn ask(&self, stride: usize, slot: *const u8) {
        let first = slot.wrapping_add(self.bytes);
        if opens_line(first, stride) {
            prefetch_to_write(first);
            for line in 1..stride.div_ceil(LINE).min(RunPrefetcher::LINES) {
                prefetch_to_write(first.wrapping_add(line * LINE));
            }
        }
    }
}

/// Prefetches the second line of a slot, if it has one, after a receiver has polled the first one
/// without success: when the message comes, both travel at the same time, not one after the other.
#[inline]
pub(super) fn second_line(stride: usize, slot: *const u8) {
    if slot.addr() % LINE + stride > LINE {
        prefetch_to_read(slot.wrapping_add(LINE));
    }
}

/// Prefetching for an SPSC receiver that is behind its sender. The processor prefetches by itself
/// where it sees a sequence of lines. On some processors it does not in a ring of up to 32 pages, for
/// which it keeps what it saw in the last lap: the receiver waits for each line then, and takes
/// twice as long for 8 B as in a ring of 64 pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadAhead {
    /// The distance in slots from the one that is read to the one that is prefetched.
    slots: u64,
    /// The same distance in bytes; 0 while the sender is not that far ahead. Then the line that is
    /// being read is prefetched, which does nothing.
    bytes: usize,
}

impl ReadAhead {
    /// The distance in bytes, a multiple of a line.
    const BYTES: usize = 1024;
    /// The maximum size of slots whose lines are prefetched, in bytes: the first line of each. The
    /// processor detects the lines of a longer slot while it is read.
    const SLOT_MAX: usize = 256;

    pub(super) fn of(ring: &Ring) -> ReadAhead {
        ReadAhead { slots: ReadAhead::BYTES.div_ceil(ring.stride) as u64, bytes: 0 }
    }

    /// Prefetches during the next `messages` messages from `position` on, or not: only if a message is
    /// available at the last slot that would be prefetched. A line that the sender is about to write
    /// would be taken away from it.
    pub(super) fn choose(&mut self, ring: &Ring, position: u64, messages: u64) {
        let far = messages + self.slots;
        let pays = ring.stride <= ReadAhead::SLOT_MAX && far < ring.capacity();
        let on = pays && ring.is_full(position.wrapping_add(far));
        self.bytes = if on { ReadAhead::BYTES } else { 0 };
        if on {
            // What the next choice looks at; it would wait for this line.
            let next = position.wrapping_add(far + ring.credit_every());
            prefetch_to_read(ring.cursor(next).slot.as_ptr());
        }
    }

    /// Prefetches the line at that distance from this slot, which is being read.
    #[inline(always)]
    pub(super) fn ask(&self, stride: usize, slot: *const u8) {
        if stride <= ReadAhead::SLOT_MAX && opens_line(slot, stride) {
            prefetch_to_read(slot.wrapping_add(self.bytes));
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

/// Prefetches a cache line for reading. It is a hint: any address is allowed.
#[inline(always)]
fn prefetch_to_read(address: *const u8) {
    // SAFETY: a prefetch reads and writes nothing that the program can see and never faults.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!(
            "prefetcht0 [{address}]",
            address = in(reg) address.addr(),
            options(nostack, preserves_flags, nomem),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!(
            "prfm pldl1keep, [{address}]",
            address = in(reg) address.addr(),
            options(nostack, preserves_flags, nomem),
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
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
