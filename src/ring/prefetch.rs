//! Asking early for the memory of the next slots to write.
//!
//! A sender's stores leave in order: each cache line that the receiver read a lap ago, and therefore
//! has to be fetched, would hold up all that follow. Asked for early, several come at once.
//!
//! Measured in a stream, beside the same without: 64 B five times as many in place and nearly three times
//! by value, 8 B nearly twice; from 256 to 2048 bytes ahead made no difference. The receiver no longer
//! runs at the sender's heels, where each look at a slot takes away the line that is being written.

use super::{Cursor, Ring};

/// Bytes of a cache line.
const LINE: usize = 64;

/// How far ahead, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunPrefetcher {
    /// Cache lines of a slot to ask for.
    lines: usize,
    /// Slots from the one that is written to the one asked for.
    slots: u64,
    /// The same in bytes; 0 as long as there is nothing to ask for.
    bytes: usize,
}

impl RunPrefetcher {
    const BYTES: usize = 512;
    /// Of larger slots the first ones: by then the processor has seen where the stores go. At 16 KiB in
    /// place, these gain a twentieth, and all of them would cost one.
    const LINES: usize = 32;

    pub(super) fn of(ring: &Ring) -> RunPrefetcher {
        let slots = RunPrefetcher::BYTES.div_ceil(ring.stride);
        let lines = ring.stride.div_ceil(LINE).min(RunPrefetcher::LINES);
        RunPrefetcher { lines, slots: slots as u64, bytes: 0 }
    }

    /// How many slots of `room`, the free ones from `position` on, to write before this is asked again;
    /// `most` at most. Those that are not free are not asked for: taken from under a receiver that reads
    /// it, a line would cost both.
    pub(super) fn run(&mut self, ring: &Ring, position: u64, room: u64, most: u64) -> u64 {
        let asked = room.saturating_sub(self.slots + 1).min(most);
        if asked == 0 {
            self.bytes = 0;
            return room.min(most);
        }
        // From the end of the ring to its start it is a way back.
        let [here, there] = [position, position.wrapping_add(self.slots + 1)]
            .map(|p| ring.cursor(p).slot.addr().get());
        self.bytes = there.wrapping_sub(here);
        asked
    }

    /// Asks for the slot that is so far ahead of this one, which was just written.
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

/// Asks for the line of a slot's word some bytes on, whatever the word is: to know, one would have to look at
/// it, which is the very miss that this avoids.
///
/// For members of many, whose claim or taking waits for the line, and all that follows for that. Measured turn
/// by turn: senders 8 B a tenth more, at 128 or 192 bytes; receivers 8 B a sixth to three quarters more, at 64 to
/// 256, but only while they are far behind. At the heels of a sender they would take away what it writes: less
/// than half as many.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotPrefetcher {
    stride: usize,
    bytes: usize,
    /// Whether slots are longer than a line, and not longer than two: then a slot's second line is asked for, too.
    two: bool,
}

impl SlotPrefetcher {
    /// How far ahead a sender asks, and a receiver.
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

/// Whether a slot is the first of a line. Of those that share one, it asks: asking is a quarter of a message
/// of 8 B.
#[inline(always)]
fn opens_line(slot: *const u8, stride: usize) -> bool {
    slot.addr() % LINE < stride
}

/// Asks for a cache line, to write there soon. A hint: any address will do.
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
