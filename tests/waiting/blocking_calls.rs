//! How long calls wait, and what waiting costs.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, Peer, RecvError, Role, SendError, Wait};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters};
use sysvring_support::stopwatch::Stopwatch;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

const LONG: Duration = Duration::from_secs(20);
const STRATEGIES: [Wait; 3] = [Wait::Spin, Wait::Balanced, Wait::Park];
/// The maximum time beyond a deadline on a busy host.
const LATE: Duration = Duration::from_millis(40);

/// Fails if a call returns before its deadline, or returns much later ten times in a row, less what
/// the host excuses: once may be due to the host all the same, above all for a spinning waiter.
fn must_take(what: &str, time: Duration, mut call: impl FnMut()) {
    let mut took = Vec::new();
    for _ in 0..10 {
        let (start, watch) = (Instant::now(), Stopwatch::start());
        call();
        let (last, own) = (start.elapsed(), watch.took());
        assert!(last >= time, "{what} returned early: {last:?} of {time:?}");
        if own < time + LATE {
            return;
        }
        took.push(own);
    }
    panic!("{what} is late: {took:?} of {time:?}");
}

fn strategy(text: &str) -> Wait {
    *STRATEGIES.iter().find(|wait| format!("{wait:?}") == text).expect("a strategy")
}

/// Makes a channel with a full ring and one with an empty ring, each with a member at the other
/// side.
struct Stuck {
    full: Sender<u64>,
    empty: Receiver<u64>,
    _receiver: Receiver<u64>,
    _sender: Sender<u64>,
    _names: [Name; 2],
}

fn stuck(wait: Wait) -> Stuck {
    let names = [Name::new(), Name::new()];
    let options = |name: &Name| name.options().capacity(1).wait(wait);
    let mut full: Sender<u64> = options(&names[0]).open().expect("open");
    full.send(&1).expect("room");
    Stuck {
        _receiver: options(&names[0]).open().expect("open"),
        empty: options(&names[1]).open().expect("open"),
        _sender: options(&names[1]).open().expect("open"),
        full,
        _names: names,
    }
}

#[test]
fn a_timeout_of_zero_does_not_wait() {
    for wait in STRATEGIES {
        let mut stuck = stuck(wait);
        let watch = Watch::start(&[]);
        let start = now_ns();
        for _ in 0..100 {
            assert_eq!(stuck.full.send_timeout(&2, Duration::ZERO), Err(SendError::Timeout));
            assert_eq!(stuck.full.try_send(&2), Err(SendError::Full));
            assert_eq!(stuck.full.flush(Duration::ZERO), Err(SendError::Timeout));
            assert_eq!(stuck.empty.recv_timeout(Duration::ZERO), Err(RecvError::Timeout));
            assert_eq!(stuck.empty.try_recv(), Err(RecvError::Empty));
        }
        watch.must_be_within(LATE, start);
    }
}

#[test(quiet)]
fn deadlines_are_kept() {
    for wait in STRATEGIES {
        let mut stuck = stuck(wait);
        // Shorter and longer than a wait slice.
        for millis in [1, 7, 20, 260] {
            let time = Duration::from_millis(millis);
            let what = |call: &str| format!("{call}, {wait:?}");
            must_take(&what("recv"), time, || {
                assert_eq!(stuck.empty.recv_timeout(time), Err(RecvError::Timeout));
            });
            must_take(&what("send"), time, || {
                assert_eq!(stuck.full.send_timeout(&2, time), Err(SendError::Timeout));
            });
            must_take(&what("flush"), time, || {
                assert_eq!(stuck.full.flush(time), Err(SendError::Timeout));
            });
        }
    }
}

/// Receives with a timeout that never passes, and reports the result.
#[work]
fn receive_late(args: &mut Args) {
    let (name, seconds): (String, u64) = (args.next(), args.next());
    let mut rx: Receiver<u64> = Options::named(name).attach().expect("attach");
    let timeout = Duration::from_secs(seconds);
    let first = rx.recv_timeout(timeout);
    let second = rx.recv_boxed_timeout(timeout).map(|n| *n);
    print_line(format!(
        "{first:?} {second:?} {:?}",
        rx.recv_batch_timeout(&mut Vec::new(), 1, timeout)
    ));
}

#[test]
fn years_are_waited_through() {
    const YEAR: u64 = 365 * 86_400;
    for seconds in [YEAR, 100 * YEAR, 10_000 * YEAR, u64::MAX] {
        let name = Name::new();
        let timeout = Duration::from_secs(seconds);
        let mut tx: Sender<u64> = name.options().capacity(1).open().expect("open");
        let mut receiver =
            Worker::start(&[&"blocking_calls::receive_late", &name, &seconds]).expect("start");
        assert_eq!(tx.wait_for_peer(timeout), Ok(()));
        assert_eq!(tx.peer(), Ok(Peer::Present { pid: receiver.pid() as u32 }));
        receiver.wait_asleep().expect("it waits");
        tx.send_timeout(&1, timeout).expect("send");
        tx.send_timeout(&2, timeout).expect("send, when there is room");
        tx.flush(timeout).expect("flush");
        drop(tx);
        receiver.expect("Ok(1) Ok(2) Err(Disconnected)");
        receiver.finish();
    }
}

/// Sends 0 to `count` with one of the strategies.
#[work]
fn stream(args: &mut Args) {
    let (name, wait, count): (String, String, u64) = (args.next(), args.next(), args.next());
    let wait = strategy(&wait);
    let mut tx: Sender<u64> = Options::named(name).wait(wait).attach().expect("attach");
    for n in 0..count {
        tx.send(&n).expect("send");
    }
}

#[test]
fn every_strategy_works_with_every_other() {
    const COUNT: u64 = 3_000;
    for theirs in STRATEGIES {
        for ours in STRATEGIES {
            let name = Name::new();
            let mut rx: Receiver<u64> = name.options().capacity(8).wait(ours).open().expect("open");
            let args = format!("{theirs:?}");
            let sender =
                Worker::start(&[&"blocking_calls::stream", &name, &args, &COUNT]).expect("start");
            for n in 0..COUNT {
                assert_eq!(rx.recv(), Ok(n), "{theirs:?} to {ours:?}");
            }
            assert_eq!(rx.recv(), Err(RecvError::Disconnected));
            sender.finish();
        }
    }
}

/// Returns the processor time of this process so far.
fn processor_time() -> Duration {
    // SAFETY: zeros are valid, and the kernel fills them.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    let of = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    of(usage.ru_utime) + of(usage.ru_stime)
}

#[test]
fn parked_waiters_use_no_processor_time() {
    Worker::run(&[&"blocking_calls::sleep_for_two_seconds", &Name::new()]);
}

/// Four processes wait for two seconds each, at the same time.
#[work]
fn sleep_for_two_seconds(args: &mut Args) {
    const TIME: Duration = Duration::from_secs(2);
    let name: String = args.next();
    let used: &[AtomicU64; 4] = shared_counters();
    let waiters: Vec<Fork> = (0..4)
        .map(|i| {
            let name = format!("{name}-{i}");
            Fork::start(move || {
                let wait = if i % 2 == 0 { Wait::Balanced } else { Wait::Park };
                let options = Options::named(&name).capacity(1).wait(wait);
                let mut tx: Sender<u64> = options.clone().open().expect("open");
                let mut rx: Receiver<u64> = options.open().expect("open");
                // What is loaded or estimated at first does not count.
                assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvError::Timeout));
                if i < 2 {
                    let before = processor_time();
                    assert_eq!(rx.recv_timeout(TIME), Err(RecvError::Timeout));
                    used[i].store((processor_time() - before).as_micros() as u64, Release);
                } else {
                    tx.send(&1).expect("room");
                    let before = processor_time();
                    assert_eq!(tx.send_timeout(&2, TIME), Err(SendError::Timeout));
                    used[i].store((processor_time() - before).as_micros() as u64, Release);
                }
                sysvring::remove(&*name).expect("removed");
            })
        })
        .collect();
    waiters.into_iter().for_each(Fork::finish);
    for (i, used) in used.iter().enumerate() {
        let used = used.load(Acquire);
        assert!(used < 4_000, "parked waiter {i} used {used} us in two seconds");
    }
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, Relaxed);
}

/// Sends to itself from full to empty and waits at both ends, while a signal handler interrupts it.
#[work]
fn bear_signals(args: &mut Args) {
    // SAFETY: all zeros is a valid sigaction; the handler only counts. No SA_RESTART: every call
    // that can be interrupted is.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count_signal as extern "C" fn(libc::c_int) as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
    let name: String = args.next();
    let options = || Options::named(&name).capacity(1).wait(Wait::Park);
    let mut rx: Receiver<u64> = options().open().expect("open");
    print_line("here");
    // Deadlines are neither early nor late.
    for millis in [5, 50, 300].into_iter().cycle() {
        if millis == 5 && SIGNALS.load(Relaxed) > 100 {
            break;
        }
        let time = Duration::from_millis(millis);
        must_take("recv under signals", time, || {
            assert_eq!(rx.recv_timeout(time), Err(RecvError::Timeout));
        });
    }
    // Messages are sent and received.
    print_line("ready");
    for n in 0..2_000 {
        assert_eq!(rx.recv(), Ok(n));
    }
    drop(rx);
    print_line("left");
    read_line();
    let mut tx: Sender<u64> = options().open().expect("open");
    for n in 0..2_000 {
        tx.send(&n).expect("send");
    }
    assert_eq!(tx.flush(LONG), Ok(()));
    print_line(SIGNALS.load(Relaxed));
    read_line();
}

#[test(quiet)]
fn signals_neither_break_nor_delay_a_call() {
    let name = Name::new();
    let mut worker = Worker::start(&[&"blocking_calls::bear_signals", &name]).expect("start");
    worker.expect("here");
    let pid = worker.pid();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                // SAFETY: our own child, not waited for before this is over.
                unsafe { libc::kill(pid, libc::SIGUSR1) };
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        // Told in any case, otherwise the thread would never end.
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            worker.expect("ready");
            let mut tx: Sender<u64> = name.options().attach().expect("attach");
            for n in 0..2_000 {
                tx.send(&n).expect("send");
                if n % 100 == 0 {
                    std::thread::sleep(Duration::from_millis(3));
                }
            }
            tx.flush(LONG).expect("flush");
            drop(tx);
            worker.expect("left");
            let mut rx: Receiver<u64> = name.options().attach().expect("attach");
            worker.write_line("your turn").expect("tell");
            for n in 0..2_000 {
                if n % 100 == 0 {
                    std::thread::sleep(Duration::from_millis(3));
                }
                assert_eq!(rx.recv_timeout(LONG), Ok(n));
            }
            worker.read_line().expect("how many").parse::<u64>().expect("a number")
        }));
        over.store(true, Relaxed);
        match told {
            Ok(signals) => assert!(signals > 110, "{signals} signals are too few"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    worker.write_line("end").expect("tell");
    worker.finish();
}

#[test]
fn a_slow_receiver_costs_its_sender_little() {
    Worker::run(&[&"blocking_calls::be_slow", &Name::new(), &"receiver"]);
}

#[test]
fn a_slow_sender_costs_its_receiver_little() {
    Worker::run(&[&"blocking_calls::be_slow", &Name::new(), &"sender"]);
}

/// One side handles one message per millisecond; the other could be faster, and parks instead.
#[work]
fn be_slow(args: &mut Args) {
    const MESSAGES: u64 = 1_000;
    const CAPACITY: u64 = 64;
    let (name, slow): (String, String) = (args.next(), args.next());
    let options = || Options::named(&name).capacity(CAPACITY as usize);
    let [used] = shared_counters::<1>();
    let slow_sender = slow == "sender";
    let pause = |slow: bool| {
        if slow {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let sender = Fork::start(|| {
        let mut tx: Sender<u64> = options().open().expect("open");
        tx.wait_for_peer(LONG).expect("a receiver");
        let before = processor_time();
        for n in 0..MESSAGES {
            pause(slow_sender);
            tx.send(&n).expect("send");
        }
        if !slow_sender {
            used.store((processor_time() - before).as_micros() as u64, Release);
        }
    });
    let receiver = Fork::start(|| {
        let mut rx: Receiver<u64> = options().open().expect("open");
        rx.wait_for_peer(LONG).expect("a sender");
        let before = processor_time();
        for n in 0..MESSAGES {
            assert_eq!(rx.recv(), Ok(n));
            pause(!slow_sender);
        }
        if slow_sender {
            used.store((processor_time() - before).as_micros() as u64, Release);
        }
    });
    sender.finish();
    receiver.finish();
    let stat = sysvring::stat(&*name).expect("stat");
    let parks = |role| stat.members.iter().find(|m| m.role == role).expect("a member").parks;
    let used = used.load(Acquire);
    match slow_sender {
        // It is woken for half a ring, not for each slot.
        false => {
            let parks = parks(Role::Sender);
            assert!(parks <= 3 * MESSAGES / (CAPACITY / 2), "it slept {parks} times");
            assert!(used < 100_000, "{used} us of processor time in a second");
        }
        // It is woken for each message, which takes a spin and a park.
        true => {
            let parks = parks(Role::Receiver);
            assert!(parks <= MESSAGES + 100, "it slept {parks} times");
            assert!(used < 400_000, "{used} us of processor time in a second");
        }
    }
}
