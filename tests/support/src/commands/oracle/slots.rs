//! The slots of an MPMC ring: which position each of them is at, and where a sender that walks from
//! its own last position finds one.
//!
//! Positions are counted from the first one, and never wrap here.

use std::collections::BTreeMap;

use super::{Entry, State};
use crate::commands::{Inside, No};

/// How often a position may be claimed again.
const AGAIN_MAX: u32 = 31;

/// The number of positions between two stores of the hint at which new senders start.
const HINT_EVERY: u64 = 16;

/// What one slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It is free for the position.
    Nothing,
    /// There is no message at the position.
    Skip,
    /// The message or claim of this position or of an earlier one; then all later ones up to the
    /// slot's position were skipped.
    Entry(u64),
}

/// One slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The position that it is at.
    pub at: u64,
    pub holds: Holds,
    /// How often the position was claimed again.
    again: u32,
}

impl Slot {
    pub fn new(at: u64, holds: Holds) -> Slot {
        Slot { at, holds, again: 0 }
    }
}

/// Why a sender finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// A message was not taken yet, or its receiver is gone.
    Untaken,
    /// A living member writes in a slot.
    Claimed,
    /// Receivers read in every slot.
    Held,
}

impl Full {
    /// Returns what a call answers.
    pub(super) fn no(self, timed: bool) -> No {
        match self {
            Full::Untaken => No::Nothing,
            Full::Claimed => No::Behind,
            Full::Held if timed => No::Behind,
            Full::Held => No::Nothing,
        }
    }
}

/// All slots.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// The first position, as the ring counts.
    place: u64,
    /// Where new senders start.
    pub(super) hint: u64,
}

impl Slots {
    pub(super) fn new(capacity: u64, place: u64) -> Slots {
        let mut slots = vec![Slot::new(0, Holds::Nothing); capacity as usize];
        for at in 0..capacity {
            slots[(place.wrapping_add(at) & (capacity - 1)) as usize].at = at;
        }
        Slots { slots, place, hint: 0 }
    }

    fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    fn slot(&self, at: u64) -> Slot {
        self.slots[(self.place.wrapping_add(at) & (self.capacity() - 1)) as usize]
    }

    fn slot_mut(&mut self, at: u64) -> &mut Slot {
        let index = self.place.wrapping_add(at) & (self.capacity() - 1);
        &mut self.slots[index as usize]
    }

    /// Returns whether it is the turn of this position to be stored as a hint.
    fn is_turn(&self, at: u64) -> bool {
        self.place.wrapping_add(at).is_multiple_of(HINT_EVERY)
    }

    /// Returns whether a slot holds the entry of this position.
    pub(super) fn has(&self, of: u64) -> bool {
        self.slot(of).holds == Holds::Entry(of)
    }

    /// Returns whether a sender stepped over the slot that holds the entry of this position.
    pub(super) fn is_stepped_over(&self, of: u64) -> bool {
        self.has(of) && self.slot(of).at > of
    }

    /// Frees the slot that holds the entry of this position, or that is at it.
    pub(super) fn free(&mut self, at: u64) {
        let capacity = self.capacity();
        let slot = self.slot_mut(at);
        *slot = Slot::new(slot.at + capacity, Holds::Nothing);
    }

    /// A claim of this position ends without a message.
    pub(super) fn skip(&mut self, at: u64) {
        self.slot_mut(at).holds = Holds::Skip;
    }

    /// Receivers step over positions without a message, up to this one.
    pub(super) fn free_skipped(&mut self, until: u64) {
        for slot in self.slots.clone() {
            if slot.holds == Holds::Skip && slot.at < until {
                self.free(slot.at);
            }
        }
    }

    /// Claims the first free slot for a sender whose next position this is.
    pub(super) fn claim(&mut self, next: u64, entries: &BTreeMap<u64, Entry>) -> Result<u64, Full> {
        let state = |slot: Slot| match slot.holds {
            Holds::Entry(of) => entries.get(&of).map(|entry| entry.state),
            _ => None,
        };
        let mut at = next;
        loop {
            let slot = self.slot(at);
            if slot.at > at {
                // The position before was finished, and all before that.
                at = self.hint.max(slot.at + 1 - self.capacity()).max(at + 1);
                continue;
            }
            match (slot.at == at, slot.holds, state(slot)) {
                (true, Holds::Nothing, _) => break,
                (true, Holds::Skip, _) if slot.again < AGAIN_MAX && self.is_last(at) => break,
                (true, ..) => at += 1,
                (false, Holds::Skip, _) | (false, _, Some(State::Dead(_))) => self.free(at),
                (false, _, Some(State::Full)) => return Err(Full::Untaken),
                (false, _, Some(State::Claimed(_))) => return Err(Full::Claimed),
                (false, _, Some(taken)) => match (self.beyond(at, state), taken) {
                    (Ok(()), _) => {
                        self.slot_mut(at).at = at;
                        if self.is_turn(at + 1) {
                            self.hint = self.hint.max(at + 1);
                        }
                        at += 1;
                    }
                    (_, State::Orphan(_)) => return Err(Full::Untaken),
                    (Err(why), _) => return Err(why),
                },
                (false, ..) => panic!("{slot:?} at {at}"),
            }
        }
        let again = if self.slot(at).holds == Holds::Skip { self.slot(at).again + 1 } else { 0 };
        *self.slot_mut(at) = Slot { at, holds: Holds::Entry(at), again };
        if self.is_turn(at + 1) {
            self.hint = at + 1;
        }
        Ok(at)
    }

    /// Returns whether there is room behind the slot of this position, which is being read.
    fn beyond(&self, at: u64, state: impl Fn(Slot) -> Option<State>) -> Result<(), Full> {
        for look in at + 1..at + self.capacity() {
            let slot = self.slot(look);
            match (slot.at < look, slot.holds, state(slot)) {
                _ if slot.at > look => return Ok(()),
                (true, Holds::Skip, _) | (true, _, Some(State::Dead(_))) => return Ok(()),
                (false, Holds::Nothing, _) => return Ok(()),
                (true, _, Some(State::Full)) => return Err(Full::Untaken),
                (true, _, Some(State::Claimed(_))) => return Err(Full::Claimed),
                _ => {}
            }
        }
        Err(Full::Held)
    }

    /// Returns whether no position behind this one was claimed for a message.
    fn is_last(&self, at: u64) -> bool {
        for look in at + 1..at + self.capacity() {
            let slot = self.slot(look);
            match slot.holds {
                _ if slot.at < look => return true,
                _ if slot.at > look => return false,
                Holds::Nothing => return true,
                Holds::Skip => {}
                Holds::Entry(of) if of < look => {}
                Holds::Entry(_) => return false,
            }
        }
        true
    }

    /// Compares the slots with those of the ring, and takes over what is found there. After a death
    /// in the middle of a call, it may have taken some more steps; and some entries may be gone.
    ///
    /// If receivers may have `searched`, they may have stepped over positions before they did.
    pub(super) fn compare(
        &mut self,
        inside: &Inside,
        died: bool,
        searched: bool,
        may_go: impl Fn(u64) -> bool,
    ) {
        let capacity = self.capacity();
        for (slot, found) in self.slots.iter_mut().zip(&inside.slots) {
            let same = (slot.at, slot.holds) == (found.at, found.holds);
            let later = slot.at + capacity == found.at;
            let may_be = match (slot.holds, found.holds) {
                (Holds::Skip, Holds::Nothing) => (died || searched) && later,
                (Holds::Entry(of), Holds::Entry(now)) => died && later && of == now,
                (Holds::Entry(of), Holds::Skip) => slot.at == found.at && may_go(of),
                (Holds::Entry(of), Holds::Nothing) => later && may_go(of),
                _ => false,
            };
            assert!(same || may_be, "{slot:?}, found {found:?}");
            (slot.at, slot.holds) = (found.at, found.holds);
        }
        assert!(died || self.hint == inside.hint, "{self:?}, found {inside:?}");
        self.hint = inside.hint;
    }
}
