//! Walks from hints of any age, and walks that other members overtake.

use super::*;
use crate::ring::spsc::tests::places;
use crate::sync::Ordering::Relaxed;

/// No member dies.
fn alive(_: u8) -> Result<bool, Corrupt> {
    Ok(false)
}

/// How far a thread that was stopped before its store can move a hint back. Fewer laps than a
/// slot's state can tell apart, and more positions than any walk passes step by step.
fn backs(capacity: u64) -> impl Iterator<Item = u64> {
    let near = 0..3 * capacity;
    near.chain([64 * (capacity + HINT_EVERY), 1_000_003, 1 << 40])
}

#[test]
fn a_walk_converges_from_any_hint() {
    for capacity in [1, 2, 8, 64] {
        let size = capacity as u64;
        for place in places(capacity) {
            for (tail, head) in backs(size).flat_map(|back| [(back, 0), (0, back), (back, back)]) {
                for sent in [0, size / 2, size - 1] {
                    let block = HeapRing::of_many_at(capacity, place);
                    // SAFETY: the block outlives the ends.
                    let ring = unsafe { block.ring() };
                    let tx = Producer::new(ring, 0);
                    for n in 0..sent {
                        let Room::Claimed(claim) = tx.claim(alive).unwrap() else { panic!("room") };
                        write(tx.slot(&claim), n);
                        assert!(tx.publish(claim));
                    }
                    let end = place.wrapping_add(sent);
                    ring.header().tail.0.store(end.wrapping_sub(tail), Relaxed);
                    ring.header().head.0.store(place.wrapping_sub(head), Relaxed);

                    let tx = Producer::new(ring, 2);
                    match tx.claim(alive).unwrap() {
                        Room::Claimed(claim) => {
                            assert_eq!(claim.position(), end, "{tail} back");
                            write(tx.slot(&claim), sent);
                            assert!(tx.publish(claim));
                        }
                        other => panic!("{other:?}, {tail} back"),
                    }
                    let rx = Consumer::new(ring, 1);
                    for n in 0..=sent {
                        match rx.take(alive).unwrap() {
                            Next::Message(held) => {
                                assert_eq!(held.position(), place.wrapping_add(n));
                                assert_eq!(read(rx.slot(&held)), n);
                                assert!(rx.acknowledge(&held));
                            }
                            other => panic!("{other:?}, {head} back"),
                        }
                    }
                    assert!(matches!(rx.take(alive), Ok(Next::Nothing)));
                }
            }
        }
    }
}

/// Members that are always faster: while the walk checks the owner of the slot in its way, they
/// advance by a lap, where another member is in the way.
#[test]
fn a_walk_that_is_overtaken_says_no_more_than_that() {
    let block = HeapRing::of_many_at(1, 0);
    // SAFETY: the block outlives the ends.
    let ring = unsafe { block.ring() };
    let mut asked = 0;
    let faster = |lap| ring.slot(0).head.word.store(SlotState::claimed(lap, 7).0, Relaxed);
    faster(0);
    let next = Consumer::new(ring, 1).take(|_| {
        asked += 1;
        faster(asked);
        Ok::<bool, Corrupt>(true)
    });
    assert!(matches!(next, Ok(Next::Overtaken)), "{next:?}");
    assert!(asked > 10, "it looked again {asked} times");

    faster(0);
    let mut asked = 0;
    // The position it wants is one lap further.
    ring.header().tail.0.store(1, Relaxed);
    let room = Producer::new(ring, 0).claim(|_| {
        asked += 1;
        faster(asked);
        Ok::<bool, Corrupt>(true)
    });
    assert!(matches!(room, Ok(Room::Overtaken)), "{room:?}");
    assert!(asked > 10, "it looked again {asked} times");
}

/// Every step that unblocks a sender or a receiver is reported.
#[test]
fn what_walks_change_is_told() {
    #[derive(Default)]
    struct Told {
        freed: u32,
        orphaned: u32,
        unblocked: u32,
        left_out: u32,
    }
    impl Watch for &mut Told {
        type Error = Corrupt;

        fn is_dead(&mut self, seat: u8) -> Result<bool, Corrupt> {
            Ok(seat == 7)
        }

        fn freed(&mut self) {
            self.freed += 1;
        }

        fn orphaned(&mut self) {
            self.orphaned += 1;
        }

        fn unblocked(&mut self) {
            self.unblocked += 1;
        }

        fn left_out(&mut self) {
            self.left_out += 1;
        }
    }
    let mut told = Told::default();
    let block = HeapRing::of_many_at(2, 0);
    // SAFETY: the block outlives the ends.
    let ring = unsafe { block.ring() };
    let set = |position, word: SlotState| ring.slot(position).head.word.store(word.0, Relaxed);
    let rx = Consumer::new(ring, 1);
    // A receiver steps over a claim of a dead sender and over an abandoned one.
    set(0, SlotState::claimed(0, 7));
    set(1, SlotState::skip(0));
    assert!(matches!(rx.take(&mut told), Ok(Next::Nothing)));
    assert_eq!((told.freed, told.unblocked), (2, 0));
    // So does a sender.
    set(0, SlotState::claimed(1, 7));
    set(1, SlotState::full(1));
    ring.header().tail.0.store(4, Relaxed);
    let late = Producer::new(ring, 3);
    assert!(matches!(late.claim(&mut told), Ok(Room::Claimed(_))));
    assert_eq!((told.freed, told.unblocked), (3, 1));
    // A message is left where it is.
    set(0, SlotState::reading(3, 4, 7));
    assert!(rx.take_over(4, &mut told).unwrap().is_none());
    assert_eq!((told.freed, told.left_out), (3, 1));
    // The seat's claims are counted.
    set(0, SlotState::claimed(4, 7));
    set(1, SlotState::claimed(4, 7));
    assert_eq!(ring.release_slots_of(7), ReleasedSlots { claims: 2, orphans: false });
}
