//! Interrupted calls: each blocking call returns, at whatever moment the interrupt comes, once, and
//! at once; from another thread and from a signal handler.

use std::os::unix::thread::JoinHandleExt;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

use sysvring::{Interrupter, Options, RecvError, SendError, Wait, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{self, INTERRUPT_RECEIVERS};
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, until};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);
const STRATEGIES: [Wait; 3] = [Wait::Spin, Wait::Balanced, Wait::Park];
/// How late an interrupted call may return, beyond what the host excuses.
const PROMPT: Duration = Duration::from_millis(10);
/// The number of interrupts in the tests that vary their moment.
const TIMES: u64 = if cfg!(debug_assertions) { 2_000 } else { 10_000 };

/// Runs `call`, which blocks, and interrupts it from another thread after it blocked.
#[track_caller]
fn interrupted<R>(interrupter: &Interrupter, call: impl FnOnce() -> R) -> R {
    let at = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(3));
            at.store(now_ns(), Release);
            interrupter.interrupt();
        });
        let watch = Watch::start(&[]);
        let result = call();
        assert_ne!(at.load(Acquire), 0, "it returned before the interrupt");
        watch.must_be_within(PROMPT, at.load(Acquire));
        result
    })
}

/// Interrupts each blocking call of a flavor's handles.
macro_rules! every_blocking_call {
    ($flavor:ident) => {
        const RECV: RecvError = RecvError::Interrupted;
        const SEND: SendError = SendError::Interrupted;
        for wait in STRATEGIES {
            let names = [Name::new(), Name::new()];
            let options = |n: usize| names[n].options().capacity(1).wait(wait);
            let mut full: $flavor::Sender<u64> = options(0).open().expect("open");
            let mut empty: $flavor::Receiver<u64> = options(1).open().expect("open");
            let by = (full.interrupter(), empty.interrupter());
            assert_eq!(interrupted(&by.0, || full.wait_for_peer(LONG)), Err(SEND));
            assert_eq!(interrupted(&by.1, || empty.wait_for_peer(LONG)), Err(RECV));
            let mut rx: $flavor::Receiver<u64> = options(0).open().expect("open");
            let mut tx: $flavor::Sender<u64> = options(1).open().expect("open");
            full.send(&1).expect("room");
            assert_eq!(interrupted(&by.0, || full.send(&2)), Err(SEND));
            assert_eq!(interrupted(&by.0, || full.send_timeout(&2, LONG)), Err(SEND));
            assert_eq!(interrupted(&by.0, || full.loan().map(drop)), Err(SEND));
            assert_eq!(interrupted(&by.0, || full.flush(LONG)), Err(SEND));
            let batch = interrupted(&by.0, || full.send_batch(&[2, 3]));
            assert_eq!(batch.map_err(|error| (error.sent, error.error)), Err((0, SEND)));
            assert_eq!(interrupted(&by.1, || empty.recv()), Err(RECV));
            assert_eq!(interrupted(&by.1, || empty.recv_timeout(LONG)), Err(RECV));
            assert_eq!(interrupted(&by.1, || empty.recv_ref().map(drop)), Err(RECV));
            assert_eq!(interrupted(&by.1, || empty.recv_boxed().map(drop)), Err(RECV));
            assert_eq!(interrupted(&by.1, || empty.recv_into(&mut 0)), Err(RECV));
            assert_eq!(interrupted(&by.1, || empty.recv_batch(&mut Vec::new(), 2)), Err(RECV));
            // An iterator goes on.
            let mut iter = empty.iter();
            assert_eq!(interrupted(&by.1, || iter.next()), Some(Err(RECV)));
            tx.send(&7).expect("room");
            assert_eq!(iter.next(), Some(Ok(7)));
            assert_eq!(rx.recv(), Ok(1));
            full.send(&2).expect("room");
        }
    };
}

#[test]
fn every_blocking_call_of_spsc() {
    every_blocking_call!(spsc);
}

#[test]
#[allow(unused_mut, reason = "the calls of this flavor take shared handles")]
fn every_blocking_call_of_mpmc() {
    every_blocking_call!(mpmc);
}

/// An interrupt while no call is blocked is for the next one that would block.
#[test]
fn an_interrupt_is_kept_for_the_call_that_would_block() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(2);
    let by = rx.interrupter();
    by.interrupt();
    by.interrupt();
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    assert_eq!(rx.wait_for_peer(LONG), Ok(()));
    tx.send(&1).expect("room");
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(rx.recv(), Err(RecvError::Interrupted));
    assert_eq!(rx.recv_timeout(SHORT), Err(RecvError::Timeout));
    // The end of the stream is no reason to wait, either.
    by.interrupt();
    drop(tx);
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    let _tx: spsc::Sender<u64> = name.options().attach().expect("attach");
    assert_eq!(rx.recv(), Err(RecvError::Interrupted));
    assert_eq!(rx.recv_timeout(SHORT), Err(RecvError::Timeout));
}

/// Interrupts at every moment, from another thread: each is returned once, and every message
/// arrives once, in order.
fn at_any_moment(name: &Name, wait: Wait) {
    let options = || name.options().capacity(4).wait(wait);
    let mut tx: spsc::Sender<u64> = options().open().expect("open");
    let mut rx: spsc::Receiver<u64> = options().open().expect("open");
    let by = rx.interrupter();
    let (returned, sent_at) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut rng, mut sent) = (Rng::new(), 0);
            for n in 0..TIMES {
                let pause = Duration::from_nanos(rng.below(60_000));
                let start = Instant::now();
                while start.elapsed() < pause {
                    std::hint::spin_loop();
                }
                if rng.below(4) == 0 && tx.try_send(&sent).is_ok() {
                    sent += 1;
                }
                sent_at.store(now_ns(), Release);
                by.interrupt();
                until(|| returned.load(Acquire) > n);
            }
            drop(tx);
        });
        let (mut worst, mut next) = (Duration::ZERO, 0);
        let mut watch = Watch::start(&[]);
        loop {
            match rx.recv() {
                Ok(number) => {
                    assert_eq!(number, next);
                    next += 1;
                }
                Err(RecvError::Interrupted) => {
                    worst = worst.max(watch.late(sent_at.load(Acquire)));
                    // Before the next interrupt.
                    watch.restart();
                    returned.fetch_add(1, Release);
                }
                Err(RecvError::Disconnected) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(returned.load(Acquire), TIMES);
        assert!(worst < PROMPT, "the longest delay was {worst:?}");
        println!("{wait:?}: {TIMES} interrupts, {next} messages, longest delay {worst:?}");
    });
}

#[test(quiet)]
fn from_another_thread_at_any_moment() {
    STRATEGIES.iter().for_each(|wait| at_any_moment(&Name::new(), *wait));
}

/// What the signal handlers of this program use.
static HANDLED: AtomicU64 = AtomicU64::new(0);
static HANDLED_AT: AtomicU64 = AtomicU64::new(0);
static INTERRUPTER: OnceLock<Interrupter> = OnceLock::new();

extern "C" fn on_signal(_: libc::c_int) {
    HANDLED_AT.store(now_ns(), Release);
    if let Some(interrupter) = INTERRUPTER.get() {
        interrupter.interrupt();
    }
    HANDLED.fetch_add(1, Release);
}

fn install(signal: libc::c_int, flags: libc::c_int) {
    // SAFETY: zeros are a valid `sigaction`, and the handler makes async-signal-safe calls only.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

/// A signal handler interrupts the very thread whose call blocks, at every moment.
#[test(quiet)]
fn from_a_signal_handler_at_any_moment() {
    for flavor in ["spsc", "mpmc"] {
        for wait in STRATEGIES {
            let wait = format!("{wait:?}");
            Worker::run(&[&"interrupts::signals", &Name::new(), &flavor, &wait]);
        }
    }
}

#[work]
fn signals(args: &mut Args) {
    let name: String = args.next();
    let (flavor, wait): (String, String) = (args.next(), args.next());
    let wait = *STRATEGIES.iter().find(|known| format!("{known:?}") == wait).expect("a strategy");
    let options = || Options::named(&*name).capacity(4).wait(wait);
    install(libc::SIGUSR1, 0);
    if flavor == "spsc" {
        let _tx: spsc::Sender<u64> = options().open().expect("open");
        let mut rx: spsc::Receiver<u64> = options().open().expect("open");
        INTERRUPTER.get_or_init(|| rx.interrupter());
        signalled(move || rx.recv());
    } else {
        let _tx: mpmc::Sender<u64> = options().open().expect("open");
        let rx: mpmc::Receiver<u64> = options().open().expect("open");
        INTERRUPTER.get_or_init(|| rx.interrupter());
        signalled(move || rx.recv());
    }
}

/// Calls `recv` in a thread that gets a signal at a random moment of each call.
fn signalled(mut recv: impl FnMut() -> Result<u64, RecvError> + Send + 'static) {
    let returned = std::sync::Arc::new(AtomicU64::new(0));
    let counted = returned.clone();
    let receiver = thread::spawn(move || {
        let (mut worst, mut watch) = (Duration::ZERO, Watch::start(&[]));
        for n in 0..TIMES {
            assert_eq!(recv(), Err(RecvError::Interrupted), "call {n}");
            worst = worst.max(watch.late(HANDLED_AT.load(Acquire)));
            // Before the next signal.
            watch.restart();
            counted.fetch_add(1, Release);
        }
        worst
    });
    let mut rng = Rng::new();
    for n in 0..TIMES {
        let (start, pause) = (Instant::now(), Duration::from_nanos(rng.below(60_000)));
        while start.elapsed() < pause {
            std::hint::spin_loop();
        }
        // SAFETY: the thread runs until its last call was interrupted.
        unsafe { libc::pthread_kill(receiver.as_pthread_t(), libc::SIGUSR1) };
        until(|| HANDLED.load(Acquire) > n && returned.load(Acquire) > n);
    }
    let worst = receiver.join().expect("no panic");
    assert!(worst < PROMPT, "the longest delay was {worst:?}");
    assert_eq!(HANDLED.load(Relaxed), TIMES);
    println!("{TIMES} signals, longest delay {worst:?}");
}

/// With SA_RESTART, too: the kernel never restarts a `semop`.
#[test]
fn a_handler_that_restarts_calls() {
    Worker::run(&[&"interrupts::restarting", &Name::new()]);
}

#[work]
fn restarting(args: &mut Args) {
    let name: String = args.next();
    let _tx: mpmc::Sender<u64> = Options::named(&*name).open().expect("open");
    let rx: mpmc::Receiver<u64> = Options::named(&*name).open().expect("open");
    INTERRUPTER.get_or_init(|| rx.interrupter());
    install(libc::SIGTERM, libc::SA_RESTART);
    let pid = std::process::id() as i32;
    let blocked = thread::spawn(move || {
        thread::sleep(SHORT);
        // SAFETY: a signal to this very process, which handles it.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    });
    assert_eq!(rx.recv(), Err(RecvError::Interrupted));
    blocked.join().expect("no panic");
}

/// All threads that are blocked on clones of a handle return, while other members of the side,
/// which consume the tokens of the messages, do not.
#[test(quiet)]
fn all_threads_of_a_member_beside_others() {
    const THREADS: usize = 4;
    let name = Name::new();
    let options = || name.options().capacity(8).max_members(8).wait(Wait::Park);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    let others = [0; 2].map(|_| rx.try_clone().expect("a seat"));
    let (received, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let by = rx.interrupter();
    thread::scope(|scope| {
        for other in &others {
            scope.spawn(|| {
                for got in other.iter() {
                    got.expect("not interrupted");
                    received.fetch_add(1, Relaxed);
                }
            });
        }
        let sender = scope.spawn(|| {
            let mut sent = 0;
            while !stop.load(Relaxed) {
                tx.send(&sent).expect("room");
                sent += 1;
                thread::sleep(Duration::from_micros(200));
            }
            drop(tx);
            sent
        });
        let mut worst = Duration::ZERO;
        for _ in 0..200 {
            let told = AtomicU64::new(0);
            let watch = Watch::start(&[]);
            let waiting = AtomicU64::new(0);
            let at = AtomicU64::new(0);
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    let rx = rx.clone();
                    let (by, told, waiting, received) = (&by, &told, &waiting, &received);
                    scope.spawn(move || {
                        waiting.fetch_add(1, Relaxed);
                        loop {
                            match rx.recv() {
                                Ok(_) => _ = received.fetch_add(1, Relaxed),
                                Err(RecvError::Interrupted) => break,
                                Err(error) => panic!("{error}"),
                            }
                        }
                        told.fetch_add(1, Relaxed);
                        // For a thread that was not blocked at that moment.
                        by.interrupt();
                    });
                }
                until(|| waiting.load(Relaxed) == THREADS as u64);
                thread::sleep(Duration::from_millis(1));
                at.store(now_ns(), Release);
                by.interrupt();
            });
            worst = worst.max(watch.late(at.load(Acquire)));
            assert_eq!(told.load(Relaxed), THREADS as u64);
            // The last one left an interrupt for a call to come.
            assert!(matches!(rx.recv(), Err(RecvError::Interrupted) | Ok(_)));
            while matches!(rx.recv_timeout(Duration::ZERO), Ok(_) | Err(RecvError::Interrupted)) {
                received.fetch_add(1, Relaxed);
            }
        }
        stop.store(true, Relaxed);
        sender.join().expect("no panic");
        println!("longest delay {worst:?}");
        assert!(worst < 3 * PROMPT, "the longest delay was {worst:?}");
    });
}

/// Threads that blocked before the first interrupter was taken are interrupted as well.
#[test]
fn calls_that_blocked_before_the_first_interrupter() {
    let name = Name::new();
    let options = || name.options().capacity(8).wait(Wait::Park);
    let _tx: mpmc::Sender<u64> = options().open().expect("open");
    for _ in 0..20 {
        let rx: mpmc::Receiver<u64> = options().open().expect("open");
        let set = rx.stat().expect("stat").set.expect("a set").id;
        thread::scope(|scope| {
            let blocked = [0; 3].map(|_| scope.spawn(|| (rx.recv_timeout(LONG), now_ns())));
            until(|| raw_ipc::waiting(set, raw_ipc::WAKE_RECEIVERS) == 3);
            let by = rx.interrupter();
            let (watch, start) = (Watch::start(&[]), now_ns());
            by.interrupt();
            for blocked in blocked {
                let (result, at) = blocked.join().expect("no panic");
                assert_eq!(result, Err(RecvError::Interrupted));
                let late = Duration::from_nanos(at - start).saturating_sub(watch.allowance());
                assert!(late < PROMPT, "{late:?}");
            }
        });
    }
}

/// Once its handle is gone, an interrupter does nothing.
#[test]
fn an_interrupter_outlives_its_handle() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let by = rx.interrupter();
    drop(rx);
    let before = raw_ipc::values(set);
    by.interrupt();
    by.clone().interrupt();
    assert_eq!(raw_ipc::values(set), before);
    // Nor does it concern the next handle in that seat.
    let next: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    by.interrupt();
    assert_eq!(next.recv_timeout(SHORT), Err(RecvError::Timeout));
    drop((tx, next));
    sysvring::remove(name.as_str()).expect("remove");
    by.interrupt();
}

/// A forked child interrupts nothing of its parent.
#[test]
fn a_forked_child_interrupts_nothing() {
    Worker::run(&[&"interrupts::child", &Name::new()]);
}

#[work]
fn child(args: &mut Args) {
    let name: String = args.next();
    let _tx: mpmc::Sender<u64> = Options::named(&*name).open().expect("open");
    let rx: mpmc::Receiver<u64> = Options::named(&*name).open().expect("open");
    let by = rx.interrupter();
    let child = Fork::start(|| {
        thread::sleep(SHORT);
        by.interrupt();
    });
    assert_eq!(rx.recv_timeout(3 * SHORT), Err(RecvError::Timeout));
    child.finish();
    assert_eq!(rx.recv_timeout(SHORT), Err(RecvError::Timeout));
    by.interrupt();
    assert_eq!(rx.recv_timeout(SHORT), Err(RecvError::Interrupted));
}

/// The value in the set starts again at zero after its largest one.
#[test]
fn more_interrupts_than_a_semaphore_counts() {
    let name = Name::new();
    let (_tx, mut rx) = name.pair::<u64>(2);
    let set = rx.stat().expect("stat").set.expect("a set").id;
    let by = rx.interrupter();
    raw_ipc::set_value(set, INTERRUPT_RECEIVERS, i32::from(i16::MAX) - 3).expect("SETVAL");
    for _ in 0..10 {
        assert_eq!(interrupted(&by, || rx.recv_timeout(LONG)), Err(RecvError::Interrupted));
    }
    assert!(raw_ipc::values(set)[INTERRUPT_RECEIVERS] < 10);
}
