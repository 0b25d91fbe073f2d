//! What an observer finds in the slots: exact for honest ones, bounded for any.

use super::super::*;
use crate::flavor::SEATS_MAX;
use crate::ring::mpmc::observe::Owned;
use crate::ring::testing::{HeapRing, write};

/// Claims and messages in flight are found at their positions, wherever the ring is.
#[test]
fn owners_are_found_at_their_positions() {
    let alive = |_: u8| Ok::<bool, Corrupt>(false);
    for start in [0, 8, 80, u64::MAX - 23] {
        let block = HeapRing::of_many_at(8, start);
        // SAFETY: the block outlives both ends.
        let ring = unsafe { block.ring() };
        let survey = || ring.survey(u64::MAX, |_| false).expect("no limit");
        let (tx, rx) = (Producer::new(ring, 3), Consumer::new(ring, 5));
        let claim = || match tx.claim(alive).unwrap() {
            Room::Claimed(claim) => claim,
            other => panic!("{other:?}"),
        };
        let send = |claim: Claim| {
            write(tx.slot(&claim), 7);
            assert!(tx.publish(claim));
        };
        let take = || match rx.take(alive).unwrap() {
            Next::Message(held) => held,
            other => panic!("{other:?}"),
        };
        let owned = |slots, oldest: u64| Owned { slots, oldest: Some(start.wrapping_add(oldest)) };
        (0..4).for_each(|_| send(claim()));
        let held = [take(), take(), take()];
        let claims = [claim(), claim()];
        let found = survey();
        assert_eq!((found.messages, found.room), (4, 2), "from {start}");
        assert_eq!((found.of_seat(5), found.of_seat(3)), (owned(3, 0), owned(2, 4)));
        assert!(rx.acknowledge(&held[0]) && rx.release(&held[1]));
        let found = survey();
        assert_eq!((found.messages, found.room), (3, 3));
        assert_eq!((found.of_seat(5), found.orphaned), (owned(1, 2), owned(1, 1)));
        claims.into_iter().for_each(send);
        // The slot of the first message, in the next lap.
        (0..3).for_each(|_| send(claim()));
        let found = survey();
        assert_eq!((found.messages, found.room), (8, 0));
        assert_eq!((found.of_seat(5), found.of_seat(3)), (owned(1, 2), Owned::default()));
    }
}

/// Whatever the slots and the hints hold, a survey ends, and its numbers are possible ones.
#[test]
fn a_survey_of_anything_is_bounded() {
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.rotate_left(29)
    };
    for round in 0..20_000 {
        let block = HeapRing::of_many_at(8, 0);
        // SAFETY: the block outlives the ring.
        let ring = unsafe { block.ring() };
        let near = random() % 64;
        for position in 0..8 {
            // Mostly states of nearby laps, which lead further.
            let word = match round % 3 {
                0 => random(),
                1 => ((near / 8 + random() % 3) << 16) | (random() & 0xffff),
                _ => ((near / 8 + random() % 2) << 16) | ((random() % 256) << 3) | (random() % 6),
            };
            ring.slot(position).head.word.store(word, Relaxed);
        }
        for hint in [&ring.header().head.0, &ring.header().tail.0] {
            hint.store(if random() % 2 == 0 { near } else { random() }, Relaxed);
        }
        let dead = random();
        let limit = [u64::MAX, random() % 40][usize::from(random() % 2 == 0)];
        let Some(survey) = ring.survey(limit, |seat| (dead >> (seat % 64)) & 1 == 1) else {
            continue;
        };
        let slots = (0..SEATS_MAX).map(|seat| survey.of_seat(seat).slots).sum::<u64>();
        assert!(survey.messages <= 8 && survey.room <= 8 && slots + survey.orphaned.slots <= 8);
    }
}
