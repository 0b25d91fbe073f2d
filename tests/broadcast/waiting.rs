//! One message wakes every receiver that waits for it, in whatever way.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use sysvring::{RecvError, SendError, Wait, WaitSet};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::shared_counters::{now_ns, shared_counters, until};
use sysvring_support::stopwatch::Return;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::{Receiver, Sender, channel};

const LONG: Duration = Duration::from_secs(20);

/// Each round is one message, which every receiver acknowledges before the next: whatever one misses
/// is a wake-up that was lost, and the slice that finds it is counted.
#[work]
fn every_parked_receiver_is_woken_by_each_message_alone(_: &mut Args) {
    const RECEIVERS: usize = 6;
    const ROUNDS: u64 = 2_000;
    let name = Name::new();
    let counts = shared_counters::<RECEIVERS>();
    let options = || name.options().capacity(4).wait(Wait::Park);
    let mut tx: Sender = options().open().expect("a sender");
    let children = counts.each_ref().map(|count: &AtomicU64| {
        Fork::start(|| {
            let mut rx: Receiver = options().attach().expect("a receiver");
            while let Ok(n) = rx.recv_timeout(LONG) {
                assert_eq!(n, count.fetch_add(1, Release));
            }
        })
    });
    tx.wait_for_receivers(RECEIVERS, LONG).expect("they come");
    for n in 0..ROUNDS {
        tx.send_timeout(&n, LONG).expect("room");
        until(|| counts.iter().all(|count| count.load(Acquire) > n));
    }
    tx.finish().expect("finished");
    children.into_iter().for_each(Fork::finish);
}

#[test]
fn every_parked_receiver_is_woken_by_each_message() {
    Worker::run(&[&"waiting::every_parked_receiver_is_woken_by_each_message_alone"]);
}

/// The sender parks for the slowest of several receivers, over and over.
#[work]
fn a_parked_sender_is_woken_by_the_slowest_alone(_: &mut Args) {
    const MESSAGES: u64 = 20_000;
    let name = Name::new();
    let options = || name.options().capacity(8).wait(Wait::Park);
    let mut tx: Sender = options().open().expect("a sender");
    let children = [0u32, 1, 2].map(|pause| {
        Fork::start(|| {
            let mut rx: Receiver = options().attach().expect("a receiver");
            for n in 0..MESSAGES {
                assert_eq!(rx.recv_timeout(LONG), Ok(n));
                if pause != 0 && n % 64 == u64::from(pause) {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
            assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        })
    });
    tx.wait_for_receivers(3, LONG).expect("they come");
    for n in 0..MESSAGES {
        tx.send_timeout(&n, LONG).expect("room");
    }
    tx.finish().expect("finished");
    children.into_iter().for_each(Fork::finish);
}

#[test]
fn a_parked_sender_is_woken_by_the_slowest() {
    Worker::run(&[&"waiting::a_parked_sender_is_woken_by_the_slowest_alone"]);
}

#[work]
fn every_wait_set_is_woken_by_each_message_alone(_: &mut Args) {
    const RECEIVERS: usize = 4;
    const ROUNDS: u64 = 1_000;
    let name = Name::new();
    let counts = shared_counters::<RECEIVERS>();
    let mut tx: Sender = name.options().capacity(4).open().expect("a sender");
    let children = counts.each_ref().map(|count: &AtomicU64| {
        Fork::start(|| {
            let mut rx: Receiver = name.options().attach().expect("a receiver");
            let set = WaitSet::new().expect("a set");
            set.add(&rx).expect("added");
            loop {
                match rx.try_recv() {
                    Ok(n) => assert_eq!(n, count.fetch_add(1, Release)),
                    Err(RecvError::Disconnected) => break,
                    Err(RecvError::Empty) => {
                        let events = set.wait(Some(LONG)).expect("a set");
                        assert!(!events.is_empty(), "no ring came");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    tx.wait_for_receivers(RECEIVERS, LONG).expect("they come");
    for n in 0..ROUNDS {
        tx.send_timeout(&n, LONG).expect("room");
        until(|| counts.iter().all(|count| count.load(Acquire) > n));
    }
    tx.finish().expect("finished");
    children.into_iter().for_each(Fork::finish);
}

#[test]
fn every_wait_set_is_woken_by_each_message() {
    Worker::run(&[&"waiting::every_wait_set_is_woken_by_each_message_alone"]);
}

#[test]
fn a_sender_in_a_wait_set_is_rung_by_the_slowest() {
    let name = Name::new();
    let (mut tx, [mut fast, mut slow]) = channel(&name, 4);
    let set = WaitSet::new().expect("a set");
    set.add(&tx).expect("added");
    for round in 0..100 {
        while tx.try_send(&round).is_ok() {}
        assert!(set.wait(Some(Duration::ZERO)).expect("a set").is_empty());
        while fast.try_recv().is_ok() {}
        assert!(set.wait(Some(Duration::ZERO)).expect("a set").is_empty(), "the other is behind");
        while slow.try_recv().is_ok() {}
        assert!(!set.wait(Some(LONG)).expect("a set").is_empty());
    }
}

#[test]
fn an_interrupt_ends_one_receivers_wait() {
    let name = Name::new();
    let (mut tx, [mut one, mut other]) = channel(&name, 4);
    let interrupter = one.interrupter();
    std::thread::scope(|scope| {
        let [interrupted, waiting] =
            [scope.spawn(move || one.recv()), scope.spawn(move || other.recv())];
        std::thread::sleep(Duration::from_millis(30));
        interrupter.interrupt();
        assert_eq!(interrupted.join().expect("no panic"), Err(RecvError::Interrupted));
        assert!(!waiting.is_finished());
        tx.send(&1).expect("room");
        assert_eq!(waiting.join().expect("no panic"), Ok(1));
    });
}

#[work]
fn a_sender_waits_until_its_receivers_are_there_alone(_: &mut Args) {
    let name = Name::new();
    let (mut tx, [_first]) = channel(&name, 4);
    assert_eq!(tx.wait_for_receivers(2, Duration::from_millis(20)), Err(SendError::Timeout));
    let [seen] = shared_counters::<1>();
    let late = Fork::start(|| {
        std::thread::sleep(Duration::from_millis(20));
        let mut rx: Receiver = name.options().attach().expect("a receiver");
        seen.store(rx.recv().expect("the first message"), Relaxed);
    });
    tx.wait_for_receivers(2, LONG).expect("it comes");
    tx.send(&7).expect("room");
    late.finish();
    assert_eq!(seen.load(Relaxed), 7);
}

#[test]
fn a_sender_waits_until_its_receivers_are_there() {
    Worker::run(&[&"waiting::a_sender_waits_until_its_receivers_are_there_alone"]);
}

/// The receiver passes over a whole ring at once, and makes no further call.
#[test]
fn passing_over_messages_wakes_the_sender() {
    let name = Name::new();
    let (mut tx, [mut rx]) = channel(&name, 64);
    while tx.try_send(&1).is_ok() {}
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || Return::of(|| tx.send_timeout(&2, LONG)));
        std::thread::sleep(Duration::from_millis(30));
        assert!(!sender.is_finished());
        let since = now_ns();
        assert_eq!(rx.try_latest(), Ok(1));
        let (sent, woken) = sender.join().expect("no panic");
        assert_eq!(sent, Ok(()));
        assert!(woken.after(since) < Duration::from_millis(100), "{:?}", woken.after(since));
    });
}
