//! Taking over from a dead peer, at every step at which it can die.

use super::pair::Pair;
use super::{CAPACITIES, places};
use crate::ring::spsc::{Consumer, Producer};
use crate::ring::testing::{read, write};
use crate::sync::Ordering::Relaxed;
use crate::sync::crash_point::crash_at;

/// More steps than any single operation here takes.
const STEPS: u32 = 64;

/// Every capacity, position and number of pending messages, with a step to die at. Ends with a
/// death that is never reached.
fn everywhere(mut case: impl FnMut(Pair, u64, u32) -> bool) {
    for capacity in CAPACITIES {
        for place in places(capacity) {
            for held in 0..=capacity as u64 {
                for step in 0..=STEPS {
                    let mut pair = Pair::at(capacity, place);
                    for _ in 0..held {
                        assert_eq!(pair.send(), Ok(true));
                    }
                    if case(pair, held, step) {
                        break;
                    }
                    assert_ne!(step, STEPS, "work without an end");
                }
            }
        }
    }
}

/// From here on, no message is missing and none arrives twice.
fn goes_on(pair: &mut Pair, mut next: u64) {
    while let Some(number) = pair.receive().unwrap() {
        assert_eq!(number, next);
        next = next.wrapping_add(1);
    }
    assert_eq!(next, pair.tx.position());
    for _ in 0..3 * pair.ring.capacity() {
        assert_eq!(pair.send(), Ok(true));
        assert_eq!(pair.receive(), Ok(Some(next)));
        next = next.wrapping_add(1);
    }
}

#[test]
fn a_sender_can_die_anywhere() {
    let mut tail_behind = 0;
    for received_first in [false, true] {
        everywhere(|mut pair, held, step| {
            let (from, first) = (pair.tx.position(), pair.rx.position());
            let done = crash_at(step, || pair.send().unwrap());
            // A message begins with the store of its state.
            let born = pair.ring.is_full(from);
            assert!(done != Some(true) || born);
            let tail = pair.ring.header().tail.0.load(Relaxed);
            let behind = from.wrapping_add(u64::from(born)).wrapping_sub(tail);
            assert!(behind <= pair.ring.run());
            tail_behind += u64::from(behind != 0);
            let mut next = first;
            if received_first {
                // All of it, so that the receiver is past the tail where the tail lags.
                while let Some(number) = pair.receive().unwrap() {
                    assert_eq!(number, next);
                    next = next.wrapping_add(1);
                }
            }
            pair.succeed_sender().unwrap();
            assert_eq!(pair.tx.position(), from.wrapping_add(u64::from(born)));
            let waiting = held + u64::from(born) - next.wrapping_sub(first);
            assert_eq!((pair.tx.unacknowledged(), pair.ring.depth()), (waiting, waiting));
            goes_on(&mut pair, next);
            done.is_some()
        });
    }
    assert_ne!(tail_behind, 0, "no death with a tail that is behind");
}

#[test]
fn a_sender_can_die_in_a_batch() {
    everywhere(|mut pair, _, step| {
        let (from, first) = (pair.tx.position(), pair.rx.position());
        let done = crash_at(step, || {
            while pair.tx.has_room() {
                write(pair.tx.slot(), pair.tx.position());
                pair.tx.publish();
            }
        });
        let mut born = from;
        while born != first.wrapping_add(pair.ring.capacity()) && pair.ring.is_full(born) {
            born = born.wrapping_add(1);
        }
        pair.succeed_sender().unwrap();
        assert_eq!(pair.tx.position(), born);
        goes_on(&mut pair, first);
        done.is_some()
    });
}

#[test]
fn a_receiver_can_die_anywhere() {
    let mut again = 0;
    everywhere(|mut pair, held, step| {
        let first = pair.rx.position();
        let done = crash_at(step, || pair.receive().unwrap());
        // A message ends with the store of the head.
        let head = pair.ring.header().head.0.load(Relaxed);
        let ended = head.wrapping_sub(first);
        assert!(ended <= held.min(1) && (done.is_none() || ended == held.min(1)));
        again += u64::from(done.is_none() && ended == 0);
        pair.succeed_receiver();
        assert_eq!(pair.rx.position(), head);
        assert_eq!(pair.ring.header().credit.0.load(Relaxed), head);
        assert_eq!(pair.tx.unacknowledged(), held - ended);
        goes_on(&mut pair, head);
        done.is_some()
    });
    assert_ne!(again, 0);
}

#[test]
fn a_receiver_that_dies_in_a_batch_has_received_all_or_nothing() {
    everywhere(|mut pair, held, step| {
        let first = pair.rx.position();
        let done = crash_at(step, || {
            pair.rx.take_while(held as usize, |slot| {
                read(slot);
                true
            });
            if pair.rx.acknowledge_passed() {
                pair.rx.publish_credit();
            }
        });
        pair.succeed_receiver();
        let received = pair.rx.position().wrapping_sub(first);
        assert!(received == held || (received == 0 && done.is_none()));
        goes_on(&mut pair, first.wrapping_add(received));
        done.is_some()
    });
}

#[test]
fn a_successor_can_die_taking_over() {
    everywhere(|mut pair, _, step| {
        let first = pair.rx.position();
        // A tail that lags, so that the successor has something to do.
        pair.ring.header().tail.0.store(first, Relaxed);
        let from = pair.tx.position();
        let done = crash_at(step, || {
            Producer::new(pair.ring).unwrap();
            Consumer::new(pair.ring);
        });
        pair.succeed_sender().unwrap();
        pair.succeed_receiver();
        assert_eq!((pair.tx.position(), pair.rx.position()), (from, first));
        goes_on(&mut pair, first);
        done.is_some()
    });
}
