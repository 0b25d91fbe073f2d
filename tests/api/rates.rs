//! What happened between two snapshots: exact counts, also when members leave, die, and are replaced.

use std::sync::atomic::Ordering::Relaxed;

use sysvring::{Observer, Options, Rates, Redelivery, Stat, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Segment, at};
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

fn stat(name: &Name) -> Stat {
    sysvring::stat(name.as_str()).expect("stat")
}

#[track_caller]
fn since(name: &Name, earlier: &Stat) -> Rates {
    stat(name).since(earlier).expect("the same channel")
}

/// Returns a number of events from their rate, which must be that of a whole number.
#[track_caller]
fn count(rates: &Rates, rate: f64) -> u64 {
    let count = rate * rates.seconds;
    assert!((count - count.round()).abs() < 1e-6 * count.max(1.0), "{count} of {rates:?}");
    count.round() as u64
}

/// Returns the numbers of messages sent and received, and of bytes.
#[track_caller]
fn totals(rates: &Rates) -> [u64; 4] {
    [rates.sent, rates.received, rates.bytes_sent, rates.bytes_received]
        .map(|rate| count(rates, rate))
}

/// Returns the number of messages of the member in a seat.
#[track_caller]
fn of_seat(rates: &Rates, seat: usize) -> u64 {
    let member = rates.members.iter().find(|member| member.seat == seat).expect("a member");
    count(rates, member.messages)
}

#[test]
fn spsc_rates_are_exact_when_members_change() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(64);
    tx.send_batch(&[1; 7]).expect("room");
    let first = stat(&name);
    tx.send_batch(&[1; 20]).expect("room");
    (0..9).for_each(|_| _ = rx.recv().expect("a message"));
    let rates = since(&name, &first);
    assert_eq!(totals(&rates), [20, 9, 160, 72]);
    assert_eq!((of_seat(&rates, 0), of_seat(&rates, 1)), (20, 9));
    assert_eq!((rates.joined, rates.gone, rates.deaths), (0, 0, 0));
    // Another sender takes the seat: it is charged with its own messages only.
    drop(tx);
    let mut tx: spsc::Sender<u64> = name.options().open().expect("open");
    tx.send_batch(&[1; 30]).expect("room");
    let rates = since(&name, &first);
    assert_eq!(totals(&rates), [50, 9, 400, 72]);
    assert_eq!((of_seat(&rates, 0), of_seat(&rates, 1)), (30, 9));
    assert_eq!((rates.joined, rates.gone, rates.deaths), (1, 1, 0));
}

#[test]
fn bytes_of_variable_length_are_counted() {
    let name = Name::new();
    let options = || name.options().slot_size(16).capacity(64);
    let mut tx: spsc::Sender<str> = options().open().expect("open");
    let mut rx: spsc::Receiver<str> = options().open().expect("open");
    tx.send("four").expect("room");
    let first = stat(&name);
    tx.send("seven..").expect("room");
    tx.send("").expect("room");
    (0..2).for_each(|_| _ = rx.recv_boxed().expect("a message"));
    assert_eq!(totals(&since(&name, &first)), [2, 2, 7, 11]);
}

#[test]
fn mpmc_rates_are_exact() {
    let name = Name::new();
    let options = || name.options().capacity(64).max_members(4);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let other: mpmc::Sender<u64> = options().open().expect("open");
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    tx.send_batch(&[1; 5]).expect("room");
    let first = stat(&name);
    tx.send_batch(&[1; 20]).expect("room");
    (0..4).for_each(|_| other.send(&1).expect("room"));
    (0..11).for_each(|_| _ = rx.recv().expect("a message"));
    // A loan that is given up and a message in flight are not counted.
    drop(tx.loan().expect("room"));
    let guard = rx.recv_ref().expect("a message");
    let rates = since(&name, &first);
    assert_eq!(totals(&rates), [24, 11, 192, 88]);
    assert_eq!([0, 1, 2].map(|seat| of_seat(&rates, seat)), [20, 4, 11]);
    guard.ack().expect("acknowledged");
    assert_eq!(totals(&since(&name, &first)), [24, 12, 192, 96]);
    // One that joins later and stays is counted from its first message on.
    let late: mpmc::Receiver<u64> = options().open().expect("open");
    (0..5).for_each(|_| _ = late.recv().expect("a message"));
    let rates = since(&name, &first);
    assert_eq!((totals(&rates), of_seat(&rates, 3)), ([24, 17, 192, 136], 5));
    assert_eq!((rates.joined, rates.gone), (1, 0));
}

/// Positions that senders stepped over are no messages, as long as all members can be counted.
#[test]
fn skipped_positions_are_not_counted() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(4).open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
    tx.send(&1).expect("room");
    let held = rx.recv_ref().expect("a message");
    let first = stat(&name);
    for _ in 0..30 {
        tx.send(&1).expect("room");
        rx.recv().expect("a message");
    }
    let second = stat(&name);
    assert!(second.tail - first.tail > 30, "no position was skipped");
    let rates = second.since(&first).expect("the same channel");
    assert_eq!(totals(&rates), [30, 30, 240, 240]);
    held.ack().expect("acknowledged");
}

/// Members that come and go between two looks, in one seat.
#[test]
fn mpmc_members_that_left_are_counted() {
    let name = Name::new();
    let options = || name.options().capacity(64).max_members(2);
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    let mut last: mpmc::Sender<u64> = options().open().expect("open");
    last.send_batch(&[1; 5]).expect("room");
    let first = stat(&name);
    last.send_batch(&[1; 6]).expect("room");
    for _ in 0..9 {
        drop(last);
        last = options().open().expect("open");
        last.send(&1).expect("room");
        rx.recv().expect("a message");
    }
    let rates = since(&name, &first);
    assert_eq!(totals(&rates), [15, 9, 120, 72]);
    assert_eq!((of_seat(&rates, 0), of_seat(&rates, 1)), (9, 1));
    assert_eq!((rates.joined, rates.gone, rates.deaths), (9, 9, 0));
}

/// Receives, without acknowledging it, the number of messages that it is told.
#[work]
fn hold(args: &mut Args) {
    let (name, n): (String, usize) = (args.next(), args.next());
    let rx: mpmc::Receiver<u64> = Options::named(&*name).open().expect("open");
    let _held: Vec<_> = (0..n).map(|_| rx.recv_ref().expect("a message")).collect();
    print_line("held");
    read_line();
}

fn holding(name: &Name, n: usize) -> Worker {
    let mut worker = Worker::start(&[&"rates::hold", name, &n]).expect("start");
    worker.expect("held");
    worker
}

#[test]
fn deaths_and_what_they_cause_are_counted() {
    let name = Name::new();
    let options = || name.options().capacity(64).max_members(4);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    tx.send_batch(&[1; 10]).expect("room");
    let mut victim = holding(&name, 3);
    let first = stat(&name);
    assert_eq!((first.in_flight, first.deaths, first.joins), (Some(3), 0, 3));
    victim.kill_and_wait().expect("kill");
    let second = stat(&name);
    let rates = second.since(&first).expect("the same channel");
    assert_eq!((rates.joined, rates.gone, rates.deaths, second.deaths), (0, 1, 1, 1));
    assert_eq!((totals(&rates), second.in_flight), ([0; 4], Some(3)));
    // It is dead already.
    (0..10).for_each(|_| _ = rx.recv().expect("a message"));
    let third = stat(&name);
    let rates = third.since(&second).expect("the same channel");
    assert_eq!((rates.joined, rates.gone, rates.deaths, rates.redelivered), (0, 0, 0, 3));
    assert_eq!((third.in_flight, third.deaths), (Some(0), 1));
    assert_eq!(third.members.iter().map(|member| member.recovered).sum::<u64>(), 3);
    // A death whose seat is taken again is a member that is gone, and no more.
    tx.send_batch(&[1; 2]).expect("room");
    let mut victim = holding(&name, 1);
    let fourth = stat(&name);
    assert_eq!((fourth.deaths, fourth.joins), (0, 4));
    victim.kill_and_wait().expect("kill");
    let _heir = holding(&name, 1);
    let rates = since(&name, &fourth);
    assert_eq!((rates.joined, rates.gone, rates.deaths), (1, 1, 0));
    // One that joined and died since.
    let mut victim = holding(&name, 1);
    victim.kill_and_wait().expect("kill");
    let rates = since(&name, &fourth);
    assert_eq!((rates.joined, rates.gone, rates.deaths), (2, 2, 1));
}

#[test]
fn what_is_not_acknowledged_is_counted() {
    let name = Name::new();
    let options = || name.options().capacity(16).redelivery(Redelivery::Never);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    tx.send_batch(&[1; 4]).expect("room");
    // It is given up by the call that comes to it.
    drop(rx.recv_ref().expect("a message"));
    rx.recv().expect("a message");
    let first = stat(&name);
    drop(rx.recv_ref().expect("a message"));
    rx.recv_ref().expect("a message").reject().expect("rejected");
    let rates = since(&name, &first);
    assert_eq!((rates.rejected, rates.redelivered, rates.poisoned), (1, 0, 0));
    assert_eq!((rates.dropped, stat(&name).dropped), (1, 2));
    assert_eq!((rates.dead_letters, rates.dead_letter_failures, rates.overslept), (0, 0, 0));
}

#[test]
fn counters_that_wrap_are_followed() {
    const MESSAGES: usize = at::MEMBERS + 104;
    const REDELIVERED: usize = 896 + 8;
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(16).open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
    let segment = Segment::of(tx.id().segment());
    segment.u64(MESSAGES).store(u64::MAX - 1, Relaxed);
    segment.u64(REDELIVERED).store(u64::MAX, Relaxed);
    let first = stat(&name);
    assert_eq!((first.members[0].messages, first.redelivered), (u64::MAX - 1, u64::MAX));
    tx.send_batch(&[1; 5]).expect("room");
    drop(rx.recv_ref().expect("a message"));
    rx.recv().expect("a message");
    let rates = since(&name, &first);
    assert_eq!((count(&rates, rates.sent), of_seat(&rates, 0), rates.redelivered), (5, 5, 1));
    // One that went backwards counts from 0.
    let second = stat(&name);
    segment.u64(MESSAGES).store(2, Relaxed);
    assert_eq!(of_seat(&since(&name, &second), 0), 2);
}

#[test]
fn only_an_earlier_look_at_the_same_channel_counts() {
    let (name, other) = (Name::new(), Name::new());
    let open = || -> spsc::Sender<u64> { name.options().create().expect("create") };
    let mut tx = open();
    let other: spsc::Sender<u64> = other.options().create().expect("create");
    let first = stat(&name);
    assert_eq!(first.since(&first), None, "no time passed");
    tx.send(&1).expect("room");
    let second = stat(&name);
    assert_eq!(first.since(&second), None, "in the wrong order");
    assert!(second.since(&first).is_some());
    assert_eq!(other.stat().expect("stat").since(&first), None, "another channel");
    sysvring::remove(name.as_str()).expect("removed");
    let _again = open();
    assert_eq!(stat(&name).since(&second), None, "another one of this name");
}

/// Removing the set by hand is not the death of all members.
#[test]
fn without_a_set_nobody_is_known_to_have_died() {
    let name = Name::new();
    let (mut tx, _rx) = name.pair::<u64>(8);
    let observer = Observer::open(name.as_str()).expect("open");
    let first = observer.stat().expect("stat");
    tx.send(&1).expect("room");
    sysvring_support::raw_ipc::remove_set(first.set.expect("a set").id).expect("IPC_RMID");
    let second = observer.stat().expect("stat");
    let rates = second.since(&first).expect("the same channel");
    assert_eq!((second.deaths, rates.deaths, rates.gone, count(&rates, rates.sent)), (0, 0, 0, 1));
}
