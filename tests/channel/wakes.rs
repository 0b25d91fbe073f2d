//! No wake-up is lost. A sleeper looks by itself only every 200 milliseconds: whoever waits that long
//! for something that is there was not woken.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, Role, Wait};
use sysvring_support::board::{Dice, board, now_ns, until};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::worker::{Orders, Worker};
use sysvring_support::{inject, ipc, tests, witness, workers};

use crate::raw::{Memory, at};

tests![
    sleepers_are_woken,
    sleepers_are_woken_when_the_sender_has_no_membarrier,
    sleepers_are_woken_when_the_receiver_has_no_membarrier,
    sleepers_are_woken_when_nobody_has_membarrier,
    fences_are_required_by_whoever_comes_later,
    a_stopped_sleeper_is_woken_when_it_goes_on,
    a_stopped_sleeper_keeps_its_deadline,
];
workers![wake_each_other, come_later, stop_sleepers];

/// Longer than any wake, shorter than a sleeper's own look.
const SLICE: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(20);

/// In a parked word: wakers need a fence.
const FENCE: u32 = 1 << 31;
/// Where receivers sleep, in a channel's set.
const WAKE_RECEIVERS: i32 = 2;

fn without_membarrier(yes: bool) {
    if yes {
        inject::fail(&[libc::SYS_membarrier], libc::EPERM).expect("a filter");
    }
}

fn wake(without: [bool; 2]) {
    for capacity in [1, 4] {
        let name = Name::new();
        Worker::run(&[&"wakes::wake_each_other", &name, &capacity, &without[0], &without[1]]);
    }
}

fn sleepers_are_woken() {
    wake([false, false]);
}

fn sleepers_are_woken_when_the_sender_has_no_membarrier() {
    wake([true, false]);
}

fn sleepers_are_woken_when_the_receiver_has_no_membarrier() {
    wake([false, true]);
}

fn sleepers_are_woken_when_nobody_has_membarrier() {
    wake([true, true]);
}

/// Fails when a call came back too long after what it waited for was there.
fn check(call: &str, started: u64, there: u64) {
    let from = started.max(there);
    let late = Duration::from_nanos(now_ns().saturating_sub(from));
    let allowed = SLICE + witness::excuse(from);
    assert!(late < allowed, "{call} came back {late:?} late");
}

/// Two processes that sleep whenever they have nothing to do, and have it at random moments: now the
/// ring is empty, now it is full.
fn wake_each_other(orders: &mut Orders) {
    const MESSAGES: u64 = 2_000;
    let (name, capacity): (String, usize) = (orders.next(), orders.next());
    let (sender_without, receiver_without): (bool, bool) = (orders.next(), orders.next());
    let options = || Options::named(&name).capacity(capacity).wait(Wait::Park);
    let [received_at] = board::<1>();
    let sender = Fork::start(|| {
        without_membarrier(sender_without);
        let mut tx: Sender<u64> = options().open().expect("open");
        tx.wait_for_peer(LONG).expect("a receiver");
        let mut dice = Dice::new();
        for n in 0..MESSAGES {
            rest(&mut dice, n);
            let started = now_ns();
            tx.send(&now_ns()).expect("send");
            check("send", started, received_at.load(Acquire));
        }
    });
    let receiver = Fork::start(|| {
        without_membarrier(receiver_without);
        let mut rx: Receiver<u64> = options().open().expect("open");
        rx.wait_for_peer(LONG).expect("a sender");
        let mut dice = Dice::new();
        for n in 0..MESSAGES {
            rest(&mut dice, n + MESSAGES / 8);
            let started = now_ns();
            let sent_at = rx.recv().expect("a message");
            check("recv", started, sent_at);
            received_at.store(now_ns(), Release);
        }
    });
    sender.finish();
    receiver.finish();
    let stat = sysvring::stat(&*name).expect("stat");
    for member in &stat.members {
        assert!(member.parks > MESSAGES / 20, "{} slept only {}", member.role, member.parks);
        assert!(member.wakes > MESSAGES / 20, "{} woke only {}", member.role, member.wakes);
    }
    let fences = Memory::of(stat.segment.id).u32(at::RECEIVERS).load(Relaxed) & FENCE != 0;
    assert_eq!(fences, sender_without || receiver_without, "whether fences were required");
}

/// A random pause. One side is the slow one for a while, then the other.
fn rest(dice: &mut Dice, n: u64) {
    match n / 250 % 2 {
        0 => dice.pause(19),
        _ => dice.pause(8),
    }
}

fn fences_are_required_by_whoever_comes_later() {
    Worker::run(&[&"wakes::come_later", &Name::new()]);
}

/// A sender that knew a receiver with membarrier is now with one that has none, and the other way
/// round.
fn come_later(orders: &mut Orders) {
    let name: String = orders.next();
    let options = || Options::named(&name).wait(Wait::Park);
    let mut tx: Sender<u64> = options().open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    for round in 0..20 {
        let receiver = Fork::start(|| {
            without_membarrier(round % 2 == 1);
            let mut rx: Receiver<u64> = options().open().expect("open");
            for _ in 0..20 {
                let sent_at = rx.recv().expect("a message");
                check("recv", 0, sent_at);
            }
        });
        for _ in 0..20 {
            until(|| ipc::waiting(set, WAKE_RECEIVERS) == 1);
            tx.send(&now_ns()).expect("send");
        }
        receiver.finish();
    }
}

/// Receives with a deadline; notes that it came back, and with what.
fn receive_once(name: &str, timeout: Duration, came_back: &AtomicU64, got: &AtomicU64) {
    let mut rx: Receiver<u64> = Options::named(name).wait(Wait::Park).open().expect("open");
    got.store(rx.recv_timeout(timeout).unwrap_or(0), Release);
    came_back.store(now_ns(), Release);
}

fn a_stopped_sleeper_is_woken_when_it_goes_on() {
    Worker::run(&[&"wakes::stop_sleepers", &Name::new(), &20_000, &10]);
}

fn a_stopped_sleeper_keeps_its_deadline() {
    Worker::run(&[&"wakes::stop_sleepers", &Name::new(), &500, &3]);
}

/// A sleeper is stopped and continued, again and again; then a message comes while it is stopped, or
/// its time is over while it is.
fn stop_sleepers(orders: &mut Orders) {
    let (name, timeout): (String, u64) = (orders.next(), orders.next());
    let (timeout, rounds) = (Duration::from_millis(timeout), orders.next::<u64>());
    let mut tx: Sender<u64> = Options::named(&name).open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    for round in 1..=rounds {
        let [came_back, got] = board::<2>();
        let started = now_ns();
        let receiver = Fork::start(|| receive_once(&name, timeout, came_back, got));
        until(|| ipc::waiting(set, WAKE_RECEIVERS) == 1);
        for _ in 0..3 {
            receiver.signal(libc::SIGSTOP);
            std::thread::sleep(Duration::from_millis(2));
            receiver.signal(libc::SIGCONT);
            std::thread::sleep(Duration::from_millis(2));
        }
        receiver.signal(libc::SIGSTOP);
        // A stopped process has left the semaphore's queue.
        until(|| ipc::waiting(set, WAKE_RECEIVERS) == 0);
        let expected = if timeout == LONG {
            tx.send(&round).expect("send");
            round
        } else {
            std::thread::sleep(timeout);
            0
        };
        assert_eq!(came_back.load(Acquire), 0, "it is stopped");
        let continued = now_ns();
        receiver.signal(libc::SIGCONT);
        receiver.finish();
        assert_eq!(got.load(Acquire), expected);
        let came_back = came_back.load(Acquire);
        assert!(came_back >= continued);
        let late = Duration::from_nanos(came_back - continued);
        assert!(late < SLICE + witness::excuse(continued), "it came back {late:?} late");
        assert!(expected != 0 || came_back - started >= timeout.as_nanos() as u64, "early");
    }
}
