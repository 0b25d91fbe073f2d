//! Events that concern all waiting threads reach all of them at once: the last peer left or was
//! killed, the first one joined, a handle was closed or cannot continue, the channel was removed.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use sysvring::{Fault, Options, RecvError, SendError, Wait, mpmc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{Segment, at};
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters, until, until_at_least};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{raw_ipc, test, work};

use sysvring_support::stopwatch::PROMPT;

const LONG: Duration = Duration::from_secs(20);
/// The number of waiting threads.
const WAITING: usize = 6;
/// The semaphores of a set before those of its seats; a thread may be parked on any of them.
const SEMAPHORES: usize = raw_ipc::FIRST_SEAT;

#[test(quiet)]
fn the_last_sender_leaves() {
    Worker::run(&[&"all_waiters_notified::end_for_threads", &Name::new(), &"receivers", &false]);
}

#[test(quiet)]
fn the_last_sender_is_killed() {
    Worker::run(&[&"all_waiters_notified::end_for_threads", &Name::new(), &"receivers", &true]);
}

#[test(quiet)]
fn the_last_sender_of_three_processes_leaves() {
    Worker::run(&[&"all_waiters_notified::end_for_processes", &Name::new(), &false]);
}

#[test(quiet)]
fn the_last_sender_of_three_processes_is_killed() {
    Worker::run(&[&"all_waiters_notified::end_for_processes", &Name::new(), &true]);
}

#[test(quiet)]
fn the_last_receiver_leaves() {
    Worker::run(&[&"all_waiters_notified::end_for_threads", &Name::new(), &"senders", &false]);
}

#[test(quiet)]
fn the_last_receiver_is_killed() {
    Worker::run(&[&"all_waiters_notified::end_for_threads", &Name::new(), &"senders", &true]);
}

#[test(quiet)]
fn the_last_message_is_acknowledged_after_its_sender_left() {
    Worker::run(&[&"all_waiters_notified::drain_behind_senders", &Name::new(), &false]);
}

#[test(quiet)]
fn the_last_message_is_acknowledged_after_its_sender_was_killed() {
    Worker::run(&[&"all_waiters_notified::drain_behind_senders", &Name::new(), &true]);
}

#[test(quiet)]
fn the_first_sender_joins() {
    Worker::run(&[&"all_waiters_notified::come", &Name::new(), &"sender"]);
}

#[test(quiet)]
fn the_first_receiver_joins() {
    Worker::run(&[&"all_waiters_notified::come", &Name::new(), &"receiver"]);
}

#[test(quiet)]
fn a_receiver_is_closed() {
    Worker::run(&[&"all_waiters_notified::close", &Name::new(), &"receiver"]);
}

#[test(quiet)]
fn a_sender_is_closed() {
    Worker::run(&[&"all_waiters_notified::close", &Name::new(), &"sender"]);
}

#[test(quiet)]
fn the_channel_is_removed() {
    Worker::run(&[&"all_waiters_notified::be_removed", &Name::new()]);
}

#[test(quiet)]
fn one_thread_finds_a_fault() {
    Worker::run(&[&"all_waiters_notified::be_stopped", &Name::new()]);
}

fn options(name: &str) -> Options {
    Options::named(name).capacity(1).wait(Wait::Park)
}

/// Waits until all six are parked.
fn all_sleep(name: &str) {
    let set = sysvring::stat(name).expect("stat").set.expect("a set").id;
    let asleep = || (0..SEMAPHORES).map(|semaphore| raw_ipc::waiting(set, semaphore)).sum::<i32>();
    until(|| asleep() == WAITING as i32);
}

/// Runs `waits` in six threads. When all are parked, runs `event`, which records its time. Returns
/// how late each thread returned. The value that `event` returns lives until then.
fn lateness<R>(
    name: &str,
    waits: impl Fn() + Sync,
    event: impl FnOnce(&AtomicU64) -> R,
) -> Vec<Duration> {
    let since = AtomicU64::new(0);
    let late = || {
        let watch = Watch::start(&[]);
        waits();
        watch.late(since.load(Acquire))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WAITING).map(|_| scope.spawn(late)).collect();
        all_sleep(name);
        let _made = event(&since);
        let joined = threads.into_iter().map(ScopedJoinHandle::join);
        joined.map(|late| late.expect("it waited for this")).collect()
    })
}

/// Records the current time.
fn now(since: &AtomicU64) {
    since.store(now_ns(), Release);
}

#[track_caller]
fn must_be_prompt(late: &[Duration]) {
    let count = late.iter().filter(|late| **late >= PROMPT).count();
    assert!(count == 0, "{count} of {} were told late: {late:?}", late.len());
}

/// Has a handle until told to leave.
fn member<H: sysvring::Handle>(name: &str, board: &'static [AtomicU64; 2]) -> Fork {
    let [here, leave] = board;
    let fork = Fork::start(|| {
        let handle: H = options(name).open().expect("open");
        here.store(1, Release);
        until_at_least(leave, 1);
        drop(handle);
    });
    until_at_least(here, 1);
    fork
}

/// Makes it leave, or kills it.
fn end(mut member: Fork, killed: bool, [_, leave]: &[AtomicU64; 2], since: &AtomicU64) {
    now(since);
    if killed {
        member.kill_and_wait();
    } else {
        leave.store(1, Release);
        member.finish();
    }
}

/// Six threads of one handle wait; the only member of the other side leaves or dies.
#[work]
fn end_for_threads(args: &mut Args) {
    let (name, side, killed): (String, String, bool) = (args.next(), args.next(), args.next());
    let board = shared_counters();
    let late = if side == "receivers" {
        let sender = member::<mpmc::Sender<u64>>(&name, board);
        let rx: mpmc::Receiver<u64> = options(&name).open().expect("open");
        let waits = || assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        lateness(&name, waits, |since| end(sender, killed, board, since))
    } else {
        let receiver = member::<mpmc::Receiver<u64>>(&name, board);
        let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
        tx.send(&0).expect("room");
        let waits = || assert_eq!(tx.send(&1), Err(SendError::Disconnected));
        lateness(&name, waits, |since| end(receiver, killed, board, since))
    };
    must_be_prompt(&late);
}

/// Two threads in each of three processes wait; the only sender leaves or dies.
#[work]
fn end_for_processes(args: &mut Args) {
    let (name, killed): (String, bool) = (args.next(), args.next());
    let (board, late_by): (_, &[AtomicU64; WAITING]) = (shared_counters(), shared_counters());
    let [since] = self::shared_counters::<1>();
    let sender = member::<mpmc::Sender<u64>>(&name, board);
    let receivers: Vec<Fork> = (0..WAITING / 2)
        .map(|process| {
            let name = &name;
            Fork::start(move || {
                let rx: mpmc::Receiver<u64> = options(name).open().expect("open");
                std::thread::scope(|scope| {
                    for late_by in &late_by[2 * process..][..2] {
                        let rx = &rx;
                        scope.spawn(move || {
                            let watch = Watch::start(&[]);
                            assert_eq!(rx.recv(), Err(RecvError::Disconnected));
                            let late = watch.late(since.load(Acquire));
                            late_by.store(late.as_nanos() as u64, Relaxed);
                        });
                    }
                });
            })
        })
        .collect();
    all_sleep(&name);
    end(sender, killed, board, since);
    receivers.into_iter().for_each(Fork::finish);
    must_be_prompt(&late_by.each_ref().map(|by| Duration::from_nanos(by.load(Acquire))));
}

/// The sender is gone, and another receiver has not acknowledged its last message: the stream ends
/// with that acknowledgement.
#[work]
fn drain_behind_senders(args: &mut Args) {
    let (name, killed): (String, bool) = (args.next(), args.next());
    let board = shared_counters();
    let sender = member::<mpmc::Sender<u64>>(&name, board);
    let busy: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let rx: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
    tx.send(&7).expect("room");
    drop(tx);
    let guard = busy.recv_ref().expect("a message");
    let waits = || assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    let late = lateness(&name, waits, |since| {
        end(sender, killed, board, since);
        std::thread::sleep(Duration::from_millis(50));
        now(since);
        guard.ack().expect("acknowledged");
    });
    must_be_prompt(&late);
}

/// Six threads of one handle wait for the first member of the other side.
#[work]
fn come(args: &mut Args) {
    let (name, role): (String, String) = (args.next(), args.next());
    let late = if role == "sender" {
        let rx: mpmc::Receiver<u64> = options(&name).open().expect("open");
        let waits = || assert_eq!(rx.wait_for_peer(LONG), Ok(()));
        lateness(&name, waits, |since| {
            now(since);
            options(&name).open::<mpmc::Sender<u64>>().expect("open")
        })
    } else {
        let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
        let waits = || assert_eq!(tx.wait_for_peer(LONG), Ok(()));
        lateness(&name, waits, |since| {
            now(since);
            options(&name).open::<mpmc::Receiver<u64>>().expect("open")
        })
    };
    must_be_prompt(&late);
}

/// One clone of a handle is closed while threads wait with other clones of it.
#[work]
fn close(args: &mut Args) {
    let (name, role): (String, String) = (args.next(), args.next());
    let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
    let rx: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let late = if role == "receiver" {
        let waits = || assert_eq!(rx.clone().recv(), Err(RecvError::Fault(Fault::Closed)));
        let closed = rx.clone();
        lateness(&name, waits, |since| {
            now(since);
            closed.close().expect("close");
        })
    } else {
        tx.send(&0).expect("room");
        let waits = || assert_eq!(tx.clone().send(&1), Err(SendError::Fault(Fault::Closed)));
        let closed = tx.clone();
        lateness(&name, waits, |since| {
            now(since);
            closed.close().expect("close");
        })
    };
    must_be_prompt(&late);
}

/// Another process removes the channel.
#[work]
fn be_removed(args: &mut Args) {
    let name: String = args.next();
    let [go] = shared_counters::<1>();
    let remover = Fork::start(|| {
        until_at_least(go, 1);
        sysvring::remove(&*name).expect("remove");
    });
    let _tx: mpmc::Sender<u64> = options(&name).open().expect("open");
    let rx: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let waits = || assert_eq!(rx.recv(), Err(RecvError::Fault(Fault::Removed)));
    let late = lateness(&name, waits, |since| {
        now(since);
        go.store(1, Release);
    });
    remover.finish();
    must_be_prompt(&late);
}

/// A slot's word is overwritten while six threads of one handle wait, and a seventh finds it.
#[work]
fn be_stopped(args: &mut Args) {
    let name: String = args.next();
    let options = || options(&name).max_members(2);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let rx: mpmc::Receiver<u64> = options().open().expect("open");
    let is_corrupt = |received| matches!(received, Err(RecvError::Fault(Fault::Corrupt { .. })));
    let late = lateness(
        &name,
        || assert!(is_corrupt(rx.recv())),
        |since| {
            Segment::of(tx.id().segment()).u64(at::SLOTS).store(7, Release);
            now(since);
            assert!(is_corrupt(rx.try_recv()));
        },
    );
    must_be_prompt(&late);
}
