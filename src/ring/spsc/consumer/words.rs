//! Where a receiver shows how far it is.

use core::ptr::NonNull;

use crate::layout::Progress;
use crate::ring::Ring;
use crate::sync::{AtomicU64, plain};

/// The words in which a receiver shows how far it is: those of the header, or, in a broadcast
/// channel, its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    head: NonNull<AtomicU64>,
    credit: NonNull<AtomicU64>,
    delivery: NonNull<plain::AtomicU64>,
    /// In a broadcast channel.
    missed: Option<NonNull<plain::AtomicU64>>,
}

// SAFETY: as for the ring.
unsafe impl Send for Words {}

impl Words {
    pub(super) fn of_header(ring: &Ring) -> Words {
        let header = ring.header();
        Words {
            head: NonNull::from(&header.head.0),
            credit: NonNull::from(&header.credit.0),
            delivery: NonNull::from(&header.repairs.delivery),
            missed: None,
        }
    }

    pub(super) fn of_record(record: &Progress) -> Words {
        Words {
            head: NonNull::from(&record.head.0),
            credit: NonNull::from(&record.shown.credit),
            delivery: NonNull::from(&record.shown.delivery),
            missed: Some(NonNull::from(&record.shown.missed)),
        }
    }

    #[inline(always)]
    pub(super) fn head(&self) -> &AtomicU64 {
        // SAFETY: it lies where the ring lies, which its users keep there.
        unsafe { self.head.as_ref() }
    }

    #[inline(always)]
    pub(super) fn credit(&self) -> &AtomicU64 {
        // SAFETY: as above.
        unsafe { self.credit.as_ref() }
    }

    pub(super) fn delivery(&self) -> &plain::AtomicU64 {
        // SAFETY: as above.
        unsafe { self.delivery.as_ref() }
    }

    /// Returns the number of messages that this receiver missed, which it alone writes.
    pub(super) fn missed(&self) -> Option<&plain::AtomicU64> {
        // SAFETY: as above.
        self.missed.map(|missed| unsafe { missed.as_ref() })
    }
}
