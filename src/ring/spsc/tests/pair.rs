//! Both ends of one ring.

use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{HeapRing, read, write};
use crate::ring::{Corrupt, Ring};

/// The ends.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) tx: Producer,
    pub(super) rx: Consumer,
    pub(super) ring: Ring,
    /// Declared last: the ends refer to it.
    _block: HeapRing,
}

impl Pair {
    pub(super) fn new(capacity: usize) -> Pair {
        Pair::of(HeapRing::new(capacity))
    }

    /// Returns both ends after `position` messages.
    pub(super) fn at(capacity: usize, position: u64) -> Pair {
        Pair::of(HeapRing::at(capacity, position))
    }

    fn of(block: HeapRing) -> Pair {
        // SAFETY: the block is dropped last.
        let ring = unsafe { block.ring() };
        let (tx, rx) = (Producer::new(ring).expect("no corruption"), Consumer::new(ring));
        Pair { tx, rx, ring, _block: block }
    }

    /// Sends its position if there is room.
    pub(super) fn send(&mut self) -> Result<bool, Corrupt> {
        let room = self.tx.has_room() || self.tx.refresh(true)?;
        if room {
            write(self.tx.slot(), self.tx.position());
            self.tx.publish();
        }
        Ok(room)
    }

    /// Receives a message if there is one.
    pub(super) fn receive(&mut self) -> Result<Option<u64>, Corrupt> {
        if !self.rx.is_ready()? {
            return Ok(None);
        }
        let number = read(self.rx.slot());
        if self.rx.acknowledge() {
            self.rx.publish_credit();
        }
        Ok(Some(number))
    }

    /// Replaces the sender by a successor in its seat.
    pub(super) fn succeed_sender(&mut self) -> Result<(), Corrupt> {
        self.tx = Producer::new(self.ring)?;
        Ok(())
    }

    /// Replaces the receiver by a successor in its seat.
    pub(super) fn succeed_receiver(&mut self) {
        self.rx = Consumer::new(self.ring);
    }
}
