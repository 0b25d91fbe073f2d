//! More threads wait than the channel has seats: clones and threads of one handle share its seat,
//! and each of them is woken for its message.

use std::sync::Barrier;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use sysvring::{Options, Wait, mpmc};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{WAKE_RECEIVERS, WAKE_SENDERS};
use sysvring_support::scheduler_noise::Watch;
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
    let (worst, late) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut watch = Watch::start(&[]);
                while let Ok(sent_at) = rx.recv() {
                    note(watch.late(sent_at), &worst, &late);
                    std::thread::sleep(WORK);
                    watch.restart();
                }
            });
        }
        for round in 0..ROUNDS {
            until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == threads as i32);
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
    must_be_prompt(&worst, &late, ROUNDS * threads);
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
    must_be_prompt(&worst, &late, ROUNDS * (capacity + THREADS));
}

fn note(by: Duration, worst: &AtomicU64, late: &AtomicU64) {
    worst.fetch_max(by.as_nanos() as u64, Relaxed);
    late.fetch_add(u64::from(by >= PROMPT), Relaxed);
}

fn must_be_prompt(worst: &AtomicU64, late: &AtomicU64, of: usize) {
    let worst = Duration::from_nanos(worst.load(Acquire));
    let late = late.load(Acquire);
    assert!(late == 0, "{late} of {of} messages came late, by {worst:?} at most");
}
