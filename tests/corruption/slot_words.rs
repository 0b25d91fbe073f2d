//! Slot words that no sender stores, in an overwriting channel: the call that meets one ends, and once
//! the sender is done, so does the stream.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sysvring::broadcast::{Receiver, Sender};
use sysvring::{Fault, RecvError};
use sysvring_support::raw_ipc::{Key, Segment, at};
use sysvring_support::test;

const CAPACITY: u64 = 4;
const SENT: u64 = 9;
/// One lap in a slot word.
const LAP: u64 = 1 << 16;
const SHORT: Duration = Duration::from_millis(20);

/// Changes the word of the next slot of a receiver that has received everything, and returns what its
/// calls return then.
fn received(change: impl Fn(u64) -> u64) -> Vec<Result<u64, RecvError>> {
    let key = Key::new();
    let options = key.options().capacity(CAPACITY as usize).overwriting(true);
    let mut tx: Sender<u64> = options.create().expect("new");
    let mut rx: Receiver<u64> = key.options().attach().expect("its other side");
    for n in 0..SENT {
        tx.try_send(&n).expect("room");
        assert_eq!(rx.try_recv(), Ok(n));
    }
    let segment = Segment::attach(tx.id().segment()).expect("shmat");
    let word = segment.u64(at::SLOTS + 16 * (SENT % CAPACITY) as usize);
    word.store(change(word.load(Relaxed)), Relaxed);
    tx.finish().expect("finished");
    let mut results = vec![rx.try_recv()];
    results.extend((0..3).map(|_| rx.recv_timeout(SHORT)));
    results
}

#[test]
fn an_impossible_word_is_reported() {
    let changes: [fn(u64) -> u64; 6] = [
        |now| now.wrapping_sub(LAP),
        |now| now.wrapping_add(2 * LAP),
        |now| now.wrapping_add(1 << 40),
        |_| u64::MAX,
        |_| u64::MAX - 1,
        |_| 1,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let results = received(change);
        let is_end = |result: &Result<u64, RecvError>| match result {
            Err(RecvError::Fault(Fault::Corrupt { .. }) | RecvError::Disconnected) => true,
            Err(RecvError::Empty | RecvError::Timeout | RecvError::Lagged { .. }) => false,
            other => panic!("change {n}: {other:?}"),
        };
        assert!(results.iter().any(is_end), "change {n}: {results:?}");
    }
}
