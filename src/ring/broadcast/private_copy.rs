//! A slot in private memory: where a receiver of an overwriting channel reads its message, since the
//! sender may overwrite the one in the ring at any time.

use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

use crate::layout::{SLOTS_ALIGN, SlotHead};
use crate::message;
use crate::ring::slot_state::SlotState;
use crate::ring::{Ring, Slot};
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, Tracked, plain};

/// The slot. It has the layout of those in the ring, so that it takes the place of one.
#[derive(Debug)]
pub(crate) struct PrivateCopy {
    start: NonNull<u8>,
    layout: Layout,
    /// Whether messages have a length of their own.
    is_variable: bool,
}

// SAFETY: it owns its memory, like a box.
unsafe impl Send for PrivateCopy {}

impl PrivateCopy {
    /// Returns an empty slot for messages of this ring; `is_variable`: whether they have a length of
    /// their own.
    pub(crate) fn new(ring: &Ring, is_variable: bool) -> PrivateCopy {
        let layout = Layout::from_size_align(ring.stride, SLOTS_ALIGN);
        // A stride is that of a segment, which exists.
        let Ok(layout) = layout else { handle_alloc_error(Layout::new::<u8>()) };
        // SAFETY: a slot has a head, so the layout has a non-zero size.
        let Some(start) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout)
        };
        let head = SlotHead { word: AtomicU64::new(0), tracked: Tracked::new() };
        // SAFETY: a slot begins with room for its head.
        unsafe { start.cast().write(head) };
        PrivateCopy { start, layout, is_variable }
    }

    /// Returns where it begins.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Copies the message of a slot, which may be overwritten meanwhile, and makes it the one that
    /// this state publishes. Whether it is whole is for the caller to find out.
    pub(crate) fn copy(&mut self, ring: &Ring, slot: &Slot<'_>, full: SlotState) {
        // SAFETY: it has the layout of a slot of that ring.
        let own = unsafe { ring.slot_from(self.start) };
        let len = match self.is_variable {
            true => {
                let len = slot.length().load(plain::Ordering::Relaxed);
                own.length().store(len, plain::Ordering::Relaxed);
                // An impossible length is found by the reader of the copy.
                (len as usize).min(ring.slot_size)
            }
            false => ring.slot_size,
        };
        // SAFETY: both have room for the slot size, rounded up to 8, and are aligned to 8.
        unsafe { message::copy_out(slot.payload(), own.payload().as_ptr(), len) };
        own.head.word.store(full.0, Relaxed);
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, with a head at its start.
        unsafe {
            self.start.cast::<SlotHead>().drop_in_place();
            dealloc(self.start.as_ptr(), self.layout);
        }
    }
}
