//! Slots that are held for longer than a lap, and abandoned claims: both leave the rest of the ring
//! usable, and neither loses, doubles or reorders a message.

use super::*;
use crate::ring::slot_state::{NO_OWNER, Phase};
use crate::ring::spsc::tests::places;
use crate::sync::Ordering::Relaxed;

/// No member dies.
fn alive(_: u8) -> Result<bool, Corrupt> {
    Ok(false)
}

const DEAD: u8 = 9;

fn is_dead(seat: u8) -> Result<bool, Corrupt> {
    Ok(seat == DEAD)
}

fn claim(tx: &Producer) -> Option<Claim> {
    match tx.claim(alive).unwrap() {
        Room::Claimed(claim) => Some(claim),
        _ => None,
    }
}

/// Sends the position of the message in it, if there is room.
fn send(tx: &Producer) -> Option<u64> {
    let claim = claim(tx)?;
    let position = claim.position();
    write(tx.slot(&claim), position);
    assert!(tx.publish(claim));
    Some(position)
}

fn take(rx: &Consumer) -> Option<Held> {
    match rx.take(alive).unwrap() {
        Next::Message(held) => {
            assert_eq!(read(rx.slot(&held)), held.position());
            Some(held)
        }
        _ => None,
    }
}

fn recv(rx: &Consumer) -> Option<u64> {
    let held = take(rx)?;
    assert!(rx.acknowledge(&held));
    Some(held.position())
}

fn state(ring: &Ring, position: u64) -> SlotState {
    SlotState(ring.slot(position).head.word.load(Relaxed))
}

/// Calls `check` with a ring of each size at each place where arithmetic could go wrong.
fn for_each_ring(capacities: &[usize], check: impl Fn(Ring, Producer, Consumer, u64)) {
    for &capacity in capacities {
        for place in places(capacity) {
            let block = HeapRing::of_many_at(capacity, place);
            // SAFETY: the block outlives the ends.
            let ring = unsafe { block.ring() };
            check(ring, Producer::new(ring, 0), Consumer::new(ring, 1), place);
        }
    }
}

#[test]
fn abandoned_claims_are_free_at_once() {
    for_each_ring(&[2, 8, 64], |ring, tx, rx, place| {
        // One message, then as many claims as fit, abandoned in any order.
        let all = ring.capacity() - 1;
        assert_eq!(send(&tx), Some(place));
        let mut claims: Vec<Claim> = (0..all).map(|_| claim(&tx).expect("room")).collect();
        assert!(claim(&tx).is_none());
        while !claims.is_empty() {
            assert!(tx.abandon(claims.swap_remove(claims.len() / 2)));
        }
        let sent: Vec<u64> = std::iter::from_fn(|| send(&tx)).collect();
        assert_eq!(sent, (1..=all).map(|n| place.wrapping_add(n)).collect::<Vec<_>>());
        let received: Vec<u64> = std::iter::from_fn(|| recv(&rx)).collect();
        assert_eq!(received.len() as u64, all + 1);
        assert!(received.is_sorted_by_key(|at| at.wrapping_sub(place)));
    });
}

#[test]
fn every_other_claim_may_be_abandoned() {
    for_each_ring(&[1, 8], |ring, tx, rx, place| {
        for lap in 0..50 {
            for n in 0..ring.capacity() {
                let claim = claim(&tx).expect("room");
                assert!(tx.abandon(claim));
                assert_eq!(send(&tx), Some(place.wrapping_add(lap * ring.capacity() + n)));
            }
            assert!(claim(&tx).is_none());
            while recv(&rx).is_some() {}
        }
    });
}

/// The count of a position that is claimed again and again ends; then the position is given up.
#[test]
fn a_position_is_claimed_again_31_times() {
    for_each_ring(&[4], |_, tx, rx, place| {
        for _ in 0..32 {
            let claim = claim(&tx).expect("room");
            assert_eq!(claim.position(), place);
            assert!(tx.abandon(claim));
        }
        let next = place.wrapping_add(1);
        assert_eq!((send(&tx), recv(&rx), recv(&rx)), (Some(next), Some(next), None));
    });
}

#[test]
fn a_position_with_a_message_behind_it_is_not_claimed_again() {
    for_each_ring(&[8], |ring, tx, rx, place| {
        let other = Producer::new(ring, 2);
        let first = claim(&tx).expect("room");
        let second = claim(&other).expect("room");
        assert!(tx.abandon(first));
        // It may be sent before ours.
        let third = claim(&tx).expect("room");
        assert_eq!(third.position(), place.wrapping_add(2));
        // Nobody can send it any more, and ours was abandoned, too.
        assert!(other.abandon(second));
        assert!(tx.abandon(third));
        assert_eq!(send(&other), Some(place.wrapping_add(1)));
        assert_eq!(send(&tx), Some(place.wrapping_add(2)));
        assert_eq!([recv(&rx), recv(&rx), recv(&rx)].map(|at| at.is_some()), [true, true, false]);
    });
}

/// Of a full ring, `held` messages are kept; the others work on as a smaller ring.
#[test]
fn held_slots_cost_no_more_than_themselves() {
    for (capacity, held) in [(2, 1), (8, 1), (8, 7), (64, 1), (64, 62)] {
        for_each_ring(&[capacity], |ring, tx, rx, place| {
            while send(&tx).is_some() {}
            let kept: Vec<Held> = (0..held).map(|_| take(&rx).expect("a message")).collect();
            let mut last = kept.len() as u64 - 1;
            let mut next = || {
                let at = recv(&rx)?.wrapping_sub(place);
                assert!(at > last, "{at} after {last}");
                last = at;
                Some(())
            };
            for lap in 0..100 {
                let mut received = 0;
                while next().is_some() {
                    received += 1;
                }
                assert_eq!(received, capacity - held, "of {capacity}, in lap {lap}");
                assert_eq!(ring.count_messages(), held as u64);
                // At the end of the laps, a free slot looks like one that was never used.
                if (0..ring.capacity()).all(|at| state(&ring, at) != SlotState::UNUSED) {
                    assert_eq!(
                        ring.survey(u64::MAX, |_| false).map(|survey| survey.messages),
                        Some(held as u64)
                    );
                }
                assert!(ring.has_taken() && !ring.has_untaken() && !ring.is_drained(0, 0));
                assert!(ring.is_drained(1, 0));
                for _ in held..capacity {
                    assert!(tx.has_any(alive).unwrap());
                    assert!(send(&tx).is_some(), "{capacity} slots, {held} held, lap {lap}");
                }
                assert!(!tx.has_any(alive).unwrap() && send(&tx).is_none());
            }
            for held in &kept {
                assert_eq!(rx.finish(held), Released::SteppedOver);
                assert_eq!(rx.finish(held), Released::Evicted);
            }
            while next().is_some() {}
            assert_eq!(
                (ring.count_messages(), ring.survey(u64::MAX, |_| false).map(|s| s.messages)),
                (0, Some(0))
            );
            // Nor is any slot lost.
            let all = std::iter::from_fn(|| send(&tx)).count();
            assert_eq!(all, capacity);
        });
    }
}

#[test]
fn no_position_is_skipped_while_every_slot_is_held() {
    for_each_ring(&[1, 2, 8], |ring, tx, rx, place| {
        while send(&tx).is_some() {}
        let kept: Vec<Held> = std::iter::from_fn(|| take(&rx)).collect();
        assert_eq!(kept.len() as u64, ring.capacity());
        let before: Vec<SlotState> = (0..ring.capacity()).map(|n| state(&ring, n)).collect();
        for _ in 0..100 {
            assert!(matches!(tx.claim(alive), Ok(Room::Held { seat: 1 })));
        }
        assert_eq!((0..ring.capacity()).map(|n| state(&ring, n)).collect::<Vec<_>>(), before);
        // The last one is free: all others are stepped over, once.
        assert!(rx.acknowledge(&kept[kept.len() - 1]));
        assert_eq!(send(&tx), Some(place.wrapping_add(2 * ring.capacity() - 1)));
    });
}

/// Messages are taken in their order, so a sender does not go past one that was not taken; nor past
/// a claim of a living member, where receivers wait.
#[test]
fn only_what_is_being_read_is_stepped_over() {
    for_each_ring(&[4], |ring, tx, rx, place| {
        assert_eq!([send(&tx), send(&tx)].map(|at| at.is_some()), [true; 2]);
        let claimed = claim(&tx).expect("room");
        assert!(send(&tx).is_some());
        let first = take(&rx).expect("a message");
        assert!(matches!(tx.claim(alive), Ok(Room::Full)));
        let second = take(&rx).expect("a message");
        assert!(matches!(tx.claim(alive), Ok(Room::Behind { seat: 0 })));
        assert!(matches!(rx.take(alive), Ok(Next::Behind { seat: 0 })));
        assert!(rx.hides_message());
        // Nothing was sent there, so there is room beyond.
        assert!(tx.abandon(claimed));
        assert!(!rx.hides_message());
        assert_eq!(send(&tx), Some(place.wrapping_add(6)));
        assert_eq!(state(&ring, place), SlotState::held(ring.lap(place) + 1, 1, 1));
        assert!(rx.acknowledge(&first) && rx.acknowledge(&second));
        assert_eq!(recv(&rx), Some(place.wrapping_add(3)));
        assert_eq!(recv(&rx), Some(place.wrapping_add(6)));
    });
}

/// A message that was stepped over keeps its position and its count when it is returned, and when
/// its receiver dies.
#[test]
fn a_stepped_over_message_is_redelivered_with_its_position() {
    for_each_ring(&[2, 8], |ring, tx, rx, place| {
        while send(&tx).is_some() {}
        let mut dying = Consumer::new(ring, DEAD);
        let mut held = take(&dying).expect("a message");
        for times in 1..40 {
            // Some laps with the message held.
            for _ in 0..3 {
                while recv(&rx).is_some() {}
                while send(&tx).is_some() {}
            }
            if times % 2 == 0 {
                assert!(dying.release(&held));
            }
            let epoch = ring.orphaned();
            let verdict = |seat| Ok::<bool, Corrupt>(times % 2 == 1 && seat == DEAD);
            assert_eq!(rx.has_orphan(u8::MAX, alive).unwrap(), times % 2 == 0);
            let heir = Consumer::new(ring, DEAD);
            let taken = heir.take_over(u8::MAX, verdict).unwrap();
            let Some(taken) = taken else { panic!("delivery {times}, epoch {epoch}") };
            assert_eq!((taken.position(), read(heir.slot(&taken))), (place, place));
            assert_eq!(taken.deliveries(), if times < 31 { times + 1 } else { times - 15 });
            assert!(!dying.release(&held) && !dying.acknowledge(&held), "it has another receiver");
            (dying, held) = (heir, taken);
        }
        assert!(dying.acknowledge(&held));
    });
}

/// A sender that steps over the slot of a dead receiver makes receivers search for its message, and
/// in each lap again until one has it.
#[test]
fn the_receivers_are_told_of_a_message_without_receiver() {
    struct Told<'a>(&'a mut u32);
    impl Watch for Told<'_> {
        type Error = Corrupt;

        fn is_dead(&mut self, seat: u8) -> Result<bool, Corrupt> {
            is_dead(seat)
        }

        fn freed(&mut self) {}

        fn orphaned(&mut self) {
            *self.0 += 1;
        }

        fn unblocked(&mut self) {}
    }
    for_each_ring(&[4], |ring, tx, rx, place| {
        while send(&tx).is_some() {}
        assert!(take(&Consumer::new(ring, DEAD)).is_some());
        let (mut told, mut epoch) = (0, ring.orphaned());
        for lap in 1..4 {
            while recv(&rx).is_some() {}
            while let Room::Claimed(claim) = tx.claim(Told(&mut told)).unwrap() {
                write(tx.slot(&claim), claim.position());
                assert!(tx.publish(claim));
            }
            assert_eq!((told, state(&ring, place).owner()), (lap, NO_OWNER));
            assert_ne!(std::mem::replace(&mut epoch, ring.orphaned()), epoch);
        }
        let taken = rx.take_over(9, alive).unwrap().expect("the message");
        assert_eq!((taken.position(), taken.deliveries()), (place, 2));
        assert!(rx.acknowledge(&taken));
    });
}

/// A heir that loses to a sender, between its look and its swap, looks at the same slot again.
#[test]
fn a_search_beside_a_stepping_sender_finds_the_message() {
    for_each_ring(&[2, 4], |ring, tx, rx, place| {
        while send(&tx).is_some() {}
        assert!(take(&Consumer::new(ring, DEAD)).is_some());
        while recv(&rx).is_some() {}
        let mut steps = 0;
        let stepping = |seat| {
            if steps < 5 {
                steps += 1;
                while recv(&rx).is_some() {}
                while send(&tx).is_some() {}
            }
            is_dead(seat)
        };
        let taken = rx.take_over(9, stepping).unwrap().expect("the message of the dead");
        assert_eq!((steps, taken.position()), (5, place));
    });
}

/// An evicted member does not acknowledge the message of its successor in the seat, which has the
/// same delivery count and was stepped over.
#[test]
fn an_evicted_member_does_not_acknowledge_for_its_successor() {
    for_each_ring(&[2, 8], |ring, tx, rx, _| {
        while send(&tx).is_some() {}
        let evicted = Consumer::new(ring, DEAD);
        let lost = take(&evicted).expect("a message");
        assert!(ring.release_slots_of(DEAD).orphans);
        let found = rx.take_over(9, alive).unwrap().expect("the message");
        assert!(rx.acknowledge(&found));
        while recv(&rx).is_some() {}
        while send(&tx).is_some() {}
        let successor = Consumer::new(ring, DEAD);
        let held = take(&successor).expect("a message");
        while recv(&rx).is_some() {}
        while send(&tx).is_some() {}
        assert_eq!(state(&ring, held.position()).phase(), Some(Phase::Held));
        assert!(!evicted.acknowledge(&lost) && !evicted.release(&lost));
        assert!(successor.acknowledge(&held));
    });
}

/// A sender that was stopped before it noted an origin does not move it back.
#[test]
fn an_origin_never_goes_back() {
    for_each_ring(&[2], |ring, tx, rx, place| {
        while send(&tx).is_some() {}
        let kept = take(&rx).expect("a message");
        while recv(&rx).is_some() {}
        assert!(send(&tx).is_some());
        ring.raise_origin(&ring.cursor(place), place.wrapping_sub(2));
        assert_eq!(rx.finish(&kept), Released::SteppedOver);
    });
}

/// Hints also move where the slots whose turn it is are stepped over.
#[test]
fn newcomers_find_their_way_past_held_slots() {
    for_each_ring(&[16, 64], |ring, tx, rx, _| {
        while send(&tx).is_some() {}
        // Those slots are kept whose positions would store a hint, and their neighbours.
        let mut kept = Vec::new();
        while let Some(held) = take(&rx) {
            match held.position().wrapping_add(2) % HINT_EVERY < 3 {
                true => kept.push(held),
                false => assert!(rx.acknowledge(&held)),
            }
        }
        for round in 0..200 {
            let late = (Producer::new(ring, 2), Consumer::new(ring, 3));
            let sent: Vec<u64> = (0..round % 7).filter_map(|_| send(&tx)).collect();
            let own = send(&late.0).expect("room");
            assert!(sent.iter().all(|&at| recv(&late.1) == Some(at)));
            assert_eq!(recv(if round % 2 == 0 { &rx } else { &late.1 }), Some(own));
            assert!(ring.depth_hint() <= 2 * HINT_EVERY + ring.capacity());
        }
    });
}
