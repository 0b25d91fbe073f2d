//! More threads wait than the channel has seats: clones and threads of one handle share its seat,
//! and each of them is woken for its message.

use std::sync::Barrier;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::Duration;

use sysvring::{Options, Wait, mpmc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{WAKE_RECEIVERS, WAKE_SENDERS};
use sysvring_support::scheduler_noise::{Watch, allowance};
use sysvring_support::shared_counters::{now_ns, until};
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{raw_ipc, test, work};

/// How long a thread works on a message: the others must receive what is sent meanwhile.
const WORK: Duration = Duration::from_millis(250);
const ROUNDS: usize = 4;

#[test(quiet)]
fn eight_receiving_threads_on_two_seats() {
    Worker::run(&[&"more_threads_than_seats::receive_by_threads", &Name::new(), &2, &8]);
}

#[test(quiet)]
fn eighty_receiving_threads_on_sixty_four_seats() {
    Worker::run(&[&"more_threads_than_seats::receive_by_threads", &Name::new(), &64, &80]);
}

#[test(quiet)]
fn eight_sending_threads_and_one_slot() {
    Worker::run(&[&"more_threads_than_seats::send_by_threads", &Name::new(), &1]);
}

#[test(quiet)]
fn eight_sending_threads_and_two_slots() {
    Worker::run(&[&"more_threads_than_seats::send_by_threads", &Name::new(), &2]);
}

/// Sends as many messages as there are parked threads: each thread receives one. They are sent at
/// once in one round, and one after the other in the next.
#[work]
fn receive_by_threads(args: &mut Args) {
    let (name, seats, threads): (String, usize, usize) = (args.next(), args.next(), args.next());
    let options = || Options::named(&name).capacity(128).max_members(seats).wait(Wait::Park);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    // Each woken thread wakes the next one, which also waits for all processors that those before it
    // have waited for.
    let (worst, queued) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut latest = Duration::ZERO;
    let mut end_round = || {
        let [worst, queued] = [&worst, &queued].map(|ns| Duration::from_nanos(ns.swap(0, AcqRel)));
        latest = latest.max(worst.saturating_sub(queued));
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let watch = Watch::start(&[]);
                let mut before = watch.queued();
                while let Ok(sent_at) = rx.recv() {
                    let took = Duration::from_nanos(now_ns() - sent_at);
                    let late = took.saturating_sub(allowance(sent_at));
                    worst.fetch_max(late.as_nanos() as u64, AcqRel);
                    queued.fetch_add((watch.queued() - before).as_nanos() as u64, AcqRel);
                    std::thread::sleep(WORK);
                    before = watch.queued();
                }
            });
        }
        for round in 0..ROUNDS {
            until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == threads as i32);
            end_round();
            for _ in 0..threads {
                tx.send(&now_ns()).expect("send");
                if round % 2 == 1 {
                    std::thread::sleep(Duration::from_micros(500));
                }
            }
        }
        until(|| tx.is_empty());
        drop(tx);
    });
    end_round();
    assert!(latest < PROMPT, "a message came {latest:?} late");
}

/// Threads of one handle wait for room, then each sends one message: a free slot is used at once.
#[work]
fn send_by_threads(args: &mut Args) {
    const THREADS: usize = 8;
    let (name, capacity): (String, usize) = (args.next(), args.next());
    let options = || Options::named(&name).capacity(capacity).max_members(2).wait(Wait::Park);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let (worst, late) = (AtomicU64::new(0), AtomicU64::new(0));
    let start = Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    start.wait();
                    tx.send(&0).expect("send");
                }
            });
        }
        let mut watch = Watch::start(&[]);
        for _ in 0..ROUNDS {
            (0..capacity).for_each(|_| tx.send(&0).expect("room"));
            start.wait();
            until(|| raw_ipc::waiting(set, WAKE_SENDERS) == THREADS as i32);
            for _ in 0..capacity + THREADS {
                watch.restart();
                let since = now_ns();
                rx.recv().expect("a message");
                note(watch.late(since), &worst, &late);
            }
        }
    });
    let (worst, late) = (Duration::from_nanos(worst.load(Acquire)), late.load(Acquire));
    let of = ROUNDS * (capacity + THREADS);
    assert!(late == 0, "{late} of {of} messages came late, by {worst:?} at most");
}

fn note(by: Duration, worst: &AtomicU64, late: &AtomicU64) {
    worst.fetch_max(by.as_nanos() as u64, Relaxed);
    late.fetch_add(u64::from(by >= PROMPT), Relaxed);
}
