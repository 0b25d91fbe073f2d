//! Channels whose set alone is removed: the next open finds the messages, also under observers.

use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Error, Observer, Options};
use sysvring_support::raw_ipc::{Key, Segment};
use sysvring_support::single_step::{Stepper, Stop, mark};
use sysvring_support::stopwatch::MOMENT;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{raw_ipc, test, work};

use crate::removal::take_set;

/// A process that opens the channel after the set was removed, and finds no members, finds the
/// messages.
#[test]
fn messages_outlive_a_set() {
    let key = Key::new();
    deserted_without_a_set(&key);
    let mut rx: Receiver<u64> = key.options().attach().expect("attach");
    let mut tx: Sender<u64> = key.options().attach().expect("attach");
    tx.send(&3).expect("send");
    assert_eq!((rx.recv(), rx.recv(), rx.recv()), (Ok(1), Ok(2), Ok(3)));
}

/// Leaves two messages in a channel without members, and removes its set.
fn deserted_without_a_set(key: &Key) {
    let mut tx: Sender<u64> = key.options().capacity(4).open().expect("open");
    tx.send_batch(&[1, 2]).expect("send");
    drop(tx);
    take_set(key);
}

fn has_both(key: &Key) {
    let mut rx: Receiver<u64> = key.options().attach().expect("attach");
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
}

/// An observer is not a member: neither when it is idle nor during an observation, nor by any other
/// attachment.
#[test]
fn messages_outlive_a_set_under_observers() {
    for round in 0..20 {
        let key = Key::new();
        deserted_without_a_set(&key);
        let observer = Observer::open(key.address()).expect("observe");
        let by_hand = (round % 2 == 0).then(|| Segment::of(key.segment().expect("a segment")));
        has_both(&key);
        assert_eq!(observer.stat().expect("the same channel").depth, 0);
        drop(by_hand);
    }
}

/// Sends two messages, and waits to be killed.
#[work]
fn sends_and_waits(args: &mut Args) {
    let mut tx: Sender<u64> = Options::key(args.next()).capacity(4).open().expect("open");
    tx.send_batch(&[1, 2]).expect("send");
    print_line("sent");
    read_line();
}

/// The table contains a member that died. That no other process has it attached is detected between
/// the observations of an observer that does nothing else.
#[test]
fn messages_outlive_a_set_and_its_members() {
    for _ in 0..20 {
        let key = Key::new();
        let mut member = Worker::start(&[&"removed_set::sends_and_waits", &key.0]).expect("start");
        member.expect("sent");
        let observer = Observer::open(key.address()).expect("observe");
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    drop(observer.stat());
                    std::thread::sleep(Duration::from_micros(100));
                }
            });
            member.kill_and_wait().expect("kill");
            take_set(&key);
            let both = std::panic::catch_unwind(|| has_both(&key));
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            both.expect("both messages");
        });
    }
}

#[test]
fn a_member_joins_while_the_set_is_removed() {
    Worker::run(&[&"removed_set::joins_while_the_set_goes"]);
}

/// Between taking its seat and writing its line of the members' table, a member is invisible. The
/// set is removed at that moment, and the next sender takes the channel over: then the first one
/// must not continue.
#[work]
fn joins_while_the_set_goes(_: &mut Args) {
    let key = Key::new();
    deserted_without_a_set(&key);
    drop(key.options().attach::<Receiver<u64>>().expect("attach"));
    let set = key.set().expect("a set");
    let mut child = Stepper::start(|| {
        mark();
        let second = key.options().open_timeout(MOMENT).attach::<Sender<u64>>();
        assert!(matches!(second, Err(Error::SeatTaken { .. })), "{second:?}");
        mark();
    })
    .expect("traced");
    while raw_ipc::values(set)[raw_ipc::FIRST_SEAT] == 0 {
        assert_eq!(child.run_to_call(&mut || false), Stop::Call);
    }
    take_set(&key);
    let mut tx: Sender<u64> = key.options().attach().expect("attach");
    tx.send(&3).expect("send");
    assert_eq!(child.run(&mut || false), Stop::Marked, "it has no handle");
    child.kill();
    let mut rx: Receiver<u64> = key.options().attach().expect("attach");
    assert_eq!((rx.recv(), rx.recv(), rx.recv()), (Ok(1), Ok(2), Ok(3)));
    // Nor did it write to the line of the new holder of the seat.
    for n in 4..12 {
        tx.send(&n).expect("alive");
        assert_eq!((rx.recv(), tx.flush(MOMENT)), (Ok(n), Ok(())));
    }
    drop(tx);
    drop(key.options().attach::<Sender<u64>>().expect("the seat was given back"));
}
