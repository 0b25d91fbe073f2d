//! A dead receiver holds nobody up, and a slow one is never left out.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use sysvring::{RecvError, SendError, WaitSet};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::shared_counters::{now_ns, shared_counters, until_at_least};
use sysvring_support::stopwatch::{Return, Stopwatch};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::{Receiver, Sender, channel};

/// The maximum time until a death is noticed, less what the host excuses. Without a wake-up, a
/// waiter polls after a fifth of a second.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A receiver that receives nothing.
fn idle_receiver(name: &Name) -> Fork {
    let [here] = shared_counters::<1>();
    let child = Fork::start(|| {
        let _rx: Receiver = name.options().attach().expect("a receiver");
        here.store(1, Release);
        std::thread::sleep(Duration::from_secs(60));
    });
    until_at_least(here, 1);
    child
}

#[work]
fn a_dead_receiver_is_passed_over_at_once_alone(_: &mut Args) {
    let name = Name::new();
    let (mut tx, [mut lives]) = channel(&name, 4);
    let mut all = [(); 5].map(|()| idle_receiver(&name));
    for n in 0..4 {
        tx.try_send(&n).expect("room");
        assert_eq!(lives.try_recv(), Ok(n));
    }
    assert_eq!(tx.try_send(&4), Err(SendError::Full));
    assert!(all.iter_mut().all(Fork::kill_and_wait));
    tx.try_send(&4).expect("all that hold it up are dead");
    assert_eq!((lives.try_recv(), tx.receivers()), (Ok(4), Ok(1)));
}

#[test]
fn a_dead_receiver_is_passed_over_at_once() {
    Worker::run(&[&"deaths::a_dead_receiver_is_passed_over_at_once_alone"]);
}

#[work]
fn the_death_of_the_slowest_wakes_the_sender_alone(_: &mut Args) {
    let name = Name::new();
    let (mut tx, []) = channel(&name, 4);
    let mut slow = idle_receiver(&name);
    for n in 0..4 {
        tx.try_send(&n).expect("room");
    }
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| Return::of(|| tx.send(&4)));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!sender.is_finished());
        let killed = now_ns();
        assert!(slow.kill_and_wait());
        let (sent, noticed) = sender.join().expect("no panic");
        assert_eq!(sent, Ok(()));
        assert!(noticed.after(killed) < AT_ONCE, "{:?}", noticed.after(killed));
    });
}

#[test]
fn the_death_of_the_slowest_wakes_the_sender() {
    Worker::run(&[&"deaths::the_death_of_the_slowest_wakes_the_sender_alone"]);
}

#[work]
fn a_stopped_receiver_is_waited_for_alone(_: &mut Args) {
    let name = Name::new();
    name.may_oversleep();
    let (mut tx, []) = channel(&name, 2);
    let [received] = shared_counters::<1>();
    let child = Fork::start(|| {
        let mut rx: Receiver = name.options().attach().expect("a receiver");
        received.store(1, Release);
        while let Ok(n) = rx.recv() {
            assert_eq!(n + 1, received.fetch_add(1, Release));
        }
    });
    until_at_least(received, 1);
    child.signal(libc::SIGSTOP);
    std::thread::sleep(Duration::from_millis(20));
    let before = received.load(Acquire) - 1;
    let pid = child.pid();
    let mut sent = 0;
    let blocked = loop {
        match tx.send_timeout(&sent, Duration::from_millis(300)) {
            Ok(()) => sent += 1,
            blocked => break blocked,
        }
    };
    assert_eq!(blocked, Err(SendError::Blocked { pid }));
    assert_eq!(sent, before + 2);
    child.signal(libc::SIGCONT);
    for n in sent..100 {
        tx.send(&n).expect("sent");
    }
    tx.finish().expect("finished");
    child.finish();
    assert_eq!(received.load(Acquire), 101);
}

#[test]
fn a_stopped_receiver_is_waited_for() {
    Worker::run(&[&"deaths::a_stopped_receiver_is_waited_for_alone"]);
}

#[work]
fn the_death_of_the_sender_wakes_every_receiver_alone(_: &mut Args) {
    let name = Name::new();
    let [here] = shared_counters::<1>();
    let mut sender = Fork::start(|| {
        let mut tx: Sender = name.options().open().expect("a sender");
        tx.wait_for_receivers(3, Duration::from_secs(20)).expect("they come");
        tx.send(&7).expect("room");
        here.store(1, Release);
        std::thread::sleep(Duration::from_secs(60));
    });
    std::thread::scope(|scope| {
        let receivers = [(); 3].map(|()| {
            scope.spawn(|| {
                let options = name.options();
                let mut rx: Receiver = options.open().expect("a receiver");
                rx.wait_for_peer(Duration::from_secs(20)).expect("it comes");
                Return::of(|| (rx.recv(), rx.recv()))
            })
        });
        until_at_least(here, 1);
        std::thread::sleep(Duration::from_millis(50));
        let killed = now_ns();
        assert!(sender.kill_and_wait());
        for receiver in receivers {
            let (received, noticed) = receiver.join().expect("no panic");
            assert_eq!(received, (Ok(7), Err(RecvError::Disconnected)));
            assert!(noticed.after(killed) < AT_ONCE, "{:?}", noticed.after(killed));
        }
    });
}

#[test]
fn the_death_of_the_sender_wakes_every_receiver() {
    Worker::run(&[&"deaths::the_death_of_the_sender_wakes_every_receiver_alone"]);
}

#[work]
fn flush_does_not_wait_for_the_dead_alone(_: &mut Args) {
    let name = Name::new();
    let (mut tx, [mut lives]) = channel(&name, 4);
    let mut dead = idle_receiver(&name);
    tx.send(&1).expect("room");
    assert_eq!(lives.recv(), Ok(1));
    assert_eq!(tx.flush(Duration::from_millis(20)), Err(SendError::Timeout));
    assert!(dead.kill_and_wait());
    tx.flush(Duration::from_secs(10)).expect("the living one has acknowledged");
}

#[test]
fn flush_does_not_wait_for_the_dead() {
    Worker::run(&[&"deaths::flush_does_not_wait_for_the_dead_alone"]);
}

/// The slowest receiver lives, and a dead one is behind all others: a receiver that makes room must know
/// that the dead one is not waited for.
#[work]
fn behind_a_living_one(_: &mut Args) {
    let name = Name::new();
    let (mut tx, [mut slowest]) = channel(&name, 4);
    let [here] = shared_counters::<1>();
    let mut dead = Fork::start(|| {
        let mut rx: Receiver = name.options().attach().expect("a receiver");
        here.store(1, Release);
        assert_eq!(rx.recv(), Ok(0));
        here.store(2, Release);
        std::thread::sleep(Duration::from_secs(60));
    });
    until_at_least(here, 1);
    tx.send_batch(&[0, 1, 2, 3]).expect("room");
    until_at_least(here, 2);
    assert!(dead.kill_and_wait());
    let set = WaitSet::new().expect("a set");
    set.add(&tx).expect("added");
    assert_eq!(tx.try_send(&4), Err(SendError::Full));
    assert!(set.wait(Some(Duration::ZERO)).expect("a set").is_empty());
    while slowest.try_recv().is_ok() {}
    let watch = Stopwatch::start();
    assert_eq!(set.wait(Some(Duration::from_secs(20))).expect("a set").len(), 1);
    assert!(watch.took() < AT_ONCE, "{:?}", watch.took());
}

#[test]
fn a_dead_receiver_hides_no_room() {
    Worker::run(&[&"deaths::behind_a_living_one"]);
}
