//! What is the end of a stream for one waiting thread is none for another: a wake-up that comes to the
//! wrong one is handed on.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use sysvring::{Fault, RecvError, Wait, mpmc};
use sysvring_support::board::{now_ns, until};
use sysvring_support::name::Name;
use sysvring_support::witness::Watch;
use sysvring_support::{ipc, tests};

use crate::PROMPT;
use crate::raw::{Memory, WAKE_RECEIVERS};

tests![
    one_that_never_met_a_sender_is_told_first,
    one_beside_a_message_in_hand_is_told_first,
    a_close_beside_any_count_ends,
];

const LONG: Duration = Duration::from_secs(20);
/// Longer than all that goes on here, for a receiver that waits for nothing.
const MOMENT: Duration = Duration::from_millis(800);

fn options(name: &Name) -> sysvring::Options {
    name.options().capacity(64).members(8).wait(Wait::Park)
}

/// Two threads wait, in this order, when the end comes for the second.
fn is_told(
    set: i32,
    first: impl FnOnce() + Send,
    second: impl FnOnce() -> Result<u64, RecvError> + Send,
    end: impl FnOnce(),
) {
    thread::scope(|scope| {
        let asleep = |n| until(|| ipc::waiting(set, WAKE_RECEIVERS) == n);
        scope.spawn(first);
        asleep(1);
        let second = scope.spawn(|| (second(), now_ns()));
        asleep(2);
        let (watch, start) = (Watch::start(&[]), now_ns());
        end();
        let (told, at) = second.join().expect("no panic");
        assert_eq!(told, Err(RecvError::Disconnected));
        let late = Duration::from_nanos(at - start).saturating_sub(watch.excuse());
        assert!(late < PROMPT, "told after {late:?}");
    });
}

/// All senders have left, and a receiver has the last message in hand. One that came after that waits for
/// the next sender, and sleeps first.
fn one_that_never_met_a_sender_is_told_first() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
    let busy: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let second: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    // The hint is behind the last one, so that the late one finds nothing.
    for n in 0..16 {
        tx.send(&n).expect("send");
    }
    (0..15).for_each(|_| _ = busy.recv().expect("a message"));
    let guard = busy.recv_ref().expect("a message");
    drop(tx);
    let late: mpmc::Receiver<u64> = options(&name).attach().expect("attach");
    let waits = || assert_eq!(late.recv_timeout(MOMENT), Err(RecvError::Timeout));
    is_told(set, waits, || second.recv_timeout(LONG), || drop(guard));
}

/// The sender leaves while a thread of a receiver has the last message in hand: for another thread of that
/// receiver it is over, for another receiver it is not, and that one sleeps first.
fn one_beside_a_message_in_hand_is_told_first() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
    let busy: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let other: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    tx.send(&1).expect("send");
    let guard = busy.recv_ref().expect("a message");
    let waits = || assert_eq!(other.recv_timeout(MOMENT), Err(RecvError::Timeout));
    is_told(set, waits, || busy.recv_timeout(LONG), || drop(tx));
    drop(guard);
}

/// Anybody may write to the waiting table: a count of four billion threads is not believed.
fn a_close_beside_any_count_ends() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = options(&name).open().expect("open");
    let rx: mpmc::Receiver<u64> = options(&name).open().expect("open");
    let clone = rx.clone();
    let waiting_of_seat_1 = 1024 + 8 * 128 + 8;
    Memory::of(tx.id().segment()).u32(waiting_of_seat_1).store(u32::MAX, Relaxed);
    let (watch, start) = (Watch::start(&[]), now_ns());
    rx.close().expect("closed");
    watch.must_be_within(Duration::from_secs(4), start);
    assert_eq!(clone.recv(), Err(RecvError::Fault(Fault::Closed)));
}
