//! A batch whose iterator is slow or panics: what was sent until then is received at once.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use sysvring::{Options, Wait, broadcast, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::FIRST_SEAT;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters, until};
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{raw_ipc, test, work};

/// Longer than the interval at which a parked waiter polls.
const SLOW: Duration = Duration::from_millis(300);
/// The number of messages before the batch is interrupted.
const SENT: u64 = 3;
/// The number of batches, half of them by `try_send_batch`.
const BATCHES: u64 = 4;

#[test(quiet)]
fn an_spsc_batch_that_panics() {
    Worker::run(&[&"interrupted_batches::spsc", &Name::new(), &true]);
}

#[test(quiet)]
fn an_spsc_batch_that_is_slow() {
    Worker::run(&[&"interrupted_batches::spsc", &Name::new(), &false]);
}

#[test(quiet)]
fn an_mpmc_batch_that_panics() {
    Worker::run(&[&"interrupted_batches::mpmc", &Name::new(), &true]);
}

#[test(quiet)]
fn an_mpmc_batch_that_is_slow() {
    Worker::run(&[&"interrupted_batches::mpmc", &Name::new(), &false]);
}

#[test(quiet)]
fn a_broadcast_batch_that_panics() {
    Worker::run(&[&"interrupted_batches::broadcast", &Name::new(), &true]);
}

#[test(quiet)]
fn a_broadcast_batch_that_is_slow() {
    Worker::run(&[&"interrupted_batches::broadcast", &Name::new(), &false]);
}

fn options(name: &str) -> Options {
    Options::named(name).capacity(16).wait(Wait::Park)
}

#[work]
fn spsc(args: &mut Args) {
    let (name, panics): (String, bool) = (args.next(), args.next());
    let mut tx: spsc::Sender<u64> = options(&name).open().expect("open");
    let receive = || {
        let mut rx: spsc::Receiver<u64> = options(&name).open().expect("open");
        move || rx.recv().ok()
    };
    cut_short(&name, panics, receive, |n, messages| {
        let result = match n % 2 {
            0 => tx.send_batch(messages),
            _ => tx.try_send_batch(messages),
        };
        result.expect("room");
    });
}

#[work]
fn mpmc(args: &mut Args) {
    let (name, panics): (String, bool) = (args.next(), args.next());
    let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
    let receive = || {
        let rx: mpmc::Receiver<u64> = options(&name).open().expect("open");
        move || rx.recv().ok()
    };
    cut_short(&name, panics, receive, |n, messages| {
        let result = match n % 2 {
            0 => tx.send_batch(messages),
            _ => tx.try_send_batch(messages),
        };
        result.expect("room");
    });
}

#[work]
fn broadcast(args: &mut Args) {
    let (name, panics): (String, bool) = (args.next(), args.next());
    let mut tx: broadcast::Sender<u64> = options(&name).open().expect("open");
    let receive = || {
        let mut rx: broadcast::Receiver<u64> = options(&name).open().expect("open");
        move || rx.recv().ok()
    };
    cut_short(&name, panics, receive, |n, messages| {
        let result = match n % 2 {
            0 => tx.send_batch(messages),
            _ => tx.try_send_batch(messages),
        };
        result.expect("room");
    });
}

/// Sends batches, each to a parked receiver: three messages, and then a panic or a much later
/// fourth one.
fn cut_short<R: FnMut() -> Option<u64>>(
    name: &str,
    panics: bool,
    receive: impl FnOnce() -> R,
    mut send: impl FnMut(u64, &mut dyn Iterator<Item = &'static u64>),
) {
    let [received, worst] = shared_counters::<2>();
    let in_batch = if panics { SENT } else { SENT + 1 };
    let receiver = Fork::start(|| {
        let mut next = receive();
        let mut watch = Watch::start(&[]);
        for n in 1..=BATCHES * in_batch {
            let sent_at = next().expect("a message");
            worst.fetch_max(watch.late(sent_at).as_nanos() as u64, Relaxed);
            // Only while nothing is sent: what was sent before would not be excused.
            if n.is_multiple_of(in_batch) {
                watch.restart();
            }
            received.fetch_add(1, Relaxed);
        }
    });
    let set = sysvring::stat(name).expect("stat").set.expect("a set").id;
    for batch in 0..BATCHES {
        // Broadcast receivers wait until another semaphore changes.
        let waits = |n| raw_ipc::waiting(set, n) + raw_ipc::waiting_for_zero(set, n) > 0;
        until(|| (0..FIRST_SEAT).any(waits));
        let mut given = 0;
        let mut messages = iter::from_fn(|| {
            given += 1;
            if given > SENT {
                match panics {
                    // Without the message of a panic.
                    true => resume_unwind(Box::new("cut short")),
                    false if given == SENT + 1 => std::thread::sleep(SLOW),
                    false => return None,
                }
            }
            Some(&*Box::leak(Box::new(now_ns())))
        });
        let sent = catch_unwind(AssertUnwindSafe(|| send(batch, &mut messages)));
        assert_eq!(sent.is_err(), panics, "what a batch does");
        until(|| received.load(Acquire) == (batch + 1) * in_batch);
    }
    receiver.finish();
    let worst = Duration::from_nanos(worst.load(Acquire));
    assert!(worst < PROMPT, "a message came {worst:?} late");
}
