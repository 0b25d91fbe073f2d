//! Tasks that share a handle, tasks that wait for several, and handles that change their place.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
#[cfg(feature = "tokio")]
use futures_util::stream;
use futures_util::{FutureExt, StreamExt, join, select};
use sysvring::{Error, Options, RecvError, WaitSet, mpmc, spsc};
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::{Watch, allowance};
use sysvring_support::shared_counters::{now_ns, until};
use sysvring_support::stopwatch::Return;
use sysvring_support::test;

use crate::executor::{LONG, PLACES, block_on, block_on_for, poll_once, run};

const SOON: Duration = Duration::from_millis(5);
/// Shorter than the slice after which a waiting member polls.
const PROMPT: Duration = Duration::from_millis(150);

/// Fails if something that began at `since` was found by the last resort of a waiting member only,
/// which takes a fifth of a second.
#[track_caller]
fn must_be_prompt(at: u64, since: u64) {
    let (took, excuse) = (Duration::from_nanos(at.saturating_sub(since)), allowance(since));
    assert!(took < PROMPT + excuse, "by a slice only: {took:?}");
}

fn channel(capacity: usize) -> (mpmc::Sender<u64>, mpmc::Receiver<u64>) {
    let tx: mpmc::Sender<u64> = Options::private().capacity(capacity).create().expect("create");
    let rx = Options::id(tx.id()).attach().expect("attach");
    (tx, rx)
}

/// Many tasks send and receive by one handle each; the ring is small, so all of them wait.
#[test]
fn many_tasks_on_one_handle() {
    const TASKS: u64 = 40;
    const EACH: u64 = 50;
    for &place in PLACES {
        let (tx, rx) = channel(4);
        let sending = join_all((0..TASKS).map(|task| {
            let tx = tx.clone();
            async move {
                for n in 0..EACH {
                    tx.send_async(&(task * EACH + n)).await.expect("a receiver");
                }
            }
        }));
        drop(tx);
        let receiving =
            join_all((0..TASKS).map(|_| {
                let rx = rx.clone();
                async move {
                    rx.into_stream().map(|got| got.expect("a message")).collect::<Vec<_>>().await
                }
            }));
        // The senders' handle is dropped with their tasks: that ends the stream.
        let sending = async move {
            sending.await;
        };
        let (_, received) = run(place, async { join!(sending, receiving) });
        let mut all: Vec<u64> = received.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..TASKS * EACH), "{place:?}");
    }
}

/// The same with a thread for each task, so that their attempts overlap.
#[test]
fn many_threads_on_one_handle() {
    const THREADS: u64 = 6;
    let each = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
    let (tx, rx) = channel(2);
    let received = thread::scope(|scope| {
        let receiving: Vec<_> = (0..THREADS)
            .map(|_| {
                let rx = rx.clone();
                scope.spawn(move || {
                    let mut got = Vec::new();
                    while let Some(Ok(n)) = block_on_for(LONG, rx.recv_async()) {
                        got.push(n);
                    }
                    got
                })
            })
            .collect();
        let sending: Vec<_> = (0..THREADS)
            .map(|thread| {
                let tx = tx.clone();
                scope.spawn(move || {
                    for n in 0..each {
                        block_on(tx.send_async(&(thread * each + n))).expect("a receiver");
                    }
                })
            })
            .collect();
        sending.into_iter().for_each(|sending| sending.join().expect("no panic"));
        drop(tx);
        receiving.into_iter().map(|got| got.join().expect("no panic")).collect::<Vec<_>>().concat()
    });
    let mut all = received;
    all.sort_unstable();
    assert!(all.into_iter().eq(0..THREADS * each));
}

/// One task waits for many channels of both kinds.
#[test]
fn a_task_waits_for_several_handles() {
    for &place in PLACES {
        let (tx, rx) = channel(8);
        let mut one: spsc::Sender<u64> = Options::private().create().expect("create");
        let mut from_one: spsc::Receiver<u64> = Options::id(one.id()).attach().expect("attach");
        let mut text: spsc::Sender<str> = Options::private().create().expect("create");
        let mut from_text: spsc::Receiver<str> = Options::id(text.id()).attach().expect("attach");
        let sending = thread::spawn(move || {
            for n in 0..60 {
                thread::sleep(Duration::from_micros(300));
                match n % 3 {
                    0 => tx.send(&n).expect("a receiver"),
                    1 => one.send(&n).expect("a receiver"),
                    _ => text.send(&n.to_string()).expect("a receiver"),
                }
            }
        });
        run(place, async {
            let (mut got, mut ended) = (Vec::new(), 0);
            while ended < 3 {
                // Two of three futures are dropped in each round.
                let next = {
                    let mut many = pin!(rx.recv_async().fuse());
                    let mut one = pin!(from_one.recv_async().fuse());
                    let mut text = pin!(from_text.recv_boxed_async().fuse());
                    select! {
                        n = many => n,
                        n = one => n,
                        n = text => n.map(|n| n.parse().expect("a number")),
                    }
                };
                match next {
                    Ok(n) => got.push(n),
                    Err(error) => {
                        // Those that ended are ready at once, until all three have.
                        assert_eq!(error, RecvError::Disconnected);
                        let left = got.len();
                        ended = usize::from(left == 60) * 3;
                        futures_util::future::ready(()).await;
                        if left < 60 {
                            let rest = rest(&rx, &mut from_one, &mut from_text);
                            got.extend(rest.await);
                        }
                    }
                }
            }
            got.sort_unstable();
            assert!(got.into_iter().eq(0..60), "{place:?}");
        });
        sending.join().expect("no panic");
    }
}

async fn rest(
    rx: &mpmc::Receiver<u64>,
    one: &mut spsc::Receiver<u64>,
    text: &mut spsc::Receiver<str>,
) -> Vec<u64> {
    let text = async {
        let mut all = Vec::new();
        while let Ok(n) = text.recv_boxed_async().await {
            all.push(n.parse().expect("a number"));
        }
        all
    };
    let (rx, one, text) = join!(
        rx.stream().filter_map(async |n| n.ok()).collect::<Vec<u64>>(),
        one.stream().filter_map(async |n| n.ok()).collect::<Vec<u64>>(),
        text,
    );
    [rx, one, text].concat()
}

/// A task that was woken and is busy elsewhere holds up no other task of its handle.
#[test(quiet)]
fn a_task_that_does_not_look_holds_up_no_other() {
    let (tx, rx) = channel(8);
    for _ in 0..200 {
        let mut stuck = pin!(rx.recv_async());
        assert!(poll_once(stuck.as_mut()).is_pending());
        let other = rx.clone();
        let receiving = thread::spawn(move || {
            (block_on(other.recv_async()), block_on(other.recv_async()), now_ns())
        });
        let sending = tx.clone();
        thread::sleep(Duration::from_micros(200));
        sending.send(&1).expect("room");
        thread::sleep(Duration::from_micros(200));
        sending.send(&2).expect("room");
        let start = now_ns();
        let (one, two, at) = receiving.join().expect("no panic");
        assert_eq!((one, two), (Ok(1), Ok(2)));
        must_be_prompt(at, start);
        assert!(poll_once(stuck.as_mut()).is_pending());
    }
}

/// A blocking call, a `try_` call and tasks share a handle.
#[test]
fn other_calls_on_the_same_handle() {
    for &place in PLACES {
        let (tx, rx) = channel(8);
        let total = Arc::new(AtomicU64::new(0));
        let others: Vec<_> = (0..3)
            .map(|kind| {
                let (rx, total) = (rx.clone(), Arc::clone(&total));
                thread::spawn(move || {
                    loop {
                        let got = match kind {
                            0 => rx.recv(),
                            1 => rx.recv_timeout(Duration::from_micros(100)),
                            _ => rx.try_recv(),
                        };
                        match got {
                            Ok(n) => _ = total.fetch_add(n, Relaxed),
                            Err(RecvError::Empty | RecvError::Behind { .. }) => {
                                thread::sleep(Duration::from_micros(50));
                            }
                            Err(RecvError::Timeout | RecvError::Blocked { .. }) => {}
                            Err(RecvError::Disconnected) => break,
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        let sending = thread::spawn(move || {
            for n in 1..=2_000 {
                tx.send(&n).expect("a receiver");
                if n % 16 == 0 {
                    thread::sleep(Duration::from_micros(200));
                }
            }
        });
        run(place, async {
            let receiving = (0..4).map(|_| async {
                while let Ok(n) = rx.recv_async().await {
                    total.fetch_add(n, Relaxed);
                }
            });
            join_all(receiving).await;
        });
        sending.join().expect("no panic");
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert_eq!(total.load(Relaxed), 2_000 * 2_001 / 2, "{place:?}");
    }
}

/// Waiting for the other side beside waiting for messages.
#[test]
fn a_task_waits_for_a_peer_while_others_wait_for_messages() {
    for &place in PLACES {
        let rx: mpmc::Receiver<u64> = Options::private().create().expect("create");
        let id = rx.id();
        run(place, async {
            let peers = (0..2).map(|_| rx.wait_for_peer_async());
            let messages = (0..3).map(|_| rx.recv_async());
            let joining = thread::spawn(move || {
                thread::sleep(SOON);
                let tx: mpmc::Sender<u64> = Options::id(id).attach().expect("attach");
                thread::sleep(SOON);
                tx.send_batch(&[1, 2, 3]).expect("room");
            });
            let (peers, mut messages) = join!(join_all(peers), join_all(messages));
            assert_eq!(peers, [Ok(()), Ok(())]);
            messages.sort_by_key(|got| *got.as_ref().expect("a message"));
            assert_eq!(messages, [Ok(1), Ok(2), Ok(3)]);
            joining.join().expect("no panic");
        });
    }
}

/// A ring that comes while no task waits is passed on to another member, at once.
#[test(quiet)]
fn a_ring_without_a_task_is_passed_on() {
    let (tx, idle) = channel(8);
    let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    for n in 0..200 {
        // Armed, and then nobody waits by it.
        assert!(poll_once(pin!(idle.recv_async())).is_pending());
        let sending = tx.clone();
        let later = thread::spawn(move || {
            thread::sleep(Duration::from_micros(300));
            let sent = now_ns();
            sending.send(&n).expect("room");
            sent
        });
        assert_eq!(block_on(rx.recv_async()), Ok(n));
        let received = now_ns();
        must_be_prompt(received, later.join().expect("no panic"));
    }
}

/// The first of many futures wins; the others, which were woken as well, are dropped.
#[test(quiet)]
fn dropping_tasks_that_were_woken_loses_no_ring() {
    let (tx, rx) = channel(64);
    let others: Vec<mpmc::Receiver<u64>> =
        (0..2).map(|_| Options::id(tx.id()).attach().expect("attach")).collect();
    let total = AtomicU64::new(0);
    thread::scope(|scope| {
        for other in &others {
            scope.spawn(|| {
                while let Ok(n) = block_on(other.recv_async()) {
                    total.fetch_add(n, Relaxed);
                }
            });
        }
        scope.spawn(|| {
            loop {
                let many = select_all((0..5).map(|_| Box::pin(rx.recv_async())));
                match block_on(many).0 {
                    Ok(n) => total.fetch_add(n, Relaxed),
                    Err(_) => break,
                };
            }
        });
        for n in 1..=3_000 {
            tx.send(&n).expect("a receiver");
            if n % 4 == 0 {
                let start = now_ns();
                until(|| tx.is_empty());
                must_be_prompt(now_ns(), start);
            }
        }
        drop(tx);
    });
    assert_eq!(total.into_inner(), 3_000 * 3_001 / 2);
}

/// A future that was begun in one place goes on in another, and a handle moves with its use.
#[test]
fn a_handle_moves_from_place_to_place() {
    let (tx, rx) = channel(4);
    for round in 0..30 {
        for (n, &first) in PLACES.iter().enumerate() {
            let second = PLACES[(n + round) % PLACES.len()];
            let mut waiting = Box::pin(rx.recv_async());
            // Pending in the first place, which then stands still or is gone.
            let poll = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_pending()));
            assert!(run(first, poll));
            let tx = tx.clone();
            let sending = thread::spawn(move || {
                thread::sleep(Duration::from_micros(500));
                tx.send(&7).expect("room");
            });
            assert_eq!(run(second, waiting), Ok(7));
            sending.join().expect("no panic");
        }
    }
}

/// Tasks of two runtimes and of a thread wait by one handle. One runtime stands still, and then ends.
#[cfg(feature = "tokio")]
#[test]
fn tasks_of_several_runtimes() {
    use crate::executor::runtime;
    let (tx, rx) = channel(4);
    for round in 0..20 {
        let (still, other) = (runtime(0), runtime(1));
        let mut frozen = Box::pin(rx.recv_async());
        let poll = poll_fn(|context| Poll::Ready(frozen.as_mut().poll(context).is_pending()));
        assert!(still.block_on(poll));
        let clone = rx.clone();
        let inside = other.spawn(async move { clone.recv_async().await });
        let clone = rx.clone();
        let outside = thread::spawn(move || block_on(clone.recv_async()));
        thread::sleep(Duration::from_millis(2));
        if round % 2 == 0 {
            drop(still);
        }
        tx.send(&1).expect("room");
        tx.send(&1).expect("room");
        assert_eq!(other.block_on(inside).expect("no panic"), Ok(1), "{round}");
        assert_eq!(outside.join().expect("no panic"), Ok(1));
        drop(other);
        tx.send(&2).expect("room");
        assert_eq!(block_on(frozen), Ok(2));
    }
}

/// A runtime without IO: its tasks are woken by the thread.
#[cfg(feature = "tokio")]
#[test]
fn a_runtime_without_io() {
    let (tx, rx) = channel(4);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let sending = thread::spawn(move || {
        for n in 0..5 {
            thread::sleep(SOON);
            tx.send(&n).expect("room");
        }
    });
    for n in 0..5 {
        assert_eq!(runtime.block_on(rx.recv_async()), Ok(n));
    }
    sending.join().expect("no panic");
}

/// Spawned tasks, and a stream that is consumed concurrently.
#[cfg(feature = "tokio")]
#[test]
fn spawned_tasks() {
    use crate::executor::runtime;
    for workers in [0, 2] {
        let (tx, rx) = channel(16);
        runtime(workers).block_on(async move {
            let receiving: Vec<_> = (0..20)
                .map(|_| {
                    let rx = rx.clone();
                    tokio::spawn(
                        async move { rx.stream().filter_map(async |n| n.ok()).count().await },
                    )
                })
                .collect();
            drop(rx);
            let numbers: Vec<u64> = (0..2_000).collect();
            for batch in numbers.chunks(7) {
                tx.send_batch_async(batch).await.expect("a receiver");
                tokio::task::yield_now().await;
            }
            tx.flush_async().await.expect("receivers");
            drop(tx);
            let counts: Vec<usize> = stream::iter(receiving)
                .then(async |task| task.await.expect("no panic"))
                .collect()
                .await;
            assert_eq!(counts.iter().sum::<usize>(), 2_000, "{counts:?}");
        });
    }
}

/// A task that was woken is dropped before it looks: another member gets the ring, at once.
#[test(quiet)]
fn a_woken_task_that_is_dropped_passes_the_ring_on() {
    let (tx, idle) = channel(8);
    let rx: mpmc::Receiver<u64> = Options::id(tx.id()).attach().expect("attach");
    for n in 0..200 {
        let mut waiting = Box::pin(idle.recv_async());
        assert!(poll_once(waiting.as_mut()).is_pending());
        let same = rx.clone();
        let receiving = thread::spawn(move || (block_on(same.recv_async()), now_ns()));
        thread::sleep(Duration::from_micros(300));
        tx.send(&n).expect("room");
        // One of the two was rung.
        thread::sleep(Duration::from_micros(300));
        let start = now_ns();
        drop(waiting);
        let (got, at) = receiving.join().expect("no panic");
        assert_eq!(got, Ok(n));
        must_be_prompt(at, start);
    }
}

/// A `try_` call finds a message in the attempt that arms the handle, and so disarms it: a task that
/// waits is woken, and gets the next message, whether or not another task was woken and is busy.
#[test(quiet)]
fn a_call_that_disarms_the_handle_wakes_a_task() {
    for is_one_stuck in [false, true] {
        let (tx, rx) = channel(8);
        let mut stuck = pin!(rx.recv_async());
        if is_one_stuck {
            assert!(poll_once(stuck.as_mut()).is_pending());
        }
        for n in 0..if cfg!(debug_assertions) { 2_000 } else { 5_000 } {
            let (waiting, trying) = (rx.clone(), rx.clone());
            let waiting = thread::spawn(move || (block_on(waiting.recv_async()), now_ns()));
            let is_sent = Arc::new(AtomicU64::new(0));
            let sent = Arc::clone(&is_sent);
            let trying = thread::spawn(move || {
                loop {
                    let was_sent = sent.load(Relaxed) != 0;
                    match trying.try_recv() {
                        // The task has it.
                        Err(RecvError::Empty) if was_sent && trying.is_empty() => return None,
                        Err(RecvError::Empty) => {}
                        got => return Some(got),
                    }
                }
            });
            thread::sleep(Duration::from_micros(50));
            tx.send(&n).expect("room");
            is_sent.store(1, Relaxed);
            let start = now_ns();
            if let Some(got) = trying.join().expect("no panic") {
                assert_eq!(got, Ok(n));
                tx.send(&n).expect("room");
            }
            let (got, at) = waiting.join().expect("no panic");
            assert_eq!(got, Ok(n));
            must_be_prompt(at, start);
        }
    }
}

/// A task that waits for a peer arms the handle without a look for messages: another one, which was
/// woken before, looks nevertheless.
#[test]
fn a_task_looks_although_another_one_armed_its_handle() {
    for n in 0..20 {
        let name = Name::new();
        let rx: mpmc::Receiver<u64> = name.options().open().expect("open");
        let (mut message, mut peer) = (pin!(rx.recv_async()), pin!(rx.wait_for_peer_async()));
        assert!(poll_once(message.as_mut()).is_pending());
        assert!(poll_once(peer.as_mut()).is_pending());
        assert!(poll_once(message.as_mut()).is_pending());
        let tx: mpmc::Sender<u64> = name.options().attach().expect("attach");
        tx.send(&n).expect("room");
        drop(tx);
        thread::sleep(SOON);
        assert_eq!(poll_once(peer.as_mut()), Poll::Ready(Ok(())), "it came, and left again");
        let mut another = pin!(rx.wait_for_peer_async());
        assert!(poll_once(another.as_mut()).is_pending(), "and armed the handle");
        assert_eq!(poll_once(message.as_mut()), Poll::Ready(Ok(n)));
    }
}

/// A handle that no task waits for any more can be put into a set, and taken back.
#[test]
fn a_handle_goes_from_tasks_to_a_set_and_back() {
    for &place in PLACES {
        let (tx, rx) = channel(8);
        let set = WaitSet::new().expect("a set");
        for n in 0..3 {
            let waiting = rx.clone();
            let receiving = thread::spawn(move || run(place, async { waiting.recv_async().await }));
            thread::sleep(SOON);
            if n == 0 && !receiving.is_finished() {
                assert!(matches!(set.add(&rx), Err(Error::InWaitSet { .. })), "a task waits");
            }
            tx.send(&n).expect("room");
            assert_eq!(receiving.join().expect("no panic"), Ok(n));
            let token = set.add(&rx).expect("no task waits");
            assert_eq!(rx.try_recv(), Err(RecvError::Empty));
            tx.send(&n).expect("room");
            assert_eq!(set.wait(Some(LONG)).expect("a set")[0].token(), token);
            assert_eq!(rx.try_recv(), Ok(n));
            assert!(set.remove(token));
        }
    }
}

/// A handle that tasks wait for does not rest: they would miss what comes.
#[test]
fn a_handle_that_a_task_waits_for_does_not_rest() {
    let set = WaitSet::new().expect("a set");
    for n in 0..if cfg!(debug_assertions) { 1_000 } else { 5_000 } {
        let (tx, rx) = channel(8);
        let (waiting, is_over) = (rx.clone(), Arc::new(AtomicU64::new(0)));
        let over = Arc::clone(&is_over);
        let receiving = thread::spawn(move || {
            let received = Return::of(|| block_on(waiting.recv_async()));
            over.store(1, Relaxed);
            received
        });
        let sending = thread::spawn(move || {
            let (start, watch) = (now_ns(), Watch::start(&[]));
            tx.send(&n).expect("room");
            (start, watch.allowance())
        });
        while is_over.load(Relaxed) == 0 {
            set.rest_until_peer(&rx).expect("a member");
        }
        let (got, received) = receiving.join().expect("no panic");
        assert_eq!(got, Ok(n));
        let (start, excuse) = sending.join().expect("no panic");
        let late = received.after(start).saturating_sub(excuse);
        assert!(late < PROMPT, "by a slice only: {late:?}");
    }
}
