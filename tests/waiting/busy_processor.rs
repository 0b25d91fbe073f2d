//! Waiting on a processor that other processes use as well.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, RecvError, Wait};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::shared_counters::shared_counters;
use sysvring_support::stopwatch::Stopwatch;
use sysvring_support::worker::{self, Args, Worker};
use sysvring_support::{test, work};

/// How long a pair exchanges messages.
const TIME: Duration = Duration::from_millis(300);
const STOP: u64 = u64::MAX;

/// How many messages a receiver takes that waits for microseconds only.
const MESSAGES: u64 = 500;

#[test(quiet)]
fn the_default_is_no_slower_than_parking_beside_a_busy_loop() {
    Worker::run(&[&"busy_processor::answer_beside_a_busy_loop", &Name::new(), &Name::new()]);
}

/// Counts round trips of two processes on one processor beside a busy loop, alternately with each
/// strategy. The host may be busy, so the best of some rounds counts.
#[work]
fn answer_beside_a_busy_loop(args: &mut Args) {
    let (there, back): (String, String) = (args.next(), args.next());
    worker::pin(a_processor());
    let busy = Fork::start(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let park = round_trips(&there, &back, Wait::Park);
        rounds.push((park, round_trips(&there, &back, Wait::Balanced)));
        if rounds.iter().any(|&(park, balanced)| balanced >= park / 2) {
            break;
        }
    }
    drop(busy);
    let kept_up = rounds.iter().any(|&(park, balanced)| balanced >= park / 2);
    assert!(kept_up, "round trips of Park and of Balanced: {rounds:?}");
}

/// Returns the number of round trips in that time.
fn round_trips(there: &str, back: &str, wait: Wait) -> u64 {
    let [trips] = shared_counters::<1>();
    let options = |name: &str| Options::named(name).wait(wait);
    let answers = Fork::start(|| {
        let mut rx: Receiver<u64> = options(there).open().expect("open");
        let mut tx: Sender<u64> = options(back).open().expect("open");
        loop {
            match rx.recv().expect("a message") {
                STOP => break,
                message => tx.send(&message).expect("send"),
            }
        }
    });
    let asks = Fork::start(|| {
        let mut tx: Sender<u64> = options(there).open().expect("open");
        let mut rx: Receiver<u64> = options(back).open().expect("open");
        // The first reply shows that the other side is ready.
        tx.send(&0).expect("send");
        assert_eq!(rx.recv(), Ok(0));
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < TIME {
            tx.send(&count).expect("send");
            assert_eq!(rx.recv(), Ok(count));
            count += 1;
        }
        trips.store(count, Release);
        tx.send(&STOP).expect("send");
    });
    asks.finish();
    answers.finish();
    sysvring::remove(there).expect("removed");
    sysvring::remove(back).expect("removed");
    trips.load(Acquire)
}

/// Returns the first processor that this process may use.
fn a_processor() -> usize {
    // SAFETY: `cpu_set_t` is a set of bits, empty when zero, and lives through the calls; every number asked
    // for is below its size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set), 0);
        (0..libc::CPU_SETSIZE as usize).find(|&cpu| libc::CPU_ISSET(cpu, &set)).expect("one")
    }
}

/// A receiver whose timeout is shorter than its spin gives the only processor to its sender.
#[test(quiet)]
fn short_timeouts_give_the_processor_away() {
    Worker::run(&[&"busy_processor::wait_briefly", &Name::new()]);
}

#[work]
fn wait_briefly(args: &mut Args) {
    let name: String = args.next();
    worker::pin(a_processor());
    let mut rx: Receiver<u64> = Options::named(&name).capacity(1).open().expect("open");
    let sending = Fork::start(|| {
        let mut tx: Sender<u64> = Options::named(&name).attach().expect("attach");
        (0..MESSAGES).for_each(|n| tx.send(&n).expect("a receiver"));
    });
    let (watch, mut next) = (Stopwatch::start(), 0);
    while next < MESSAGES {
        match rx.recv_timeout(Duration::from_micros(5)) {
            Ok(n) => {
                assert_eq!(n, next);
                next += 1;
            }
            Err(error) => assert_eq!(error, RecvError::Timeout),
        }
    }
    let took = watch.took();
    drop(rx);
    sending.finish();
    sysvring::remove(&*name).expect("removed");
    println!("{MESSAGES} messages in {took:?}");
    assert!(took < Duration::from_micros(500) * MESSAGES as u32, "{took:?}");
}
