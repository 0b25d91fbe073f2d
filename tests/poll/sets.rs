//! Handles come and go in a set: removed, dropped, closed, and the set dropped before them.

use std::thread;
use std::time::Duration;

use sysvring::{Error, Fault, RecvError, WaitSet, mpmc};
use sysvring_support::handle::{AnyFlavor, AnyReceiver, AnySender, Mpmc};
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::test;

use crate::{LONG, NOW, tokens, wait};

#[test]
fn a_removed_handle_works_without_the_set<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(2);
    let set = WaitSet::new().expect("a set");
    let first = set.add(&rx).expect("added");
    assert!(set.remove(first) && !set.remove(first));
    assert_eq!(tokens(&set, NOW), []);
    let second = set.add(&rx).expect("added again");
    assert_ne!(first, second);
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert!(set.remove(second));
    tx.try_send(&1).expect("room");
    assert_eq!(tokens(&set, NOW), []);
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| rx.recv_timeout(Duration::from_secs(20)));
        thread::sleep(Duration::from_millis(5));
        tx.try_send(&2).expect("room");
        assert_eq!(waiting.join().expect("a message"), Ok(2));
    });
}

#[test]
fn a_dropped_handle_leaves_the_set<F: AnyFlavor>() {
    let name = Name::new();
    let (_tx, rx) = name.pair_of::<F, u64>(2);
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    drop(rx);
    assert_eq!(tokens(&set, NOW), []);
    // Another one gets its place, and another token.
    let other = Name::new();
    let (mut tx, mut rx) = other.pair_of::<F, u64>(2);
    let second = set.add(&rx).expect("added");
    assert!(token != second && !set.remove(token), "that one is gone");
    assert_eq!(tokens(&set, NOW), [second]);
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    tx.try_send(&1).expect("room");
    assert_eq!(tokens(&set, LONG), [second]);
}

#[test]
fn a_token_of_a_dropped_handle_is_no_longer_in_the_set<F: AnyFlavor>() {
    let name = Name::new();
    let (_tx, rx) = name.pair_of::<F, u64>(2);
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    drop(rx);
    assert!(!set.remove(token));
}

#[test]
fn a_set_is_dropped_before_its_handles<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(2);
    for n in 0..5 {
        let set = WaitSet::new().expect("a set");
        let token = set.add(&rx).expect("added");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        assert_eq!(tokens(&set, NOW), []);
        if n % 2 == 0 {
            // It was rung, and does not follow.
            tx.try_send(&n).expect("room");
            drop(set);
        } else {
            drop(set);
            tx.try_send(&n).expect("room");
        }
        assert_eq!(rx.recv_timeout(Duration::from_secs(20)), Ok(n));
        let other = WaitSet::new().expect("a set");
        other.add(&rx).expect("added");
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        tx.try_send(&n).expect("room");
        assert_eq!(tokens(&other, LONG).len(), 1);
        assert_eq!(rx.try_recv(), Ok(n));
        let _ = token;
    }
}

/// A clone closes the handle for all: those that wait for it are told.
#[test]
fn a_handle_that_a_clone_closed_is_ready() {
    let name = Name::new();
    let (_tx, rx): (mpmc::Sender<u64>, mpmc::Receiver<u64>) = name.pair_of::<Mpmc, u64>(2);
    let set = WaitSet::new().expect("a set");
    let token = set.add(&rx).expect("added");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| tokens(&set, LONG));
        thread::sleep(Duration::from_millis(5));
        let (watch, since) = (Watch::start(&[]), now_ns());
        rx.clone().close().expect("closed");
        assert_eq!(waiting.join().expect("events"), [token]);
        watch.must_be_within(PROMPT, since);
    });
    assert_eq!(rx.try_recv(), Err(RecvError::Fault(Fault::Closed)));
    assert!(matches!(
        WaitSet::new().expect("a set").add(&rx),
        Err(Error::Fault(Fault::Closed)) | Err(Error::InWaitSet { .. })
    ));
    drop(rx);
    assert_eq!(tokens(&set, NOW), []);
}

#[test]
fn a_closed_handle_leaves_the_set() {
    let name = Name::new();
    let (_tx, rx): (mpmc::Sender<u64>, mpmc::Receiver<u64>) = name.pair_of::<Mpmc, u64>(2);
    let set = WaitSet::new().expect("a set");
    set.add(&rx).expect("added");
    rx.close().expect("closed");
    assert_eq!(tokens(&set, NOW), []);
}

/// Many handles at once: each wait returns those that have something, and no others.
#[test]
fn each_of_many_handles_is_told_apart<F: AnyFlavor>() {
    let names: Vec<Name> = (0..30).map(|_| Name::new()).collect();
    let mut pairs: Vec<_> = names.iter().map(|name| name.pair_of::<F, u64>(2)).collect();
    let set = WaitSet::new().expect("a set");
    let all: Vec<_> = pairs.iter().map(|(_, rx)| set.add(rx).expect("added")).collect();
    assert_eq!(tokens(&set, NOW), all);
    for (_, rx) in &mut pairs {
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    }
    for stride in 1..8 {
        let mut wanted = Vec::new();
        // More than a queue holds, for the small strides.
        for n in (0..pairs.len()).step_by(stride) {
            pairs[n].0.try_send(&(n as u64)).expect("room");
            wanted.push(all[n]);
        }
        let mut ready: Vec<_> = wait(&set, LONG).iter().map(|event| event.token()).collect();
        while ready.len() < wanted.len() {
            for token in tokens(&set, LONG) {
                if !ready.contains(&token) {
                    ready.push(token);
                }
            }
        }
        ready.sort();
        assert_eq!(ready, wanted, "every {stride}");
        for (n, (_, rx)) in pairs.iter_mut().enumerate() {
            let has_message = n % stride == 0;
            assert_eq!(rx.try_recv().is_ok(), has_message);
            assert_eq!(rx.try_recv(), Err(RecvError::Empty));
        }
        assert_eq!(tokens(&set, NOW), []);
    }
}
