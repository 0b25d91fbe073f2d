//! A message is acknowledged on purpose: by `ack`, by `read` or by `process`. However else a guard
//! ends, its message is delivered again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use sysvring::{Flavor, Options, RecvError, Redelivery, SendError, mpmc, spsc};
use sysvring_support::handle::{
    AnyFlavor, AnyGuard, AnyHandle, AnyReceiver, AnySender, TakingFlavor,
};
use sysvring_support::name::Name;
use sysvring_support::shared_counters::now_ns;
use sysvring_support::stopwatch::Return;
use sysvring_support::worker::{Args, Worker, print_line, read_line};
use sysvring_support::{test, work};

const LONG: Duration = Duration::from_secs(20);

/// Leaves a guard without acknowledging it.
fn fails<G: AnyGuard<u64>>(guard: G) -> Result<(), RecvError> {
    let valid: Result<(), RecvError> = Err(RecvError::Empty);
    valid?;
    guard.ack()
}

fn returns_early<G: AnyGuard<u64>>(guard: G) {
    if *guard != 0 {
        return;
    }
    guard.ack().expect("acknowledged");
}

fn breaks<G: AnyGuard<u64>>(guard: G) {
    #[expect(clippy::never_loop, reason = "that is what is tested")]
    for _ in 0..3 {
        let guard = guard;
        if *guard != 0 {
            break;
        }
        return guard.ack().expect("acknowledged");
    }
}

fn panics<G: AnyGuard<u64>>(guard: G) {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let guard = guard;
        // Without the message of a real panic.
        std::panic::resume_unwind(Box::new(*guard));
    }));
    assert!(result.is_err());
}

/// The ways in which a program leaves a guard without acknowledging it.
#[test]
fn a_guard_that_is_not_acknowledged_returns_its_message<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    tx.try_send_batch(&[&1, &2]).expect("room");
    for way in 0..6u8 {
        let guard = rx.recv_ref_timeout(LONG).expect("the message again");
        assert_eq!((*guard, guard.position(), guard.delivery_count()), (1, 0, way + 1));
        match way {
            0 => drop(guard),
            1 => assert_eq!(fails(guard), Err(RecvError::Empty)),
            2 => returns_early(guard),
            3 => breaks(guard),
            4 => panics(guard),
            _ => guard.release().expect("returned"),
        }
        assert_eq!(tx.len(), 2, "way {way}");
    }
    let guard = rx.try_recv_ref().expect("the message again");
    assert_eq!((*guard, guard.delivery_count()), (1, 7));
    guard.ack().expect("acknowledged");
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(2), Err(RecvError::Empty)));
    let stat = rx.stat().expect("stat");
    assert_eq!((stat.redelivered, stat.dropped, stat.poisoned, stat.depth), (6, 0, 0, 0));
}

/// A closure acknowledges when it succeeded.
#[test]
fn closures_acknowledge_what_they_finish<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    tx.try_send(&7).expect("room");
    let guard = rx.try_recv_ref().expect("a message");
    let panicked =
        catch_unwind(AssertUnwindSafe(|| guard.read(|_| std::panic::resume_unwind(Box::new(())))));
    assert!(panicked.is_err());
    assert_eq!(tx.len(), 1);
    let guard = rx.try_recv_ref().expect("the message again");
    assert_eq!((guard.delivery_count(), guard.read(|n| *n)), (2, Ok(7)));
    assert_eq!(tx.len(), 0);
}

#[test]
fn a_failed_closure_returns_its_message() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(4);
    tx.send(&7).expect("room");
    for n in 1..4 {
        let guard = rx.recv_ref().expect("a message");
        let failed = guard.process(|n| Err::<(), _>(format!("{n} again")).map_err(Text));
        assert_eq!((failed, tx.len()), (Err(Text("7 again".into())), 1), "attempt {n}");
    }
    let guard = rx.recv_ref().expect("a message");
    assert_eq!((guard.delivery_count(), guard.process(|n| Ok::<_, Text>(*n))), (4, Ok(7)));
    assert_eq!(tx.len(), 0);
    let name = Name::new();
    let (tx, rx) = name.pair_of::<sysvring_support::handle::Mpmc, u64>(4);
    tx.send(&7).expect("room");
    let guard = rx.recv_ref().expect("a message");
    assert_eq!(guard.process(|_| Err::<(), _>(Text("no".into()))), Err(Text("no".into())));
    let guard = rx.recv_ref().expect("a message");
    assert_eq!((guard.delivery_count(), guard.process(|n| Ok::<_, Text>(*n))), (2, Ok(7)));
    assert_eq!(tx.len(), 0);
}

#[derive(Debug, PartialEq)]
struct Text(String);

impl From<RecvError> for Text {
    fn from(error: RecvError) -> Text {
        Text(error.to_string())
    }
}

/// A rejected message is gone, and counted.
#[test]
fn a_rejected_message_is_discarded<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    tx.try_send_batch(&[&1, &2]).expect("room");
    rx.try_recv_ref().expect("a message").reject().expect("rejected");
    assert_eq!((tx.len(), rx.try_recv()), (1, Ok(2)));
    let stat = rx.stat().expect("stat");
    assert_eq!((stat.rejected, stat.redelivered, stat.dead_letters), (1, 0, 0));
    assert!(stat.to_string().contains("1 rejected"), "{stat}");
}

/// Without a limit, a message is delivered as often as it has to be.
#[test]
fn nothing_is_lost_by_default<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(4);
    tx.try_send(&7).expect("room");
    for n in 1..=1000u32 {
        let guard = rx.recv_ref_timeout(LONG).expect("the message again");
        assert_eq!((*guard, u32::from(guard.delivery_count())), (7, n.min(16)));
    }
    let stat = rx.stat().expect("stat");
    assert_eq!(stat.redelivery, Redelivery::Unlimited);
    assert_eq!((stat.poisoned, stat.dropped, stat.redelivered, stat.depth), (0, 0, 999, 1));
    assert_eq!(rx.try_recv(), Ok(7));
}

/// Holds some messages until it is killed.
#[work]
fn hold_many(args: &mut Args) {
    let (name, count): (String, usize) = (args.next(), args.next());
    let rx: mpmc::Receiver<u64> = Options::named(name).attach().expect("attach");
    let held: Vec<_> = (0..count).map(|_| rx.recv_ref().expect("a message")).collect();
    print_line(held.len());
    read_line();
}

/// An aggregator that holds many messages and is killed often loses none of them.
#[test]
fn many_unacknowledged_messages_survive_many_deaths() {
    const HELD: u64 = 128;
    const DEATHS: usize = 20;
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(HELD as usize).open().expect("open");
    (0..HELD).for_each(|n| tx.send(&n).expect("room"));
    for _ in 0..DEATHS {
        let mut holder =
            Worker::start(&[&"acknowledgement::hold_many", &name, &HELD]).expect("start");
        holder.expect(&HELD.to_string());
        holder.kill_and_wait().expect("kill");
    }
    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
    let mut all: Vec<u64> = (0..HELD).map(|_| rx.recv_timeout(LONG).expect("a message")).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..HELD));
    assert_eq!(rx.stat().expect("stat").poisoned, 0);
}

/// A returned message comes next for its receiver, and does not wait until the channel is idle.
#[test]
fn a_returned_message_comes_next<F: AnyFlavor>() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair_of::<F, u64>(8);
    tx.try_send_batch(&[&1, &2, &3, &4]).expect("room");
    drop(rx.try_recv_ref().expect("a message"));
    let got: Vec<_> = (0..4).map(|_| rx.try_recv().expect("a message")).collect();
    assert_eq!(got, [1, 2, 3, 4]);
}

/// A receiver that is never idle takes a message that another one returned, within two calls.
#[test]
fn a_returned_message_does_not_wait_for_an_idle_moment() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().capacity(64).open().expect("open");
    let (returns, busy): (mpmc::Receiver<u64>, mpmc::Receiver<u64>) =
        (name.options().attach().expect("attach"), name.options().attach().expect("attach"));
    (0..32).for_each(|n| tx.send(&n).expect("room"));
    let guard = returns.recv_ref().expect("a message");
    assert_eq!(busy.recv(), Ok(1));
    guard.release().expect("returned");
    // The acknowledgement of this one tells it.
    assert_eq!(busy.recv(), Ok(2));
    let again = busy.recv_ref().expect("a message");
    assert_eq!((*again, again.delivery_count()), (0, 2));
    again.ack().expect("acknowledged");
    assert_eq!((busy.recv(), busy.recv(), busy.recv()), (Ok(3), Ok(4), Ok(5)));
}

/// A blocked receiver is woken for a message that another one returns.
#[test]
fn a_returned_message_wakes_a_receiver() {
    let name = Name::new();
    let tx: mpmc::Sender<u64> = name.options().open().expect("open");
    let (returns, waits): (mpmc::Receiver<u64>, mpmc::Receiver<u64>) =
        (name.options().attach().expect("attach"), name.options().attach().expect("attach"));
    tx.send(&7).expect("room");
    let guard = returns.recv_ref().expect("a message");
    let waiting = std::thread::spawn(move || Return::of(|| waits.recv_timeout(LONG)));
    std::thread::sleep(Duration::from_millis(50));
    let since = now_ns();
    drop(guard);
    let (got, woken) = waiting.join().expect("no panic");
    assert_eq!(got, Ok(7));
    // A receiver that is not woken polls after a fifth of a second.
    let late = woken.after(since);
    assert!(late < Duration::from_millis(150), "after {late:?}");
}

/// A policy with a limit of deliveries is a choice by name.
#[test]
fn discarding_is_a_choice<F: TakingFlavor>() {
    let name = Name::new();
    let options = || name.options().redelivery(Redelivery::Discard { after: 2 });
    let mut tx: F::Sender<u64> = options().open().expect("open");
    let mut rx: F::Receiver<u64> = options().attach().expect("attach");
    tx.try_send_batch(&[&1, &2]).expect("room");
    drop(rx.try_recv_ref().expect("first"));
    drop(rx.try_recv_ref().expect("second"));
    assert_eq!(rx.try_recv(), Ok(2));
    assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    let stat = rx.stat().expect("stat");
    assert_eq!((stat.poisoned, stat.last_poisoned, stat.redelivered), (1, Some(0), 1));
    assert_eq!((tx.len(), tx.is_empty()), (0, true));
    // At most once, also with a guard.
    let name = Name::new();
    let options = || name.options().redelivery(Redelivery::Never);
    let mut tx: F::Sender<u64> = options().open().expect("open");
    let mut rx: F::Receiver<u64> = options().attach().expect("attach");
    tx.try_send_batch(&[&1, &2]).expect("room");
    drop(rx.try_recv_ref().expect("first"));
    assert_eq!(rx.try_recv(), Ok(2));
    assert_eq!(rx.stat().expect("stat").dropped, 1);
}

/// Receives one message of an SPSC channel in place, and reports it, or waits where there is none.
#[work]
fn hold_one(args: &mut Args) {
    let name: String = args.next();
    let mut rx: spsc::Receiver<u64> = Options::named(name).attach().expect("attach");
    match rx.try_recv_ref() {
        Ok(guard) => {
            print_line(guard.delivery_count());
            read_line();
        }
        Err(error) => {
            print_line(format!("{error:?}"));
            read_line();
        }
    }
}

/// With a limit, only the death of a receiver that had begun counts.
#[test]
fn a_death_counts_what_was_delivered() {
    let name = Name::new();
    let options = || name.options().redelivery(Redelivery::Discard { after: 2 });
    let mut tx: spsc::Sender<u64> = options().open().expect("open");
    let hold = |expected: &str| {
        let mut holder = Worker::start(&[&"acknowledgement::hold_one", &name]).expect("start");
        holder.expect(expected);
        holder
    };
    for _ in 0..3 {
        hold("Empty").kill_and_wait().expect("kill");
    }
    tx.send(&7).expect("room");
    hold("1").kill_and_wait().expect("kill");
    hold("2").kill_and_wait().expect("kill");
    hold("Empty").kill_and_wait().expect("kill");
    let stat = tx.stat().expect("stat");
    assert_eq!((stat.poisoned, stat.redelivered, stat.depth), (1, 1, 0));
}

/// A forgotten guard of an SPSC channel returns its message, and keeps no slot.
#[test]
fn a_handle_works_after_many_forgotten_guards() {
    let name = Name::new();
    let (mut tx, mut rx) = name.pair::<u64>(4);
    for n in 0..100 {
        tx.try_send(&n).expect("room");
        std::mem::forget(rx.recv_ref().expect("a message"));
        assert_eq!(rx.recv(), Ok(n));
    }
    assert_eq!(tx.try_loan().map(|loan| loan.commit()).err(), None::<SendError>);
    assert_eq!(tx.stat().expect("stat").flavor, Flavor::Spsc);
}
