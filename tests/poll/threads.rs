//! Several threads share a set: some wait, others add and remove.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use sysvring::{RecvError, WaitSet, mpmc};
use sysvring_support::handle::{AnyFlavor, AnyReceiver, AnySender, Mpmc};
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, until};
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::test;

use crate::{LONG, NOW, tokens, wait};

/// A handle that is added is ready, also for a thread that waits already.
#[test]
fn a_handle_is_added_while_a_thread_waits<F: AnyFlavor>() {
    let name = Name::new();
    let (_tx, mut rx) = name.pair_of::<F, u64>(2);
    let set = WaitSet::new().expect("a set");
    for _ in 0..10 {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| tokens(&set, LONG));
            thread::sleep(Duration::from_millis(5));
            let (watch, since) = (Watch::start(&[]), now_ns());
            let token = set.add(&rx).expect("added");
            assert_eq!(waiting.join().expect("events"), [token]);
            watch.must_be_within(PROMPT, since);
            assert_eq!(rx.try_recv(), Err(RecvError::Empty));
            assert!(set.remove(token));
        });
    }
}

#[test]
fn a_handle_is_removed_while_a_thread_waits<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(2);
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| tokens(&set, Some(Duration::from_millis(100))));
        thread::sleep(Duration::from_millis(5));
        assert!(set.remove(token));
        tx.try_send(&1).expect("room");
        assert_eq!(waiting.join().expect("events"), []);
    });
    assert_eq!(rx.try_recv(), Ok(1));
}

/// Two threads that wait for an MPMC handle and its clone receive every message between them.
#[test]
fn several_threads_wait_for_one_set() {
    const MESSAGES: u64 = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let name = Name::new();
    let (tx, rx): (mpmc::Sender<u64>, mpmc::Receiver<u64>) = name.pair_of::<Mpmc, u64>(16);
    let set = WaitSet::new().expect("a set");
    set.add(&rx).expect("added");
    let (sum, count) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = |rx: mpmc::Receiver<u64>| {
        loop {
            match rx.try_recv() {
                Ok(n) => {
                    sum.fetch_add(n, Relaxed);
                    count.fetch_add(1, Relaxed);
                }
                Err(RecvError::Empty) => assert!(!wait(&set, LONG).is_empty(), "it stays empty"),
                Err(RecvError::Disconnected) => return,
                Err(error) => panic!("{error}"),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| work(rx.clone()));
        }
        for n in 0..MESSAGES {
            tx.send(&n).expect("room");
            if n % 100 == 0 {
                until(|| count.load(Acquire) > n);
            }
        }
        drop(tx);
    });
    assert_eq!(count.into_inner(), MESSAGES);
    assert_eq!(sum.into_inner(), MESSAGES * (MESSAGES - 1) / 2);
}

/// Handles are added, removed, dropped and interrupted at random while other threads wait: nothing is
/// lost for the one handle that stays.
#[test]
fn handles_come_and_go_while_threads_wait() {
    let time = Duration::from_secs(if cfg!(debug_assertions) { 1 } else { 3 });
    let names = [Name::new(), Name::new(), Name::new()];
    let (tx, rx): (mpmc::Sender<u64>, mpmc::Receiver<u64>) = names[0].pair_of::<Mpmc, u64>(4);
    let set = WaitSet::new().expect("a set");
    let stays = set.add(&rx).expect("added");
    let start = Instant::now();
    let done = || start.elapsed() > time;
    let received = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done() || received.load(Acquire) != u64::MAX {
                for event in wait(&set, Some(Duration::from_millis(20))) {
                    if event.token() == stays {
                        while let Ok(n) = rx.try_recv() {
                            received.store(n, Relaxed);
                        }
                    }
                }
            }
        });
        for name in &names[1..] {
            let set = &set;
            let options = name.options().capacity(2);
            let make = move || -> mpmc::Receiver<u64> { options.clone().open().expect("open") };
            scope.spawn(move || {
                while !done() {
                    let other = make();
                    let by = other.interrupter();
                    let token = set.add(&other).expect("added");
                    assert_eq!(other.try_recv(), Err(RecvError::Empty));
                    thread::scope(|inner| {
                        inner.spawn(move || by.interrupt());
                        if now_ns().is_multiple_of(2) {
                            assert!(set.remove(token));
                        }
                        drop(other);
                    });
                }
            });
        }
        let mut n = 1;
        while !done() {
            let (watch, since) = (Watch::start(&[]), now_ns());
            tx.send(&n).expect("room");
            until(|| received.load(Acquire) == n);
            watch.must_be_within(PROMPT, since);
            n += 1;
        }
        tx.send(&u64::MAX).expect("room");
    });
    assert_eq!(tokens(&set, NOW), []);
}
