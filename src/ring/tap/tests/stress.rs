//! Taps beside members that send and receive as fast as they can, on threads.

use std::time::{Duration, Instant};

use super::copy;
use crate::flavor::Flavor;
use crate::ring::mpmc::{self, Next, Room};
use crate::ring::tap::{Counts, Follower, Tapped};
use crate::ring::testing::{HeapRing, write};
use crate::ring::{Corrupt, Ring, spsc};
use crate::sync::plain::AtomicBool;
use crate::sync::plain::Ordering::Relaxed;

const TIME: Duration = Duration::from_millis(300);
const BUSY: Duration = Duration::from_secs(100);

fn alive(_: u8) -> Result<bool, Corrupt> {
    Ok(false)
}

/// Follows until it was told to stop and nothing is left. Checks each message against its position.
fn follow(ring: Ring, flavor: Flavor, stop: &AtomicBool, seen: &AtomicBool) -> (u64, Counts) {
    let mut tap = Follower::new(ring, flavor, 0);
    loop {
        let last = stop.load(Relaxed);
        match tap.next(|_, slot| copy(slot)).expect("honest members") {
            Tapped::Message { position, copy } => {
                assert_eq!(copy, [position; 2]);
                seen.store(true, Relaxed);
            }
            Tapped::Nothing if last => return (tap.position(), tap.counts()),
            _ => std::hint::spin_loop(),
        }
    }
}

/// Returns whether senders go on: on a busy host, until the tap has seen a message. A tap that seldom
/// runs is late for most.
fn goes_on(begin: Instant, seen: &AtomicBool) -> bool {
    let elapsed = begin.elapsed();
    elapsed < TIME || !seen.load(Relaxed) && elapsed < TIME + BUSY
}

fn spsc_beside_a_tap(capacity: usize) -> Counts {
    let block = HeapRing::new(capacity);
    // SAFETY: the block outlives the scope.
    let ring = unsafe { block.ring() };
    let [stop, over, seen] = [(); 3].map(|()| AtomicBool::new(false));
    let (position, counts) = std::thread::scope(|scope| {
        let tap = scope.spawn(|| follow(ring, Flavor::Spsc, &over, &seen));
        let receiver = scope.spawn(|| {
            let mut rx = spsc::Consumer::new(ring);
            while !stop.load(Relaxed) || rx.has_message() {
                if rx.has_message() && rx.acknowledge() {
                    rx.publish_credit();
                }
            }
        });
        let (mut tx, begin) = (spsc::Producer::new(ring).unwrap(), Instant::now());
        while goes_on(begin, &seen) {
            for exact in [false, true] {
                while tx.has_room() || tx.refresh(exact).unwrap() {
                    write(tx.slot(), tx.position());
                    tx.publish();
                    if tx.position().is_multiple_of(1024) {
                        break;
                    }
                }
            }
        }
        tx.publish_tail();
        stop.store(true, Relaxed);
        receiver.join().expect("a receiver");
        over.store(true, Relaxed);
        let (position, counts) = tap.join().expect("a tap");
        assert_eq!(position, tx.position());
        (position, counts)
    });
    assert_eq!(counts.seen + counts.missed, position);
    counts
}

fn mpmc_beside_a_tap(capacity: usize) -> Counts {
    let block = HeapRing::new(capacity);
    // SAFETY: the block outlives the scope.
    let ring = unsafe { block.ring() };
    let [stop, over, seen] = [(); 3].map(|()| AtomicBool::new(false));
    let (position, counts) = std::thread::scope(|scope| {
        let tap = scope.spawn(|| follow(ring, Flavor::Mpmc, &over, &seen));
        let receivers = [2, 3].map(|seat| {
            let stop = &stop;
            scope.spawn(move || {
                let rx = mpmc::Consumer::new(ring, seat);
                loop {
                    let last = stop.load(Relaxed);
                    match rx.take(alive).unwrap() {
                        Next::Message(held) => assert!(rx.acknowledge(&held)),
                        _ if last => break,
                        _ => std::thread::yield_now(),
                    }
                }
            })
        });
        let senders = [0, 1].map(|seat| {
            let seen = &seen;
            scope.spawn(move || {
                let (tx, begin) = (mpmc::Producer::new(ring, seat), Instant::now());
                let mut last = 0;
                while goes_on(begin, seen) {
                    for n in 0..256 {
                        let Room::Claimed(claim) = tx.claim(alive).unwrap() else { break };
                        let position = claim.position();
                        write(tx.slot(&claim), if n == 7 { u64::MAX } else { position });
                        match n {
                            7 => assert!(tx.abandon(claim)),
                            _ => assert!(tx.publish(claim)),
                        }
                        last = last.max(position + 1);
                    }
                    std::thread::yield_now();
                }
                last
            })
        });
        let last = senders.map(|sender| sender.join().expect("a sender")).into_iter().max();
        stop.store(true, Relaxed);
        receivers.into_iter().for_each(|receiver| receiver.join().expect("a receiver"));
        over.store(true, Relaxed);
        let (position, counts) = tap.join().expect("a tap");
        assert!(Some(position) >= last.map(|last| last - 1), "{position} of {last:?}");
        (position, counts)
    });
    assert_eq!(counts.seen + counts.missed + counts.unsent, position);
    counts
}

#[test]
fn a_tap_of_an_spsc_ring_reports_no_torn_message() {
    for capacity in [2, 64, 256, 4096] {
        let counts = spsc_beside_a_tap(capacity);
        println!("capacity {capacity}: {counts:?}");
        assert!(counts.seen > 0);
    }
}

#[test]
fn a_tap_of_an_mpmc_ring_reports_no_torn_message() {
    for capacity in [2, 64, 1024] {
        let counts = mpmc_beside_a_tap(capacity);
        println!("capacity {capacity}: {counts:?}");
        assert!(counts.seen > 0);
    }
}
