//! Stress tests with many threads on one ring.

mod hints;
mod step_over;
mod survey;

use super::super::testing::{HeapRing, read, write};
use super::*;

fn stress(capacity: usize, senders: u8, receivers: u8, each: u64) {
    let block = HeapRing::new(capacity);
    // SAFETY: the block outlives the scope.
    let ring = unsafe { block.ring() };
    let alive = |_: u8| Ok::<bool, Corrupt>(false);
    // On a busy host, each message of a small ring takes a turn of every other process.
    const TIME: std::time::Duration = std::time::Duration::from_secs(5);
    let few = each / 40;
    let begin = std::time::Instant::now();
    let [total, expected] = [(); 2].map(|()| crate::sync::plain::AtomicU64::new(0));
    let sending = crate::sync::plain::AtomicU64::new(senders.into());
    let got = crate::sync::plain::AtomicU64::new(0);
    let sum = crate::sync::plain::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for seat in 0..senders {
            let (total, expected, sending) = (&total, &expected, &sending);
            scope.spawn(move || {
                let tx = Producer::new(ring, seat);
                let mut n = 0;
                while n < each && (n < few || begin.elapsed() < TIME) {
                    loop {
                        match tx.claim(alive).unwrap() {
                            Room::Claimed(claim) => {
                                write(tx.slot(&claim), u64::from(seat) << 32 | n);
                                assert!(tx.publish(claim));
                                break;
                            }
                            _ => std::thread::yield_now(),
                        }
                    }
                    n += 1;
                }
                total.fetch_add(n, crate::sync::plain::Ordering::Relaxed);
                expected.fetch_add(n * (n - 1) / 2, crate::sync::plain::Ordering::Relaxed);
                sending.fetch_sub(1, crate::sync::plain::Ordering::Release);
            });
        }
        for seat in 0..receivers {
            let (got, sum, total, sending) = (&got, &sum, &total, &sending);
            scope.spawn(move || {
                let rx = Consumer::new(ring, senders + seat);
                let mut last = vec![None; usize::from(senders)];
                while sending.load(crate::sync::plain::Ordering::Acquire) > 0
                    || got.load(crate::sync::plain::Ordering::Relaxed)
                        < total.load(crate::sync::plain::Ordering::Relaxed)
                {
                    match rx.take(alive).unwrap() {
                        Next::Message(held) => {
                            let message = read(rx.slot(&held));
                            assert!(rx.acknowledge(&held));
                            let (from, n) = ((message >> 32) as usize, message as u32);
                            assert!(last[from].is_none_or(|last| last < n));
                            last[from] = Some(n);
                            sum.fetch_add(u64::from(n), crate::sync::plain::Ordering::Relaxed);
                            got.fetch_add(1, crate::sync::plain::Ordering::Relaxed);
                        }
                        _ => std::thread::yield_now(),
                    }
                }
            });
        }
    });
    assert_eq!((got.into_inner(), sum.into_inner()), (total.into_inner(), expected.into_inner()));
    assert_eq!(
        (ring.count_messages(), ring.survey(u64::MAX, |_| false).map(|survey| survey.messages)),
        (0, Some(0))
    );
}

#[test]
fn every_message_once() {
    for (capacity, senders, receivers) in
        [(1, 1, 1), (1, 3, 3), (2, 2, 2), (8, 4, 4), (64, 1, 4), (64, 4, 1), (1024, 2, 2)]
    {
        stress(capacity, senders, receivers, 20_000);
    }
}

#[test]
fn much_room_is_a_quarter_of_the_ring() {
    let alive = |_: u8| Ok::<bool, Corrupt>(false);
    for (capacity, wanted) in [(1, 1), (2, 1), (8, 3), (64, 17), (2048, 257)] {
        let block = HeapRing::new(capacity);
        // SAFETY: the block outlives both ends.
        let ring = unsafe { block.ring() };
        let (tx, rx) = (Producer::new(ring, 0), Consumer::new(ring, 1));
        assert!(tx.has_quarter_free());
        while let Room::Claimed(claim) = tx.claim(alive).unwrap() {
            write(tx.slot(&claim), 7);
            assert!(tx.publish(claim));
        }
        for taken in 0..wanted {
            assert!(!tx.has_quarter_free(), "capacity {capacity}, {taken} taken");
            let Next::Message(held) = rx.take(alive).unwrap() else { panic!("a message") };
            assert!(rx.acknowledge(&held));
        }
        assert!(tx.has_quarter_free(), "capacity {capacity}");
    }
}

#[test]
fn a_receiver_knows_how_far_it_is_behind() {
    let alive = |_: u8| Ok::<bool, Corrupt>(false);
    let block = HeapRing::new(16);
    // SAFETY: the block outlives both ends.
    let ring = unsafe { block.ring() };
    let (tx, rx) = (Producer::new(ring, 0), Consumer::new(ring, 1));
    for lap in 0..3 {
        for sent in 0..16 {
            assert_eq!((0..16).filter(|&n| rx.has_more_than(n)).count(), sent, "in lap {lap}");
            let Room::Claimed(claim) = tx.claim(alive).unwrap() else { panic!("no room") };
            // A claimed slot counts: its message will soon be available.
            assert!(rx.has_more_than(sent as u64));
            write(tx.slot(&claim), 7);
            assert!(tx.publish(claim));
        }
        for _ in 0..16 {
            let Next::Message(held) = rx.take(alive).unwrap() else { panic!("no message") };
            assert!(rx.acknowledge(&held));
        }
        assert_eq!((rx.take_burst_len(), rx.take_burst_len()), (16, 0));
    }
}
