//! Where a receiver starts that comes late, and where the successor of a dead one does.

use sysvring::broadcast::Start;
use sysvring::{Options, RecvError};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::{Receiver, Sender, channel};

fn join(options: Options, start: Start) -> Receiver {
    options.start(start).attach().expect("a receiver")
}

fn receive_all(rx: &mut Receiver) -> Vec<u64> {
    rx.try_iter().map(|message| message.expect("a message")).collect()
}

#[test]
fn a_late_receiver_gets_what_is_left() {
    let name = Name::new();
    let (mut tx, [mut first]) = channel(&name, 8);
    for n in 0..5 {
        tx.send(&n).expect("room");
        assert_eq!(first.recv(), Ok(n));
    }
    // Received by the only receiver, and still in the ring.
    let mut late: Receiver = name.options().attach().expect("a receiver");
    assert_eq!(receive_all(&mut late), [0, 1, 2, 3, 4]);
    let mut next = join(name.options(), Start::Next);
    tx.send(&5).expect("room");
    assert_eq!((receive_all(&mut late), receive_all(&mut next)), (vec![5], vec![5]));
}

#[test]
fn a_receiver_starts_at_a_position() {
    let name = Name::new();
    let (mut tx, [mut first]) = channel(&name, 8);
    for n in 0..20 {
        tx.send(&n).expect("room");
        assert_eq!(first.recv(), Ok(n));
    }
    let mut rx = join(name.options(), Start::Position(17));
    assert_eq!((rx.position(), receive_all(&mut rx)), (17, vec![17, 18, 19]));
    let mut rx = join(name.options(), Start::Position(1_000));
    assert_eq!((rx.position(), receive_all(&mut rx)), (20, vec![]));
    let mut rx = join(name.options(), Start::Position(3));
    let oldest = rx.position();
    assert!((4..=12).contains(&oldest), "{oldest}");
    assert_eq!(rx.try_recv(), Err(RecvError::Lagged { messages: oldest - 3 }));
    assert_eq!(receive_all(&mut rx), (oldest..20).collect::<Vec<_>>());
}

/// Returns a receiver's process that was killed after it acknowledged two messages and took a third.
fn killed_receiver(name: &Name, label: &str) {
    let options = name.options().label(label);
    let [ready] = sysvring_support::shared_counters::shared_counters::<1>();
    let mut child = Fork::start(|| {
        let mut rx: Receiver = options.attach().expect("a receiver");
        assert_eq!((rx.recv(), rx.recv()), (Ok(0), Ok(1)));
        let third = rx.recv_ref().expect("a message");
        assert_eq!((*third, third.delivery_count()), (2, 1));
        ready.store(1, std::sync::atomic::Ordering::Release);
        std::thread::sleep(std::time::Duration::from_secs(60));
    });
    sysvring_support::shared_counters::until_at_least(ready, 1);
    assert!(child.kill_and_wait());
}

#[work]
fn a_successor_of_the_same_label_resumes_alone(_: &mut Args) {
    let name = Name::new();
    let (mut tx, []) = channel(&name, 8);
    tx.send_batch(&[0, 1, 2, 3]).expect("room");
    killed_receiver(&name, "recorder");
    killed_receiver(&name, "display");
    let mut other: Receiver = name.options().label("other").attach().expect("a receiver");
    let mut successor: Receiver = name.options().label("recorder").attach().expect("a receiver");
    assert_eq!(successor.position(), 2);
    let again = successor.recv_ref().expect("a message");
    assert_eq!((*again, again.delivery_count()), (2, 2));
    again.ack().expect("acknowledged");
    assert_eq!(receive_all(&mut successor), [3]);
    assert_eq!(receive_all(&mut other), [0, 1, 2, 3]);
    // It is told where to start by an option, too.
    let start = name.options().label("display").start(Start::Next);
    let mut display: Receiver = start.attach().expect("a receiver");
    assert_eq!(receive_all(&mut display), [0; 0]);
}

#[test]
fn a_successor_of_the_same_label_resumes() {
    Worker::run(&[&"late_joiners::a_successor_of_the_same_label_resumes_alone"]);
}

#[work]
fn a_successor_is_told_what_it_missed_alone(_: &mut Args) {
    let name = Name::new();
    let (mut tx, []) = channel(&name, 4);
    tx.send_batch(&[0, 1, 2]).expect("room");
    killed_receiver(&name, "recorder");
    for n in 3..20 {
        tx.try_send(&n).expect("nobody lives that is waited for");
    }
    let mut rx: Receiver = name.options().label("recorder").attach().expect("a receiver");
    let first = rx.position();
    assert_eq!(rx.try_recv(), Err(RecvError::Lagged { messages: first - 2 }));
    assert_eq!(receive_all(&mut rx), (first..20).collect::<Vec<_>>());
}

#[test]
fn a_successor_is_told_what_it_missed() {
    Worker::run(&[&"late_joiners::a_successor_is_told_what_it_missed_alone"]);
}

#[test]
fn one_that_left_is_not_resumed() {
    let name = Name::new();
    let (mut tx, []) = channel(&name, 4);
    tx.send_batch(&[0, 1]).expect("room");
    let mut rx: Receiver = name.options().label("recorder").attach().expect("a receiver");
    assert_eq!(rx.recv(), Ok(0));
    drop(rx);
    let mut rx: Receiver = name.options().label("recorder").attach().expect("a receiver");
    assert_eq!(receive_all(&mut rx), [0, 1]);
}

#[work]
fn all_that_was_sent_outlives_every_process_alone(_: &mut Args) {
    let name = Name::new();
    let child = Fork::start(|| {
        let mut tx: Sender = name.options().capacity(4).open().expect("a sender");
        tx.send_batch(&[0, 1, 2, 3, 4, 5]).expect("nobody is waited for");
    });
    child.finish();
    let mut rx: Receiver = name.options().attach().expect("a receiver");
    assert_eq!(receive_all(&mut rx), [2, 3, 4, 5]);
    let mut tx: Sender = name.options().attach().expect("a sender");
    assert_eq!(tx.position(), 6);
    tx.send(&6).expect("room");
    assert_eq!(rx.recv(), Ok(6));
}

#[test]
fn all_that_was_sent_outlives_every_process() {
    Worker::run(&[&"late_joiners::all_that_was_sent_outlives_every_process_alone"]);
}

/// It is compared as it is stored: cut to 32 bytes, at the end of a character.
#[work]
fn a_label_that_is_cut_resumes_alone(_: &mut Args) {
    const LABEL: &str = "a label that is far too long: größer als 32";
    let name = Name::new();
    let (mut tx, []) = channel(&name, 8);
    tx.send_batch(&[0, 1, 2, 3]).expect("room");
    killed_receiver(&name, LABEL);
    let rx: Receiver = name.options().label(LABEL).attach().expect("a receiver");
    assert_eq!(rx.position(), 2);
    let stat = rx.stat().expect("stat");
    let label = &stat.members.last().expect("a member").label;
    assert!(LABEL.starts_with(label.as_str()) && (30..=32).contains(&label.len()), "{label}");
}

#[test]
fn a_label_that_is_cut_resumes() {
    Worker::run(&[&"late_joiners::a_label_that_is_cut_resumes_alone"]);
}
