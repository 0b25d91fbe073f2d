//! Every call as a future: that it waits, what it returns, and which errors.

use std::pin::pin;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt, join, stream};
use sysvring::{
    Error, Fault, Options, Readiness, RecvError, RegistrationFailure, SendError, WaitSet, mpmc,
    spsc,
};
use sysvring_support::name::Name;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::executor::{LONG, PLACES, block_on, poll_once, run};

/// Longer than a task needs to begin to wait.
const SOON: Duration = Duration::from_millis(5);

/// Waits a moment in a thread of its own, then calls.
fn later<R: Send + 'static>(call: impl FnOnce() -> R + Send + 'static) -> thread::JoinHandle<R> {
    thread::spawn(move || {
        thread::sleep(SOON);
        call()
    })
}

/// Receives by each call, after the message was sent, and before it is sent.
macro_rules! receiving {
    ($flavor:ident) => {
        for &place in PLACES {
            let tx: $flavor::Sender<u64> = Options::private().create().expect("create");
            let mut rx: $flavor::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
            let (to, from) = std::sync::mpsc::channel::<Vec<u64>>();
            let sending = thread::spawn(move || {
                let mut tx = tx;
                for batch in from {
                    thread::sleep(SOON);
                    tx.send_batch(&batch).expect("a receiver");
                }
            });
            run(place, async {
                to.send(vec![1]).expect("a thread");
                assert_eq!(rx.recv_async().await, Ok(1));
                to.send(vec![2, 3]).expect("a thread");
                let mut batch = Vec::new();
                while batch.len() < 2 {
                    rx.recv_batch_async(&mut batch, 10).await.expect("messages");
                }
                assert_eq!(
                    (batch, rx.recv_batch_async(&mut Vec::new(), 0).await),
                    (vec![2, 3], Ok(0))
                );
                to.send(vec![4]).expect("a thread");
                let mut message = 0;
                rx.recv_into_async(&mut message).await.expect("a message");
                assert_eq!(message, 4);
                to.send(vec![5]).expect("a thread");
                assert_eq!(rx.recv_boxed_async().await, Ok(Box::new(5)));
                to.send(vec![6]).expect("a thread");
                let guard = rx.recv_ref_async().await.expect("a message");
                assert_eq!(*guard, 6);
                drop(guard);
                let guard = rx.recv_ref_async().await.expect("it was returned");
                assert_eq!((*guard, guard.delivery_count()), (6, 2));
                guard.ack().expect("a member");
                to.send(vec![7, 8]).expect("a thread");
                drop(to);
                let all: Vec<_> = rx.stream().collect().await;
                assert_eq!(all, [Ok(7), Ok(8)]);
                assert_eq!(rx.recv_async().await, Err(RecvError::Disconnected));
                assert_eq!(rx.into_stream().next().await, None);
            });
            sending.join().expect("no panic");
        }
    };
}

#[test]
fn receiving_from_spsc() {
    receiving!(spsc);
}

#[test]
#[allow(unused_mut, reason = "the calls of this flavor take shared handles")]
fn receiving_from_mpmc() {
    receiving!(mpmc);
}

/// Sends by each call, with room and without.
macro_rules! sending {
    ($flavor:ident) => {
        for &place in PLACES {
            let mut tx: $flavor::Sender<u64> =
                Options::private().capacity(2).create().expect("create");
            let mut rx: $flavor::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
            let receiving = thread::spawn(move || {
                let mut all = Vec::new();
                while let Ok(message) = rx.recv() {
                    all.push(message);
                    if all.len() % 2 == 0 {
                        thread::sleep(SOON);
                    }
                }
                all
            });
            run(place, async {
                for n in 0..10 {
                    tx.send_async(&n).await.expect("a receiver");
                }
                let batch: Vec<u64> = (10..20).collect();
                tx.send_batch_async(&batch).await.expect("a receiver");
                for n in 20..25 {
                    let mut loan = tx.loan_async().await.expect("a receiver");
                    *loan = n;
                    loan.commit().expect("a receiver");
                }
                let mut numbers = stream::iter((25..30).map(Ok));
                let mut sink = tx.sink();
                sink.send_all(&mut numbers).await.expect("a receiver");
                sink.close().await.expect("a receiver");
                drop(sink);
                tx.flush_async().await.expect("a receiver");
                assert!(tx.is_empty());
            });
            drop(tx);
            let all = receiving.join().expect("no panic");
            assert!(all.iter().copied().eq(0..30), "{all:?}");
        }
    };
}

#[test]
fn sending_to_spsc() {
    sending!(spsc);
}

#[test]
#[allow(unused_mut, reason = "the calls of this flavor take shared handles")]
fn sending_to_mpmc() {
    sending!(mpmc);
}

/// Messages of variable length, and one that is too long.
macro_rules! any_length {
    ($flavor:ident) => {
        for &place in PLACES {
            let mut tx: $flavor::Sender<str> =
                Options::private().capacity(2).slot_size(8).create().expect("create");
            let mut rx: $flavor::Receiver<str> = Options::id(tx.id()).attach().expect("attach");
            let mut bytes: $flavor::Sender<[u8]> =
                Options::private().slot_size(8).create().expect("create");
            let mut from: $flavor::Receiver<[u8]> =
                Options::id(bytes.id()).attach().expect("attach");
            run(place, async {
                let too_long = Err(SendError::TooLong { len: 9, max: 8 });
                assert_eq!(tx.send_async("ninechars").await, too_long);
                assert_eq!(bytes.loan_with_async(9).await.map(drop), too_long);
                let sending = async {
                    for text in ["", "one", "two", "three", "four"] {
                        tx.send_async(text).await.expect("a receiver");
                    }
                };
                let receiving = async {
                    for text in ["", "one", "two", "three"] {
                        assert_eq!(rx.recv_boxed_async().await.as_deref(), Ok(text));
                    }
                    let guard = rx.recv_ref_async().await.expect("a message");
                    assert_eq!(&*guard, "four");
                    guard.ack().expect("a member");
                };
                join!(receiving, sending);
                let filling = async {
                    let mut loan = bytes.loan_with_async(8).await.expect("room");
                    loan[..2].copy_from_slice(b"hi");
                    loan.truncate(2);
                    loan.commit().expect("a receiver");
                };
                let reading = async {
                    let guard = from.recv_ref_async().await.expect("a message");
                    assert_eq!(&*guard, b"hi");
                    guard.ack().expect("a member");
                };
                join!(reading, filling);
            });
        }
    };
}

#[test]
fn any_length_in_spsc() {
    any_length!(spsc);
}

#[test]
#[allow(unused_mut, reason = "the calls of this flavor take shared handles")]
fn any_length_in_mpmc() {
    any_length!(mpmc);
}

/// A sender joins, sends and leaves before the task that waits for it runs again.
macro_rules! brief_visit {
    ($flavor:ident) => {
        let name = Name::new();
        let tx: $flavor::Sender<u64> = name.options().open().expect("open");
        let mut rx: $flavor::Receiver<u64> = name.options().attach().expect("attach");
        drop(tx);
        let visit = |n| {
            let mut tx: $flavor::Sender<u64> = name.options().attach().expect("attach");
            tx.send(&n).expect("room");
        };
        for n in 0..10 {
            assert_eq!(block_on(rx.recv_async()), Err(RecvError::Disconnected));
            if n % 2 == 0 {
                visit(n);
                assert_eq!(block_on(rx.wait_for_peer_async()), Ok(()));
            } else {
                let mut waiting = pin!(rx.wait_for_peer_async());
                assert!(poll_once(waiting.as_mut()).is_pending());
                visit(n);
                assert_eq!(block_on(waiting), Ok(()));
            }
            assert_eq!(block_on(rx.recv_async()), Ok(n));
        }
    };
}

#[test]
fn a_brief_visit_in_spsc() {
    brief_visit!(spsc);
}

#[test]
#[allow(unused_mut, reason = "the calls of this flavor take shared handles")]
fn a_brief_visit_in_mpmc() {
    brief_visit!(mpmc);
}

/// Waits for the other side, from either side.
macro_rules! peers {
    ($flavor:ident) => {
        for &place in PLACES {
            let name = Name::new();
            let mut tx: $flavor::Sender<u64> = name.options().open().expect("open");
            let options = name.options();
            let joining =
                later(move || options.attach::<$flavor::Receiver<u64>>().expect("attach"));
            run(place, async { tx.wait_for_peer_async().await }).expect("a receiver");
            let mut rx = joining.join().expect("no panic");
            run(place, async { tx.wait_for_peer_async().await }).expect("it is still there");
            drop(tx);
            run(place, async {
                assert_eq!(rx.recv_async().await, Err(RecvError::Disconnected));
            });
            let options = name.options();
            let joining = later(move || options.attach::<$flavor::Sender<u64>>().expect("attach"));
            run(place, async { rx.wait_for_peer_async().await }).expect("a sender");
            let mut tx = joining.join().expect("no panic");
            let sending = later(move || tx.send(&7));
            assert_eq!(run(place, async { rx.recv_async().await }), Ok(7));
            sending.join().expect("no panic").expect("a receiver");
        }
    };
}

#[test]
fn peers_of_spsc() {
    peers!(spsc);
}

#[test]
#[allow(unused_mut, reason = "the calls of this flavor take shared handles")]
fn peers_of_mpmc() {
    peers!(mpmc);
}

/// Interrupts each call that waits.
macro_rules! interrupts {
    ($flavor:ident) => {
        const RECV: RecvError = RecvError::Interrupted;
        const SEND: SendError = SendError::Interrupted;
        for &place in PLACES {
            let names = [Name::new(), Name::new()];
            let options = |n: usize| names[n].options().capacity(1);
            let mut full: $flavor::Sender<u64> = options(0).open().expect("open");
            let mut empty: $flavor::Receiver<u64> = options(1).open().expect("open");
            let by = (full.interrupter(), empty.interrupter());
            macro_rules! interrupted {
                ($by:expr, $call:expr) => {{
                    let by = $by.clone();
                    let interrupting = later(move || by.interrupt());
                    let result = run(place, async { $call.await.map(drop) });
                    interrupting.join().expect("no panic");
                    result
                }};
            }
            assert_eq!(interrupted!(by.0, full.wait_for_peer_async()), Err(SEND));
            assert_eq!(interrupted!(by.1, empty.wait_for_peer_async()), Err(RECV));
            let _rx: $flavor::Receiver<u64> = options(0).open().expect("open");
            let mut tx: $flavor::Sender<u64> = options(1).open().expect("open");
            full.send(&1).expect("room");
            assert_eq!(interrupted!(by.0, full.send_async(&2)), Err(SEND));
            assert_eq!(interrupted!(by.0, full.loan_async()), Err(SEND));
            assert_eq!(interrupted!(by.0, full.flush_async()), Err(SEND));
            let batch = interrupted!(by.0, full.send_batch_async(&[2, 3]));
            assert_eq!(batch.map_err(|error| (error.sent, error.error)), Err((0, SEND)));
            assert_eq!(interrupted!(by.1, empty.recv_async()), Err(RECV));
            assert_eq!(interrupted!(by.1, empty.recv_ref_async()), Err(RECV));
            assert_eq!(interrupted!(by.1, empty.recv_boxed_async()), Err(RECV));
            assert_eq!(interrupted!(by.1, empty.recv_batch_async(&mut Vec::new(), 2)), Err(RECV));
            // One that comes before is kept for the call that would wait; dropping a future does
            // not lose it.
            by.1.interrupt();
            tx.send(&7).expect("room");
            assert_eq!(run(place, async { empty.recv_async().await }), Ok(7));
            assert_eq!(run(place, async { empty.recv_async().await }), Err(RECV));
            {
                let mut waiting = pin!(empty.recv_async());
                assert!(poll_once(waiting.as_mut()).is_pending());
                by.1.interrupt();
            }
            assert_eq!(run(place, async { empty.recv_async().await }), Err(RECV));
            // A stream goes on.
            let mut messages = empty.stream();
            by.1.interrupt();
            assert_eq!(run(place, messages.next()), Some(Err(RECV)));
            tx.send(&8).expect("room");
            assert_eq!(run(place, messages.next()), Some(Ok(8)));
        }
    };
}

#[test]
fn interrupts_of_spsc() {
    interrupts!(spsc);
}

#[test]
#[allow(unused_mut, reason = "the calls of this flavor take shared handles")]
fn interrupts_of_mpmc() {
    interrupts!(mpmc);
}

/// An interrupt ends all calls that wait at that moment, each once.
#[test]
fn an_interrupt_ends_every_pending_future_once() {
    for &place in PLACES {
        let name = Name::new();
        let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
        let by = rx.interrupter();
        for _ in 0..20 {
            let (polled, all_wait) = std::sync::mpsc::channel();
            let by = by.clone();
            let interrupting = thread::spawn(move || {
                all_wait.recv().expect("all were polled");
                by.interrupt();
            });
            let waiting = join_all((0..5).map(|_| rx.recv_async()));
            // The second one is polled after all of the first.
            let polled = async { polled.send(()).expect("it is heard") };
            let (results, ()) = run(place, async { join!(waiting, polled) });
            assert!(results.iter().all(|result| *result == Err(RecvError::Interrupted)));
            interrupting.join().expect("no panic");
            assert!(poll_once(pin!(rx.recv_async())).is_pending(), "once");
        }
    }
}

/// What ends a call that waits, other than an event that it waits for.
macro_rules! ends {
    ($flavor:ident) => {
        for &place in PLACES {
            // The peer leaves.
            let name = Name::new();
            let (mut tx, rx): ($flavor::Sender<u64>, $flavor::Receiver<u64>) = (
                name.options().capacity(1).open().expect("open"),
                name.options().open().expect("open"),
            );
            tx.send(&1).expect("room");
            let leaving = later(move || drop(rx));
            let disconnected = Err(SendError::Disconnected);
            assert_eq!(run(place, async { tx.send_async(&2).await }), disconnected);
            assert_eq!(run(place, async { tx.flush_async().await }), disconnected);
            leaving.join().expect("no panic");
            // The stream ends before its last receiver joins.
            let mut rx: $flavor::Receiver<u64> = name.options().open().expect("open");
            assert_eq!(run(place, async { rx.recv_async().await }), Ok(1));
            let finishing = later(move || tx.finish());
            assert_eq!(run(place, async { rx.recv_async().await }), Err(RecvError::Disconnected));
            finishing.join().expect("no panic").expect("a member");
            // The channel is removed while calls wait.
            let mut tx: $flavor::Sender<u64> = name.options().open().expect("open");
            tx.send(&3).expect("room");
            let text = name.as_str().to_owned();
            let removing = later(move || sysvring::remove(&*text));
            let removed = SendError::Fault(Fault::Removed);
            assert_eq!(run(place, async { tx.send_async(&4).await }), Err(removed));
            removing.join().expect("no panic").expect("it exists");
            assert_eq!(run(place, async { tx.flush_async().await }), Err(removed));
            assert_eq!(run(place, async { rx.recv_async().await }), Ok(3));
            let removed = RecvError::Fault(Fault::Removed);
            assert_eq!(run(place, async { rx.recv_async().await }), Err(removed));
            let all: Vec<_> = run(place, rx.stream().collect());
            assert_eq!(all, [Err(removed)]);
            let removed = Err(removed);
            assert_eq!(run(place, async { rx.wait_for_peer_async().await }), removed);

            let name = Name::new();
            let mut rx: $flavor::Receiver<u64> = name.options().open().expect("open");
            let text = name.as_str().to_owned();
            let removing = later(move || sysvring::remove(&*text));
            assert_eq!(run(place, async { rx.recv_async().await }), removed.map(|()| 0));
            removing.join().expect("no panic").expect("it exists");
        }
    };
}

#[test]
fn ends_of_spsc() {
    ends!(spsc);
}

#[test]
#[allow(unused_mut, reason = "the calls of this flavor take shared handles")]
fn ends_of_mpmc() {
    ends!(mpmc);
}

#[test]
fn a_clone_that_is_closed_ends_the_calls_of_the_others() {
    for &place in PLACES {
        let name = Name::new();
        let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
        let same = rx.clone();
        let closing = later(move || same.close());
        let closed = RecvError::Fault(Fault::Closed);
        let (one, two) = run(place, async { join!(rx.recv_async(), rx.recv_async()) });
        assert_eq!((one, two), (Err(closed), Err(closed)));
        closing.join().expect("no panic").expect("a member");
    }
}

/// A handle in a wait set cannot be waited for in a task, and the other way round.
#[test]
fn a_handle_is_registered_once() {
    let name = Name::new();
    let mut rx: spsc::Receiver<u64> = name.options().open().expect("open");
    let set = WaitSet::new().expect("descriptors");
    let token = set.add(&rx).expect("not registered yet");
    let reason = RegistrationFailure::InWaitSet;
    let refused = RecvError::NotRegistered { reason };
    assert_eq!(block_on(rx.recv_async()), Err(refused));
    assert_eq!(block_on(rx.wait_for_peer_async()), Err(refused));
    assert!(set.remove(token));
    assert!(poll_once(pin!(rx.recv_async())).is_pending());
    drop(Readiness::of(&rx).expect("no task waits any more"));
    let rx: mpmc::Receiver<u64> = Options::private().create().expect("create");
    let mut waiting = pin!(rx.recv_async());
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert!(matches!(set.add(&rx), Err(Error::InWaitSet { .. })), "a task waits");
    assert!(matches!(Readiness::of(&rx), Err(Error::InWaitSet { .. })));
}

/// Calls of a child on handles of its parent, and of its own, with a reactor of its own.
#[work]
fn forks(_: &mut Args) {
    let rx: mpmc::Receiver<u64> = Options::private().create().expect("create");
    let mut waiting = Box::pin(rx.recv_async());
    let sender: mpmc::Sender<u64> = Options::id(rx.id()).attach().expect("attach");
    sender.send(&1).expect("room");
    assert_eq!(poll_once(waiting.as_mut()), std::task::Poll::Ready(Ok(1)));
    let mut waiting = Box::pin(rx.recv_async());
    assert!(poll_once(waiting.as_mut()).is_pending());
    // SAFETY: the reactor's thread waits, and holds no lock that the child needs.
    let child = unsafe { libc::fork() };
    if child == 0 {
        sysvring_support::worker::end_with_parent();
        let forked = Err(RecvError::Fault(Fault::Forked));
        let inherited = poll_once(waiting.as_mut()) == std::task::Poll::Ready(forked);
        drop(waiting);
        let afresh = block_on(rx.recv_async()) == forked;
        let own: mpmc::Receiver<u64> = Options::private().create().expect("create");
        let tx: mpmc::Sender<u64> = Options::id(own.id()).attach().expect("attach");
        let sending = later(move || tx.send(&7));
        let received = block_on(own.recv_async()) == Ok(7);
        sending.join().expect("no panic").expect("a receiver");
        // `exit` drops nothing, and the queue of a private channel would stay.
        drop(own);
        std::process::exit(if inherited && afresh && received { 0 } else { 1 });
    }
    let mut status = 0;
    // SAFETY: the child just made.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0, "the child failed");
    let sending = later(move || sender.send(&2));
    assert_eq!(block_on(waiting), Ok(2));
    sending.join().expect("no panic").expect("a receiver");
}

#[test]
fn a_child_has_a_reactor_of_its_own() {
    Worker::run(&[&"calls::forks"]);
}

/// Futures move between threads, and streams and sinks own what they need.
#[test]
fn futures_are_send() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    fn is_static<T: 'static>(_: &T) {}
    let mut tx: spsc::Sender<[u8]> = Options::private().create().expect("create");
    let mut rx: spsc::Receiver<[u8]> = Options::id(tx.id()).attach().expect("attach");
    block_on(is_send(tx.send_async(b"one"))).expect("room");
    block_on(is_send(rx.recv_boxed_async())).expect("a message");
    let tx: mpmc::Sender<u64> = Options::private().create().expect("create");
    let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    block_on(is_send(tx.send_batch_async(&[1, 2]))).expect("room");
    block_on(is_send(tx.sink()).send(3)).expect("room");
    assert_eq!(block_on(is_send(rx.recv_async())), Ok(1));
    assert_eq!(block_on(is_send(rx.stream()).next()), Some(Ok(2)));
    let mut messages = is_send(rx.into_stream());
    is_static(&messages);
    assert_eq!(block_on(messages.next()), Some(Ok(3)));
    let all = thread::spawn(move || block_on(messages.collect::<Vec<_>>()));
    drop(tx);
    assert_eq!(all.join().expect("no panic"), []);
}

#[work]
fn keep_a_wake_up(_: &mut Args) {
    let rx: mpmc::Receiver<u64> = Options::private().create().expect("create");
    let mut receiving = pin!(rx.recv_async());
    thread::current().unpark();
    assert!(poll_once(receiving.as_mut()).is_pending());
    let start = Instant::now();
    thread::park_timeout(LONG);
    assert!(start.elapsed() < LONG / 2, "the first task took the wake-up");
}

/// An executor may park its thread: the first task of a process, which starts the reactor, takes no wake-up
/// that is for others.
#[test]
fn the_first_task_takes_no_wake_up_of_its_executor() {
    Worker::run(&[&"calls::keep_a_wake_up"]);
}
