//! The two ends of an SPSC ring, in one thread.

use super::pair::Pair;
use super::{CAPACITIES, places};
use crate::ring::slot_state::{LAP_SHIFT, Phase, SlotState};
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};
use crate::sync::Ordering::Relaxed;

fn credit(pair: &Pair) -> u64 {
    pair.ring.header().credit.0.load(Relaxed)
}

#[test]
fn full_is_full_and_empty_is_empty() {
    for capacity in CAPACITIES {
        for place in places(capacity) {
            let mut pair = Pair::at(capacity, place);
            assert_eq!(pair.receive(), Ok(None));
            for n in 0..capacity as u64 {
                assert_eq!((pair.ring.depth(), pair.tx.unacknowledged()), (n, n));
                assert_eq!(pair.send(), Ok(true));
            }
            assert_eq!(pair.send(), Ok(false));
            assert!(!pair.tx.has_room() && pair.tx.room() == 0 && !pair.tx.is_drained());
            assert_eq!(pair.ring.depth(), capacity as u64);
            for n in 0..capacity as u64 {
                assert_eq!(pair.receive(), Ok(Some(place.wrapping_add(n))));
            }
            assert_eq!(pair.receive(), Ok(None));
            assert!(!pair.rx.has_message() && pair.tx.is_drained());
            assert_eq!(pair.ring.depth(), 0);
        }
    }
}

#[test]
fn it_goes_round_with_any_number_in_it() {
    for capacity in CAPACITIES {
        for place in places(capacity) {
            for held in 0..capacity as u64 {
                let mut pair = Pair::at(capacity, place);
                for _ in 0..held {
                    assert_eq!(pair.send(), Ok(true));
                }
                for n in 0..4 * capacity as u64 {
                    assert_eq!(pair.send(), Ok(true));
                    assert_eq!(pair.ring.depth(), held + 1);
                    assert_eq!(pair.receive(), Ok(Some(place.wrapping_add(n))));
                }
            }
        }
    }
}

#[test]
fn a_word_is_of_one_lap() {
    for capacity in CAPACITIES {
        for place in places(capacity) {
            let pair = Pair::at(capacity, place);
            for near in 0..=2 * capacity as u64 {
                let position = place.wrapping_add(near);
                let (word, before) =
                    (pair.ring.full(position), position.wrapping_sub(capacity as u64));
                assert_ne!(word, pair.ring.full(before));
                assert!(pair.ring.is_before(pair.ring.full(before), position));
                assert!(!pair.ring.is_before(word, position));
                assert_eq!(word.0 >> LAP_SHIFT, (position / capacity as u64) & ((1 << 48) - 1));
            }
        }
    }
}

#[test]
fn credit_is_lazy_and_head_exact() {
    for (capacity, every) in [(1, 1), (2, 1), (4, 1), (8, 2), (16, 4), (256, 64), (1024, 128)] {
        let mut pair = Pair::new(capacity);
        while pair.send() == Ok(true) {}
        for n in 1..=capacity as u64 {
            assert_eq!(pair.receive(), Ok(Some(n - 1)));
            assert_eq!(pair.ring.header().head.0.load(Relaxed), n);
            assert_eq!(credit(&pair), n - n % every);
            assert_eq!(pair.rx.owes_credit(), !n.is_multiple_of(every));
            assert_eq!(pair.tx.refresh(false), Ok(n >= every));
            assert_eq!(pair.tx.room(), n - n % every);
        }
        assert_eq!(pair.tx.refresh(true), Ok(true));
        assert_eq!(pair.tx.room(), capacity as u64);
    }
}

#[test]
fn owed_credit_is_paid_on_demand() {
    let mut pair = Pair::new(16);
    pair.send().unwrap();
    pair.receive().unwrap();
    assert!(pair.rx.owes_credit() && credit(&pair) == 0);
    pair.rx.publish_credit();
    assert!(!pair.rx.owes_credit() && credit(&pair) == 1);
}

/// The sender may know the head exactly and then load an older credit.
#[test]
fn credit_older_than_a_known_head_is_no_corruption() {
    for place in places(16) {
        let mut pair = Pair::at(16, place);
        while pair.send() == Ok(true) {}
        for _ in 0..3 {
            pair.receive().unwrap();
        }
        assert_eq!(credit(&pair), place);
        assert_eq!(pair.tx.refresh(true), Ok(true));
        for left in (0..3).rev() {
            assert_eq!(pair.send(), Ok(true));
            // It adds no room and takes none back.
            assert_eq!(pair.tx.refresh(false), Ok(left != 0));
            assert_eq!(pair.tx.room(), left);
        }
    }
}

#[test]
fn a_receiver_knows_how_far_it_is_behind() {
    for place in places(16) {
        let mut pair = Pair::at(16, place);
        for sent in 0..16 {
            assert_eq!((0..16).filter(|&n| pair.rx.has_more_than(n)).count(), sent);
            assert_eq!(pair.send(), Ok(true));
        }
        pair.receive().unwrap();
        assert!(pair.rx.has_more_than(14) && !pair.rx.has_more_than(15));
    }
}

#[test]
fn a_batch_is_acknowledged_at_once() {
    for (taken, due) in [(1, false), (3, false), (4, true), (5, true), (16, true)] {
        let mut pair = Pair::new(16);
        while pair.send() == Ok(true) {}
        let (mut next, tx) = (0, &pair.tx);
        let passed = pair.rx.take_while(taken as usize, |slot| {
            assert_eq!(read(slot), next);
            next += 1;
            tx.unacknowledged() == 16
        });
        assert_eq!((passed as u64, pair.tx.unacknowledged()), (taken, 16));
        assert_eq!(pair.rx.acknowledge_passed(), due);
        assert_eq!(pair.tx.unacknowledged(), 16 - taken);
        assert_eq!(pair.receive(), Ok((taken < 16).then_some(taken)));
    }
}

#[test]
fn forgotten_room_is_found_again() {
    let mut pair = Pair::new(4);
    pair.send().unwrap();
    pair.tx.forget_room();
    assert!(!pair.tx.has_room());
    assert_eq!(pair.tx.refresh(false), Ok(true));
    assert_eq!(pair.tx.room(), 3);
}

#[test]
fn an_acknowledgement_of_the_unsent_is_corruption() {
    for capacity in CAPACITIES {
        for place in places(capacity) {
            for wrong in [1, 1 << 40, u64::MAX / 2] {
                let mut pair = Pair::at(capacity, place);
                pair.send().unwrap();
                let head = &pair.ring.header().head.0;
                head.store(pair.tx.position().wrapping_add(wrong), Relaxed);
                pair.tx.refresh(true).unwrap_err();
                // A head more than one ring behind is refused, too.
                head.store(pair.tx.position().wrapping_sub(capacity as u64), Relaxed);
                pair.tx.refresh(true).unwrap();
                head.store(pair.tx.position().wrapping_sub(capacity as u64 + 1), Relaxed);
                pair.tx.refresh(true).unwrap_err();
            }
        }
    }
}

/// Credit of any age, and even ahead, gives no room beyond the ring and proves no corruption.
#[test]
fn credit_that_tells_nothing_is_no_corruption() {
    for capacity in CAPACITIES {
        for place in places(capacity) {
            let mut pair = Pair::at(capacity, place);
            while pair.send() == Ok(true) {}
            let rings = |n: u64| 0u64.wrapping_sub(n * capacity as u64);
            let behind = [rings(1), rings(1) - 1, rings(2), rings(2) - 1, rings(1000)];
            for far in behind.into_iter().chain([1, 1 << 40, u64::MAX / 2, 1 << 63]) {
                let credit = pair.tx.position().wrapping_add(far);
                pair.ring.header().credit.0.store(credit, Relaxed);
                assert_eq!(pair.tx.refresh(false), Ok(false), "credit {far:#x} from the sender");
                assert_eq!(pair.tx.room(), 0);
            }
            pair.receive().unwrap();
            assert_eq!(pair.tx.refresh(true), Ok(true));
        }
    }
}

#[test]
fn a_word_of_another_lap_is_corruption() {
    for capacity in CAPACITIES {
        for place in places(capacity) {
            let pair = Pair::at(capacity, place);
            let lap = place / capacity as u64;
            let set = |word: u64| {
                pair.ring.slot(place).head.word.store(word, Relaxed);
                pair.rx.is_ready()
            };
            for wrong in [1, 2, 1 << 20, (1 << 48) - 2] {
                set(SlotState::full(lap.wrapping_add(wrong)).0).unwrap_err();
            }
            // Another phase or an owner: an SPSC channel never writes these.
            set(SlotState::full(lap).0 & !(Phase::Full as u64) | 1).unwrap_err();
            set(SlotState::full(lap).0 | 1 << 3).unwrap_err();
            assert_eq!(set(SlotState::full(lap.wrapping_sub(1)).0), Ok(false));
            assert_eq!(set(SlotState::UNUSED.0), Ok(false));
            assert_eq!(set(SlotState::full(lap).0), Ok(true));
        }
    }
}

#[test]
fn ends_too_far_apart_are_corruption() {
    for capacity in CAPACITIES {
        let far = capacity as u64 + 1;
        for place in places(capacity) {
            let mut pair = Pair::at(capacity, place);
            while pair.send() == Ok(true) {}
            let tail = &pair.ring.header().tail.0;
            for (at, fine) in [(far, false), (far - 1, true), (1 << 50, false), (u64::MAX, true)] {
                tail.store(place.wrapping_add(at), Relaxed);
                assert_eq!(Producer::new(pair.ring).is_ok(), fine);
            }
            tail.store(place.wrapping_sub(far), Relaxed);
            Producer::new(pair.ring).unwrap_err();
        }
    }
}

#[test]
fn ends_past_the_last_message_are_corruption() {
    for capacity in CAPACITIES {
        for place in places(capacity) {
            for sent in 0..capacity as u64 {
                let mut pair = Pair::at(capacity, place);
                for _ in 0..sent {
                    pair.send().unwrap();
                }
                let header = pair.ring.header();
                let end = place.wrapping_add(sent);
                header.head.0.store(end, Relaxed);
                Consumer::check(&pair.ring).unwrap();
                header.head.0.store(end.wrapping_add(1), Relaxed);
                // After the end of `u64` comes the position where a channel begins.
                assert_eq!(Consumer::check(&pair.ring).is_err(), end != u64::MAX);
                header.head.0.store(place, Relaxed);
                header.tail.0.store(end.wrapping_add(1), Relaxed);
                assert_eq!(Producer::new(pair.ring).is_err(), end != u64::MAX);
            }
        }
    }
}

/// Whatever the states are, there is no room beyond the ring.
#[test]
fn a_successor_starts_at_the_end_at_the_latest() {
    for capacity in CAPACITIES {
        for place in places(capacity) {
            let mut pair = Pair::at(capacity, place);
            while pair.send() == Ok(true) {}
            let end = pair.tx.position();
            for position in 0..capacity as u64 - 1 {
                let wrong = pair.ring.full(end.wrapping_add(position));
                pair.ring.slot(place.wrapping_add(position)).head.word.store(wrong.0, Relaxed);
                pair.succeed_sender().unwrap();
                assert_eq!((pair.tx.position(), pair.tx.room()), (end, 0));
            }
        }
    }
}

#[test]
fn an_observer_sees_a_possible_depth() {
    let mut pair = Pair::new(4);
    pair.send().unwrap();
    let header = pair.ring.header();
    // The receiver can be past a tail that is not stored yet.
    header.head.0.store(2, Relaxed);
    assert_eq!(pair.ring.depth(), 0);
    header.head.0.store(0, Relaxed);
    header.tail.0.store(9, Relaxed);
    assert_eq!(pair.ring.depth(), 4);
}

#[test]
fn a_slot_claimed_twice_is_the_same() {
    let mut pair = Pair::new(2);
    assert!(pair.tx.has_room());
    write(pair.tx.slot(), 7);
    assert_eq!(pair.receive(), Ok(None));
    assert!(pair.tx.has_room());
    write(pair.tx.slot(), 0);
    pair.tx.publish();
    assert_eq!(pair.receive(), Ok(Some(0)));
}
