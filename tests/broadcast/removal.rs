//! A channel whose segment and semaphore set were removed by hand, which sets no flag in it.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use sysvring::{Fault, RecvError, SendError};
use sysvring_support::fork::Fork;
use sysvring_support::raw_ipc::{self, Key};
use sysvring_support::shared_counters::{shared_counters, until_at_least};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::{Receiver, Sender};

const LONG: Duration = Duration::from_secs(20);

/// Removes the objects, as `ipcrm` does.
fn remove(key: &Key) {
    let (segment, set) = (key.segment().expect("a segment"), key.set().expect("a set"));
    raw_ipc::remove_segment(segment).expect("removed");
    raw_ipc::remove_set(set).expect("removed");
}

/// A sender that never waits asks the kernel now and then.
#[test]
fn a_sender_that_never_waits_notices_the_removal() {
    for overwriting in [true, false] {
        for capacity in [1, 8, 1024] {
            let key = Key::new();
            let options = key.options().capacity(capacity).overwriting(overwriting);
            let mut tx: Sender = options.create().expect("new");
            tx.try_send(&1).expect("room");
            remove(&key);
            let start = Instant::now();
            let end = loop {
                match tx.try_send(&1) {
                    Ok(()) => assert!(start.elapsed() < LONG, "{overwriting}, {capacity}"),
                    Err(error) => break error,
                }
            };
            assert_eq!(end, SendError::Fault(Fault::Removed), "{overwriting}, {capacity}");
        }
    }
}

/// A receiver that notices the removal while a sender goes on, and messages are overwritten, gets no
/// message out of turn.
#[work]
fn a_receiver_counts_what_it_missed_after_the_removal_alone(_: &mut Args) {
    const ROUNDS: u64 = 5;
    const TIME: Duration = Duration::from_millis(100);
    for _ in 0..ROUNDS {
        let key = Key::new();
        let options = || key.options().capacity(4).overwriting(true);
        let mut rx: Receiver = options().open().expect("a receiver");
        let [sent] = shared_counters::<1>();
        let mut sender = Fork::start(|| {
            let mut tx: Sender = options().open().expect("a sender");
            let mut n = 0;
            while tx.try_send(&n).is_ok() {
                n += 1;
                sent.store(n, Release);
                (0..n % 100).for_each(|_| std::hint::spin_loop());
            }
        });
        until_at_least(sent, 1);
        let mut next = rx.position();
        let mut faults = 0;
        let start = Instant::now();
        remove(&key);
        while start.elapsed() < TIME {
            match rx.try_recv() {
                Ok(n) => {
                    assert_eq!(n, next);
                    next += 1;
                }
                Err(RecvError::Lagged { messages }) => next += messages,
                Err(RecvError::Empty) => {}
                Err(RecvError::Fault(Fault::Removed)) => faults += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(faults > 0 || next > 0, "{} were sent", sent.load(Acquire));
        sender.kill_and_wait();
    }
}

#[test]
fn a_receiver_counts_what_it_missed_after_the_removal() {
    Worker::run(&[&"removal::a_receiver_counts_what_it_missed_after_the_removal_alone"]);
}
