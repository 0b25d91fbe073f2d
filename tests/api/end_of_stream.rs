//! The end of the stream: which receivers get `Disconnected`, and until when.

use std::thread;
use std::time::Duration;

use sysvring::{Error, Fault, Options, RecvError, SendError, StreamState, Wait, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender, TakingFlavor};
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{self, WAKE_RECEIVERS, segment_of};
use sysvring_support::shared_counters::until;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

const SOON: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(20);

/// Joins a channel that exists.
fn join<H: sysvring::Handle>(name: &Name) -> H {
    name.options().attach().expect("a seat")
}

/// Returns the state of the stream, and the number of senders that died without a successor.
fn stream(name: &Name) -> (StreamState, u32) {
    let stat = sysvring::stat(name.as_str()).expect("a channel");
    (stat.stream, stat.lost_senders)
}

#[test]
fn a_late_receiver_of_a_finished_stream_gets_disconnected<F: TakingFlavor>() {
    for messages in 0..3 {
        let name = Name::new();
        let mut tx: F::Sender<u64> = name.options().capacity(4).create().expect("create");
        for n in 0..messages {
            tx.try_send(&n).expect("room");
        }
        assert_eq!(stream(&name), (StreamState::Open, 0));
        tx.finish().expect("finish");
        assert_eq!(stream(&name), (StreamState::Ended, 0));
        // Each of them joins after the end; the first one receives what is left.
        for left in [messages, 0, 0] {
            let mut rx: F::Receiver<u64> = join(&name);
            for n in 0..left {
                assert_eq!(rx.recv_timeout(LONG), Ok(n), "of {messages}");
            }
            assert_eq!(rx.try_recv(), Err(RecvError::Disconnected), "after {messages}");
            assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected), "after {messages}");
            assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvError::Disconnected));
            assert!(matches!(rx.recv_ref_timeout(LONG).err(), Some(RecvError::Disconnected)));
        }
        assert_eq!(stream(&name), (StreamState::Ended, 0), "nobody opened the next one");
    }
}

/// Messages or not, there is one rule: it has not seen a sender, so it waits for one.
#[test]
fn a_late_receiver_of_an_open_stream_waits<F: AnyFlavor>() {
    for messages in 0..3 {
        let name = Name::new();
        let mut tx: F::Sender<u64> = name.options().capacity(4).create().expect("create");
        for n in 0..messages {
            tx.try_send(&n).expect("room");
        }
        drop(tx);
        let mut rx: F::Receiver<u64> = join(&name);
        for n in 0..messages {
            assert_eq!(rx.recv_timeout(LONG), Ok(n));
        }
        for _ in 0..20 {
            assert_eq!(rx.try_recv(), Err(RecvError::Empty), "after {messages}");
        }
        assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Timeout), "after {messages}");
        assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvError::Timeout), "after {messages}");
        // It sees the next one, and then the end.
        drop(join::<F::Sender<u64>>(&name));
        assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected), "after {messages}");
        assert_eq!(rx.try_recv(), Err(RecvError::Disconnected), "after {messages}");
    }
}

#[test]
fn the_next_sender_opens_the_next_stream<F: TakingFlavor>() {
    let name = Name::new();
    let mut tx: F::Sender<u64> = name.options().capacity(4).create().expect("create");
    let mut rx: F::Receiver<u64> = join(&name);
    tx.try_send(&1).expect("room");
    tx.finish().expect("finish");
    assert_eq!(rx.recv_timeout(LONG), Ok(1));
    for round in 2..5 {
        assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
        let mut tx: F::Sender<u64> = join(&name);
        assert_eq!(stream(&name), (StreamState::Open, 0));
        assert_eq!(rx.wait_for_peer(LONG), Ok(()));
        assert_eq!(rx.try_recv(), Err(RecvError::Empty), "round {round}");
        assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Timeout), "round {round}");
        tx.try_send(&round).expect("room");
        tx.finish().expect("finish");
        assert_eq!(
            (rx.recv_timeout(LONG), rx.try_recv()),
            (Ok(round), Err(RecvError::Disconnected))
        );
    }
    // The next stream was opened, and its sender left it open.
    drop(join::<F::Sender<u64>>(&name));
    assert_eq!(stream(&name), (StreamState::Open, 0));
    drop(rx);
    let mut late: F::Receiver<u64> = join(&name);
    assert_eq!(late.recv_timeout(SOON), Err(RecvError::Timeout));
}

#[test]
fn the_stream_ends_when_all_senders_are_gone() {
    let name = Name::new();
    let first: mpmc::Sender<u64> = name.options().create().expect("create");
    let (second, third) = (first.try_clone().expect("a seat"), first.try_clone().expect("a seat"));
    let late = || join::<mpmc::Receiver<u64>>(&name);
    first.finish().expect("finish");
    assert_eq!(stream(&name), (StreamState::Finished, 0));
    let text = sysvring::stat(name.as_str()).expect("stat").to_string();
    assert!(text.contains("stream    finished by a sender\n"), "{text}");
    assert_eq!(late().recv_timeout(SOON), Err(RecvError::Timeout));
    second.finish().expect("finish");
    assert_eq!(stream(&name), (StreamState::Finished, 0));
    // One that joins now is a sender of the same stream.
    let fourth: mpmc::Sender<u64> = join(&name);
    assert_eq!(stream(&name), (StreamState::Finished, 0));
    drop(third);
    assert_eq!(late().recv_timeout(SOON), Err(RecvError::Timeout));
    fourth.send(&7).expect("send");
    fourth.close().expect("close");
    assert_eq!(stream(&name), (StreamState::Ended, 0));
    let text = sysvring::stat(name.as_str()).expect("stat").to_string();
    assert!(text.contains("stream    ended\n"), "{text}");
    let rx = late();
    assert_eq!((rx.recv(), rx.recv()), (Ok(7), Err(RecvError::Disconnected)));
}

#[test]
fn a_handle_with_clones_finishes_with_the_last_of_them() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().create().expect("create");
    let (other, last) = (tx.clone(), tx.clone());
    let loan = last.loan().expect("a slot");
    let mut rx: mpmc::Receiver<u64> = join(&name);
    tx.finish().expect("finish");
    assert_eq!(other.send(&1), Err(SendError::Fault(Fault::Closed)));
    assert!(matches!(other.finish(), Err(Error::Fault(Fault::Closed))));
    assert_eq!(stream(&name), (StreamState::Open, 0), "the sender is still there");
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    drop(loan);
    assert!(matches!(last.close(), Err(Error::Fault(Fault::Closed))));
    assert_eq!(stream(&name), (StreamState::Ended, 0));
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    rx = join(&name);
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    // Closing first closes for all of them.
    let tx: mpmc::Sender<u64> = join(&name);
    let other = tx.clone();
    tx.close().expect("close");
    assert!(matches!(other.finish(), Err(Error::Fault(Fault::Closed))));
    assert_eq!(stream(&name), (StreamState::Open, 0));
}

#[test]
fn a_faulty_handle_does_not_finish() {
    let name = Name::new();
    let tx: spsc::Sender<u64> = name.options().create().expect("create");
    sysvring::remove(name.as_str()).expect("remove");
    assert!(matches!(tx.finish(), Err(Error::Fault(Fault::Removed))));
    let tx: mpmc::Sender<u64> = Options::private().create().expect("create");
    sysvring::remove(tx.id()).expect("remove");
    assert!(matches!(tx.finish(), Err(Error::Fault(Fault::Removed))));
}

/// What the original knows, the other member knows: that the senders came and left.
#[test]
fn try_clone_knows_what_its_original_knows() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().create().expect("create");
    let rx: mpmc::Receiver<u64> = join(&name);
    drop(tx);
    let clone = rx.try_clone().expect("a seat");
    for rx in [&rx, &rx.clone(), &clone, &clone.try_clone().expect("a seat")] {
        assert_eq!(rx.recv_timeout(LONG), Err(RecvError::Disconnected));
        assert_eq!(rx.try_recv(), Err(RecvError::Disconnected));
    }
    drop((rx, clone));
    // A receiver that knows nothing passes on nothing.
    let rx: mpmc::Receiver<u64> = join(&name);
    for rx in [&rx, &rx.try_clone().expect("a seat")] {
        assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Timeout));
    }
    // Senders likewise: the receivers are gone.
    let tx: mpmc::Sender<u64> = name.options().attach().expect("a seat");
    drop(rx);
    while tx.try_send(&0).is_ok() {}
    for tx in [&tx, &tx.try_clone().expect("a seat")] {
        assert_eq!(tx.send_timeout(&0, LONG), Err(SendError::Disconnected));
    }
}

/// As many programs for other channels do: each thread has its own receiver, made from the last one
/// after the sender is gone.
#[test]
fn consumers_cloned_after_the_sender_left_share_the_rest() {
    const THREADS: usize = 4;
    for finishes in [false, true] {
        let (messages, name) = (200, Name::new());
        let tx: mpmc::Sender<u64> = name.options().capacity(256).create().expect("create");
        let rx: mpmc::Receiver<u64> = join(&name);
        for n in 0..messages {
            tx.send(&n).expect("send");
        }
        match finishes {
            true => tx.finish().expect("finish"),
            false => drop(tx),
        }
        let consumers: Vec<_> = (0..THREADS)
            .map(|_| rx.try_clone().expect("a seat"))
            .map(|rx| thread::spawn(move || rx.iter().collect::<Result<Vec<u64>, _>>()))
            .collect();
        drop(rx);
        let mut all = Vec::new();
        for consumer in consumers {
            let got = consumer.join().expect("no panic").expect("messages");
            assert!(got.is_sorted());
            all.extend(got);
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..messages));
    }
}

/// Receivers that joined after the end, in threads that wait without a time limit. One of them has
/// the last message in flight.
#[test]
fn the_last_acknowledgement_wakes_late_receivers() {
    let name = Name::new();
    let options = || name.options().wait(Wait::Park);
    let tx: mpmc::Sender<u64> = options().create().expect("create");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    tx.send(&7).expect("send");
    tx.finish().expect("finish");
    let busy: mpmc::Receiver<u64> = options().attach().expect("a seat");
    let guard = busy.recv_ref().expect("a message");
    thread::scope(|scope| {
        for _ in 0..3 {
            let late: mpmc::Receiver<u64> = options().attach().expect("a seat");
            scope.spawn(move || assert_eq!(late.recv(), Err(RecvError::Disconnected)));
        }
        until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == 3);
        guard.ack().expect("acknowledge");
    });
    assert_eq!(busy.recv(), Err(RecvError::Disconnected));
}

/// Receivers that wait for the next sender, and for the end of its stream.
#[test]
fn finishing_wakes_all_receivers() {
    let name = Name::new();
    let options = || name.options().wait(Wait::Park);
    drop(options().create::<mpmc::Sender<u64>>().expect("create"));
    let first: mpmc::Receiver<u64> = options().attach().expect("a seat");
    let set = first.stat().expect("stat").set.expect("a set").id;
    thread::scope(|scope| {
        for _ in 0..3 {
            let late: mpmc::Receiver<u64> = options().attach().expect("a seat");
            scope.spawn(move || assert_eq!(late.recv(), Err(RecvError::Disconnected)));
        }
        until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == 3);
        options().attach::<mpmc::Sender<u64>>().expect("a seat").finish().expect("finish");
    });
    assert_eq!(first.recv(), Err(RecvError::Disconnected));
}

#[test]
fn a_killed_sender_keeps_the_stream_open_until_it_has_a_successor() {
    Worker::run(&[&"end_of_stream::kill_senders"]);
}

/// Runs in its own process, which may fork.
#[work]
fn kill_senders(_: &mut Args) {
    fn one_flavor<F: AnyFlavor>() {
        let name = Name::new();
        let mut keeper: F::Receiver<u64> = name.options().create().expect("create");
        let kill = || {
            let mut dying = Fork::start(|| {
                std::mem::forget(join::<F::Sender<u64>>(&name));
                // SAFETY: ends this child at once.
                unsafe { libc::raise(libc::SIGKILL) };
            });
            dying.wait();
        };
        kill();
        assert_eq!(stream(&name), (StreamState::Open, 1));
        let text = sysvring::stat(name.as_str()).expect("stat").to_string();
        assert!(text.contains("stream    open, 1 sender died without a successor\n"), "{text}");
        // The receiver saw it; one that joins later waits for the successor.
        assert_eq!(keeper.recv_timeout(LONG), Err(RecvError::Disconnected));
        drop(keeper);
        let mut late: F::Receiver<u64> = join(&name);
        assert_eq!(late.recv_timeout(SOON), Err(RecvError::Timeout));
        // The successor dies as well, and the next one finishes.
        kill();
        assert_eq!(stream(&name), (StreamState::Open, 1));
        let heir: F::Sender<u64> = join(&name);
        assert_eq!(stream(&name), (StreamState::Open, 0));
        heir.finish().expect("finish");
        assert_eq!(stream(&name), (StreamState::Ended, 0));
        drop(late);
        let mut late: F::Receiver<u64> = join(&name);
        assert_eq!(late.recv_timeout(LONG), Err(RecvError::Disconnected));
        // The next stream has its own account.
        kill();
        assert_eq!(stream(&name), (StreamState::Open, 1));
        drop(join::<F::Sender<u64>>(&name));
        assert_eq!(stream(&name), (StreamState::Open, 0));
    }
    one_flavor::<sysvring_support::handle::Spsc>();
    one_flavor::<sysvring_support::handle::Mpmc>();

    // Another one finished, but not in the place of the dead.
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().create().expect("create");
    // Two members of one process.
    Fork::start(|| {
        std::mem::forget([0; 2].map(|_| join::<mpmc::Sender<u64>>(&name)));
    })
    .finish();
    tx.finish().expect("finish");
    assert_eq!(stream(&name), (StreamState::Finished, 2));
    for lost in [1, 0] {
        let late: mpmc::Receiver<u64> = join(&name);
        assert_eq!(late.recv_timeout(SOON), Err(RecvError::Timeout));
        let heir: mpmc::Sender<u64> = join(&name);
        assert_eq!(stream(&name), (StreamState::Finished, lost));
        drop(heir);
    }
    assert_eq!(stream(&name), (StreamState::Ended, 0));
    let late: mpmc::Receiver<u64> = join(&name);
    assert_eq!(late.recv(), Err(RecvError::Disconnected));
}

/// A set that outlives its segment serves the next one, whose stream is open.
#[test]
fn a_channel_that_is_built_anew_has_an_open_stream<F: AnyFlavor>() {
    let name = Name::new();
    let tx: F::Sender<u64> = name.options().create().expect("create");
    let stat = tx.stat().expect("stat");
    tx.finish().expect("finish");
    let segment = segment_of(stat.key).expect("a segment");
    raw_ipc::remove_segment(segment).expect("IPC_RMID");
    let mut rx: F::Receiver<u64> = name.options().open().expect("open");
    assert_eq!(rx.stat().expect("stat").set.expect("a set").id, stat.set.expect("a set").id);
    assert_eq!(stream(&name), (StreamState::Open, 0));
    assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Timeout));
}

/// The end is forgotten with the set, and receivers wait: nothing claims that all is over.
#[test]
fn a_set_that_is_removed_takes_the_end_with_it<F: AnyFlavor>() {
    let name = Name::new();
    let mut tx: F::Sender<u64> = name.options().create().expect("create");
    tx.try_send(&7).expect("room");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    tx.finish().expect("finish");
    raw_ipc::remove_set(set).expect("IPC_RMID");
    assert_eq!(stream(&name), (StreamState::Open, 0));
    let mut rx: F::Receiver<u64> = name.options().open().expect("open");
    assert_eq!(rx.recv_timeout(LONG), Ok(7));
    assert_eq!(rx.recv_timeout(SOON), Err(RecvError::Timeout));
}

/// Returns the processor time that it takes to receive everything from a full ring.
fn draining<F: AnyFlavor>(has_finished: bool) -> Duration {
    const MESSAGES: usize = 16_384;
    let (name, all) = (Name::new(), [&7; MESSAGES]);
    let mut tx: F::Sender<u64> = name.options().capacity(MESSAGES).create().expect("create");
    let mut rx: F::Receiver<u64> = join(&name);
    tx.try_send_batch(&all).expect("room");
    let kept = if has_finished { tx.finish().map(|()| None) } else { Ok(Some(tx)) };
    let _kept = kept.expect("finish");
    let before = processor_time();
    for _ in 0..MESSAGES {
        rx.try_recv().expect("a message");
    }
    processor_time() - before
}

fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Each acknowledgement after the end asks whether it was the last one. In an MPMC channel, that once
/// took a look at every slot.
#[test]
fn the_end_of_the_stream_makes_no_message_expensive<F: AnyFlavor>() {
    let usual = draining::<F>(false);
    let after_the_end = draining::<F>(true);
    assert!(after_the_end < 50 * usual, "{after_the_end:?}, {usual:?} before the end");
}
