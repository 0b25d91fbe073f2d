//! Exhaustive tests of every slot state, with near and far laps, and with any values of head, tail
//! and credit: the ring's functions are total, and leave only states that the table in
//! `ring/slot_state.rs` allows. One thread, over a block of the heap.

use super::mpmc::{self, BAD_LAP, BAD_OWNER, BAD_PHASE, Next, ReleasedSlots, Room};
use super::testing::HeapRing;
use super::{Corrupt, Ring, spsc};
use crate::ring::slot_state::{DELIVERIES_MAX, LAP_SHIFT, LapOrder, NO_OWNER, Phase, SlotState};
use crate::sync::Ordering::Relaxed;

/// The calling seat, a dead seat, and a limit of deliveries.
const ME: u8 = 3;
const DEAD: u8 = 5;
const LEAVE: u8 = 4;

fn is_dead(seat: u8) -> Result<bool, Corrupt> {
    Ok(seat == DEAD)
}

fn is_gone(word: SlotState) -> bool {
    [DEAD, NO_OWNER].contains(&word.owner())
}

/// The distances of laps from a common one, and the step between the tried patterns of the lower
/// bits: all patterns where it matters, some where a walk takes long.
const LAPS: [(i64, usize); 9] = [
    (-2, 1),
    (-1, 1),
    (0, 1),
    (1, 1),
    (2, 1),
    (-(1 << 46), 251),
    (1 << 46, 251),
    (1 << 47, 251),
    ((1 << 47) - 1, 251),
];

/// Without optimisation, every fifth word is tried.
const EVERY: usize = if cfg!(debug_assertions) { 5 } else { 1 };

/// Returns every word of these laps.
fn words(lap: u64) -> impl Iterator<Item = SlotState> {
    LAPS.into_iter().flat_map(move |(distance, step)| {
        let (lap, step) = (lap.wrapping_add(distance as u64), step * EVERY);
        (0..1u64 << LAP_SHIFT).step_by(step).map(move |low| SlotState(lap << LAP_SHIFT | low))
    })
}

fn places(capacity: u64) -> [u64; 4] {
    let wrap = (1u64 << 48).wrapping_mul(capacity);
    [0, 3 * capacity + 1, wrap.wrapping_sub(1), u64::MAX]
}

/// Returns an MPMC ring whose hints are `position`, with every slot free.
fn free(block: &HeapRing, position: u64) -> Ring {
    // SAFETY: the callers drop the block last.
    let ring = unsafe { block.ring() };
    for at in 0..ring.capacity() {
        let at = position.wrapping_add(at);
        ring.slot(at).head.word.store(SlotState::free(at >> ring.shift).0, Relaxed);
    }
    ring
}

/// Returns the states that one step of any member makes of a state.
fn steps(word: SlotState) -> Vec<SlotState> {
    let (lap, count) = (word.lap(), word.deliveries());
    match word.phase() {
        Some(Phase::Free) if word.is_free() => vec![SlotState::claimed(lap, ME)],
        Some(Phase::Claimed) if is_gone(word) => vec![word.abandoned()],
        Some(Phase::Skip) => {
            word.claimed_again(ME).into_iter().chain([word.freed_unsent()]).collect()
        }
        Some(Phase::Full) if word == SlotState::full(lap) => vec![SlotState::reading(lap, 1, ME)],
        Some(Phase::Reading | Phase::Held) if is_gone(word) => {
            // Orphaned, for receivers to find: at once, or stepped over.
            let mut to = vec![word.orphaned(), stepped_over(word.orphaned())];
            if count < LEAVE {
                to.push(word.taken_over(ME));
            }
            to
        }
        Some(Phase::Reading | Phase::Held) => vec![stepped_over(word)],
        _ => vec![],
    }
}

/// Returns the state after a sender stepped over it.
fn stepped_over(word: SlotState) -> SlotState {
    SlotState::held(word.lap().wrapping_add(1), word.deliveries(), word.owner())
}

/// The maximum number of steps that one call makes in one slot.
const STEPS: u32 = 3;

/// Returns whether such steps lead from one state to the other.
fn is_reachable(from: SlotState, to: SlotState) -> bool {
    is_reachable_in(STEPS, from, to)
}

fn is_reachable_in(left: u32, from: SlotState, to: SlotState) -> bool {
    from == to || left != 0 && steps(from).into_iter().any(|w| is_reachable_in(left - 1, w, to))
}

/// Calls `check` for each word in the slot of the position, with the ring that holds it.
fn for_each_word(mut check: impl FnMut(&Ring, u64, SlotState)) {
    for capacity in [1, 4] {
        for position in places(capacity as u64) {
            let block = HeapRing::at(capacity, position);
            let ring = free(&block, position);
            let slot = ring.slot(position);
            for word in words(position >> ring.shift) {
                slot.head.word.store(word.0, Relaxed);
                check(&ring, position, word);
            }
        }
    }
}

fn found(ring: &Ring, position: u64) -> SlotState {
    SlotState(ring.slot(position).head.word.load(Relaxed))
}

/// Restores the other slots after a call that walked on.
fn put_back(ring: &Ring, position: u64) {
    for at in 1..ring.capacity() {
        let at = position.wrapping_add(at);
        ring.slot(at).head.word.store(SlotState::free(at >> ring.shift).0, Relaxed);
    }
    for hint in [&ring.header().tail.0, &ring.header().head.0] {
        hint.store(position, Relaxed);
    }
}

/// Returns why no honest member can have left this state, if its lap is that of the position.
fn wrong_in_its_lap(word: SlotState) -> Option<Corrupt> {
    match word.phase() {
        None => Some(BAD_PHASE),
        Some(Phase::Free) => (!word.is_free()).then_some(BAD_OWNER),
        _ => None,
    }
}

/// Returns whether there are other slots, with states of their own.
fn has_others(ring: &Ring) -> bool {
    ring.capacity() > 1
}

/// The same for a state that a sender finds, for its next position of that lap.
fn wrong_for_a_sender(ring: &Ring, word: SlotState, lap: u64) -> Option<Corrupt> {
    match word.age(lap) {
        LapOrder::Same => wrong_in_its_lap(word),
        // The slots after it are at least one lap behind what it claims.
        LapOrder::Newer => (has_others(ring) && word.laps_after(lap) > 1).then_some(BAD_LAP),
        LapOrder::Older if word.age(lap.wrapping_sub(1)) != LapOrder::Same => Some(BAD_LAP),
        LapOrder::Older => match word.phase() {
            None => Some(BAD_PHASE),
            Some(Phase::Free) => Some(BAD_LAP),
            Some(Phase::Full) => (word != SlotState::full(word.lap())).then_some(BAD_OWNER),
            _ => None,
        },
    }
}

/// The same for a state that a receiver finds.
fn wrong_for_a_receiver(ring: &Ring, word: SlotState, lap: u64) -> Option<Corrupt> {
    match word.age(lap) {
        LapOrder::Same if word.phase() == Some(Phase::Full) => {
            (word != SlotState::full(word.lap())).then_some(BAD_OWNER)
        }
        LapOrder::Same => wrong_in_its_lap(word),
        // The slots after it are further behind than an unclaimed one.
        LapOrder::Newer => (has_others(ring) && word.laps_after(lap) > 3).then_some(BAD_LAP),
        LapOrder::Older => (word.age(lap.wrapping_sub(1)) != LapOrder::Same).then_some(BAD_LAP),
    }
}

/// An error names the actual fault of the state. No other error occurs, except in a ring of one
/// slot, where a walk returns to the same state.
fn must_say<T: core::fmt::Debug>(ring: &Ring, said: &Result<T, Corrupt>, wrong: Option<Corrupt>) {
    let error = said.as_ref().err().copied();
    if wrong.is_some() || has_others(ring) {
        assert_eq!(error, wrong, "{said:?}");
    }
}

#[test]
fn claims_of_every_word() {
    for_each_word(|ring, position, word| {
        let tx = mpmc::Producer::new(*ring, ME);
        let room = tx.claim(is_dead);
        let left = found(ring, position);
        assert!(is_reachable(word, left), "{word:?} became {left:?}");
        let lap = position >> ring.shift;
        must_say(ring, &room, wrong_for_a_sender(ring, word, lap));
        if word.is_free() && word.age(lap) == LapOrder::Same {
            assert!(matches!(&room, Ok(Room::Claimed(claim)) if claim.position() == position));
        }
        match room {
            Ok(Room::Claimed(claim)) => {
                let lap = claim.position() >> ring.shift;
                let at = claim.position();
                assert_eq!(found(ring, at), claim.state());
                // An abandoned position is claimed again, with a count that grows.
                let again = word.phase() == Some(Phase::Skip)
                    && word.age(lap) == LapOrder::Same
                    && at & ring.mask == position & ring.mask;
                let times = if again { word.deliveries() + 1 } else { 0 };
                let SlotState(ours) = claim.state();
                assert_eq!(ours, SlotState::claimed(lap, ME).0 | u64::from(times) << 11);
                assert!(tx.publish(claim));
                assert_eq!(found(ring, at), SlotState::full(lap));
            }
            Ok(Room::Full) => assert_eq!(left.phase(), Some(Phase::Full)),
            Ok(Room::Orphaned) => {
                assert!(left.is_in_flight() && is_gone(left) && !has_others(ring));
            }
            Ok(Room::Behind { seat }) => {
                assert!(left.phase() == Some(Phase::Claimed));
                assert!(left.owner() == seat && !is_gone(left));
            }
            // Otherwise it is stepped over.
            Ok(Room::Held { seat }) => {
                assert!(left.is_in_flight() && !has_others(ring));
                assert!(left.owner() == seat && !is_gone(left));
            }
            Ok(Room::Overtaken) => panic!("by nobody"),
            Err(Corrupt(what)) => assert!(!what.is_empty()),
        }
        put_back(ring, position);
    });
}

#[test]
fn takes_of_every_word() {
    for_each_word(|ring, position, word| {
        let rx = mpmc::Consumer::new(*ring, ME);
        let next = rx.take(is_dead);
        let left = found(ring, position);
        assert!(is_reachable(word, left), "{word:?} became {left:?}");
        let lap = position >> ring.shift;
        must_say(ring, &next, wrong_for_a_receiver(ring, word, lap));
        if word == SlotState::full(lap) {
            assert!(matches!(&next, Ok(Next::Message(held)) if held.position() == position));
        }
        match next {
            Ok(Next::Message(held)) => {
                let (at, lap) = (held.position(), held.position() >> ring.shift);
                assert_eq!(found(ring, at), SlotState::reading(lap, 1, ME));
                assert!(rx.acknowledge(&held));
                assert_eq!(found(ring, at), SlotState::free(lap.wrapping_add(1)));
            }
            Ok(Next::Nothing) => {}
            Ok(Next::Behind { seat }) => {
                assert!(left.phase() == Some(Phase::Claimed));
                assert!(left.owner() == seat && !is_gone(left));
            }
            Ok(Next::Overtaken) => panic!("by nobody"),
            Err(Corrupt(what)) => assert!(!what.is_empty()),
        }
        put_back(ring, position);
    });
}

#[test]
fn repairs_of_every_word() {
    for_each_word(|ring, position, word| {
        let rx = mpmc::Consumer::new(*ring, ME);
        let taken = rx.take_over(LEAVE, is_dead).expect("no verdict fails");
        let left = found(ring, position);
        let orphan = word.is_in_flight() && is_gone(word);
        // The position is that of the slot in that lap, wherever the lap is; or the one that the
        // senders noted when they stepped over it.
        let origin = ring.origin(&ring.cursor(position)).expect("a table").load(Relaxed);
        let is_place = |at: u64| match word.phase() {
            Some(Phase::Held) => at == origin,
            _ => {
                let same = word.age(at >> ring.shift) == LapOrder::Same;
                at & ring.mask == position & ring.mask && same
            }
        };
        match taken {
            Some(held) => {
                assert!(orphan && word.deliveries() < LEAVE && is_place(held.position()));
                assert_eq!(left, word.taken_over(ME));
                assert!(rx.acknowledge(&held));
                let freed = match word.phase() {
                    Some(Phase::Held) => word.freed_unsent(),
                    _ => word.freed(),
                };
                assert_eq!(found(ring, position), freed);
            }
            None => {
                assert!(!orphan || word.deliveries() >= LEAVE);
                assert_eq!(left, word);
            }
        }

        ring.slot(position).head.word.store(word.0, Relaxed);
        let ReleasedSlots { claims, orphans } = ring.release_slots_of(DEAD);
        let left = found(ring, position);
        let expected = match word.phase() {
            Some(Phase::Claimed) if word.owner() == DEAD => word.abandoned(),
            Some(Phase::Reading | Phase::Held) if word.owner() == DEAD => word.orphaned(),
            _ => word,
        };
        assert_eq!(left, expected);
        // Also if the member that orphaned it died.
        assert_eq!(orphans, left.is_in_flight() && left.owner() == NO_OWNER);
        let claim = word.phase() == Some(Phase::Claimed) && word.owner() == DEAD;
        assert_eq!(claims, u64::from(claim));
        assert_eq!(ring.count_messages(), u64::from(left.holds_message()));
    });
}

/// The count of deliveries is exact up to 31, and never becomes small again. What is left where it
/// is keeps its state.
#[test]
fn deliveries_are_counted() {
    let block = HeapRing::at(1, 0);
    let ring = free(&block, 0);
    let rx = mpmc::Consumer::new(ring, ME);
    for leave in 0..=u8::MAX {
        for deliveries in 0..=DELIVERIES_MAX {
            let word = SlotState::reading(0, deliveries, DEAD);
            ring.slot(0).head.word.store(word.0, Relaxed);
            let taken = rx.take_over(leave, is_dead).expect("no verdict fails");
            assert_eq!(taken.is_some(), deliveries < leave);
            match taken {
                Some(held) if deliveries == DELIVERIES_MAX => assert_eq!(held.deliveries(), 16),
                Some(held) => assert_eq!(held.deliveries(), deliveries + 1),
                None => assert_eq!(found(&ring, 0), word),
            }
        }
    }
}

/// A cursor is at the slot of its position, inside the ring, however it got there.
#[test]
fn cursors_stay_inside() {
    for shift in 0..12 {
        let capacity = 1u64 << shift;
        let block = HeapRing::new(capacity as usize);
        // SAFETY: dropped before the block.
        let ring = unsafe { block.ring() };
        let edges = [0, capacity, 1 << 48, 1 << 63, u64::MAX - capacity];
        for position in
            edges.into_iter().flat_map(|e| (0..=2 * capacity).map(move |n| e.wrapping_add(n)))
        {
            let mut cursor = ring.cursor(position);
            let index = position % capacity;
            let at = |slot: core::ptr::NonNull<u8>| slot.addr().get() - ring.slots.addr().get();
            assert_eq!(at(cursor.slot), index as usize * ring.stride);
            assert_eq!(cursor.full, SlotState::full(position / capacity));
            ring.advance(&mut cursor);
            let next = ring.cursor(position.wrapping_add(1));
            assert_eq!((cursor.position, cursor.slot), (next.position, next.slot));
            assert_eq!(cursor.full, next.full);
        }
    }
}

/// SPSC: any tail, head, credit and states, near each other and far apart.
#[test]
fn spsc_with_any_header() {
    const FAR: [u64; 3] = [1 << 40, 1 << 63, u64::MAX];
    for capacity in [1u64, 2, 4] {
        for position in places(capacity) {
            let block = HeapRing::at(capacity as usize, position);
            // SAFETY: dropped before the block.
            let ring = unsafe { block.ring() };
            let header = ring.header();
            let near = (0..=4 * capacity).map(|n| n.wrapping_sub(2 * capacity));
            let offsets: Vec<u64> = near.chain(FAR).collect();
            let word = |at: u64, what: u8| match what {
                0 => SlotState::UNUSED,
                1 => ring.full(at.wrapping_sub(capacity)),
                2 => ring.full(at),
                3 => ring.full(at.wrapping_add(capacity)),
                _ => SlotState(u64::MAX),
            };
            for (&tail, &head) in offsets.iter().flat_map(|t| offsets.iter().map(move |h| (t, h))) {
                let (tail, head) = (position.wrapping_add(tail), position.wrapping_add(head));
                for what in 0..25u8 {
                    header.tail.0.store(tail, Relaxed);
                    header.head.0.store(head, Relaxed);
                    ring.slot(head).head.word.store(word(head, what / 5).0, Relaxed);
                    let last = tail.wrapping_sub(1);
                    ring.slot(last).head.word.store(word(last, what % 5).0, Relaxed);
                    if let Ok(mut tx) = spsc::Producer::new(ring) {
                        let free = |tx: &spsc::Producer| {
                            assert!(tx.room() <= capacity && tx.unacknowledged() <= capacity);
                        };
                        // No unacknowledged message will be overwritten.
                        assert!(tx.position().wrapping_sub(head) <= capacity);
                        free(&tx);
                        for &credit in &offsets {
                            header.credit.0.store(position.wrapping_add(credit), Relaxed);
                            header.head.0.store(position.wrapping_add(credit), Relaxed);
                            for exact in [false, true] {
                                let _ = tx.refresh(exact);
                                free(&tx);
                            }
                        }
                        header.head.0.store(head, Relaxed);
                    }
                    if spsc::Consumer::check(&ring).is_ok() {
                        let rx = spsc::Consumer::new(ring);
                        assert_eq!(rx.position(), head);
                        let ready = rx.is_ready();
                        assert_eq!(ready == Ok(true), rx.has_message());
                    }
                    assert!(ring.depth() <= capacity);
                }
            }
        }
    }
}
