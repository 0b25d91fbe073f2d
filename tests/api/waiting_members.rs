//! Snapshots show which members wait: in a blocked call, or with an armed doorbell.

use std::thread;
use std::time::Duration;

use sysvring::{Member, Observer, Options, Role, WaitSet, broadcast, mpmc, spsc};
use sysvring_support::handle::{AnyFlavor, AnyReceiver, AnySender};
use sysvring_support::name::Name;
use sysvring_support::shared_counters::until;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

const LONG: Duration = Duration::from_secs(20);

fn of(observer: &Observer, role: Role) -> Member {
    let stat = observer.stat().expect("stat");
    stat.members.into_iter().find(|member| member.role == role).expect("a member")
}

/// Blocks in a call that waits for a message or for room.
#[work]
fn block(args: &mut Args) {
    let (name, flavor, side): (String, String, String) = (args.next(), args.next(), args.next());
    let options = Options::named(name);
    print_line("here");
    match (flavor.as_str(), side.as_str()) {
        ("Spsc", "receiver") => {
            let mut rx: spsc::Receiver<u64> = options.open().expect("open");
            _ = rx.recv_timeout(LONG).expect("a message");
        }
        ("Spsc", _) => {
            let mut tx: spsc::Sender<u64> = options.open().expect("open");
            tx.send_timeout(&1, LONG).expect("room");
        }
        ("Broadcast", "receiver") => {
            let mut rx: broadcast::Receiver<u64> = options.open().expect("open");
            _ = rx.recv_timeout(LONG).expect("a message");
        }
        ("Broadcast", _) => {
            let mut tx: broadcast::Sender<u64> = options.open().expect("open");
            tx.send_timeout(&1, LONG).expect("room");
        }
        (_, "receiver") => {
            let rx: mpmc::Receiver<u64> = options.open().expect("open");
            _ = rx.recv_timeout(LONG).expect("a message");
        }
        (_, _) => {
            let tx: mpmc::Sender<u64> = options.open().expect("open");
            tx.send_timeout(&1, LONG).expect("room");
        }
    }
    print_line("done");
    read_line();
}

#[test]
fn a_blocked_receiver_is_shown<F: AnyFlavor>() {
    let name = Name::new();
    let mut tx: F::Sender<u64> = name.options().capacity(2).open().expect("open");
    let observer = Observer::open(name.as_str()).expect("open");
    let mut worker = Worker::start(&[
        &"waiting_members::block",
        &name,
        &format!("{:?}", F::FLAVOR),
        &"receiver",
    ])
    .expect("start");
    worker.expect("here");
    until(|| observer.stat().expect("stat").members.len() == 2);
    until(|| of(&observer, Role::Receiver).waiting == 1);
    assert_eq!(
        (of(&observer, Role::Sender).waiting, of(&observer, Role::Receiver).armed),
        (0, false)
    );
    let text = observer.stat().expect("stat").to_string();
    assert_eq!(text.matches(", 1 thread blocked").count(), 1, "{text}");
    tx.try_send(&1).expect("room");
    worker.expect("done");
    assert_eq!(of(&observer, Role::Receiver).waiting, 0);
}

#[test]
fn a_blocked_sender_is_shown_until_it_dies<F: AnyFlavor>() {
    let name = Name::new();
    let _rx: F::Receiver<u64> = name.options().capacity(2).open().expect("open");
    {
        let mut tx: F::Sender<u64> = name.options().open().expect("open");
        tx.try_send_batch(&[&1, &2]).expect("room");
    }
    let observer = Observer::open(name.as_str()).expect("open");
    let mut worker =
        Worker::start(&[&"waiting_members::block", &name, &format!("{:?}", F::FLAVOR), &"sender"])
            .expect("start");
    worker.expect("here");
    until(|| of(&observer, Role::Sender).waiting == 1);
    assert_eq!(of(&observer, Role::Receiver).waiting, 0);
    worker.kill_and_wait().expect("kill");
    let dead = of(&observer, Role::Sender);
    assert_eq!((dead.waiting, dead.alive, dead.left), (0, false, false));
}

/// Each thread of a member is counted, and none of another member in the same channel.
#[test]
fn threads_are_counted_by_member() {
    let name = Name::new();
    let options = || name.options().capacity(8).max_members(4);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let idle: mpmc::Receiver<u64> = options().label("idle").open().expect("open");
    let rx: mpmc::Receiver<u64> = options().label("busy").open().expect("open");
    let waiting = || {
        let stat = sysvring::stat(name.as_str()).expect("stat");
        stat.members.iter().map(|member| member.waiting).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        for n in 1..=3 {
            scope.spawn(|| rx.recv_timeout(LONG).expect("a message"));
            until(|| waiting() == [0, 0, n]);
        }
        (0..3).for_each(|n| tx.send(&n).expect("room"));
    });
    assert_eq!((waiting(), idle.len()), (vec![0; 3], 0));
}

#[test]
fn an_armed_doorbell_is_shown<F: AnyFlavor>() {
    let name = Name::new();
    let mut tx: F::Sender<u64> = name.options().capacity(2).open().expect("open");
    let mut rx: F::Receiver<u64> = name.options().open().expect("open");
    let observer = Observer::open(name.as_str()).expect("open");
    let set = WaitSet::new().expect("a set");
    set.add(&rx).expect("added");
    assert!(!of(&observer, Role::Receiver).armed, "it has not been polled");
    rx.try_recv().expect_err("nothing is there");
    let (receiver, sender) = (of(&observer, Role::Receiver), of(&observer, Role::Sender));
    assert_eq!((receiver.armed, receiver.waiting, sender.armed), (true, 0, false));
    assert!(observer.stat().expect("stat").to_string().contains(", waits in a set"));
    tx.try_send(&1).expect("room");
    assert!(!of(&observer, Role::Receiver).armed, "it has been rung");
    assert_eq!(set.wait(Some(LONG)).expect("a set").len(), 1);
    rx.try_recv().expect("a message");
    rx.try_recv().expect_err("nothing is there");
    assert!(of(&observer, Role::Receiver).armed);
    drop(rx);
    assert!(!of(&observer, Role::Receiver).armed);
}
