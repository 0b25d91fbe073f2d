//! The end of the stream for one waiting thread is not the end for another: a wake-up that the
//! wrong thread consumes is passed on.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

use sysvring::{Fault, RecvError, Wait, mpmc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Segment, WAKE_RECEIVERS, at};
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters, until};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{raw_ipc, test, work};

use sysvring_support::stopwatch::{PROMPT, Return};

const LONG: Duration = Duration::from_secs(20);
/// Longer than everything here, for a receiver whose wait times out.
const MOMENT: Duration = Duration::from_millis(800);

fn options(name: &Name) -> sysvring::Options {
    name.options().capacity(64).max_members(8).wait(Wait::Park)
}

/// Two threads are parked, in this order, when the stream ends for the second.
fn is_told(
    set: i32,
    first: impl FnOnce() + Send,
    second: impl FnOnce() -> Result<u64, RecvError> + Send,
    end: impl FnOnce(),
) {
    thread::scope(|scope| {
        let asleep = |n| until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == n);
        scope.spawn(first);
        asleep(1);
        let second = scope.spawn(|| (second(), now_ns()));
        asleep(2);
        let (watch, start) = (Watch::start(&[]), now_ns());
        end();
        let (told, at) = second.join().expect("no panic");
        assert_eq!(told, Err(RecvError::Disconnected));
        let late = Duration::from_nanos(at - start).saturating_sub(watch.allowance());
        assert!(late < PROMPT, "told after {late:?}");
    });
}

/// All senders have left, and a receiver has not acknowledged the last message. A receiver that
/// joined later waits for the next sender, and is parked first.
#[test]
fn a_receiver_that_never_saw_a_sender_is_woken_first() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
    let busy: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let second: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    // The hint is behind the last message, so that the late receiver finds nothing.
    for n in 0..16 {
        tx.send(&n).expect("send");
    }
    (0..15).for_each(|_| _ = busy.recv().expect("a message"));
    let guard = busy.recv_ref().expect("a message");
    drop(tx);
    let late: mpmc::Receiver<u64> = options(&name).attach().expect("attach");
    let waits = || assert_eq!(late.recv_timeout(MOMENT), Err(RecvError::Timeout));
    is_told(set, waits, || second.recv_timeout(LONG), || guard.ack().expect("acknowledged"));
}

/// The sender leaves while a thread of a receiver has not acknowledged the last message: for
/// another thread of that receiver the stream has ended, for another receiver it has not, and that
/// one is parked first.
#[test]
fn a_receiver_beside_an_unacknowledged_message_is_woken_first() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
    let busy: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let other: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    tx.send(&1).expect("send");
    let guard = busy.recv_ref().expect("a message");
    let waits = || assert_eq!(other.recv_timeout(MOMENT), Err(RecvError::Timeout));
    is_told(set, waits, || busy.recv_timeout(LONG), || drop(tx));
    guard.ack().expect("acknowledged");
}

/// A receiver dies with the last message, and a thread of another one takes it over while a second
/// thread of that one is parked. The number of unacknowledged messages is unchanged, and now the
/// stream has ended for the second thread.
#[test]
fn a_thread_whose_member_takes_a_message_over_is_woken() {
    Worker::run(&[&"passed_on_wake_ups::take_over"]);
}

/// Runs in its own process, which may fork.
#[work]
fn take_over(_: &mut Args) {
    const TRIALS: usize = 10;
    let (mut met, mut trials) = (0, 0);
    // On a busy host, the thread that polls seldom runs.
    while trials < TRIALS || met == 0 && trials < 10 * TRIALS {
        trials += 1;
        let name = Name::new();
        let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
        let set = tx.stat().expect("stat").set.expect("a set").id;
        let [held] = shared_counters::<1>();
        tx.send(&1).expect("send");
        let mut holder = Fork::start(|| {
            let rx: mpmc::Receiver<u64> = options(&name).attach().expect("attach");
            let _guard = rx.recv_ref().expect("a message");
            held.store(1, Release);
            until(|| false);
        });
        until(|| held.load(Acquire) == 1);
        let other: mpmc::Receiver<u64> = options(&name).attach().expect("attach");
        let member: mpmc::Receiver<u64> = options(&name).attach().expect("attach");
        thread::scope(|scope| {
            let asleep = |n| until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == n);
            let other = scope.spawn(|| other.recv_timeout(MOMENT));
            asleep(1);
            let second = scope.spawn(|| (member.recv_timeout(LONG), now_ns()));
            asleep(2);
            drop(tx);
            // They notify each other, once.
            thread::sleep(Duration::from_millis(10));
            asleep(2);
            let watch = Watch::start(&[]);
            let polls = scope.spawn(|| {
                let start = Instant::now();
                while start.elapsed() < PROMPT {
                    if let Ok(guard) = member.try_recv_ref() {
                        return Some((guard, now_ns()));
                    }
                }
                None
            });
            holder.kill_and_wait();
            // Or a parked one was faster.
            if let Some((guard, since)) = polls.join().expect("no panic") {
                met += 1;
                let (told, at) = second.join().expect("no panic");
                assert_eq!(told, Err(RecvError::Disconnected));
                let late = Duration::from_nanos(at.saturating_sub(since));
                let late = late.saturating_sub(watch.allowance());
                assert!(late < PROMPT, "told after {late:?}");
                drop(guard);
            }
            let _ = other.join().expect("no panic");
        });
    }
    assert!(met > 0, "the parked threads were faster each time");
}

static INSIDE: AtomicBool = AtomicBool::new(false);
static GO_ON: AtomicBool = AtomicBool::new(false);

/// Delays its thread wherever it is.
extern "C" fn keep(_: i32) {
    INSIDE.store(true, Release);
    until(|| GO_ON.load(Acquire));
}

/// A signal handler delays a thread anywhere before it parks, in some trials between its last poll
/// and its park, when the stream ends for it. Another receiver, for which it has not ended,
/// consumes the token.
#[test]
fn a_thread_that_is_not_parked_yet_is_told() {
    Worker::run(&[&"passed_on_wake_ups::be_kept_awake"]);
}

/// Runs in its own process with its own signal handler.
#[work]
fn be_kept_awake(_: &mut Args) {
    const TRIALS: usize = 300;
    // SAFETY: zeros are an action without flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = keep as *const () as usize;
    // SAFETY: the handler stores and loads atomics and sleeps.
    unsafe { libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()) };
    let mut rng = Rng::new();
    for _ in 0..TRIALS {
        let name = Name::new();
        let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
        let busy: mpmc::Receiver<u64> = options(&name).attach().expect("attach");
        let other: mpmc::Receiver<u64> = options(&name).attach().expect("attach");
        let set = tx.stat().expect("stat").set.expect("a set").id;
        tx.send(&1).expect("send");
        let guard = busy.recv_ref().expect("a message");
        for flag in [&INSIDE, &GO_ON] {
            flag.store(false, Release);
        }
        let thread = AtomicU64::new(0);
        thread::scope(|scope| {
            let other = scope.spawn(|| other.recv_timeout(LONG));
            until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == 1);
            let second = scope.spawn(|| {
                Return::of(|| {
                    // From here on it holds nothing that this process has once, like its allocator.
                    // SAFETY: a number only.
                    thread.store(unsafe { libc::pthread_self() }, Release);
                    busy.recv_timeout(LONG)
                })
            });
            while thread.load(Acquire) == 0 {
                std::hint::spin_loop();
            }
            let start = Instant::now();
            let aim = Duration::from_nanos(rng.below(100_000));
            while start.elapsed() < aim {}
            // SAFETY: the thread is not joined yet.
            unsafe { libc::pthread_kill(thread.load(Acquire), libc::SIGUSR1) };
            until(|| INSIDE.load(Acquire));
            drop(tx);
            thread::sleep(Duration::from_millis(5));
            let (watch, since) = (Watch::start(&[]), now_ns());
            let queued = watch.queued();
            GO_ON.store(true, Release);
            let (told, returned) = second.join().expect("no panic");
            assert_eq!(told, Err(RecvError::Disconnected));
            let late = returned.after(since).saturating_sub(watch.queued() - queued);
            assert!(late < PROMPT, "told after {late:?}");
            let tx: mpmc::Sender<u64> = options(&name).attach().expect("attach");
            tx.send(&2).expect("send");
            assert_eq!(other.join().expect("no panic"), Ok(2));
        });
        drop(guard);
    }
}

/// Any process may write to the waiting table: a count of four billion threads is not believed.
#[test]
fn a_close_ends_with_any_waiting_count() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
    let rx: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let clone = rx.clone();
    let waiting_of_seat_1 = at::MEMBERS + 8 * at::MEMBER + 8;
    Segment::of(tx.id().segment()).u32(waiting_of_seat_1).fetch_or((1 << 30) - 1, Relaxed);
    let (watch, start) = (Watch::start(&[]), now_ns());
    rx.close().expect("closed");
    watch.must_be_within(Duration::from_secs(4), start);
    assert_eq!(clone.recv(), Err(RecvError::Fault(Fault::Closed)));
}
