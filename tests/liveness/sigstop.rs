//! Parked waiters that are stopped and continued.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, Wait};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::WAKE_RECEIVERS;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters, until};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{raw_ipc, test, work};

/// Longer than any wake-up, and shorter than the interval at which a parked waiter polls.
const SLICE: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(20);

/// Receives with a deadline; records when it returned, and the result.
fn receive_once(name: &str, timeout: Duration, came_back: &AtomicU64, got: &AtomicU64) {
    let mut rx: Receiver<u64> = Options::named(name).wait(Wait::Park).open().expect("open");
    got.store(rx.recv_timeout(timeout).unwrap_or(0), Release);
    came_back.store(now_ns(), Release);
}

#[test]
fn a_stopped_waiter_is_woken_when_it_continues() {
    Worker::run(&[&"sigstop::stop_waiters", &Name::new(), &20_000, &10]);
}

#[test]
fn a_stopped_waiter_keeps_its_deadline() {
    Worker::run(&[&"sigstop::stop_waiters", &Name::new(), &500, &3]);
}

/// A parked waiter is stopped and continued several times. Then a message is sent, or its deadline
/// passes, while it is stopped.
#[work]
fn stop_waiters(args: &mut Args) {
    let (name, timeout): (String, u64) = (args.next(), args.next());
    let (mut timeout, rounds) = (Duration::from_millis(timeout), args.next::<u64>());
    let mut tx: Sender<u64> = Options::named(&name).open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let mut round = 1;
    while round <= rounds {
        let [came_back, got] = shared_counters::<2>();
        let started = now_ns();
        let receiver = Fork::start(|| receive_once(&name, timeout, came_back, got));
        let is_back = || came_back.load(Acquire) != 0;
        until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == 1 || is_back());
        for _ in 0..3 {
            receiver.signal(libc::SIGSTOP);
            std::thread::sleep(Duration::from_millis(2));
            receiver.signal(libc::SIGCONT);
            std::thread::sleep(Duration::from_millis(2));
        }
        receiver.signal(libc::SIGSTOP);
        // A stopped process has left the semaphore's queue.
        until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == 0);
        let expected = if timeout == LONG {
            tx.send(&round).expect("send");
            round
        } else {
            std::thread::sleep(timeout);
            0
        };
        if is_back() && timeout < LONG / 4 {
            // Its deadline passed before it was stopped, on a busy host.
            timeout *= 2;
            receiver.signal(libc::SIGCONT);
            receiver.finish();
            continue;
        }
        assert!(!is_back(), "it is stopped");
        let (continued, watch) = (now_ns(), Watch::start(&[receiver.pid()]));
        receiver.signal(libc::SIGCONT);
        until(is_back);
        watch.must_be_within(SLICE, continued);
        receiver.finish();
        assert_eq!(got.load(Acquire), expected);
        let came_back = came_back.load(Acquire);
        assert!(came_back >= continued, "it is stopped");
        assert!(expected != 0 || came_back - started >= timeout.as_nanos() as u64, "early");
        round += 1;
    }
}
