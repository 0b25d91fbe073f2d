//! Slots that become free without an acknowledgement, or by one out of order: a sender that is
//! parked for one is woken at once, and does not wait for its next poll.

use std::os::unix::process::parent_id;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::thread;
use std::time::Duration;

use sysvring::{Options, RecvError, Redelivery, Wait, mpmc, untyped};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{WAKE_RECEIVERS, WAKE_SENDERS};
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters, until};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{raw_ipc, test, work};

/// Well below the interval at which a parked waiter polls.
const SOON: Duration = Duration::from_millis(90);
const LONG: Duration = Duration::from_secs(20);
const ROUNDS: u64 = 8;

fn options(name: &str, capacity: usize) -> Options {
    Options::named(name).capacity(capacity).max_members(8).wait(Wait::Park)
}

fn set_of<T: sysvring::Message>(tx: &mpmc::Sender<T>) -> i32 {
    tx.stat().expect("stat").set.expect("a set").id
}

/// Keeps a seat until both senders of this round have sent, because leaving would wake the other
/// one.
fn stay(sent: &AtomicU64, round: u64) {
    sent.fetch_add(1, AcqRel);
    until(|| sent.load(Acquire) >= 2 * round + 2);
}

#[test]
fn a_dropped_loan_wakes_a_sender() {
    Worker::run(&[&"freed_slots::drop_loans", &Name::new()]);
}

/// The only slot is loaned. Another process is parked for it, and sends.
#[work]
fn drop_loans(args: &mut Args) {
    let name: String = args.next();
    let tx: mpmc::Sender<u64> = options(&name, 1).open().expect("open");
    let set = set_of(&tx);
    let [dropped_at, lent] = shared_counters::<2>();
    let sender = Fork::start(|| {
        let tx: mpmc::Sender<u64> = options(&name, 1).attach().expect("attach");
        let mut watch = Watch::start(&[]);
        for n in 0..ROUNDS {
            until(|| lent.load(Acquire) == n + 1);
            watch.restart();
            tx.send(&n).expect("send");
            // Reported afterwards, so that delays of the parent do not count.
            until(|| dropped_at.load(Acquire) != 0);
            watch.must_be_within(SOON, dropped_at.swap(0, AcqRel));
        }
    });
    let rx: mpmc::Receiver<u64> = options(&name, 1).attach().expect("attach");
    for n in 0..ROUNDS {
        let loan = tx.loan_timeout(LONG).expect("a slot");
        lent.store(n + 1, Release);
        until(|| raw_ipc::waiting(set, WAKE_SENDERS) == 1);
        drop(loan);
        dropped_at.store(now_ns(), Release);
        // Not before: a receiver would step over the slot, and wake.
        until(|| tx.len() == 1);
        assert_eq!(rx.recv_timeout(LONG), Ok(n));
    }
    sender.finish();
}

#[test]
fn a_discarded_message_wakes_a_sender() {
    Worker::run(&[&"freed_slots::discard", &Name::new(), &false]);
}

#[test]
fn a_message_discarded_as_poison_wakes_a_sender() {
    Worker::run(&[&"freed_slots::discard", &Name::new(), &true]);
}

/// The only slot has a message whose receiver is killed. It is not delivered again, and a sender is
/// parked.
#[work]
fn discard(args: &mut Args) {
    let (name, limit): (String, bool) = (args.next(), args.next());
    let redelivery = if limit { Redelivery::Discard { after: 1 } } else { Redelivery::Never };
    let options = || options(&name, 1).redelivery(redelivery);
    let tx: mpmc::Sender<u64> = options().open().expect("open");
    let set = set_of(&tx);
    let [killed_at, held] = shared_counters::<2>();
    for round in 0..ROUNDS {
        tx.send(&round).expect("send");
        let mut holder = Fork::start(|| {
            let rx: mpmc::Receiver<u64> = options().attach().expect("attach");
            let _guard = rx.recv_ref().expect("a message");
            held.store(round + 1, Release);
            std::thread::sleep(LONG);
        });
        until(|| held.load(Acquire) == round + 1);
        let sender = Fork::start(|| {
            let tx: mpmc::Sender<u64> = options().attach().expect("attach");
            let watch = Watch::start(&[parent_id()]);
            tx.send(&(100 + round)).expect("send");
            watch.must_be_within(SOON, killed_at.load(Acquire));
        });
        let receiver = Fork::start(|| {
            let rx: mpmc::Receiver<u64> = options().attach().expect("attach");
            assert_eq!(rx.recv_timeout(LONG), Ok(100 + round));
        });
        until(|| {
            raw_ipc::waiting(set, WAKE_SENDERS) == 1 && raw_ipc::waiting(set, WAKE_RECEIVERS) == 1
        });
        killed_at.store(now_ns(), Release);
        holder.kill_and_wait();
        sender.finish();
        receiver.finish();
    }
}

#[test]
fn a_step_over_a_dropped_loan_wakes_a_sender() {
    Worker::run(&[&"freed_slots::step_over", &Name::new()]);
}

/// Four slots: a message, an abandoned claim, and two messages. A sender is parked. A receiver takes
/// the first message, and steps over the claim to the next one: now the sender can step over the
/// first slot, to the second.
#[work]
fn step_over(args: &mut Args) {
    let name: String = args.next();
    let tx: mpmc::Sender<u64> = options(&name, 4).open().expect("open");
    let rx: mpmc::Receiver<u64> = options(&name, 4).attach().expect("attach");
    let set = set_of(&tx);
    let [stepped_at] = shared_counters::<1>();
    for _ in 0..ROUNDS {
        tx.send(&0).expect("send");
        let loan = tx.loan().expect("a slot");
        [1, 2].iter().for_each(|n| tx.send(n).expect("send"));
        drop(loan);
        let sender = Fork::start(|| {
            let tx: mpmc::Sender<u64> = options(&name, 4).attach().expect("attach");
            let watch = Watch::start(&[parent_id()]);
            tx.send(&3).expect("send");
            watch.must_be_within(SOON, stepped_at.load(Acquire));
        });
        until(|| raw_ipc::waiting(set, WAKE_SENDERS) == 1);
        stepped_at.store(now_ns(), Release);
        // Held, so that no acknowledgement wakes.
        let held = [0, 1].map(|n| {
            let guard = rx.recv_ref().expect("a message");
            assert_eq!(*guard, n);
            guard
        });
        sender.finish();
        held.into_iter().for_each(|guard| guard.ack().expect("acknowledged"));
        assert_eq!([2, 3].map(|_| rx.recv_timeout(LONG)), [Ok(2), Ok(3)]);
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    }
}

#[test]
fn a_message_that_is_taken_and_held_wakes_a_sender() {
    Worker::run(&[&"freed_slots::take_and_hold", &Name::new(), &false]);
}

#[test]
fn a_message_that_an_untyped_receiver_holds_wakes_a_sender() {
    Worker::run(&[&"freed_slots::take_and_hold", &Name::new(), &true]);
}

/// A slot is free behind a message that no receiver took, so that a sender is parked. Then a
/// receiver takes the message and holds it, and the sender steps over it.
#[work]
fn take_and_hold(args: &mut Args) {
    let (name, is_untyped): (String, bool) = (args.next(), args.next());
    for round in 0..ROUNDS {
        let tx: mpmc::Sender<u64> = options(&name, 4).open().expect("open");
        let rx: mpmc::Receiver<u64> = options(&name, 4).attach().expect("attach");
        let mut bytes: untyped::Receiver = options(&name, 4).attach().expect("attach");
        let set = set_of(&tx);
        let [taken_at] = shared_counters::<1>();
        tx.send(&0).expect("send");
        let loan = tx.loan().expect("a slot");
        (2..4).for_each(|n| tx.send(&n).expect("send"));
        drop(loan);
        let sender = Fork::start(|| {
            let tx: mpmc::Sender<u64> = options(&name, 4).attach().expect("attach");
            let watch = Watch::start(&[parent_id()]);
            tx.send(&4).expect("send");
            watch.must_be_within(SOON, taken_at.load(Acquire));
        });
        until(|| raw_ipc::waiting(set, WAKE_SENDERS) == 1);
        taken_at.store(now_ns(), Release);
        if is_untyped {
            let held = bytes.recv_ref().expect("a message");
            sender.finish();
            held.ack().expect("acknowledged");
        } else {
            let held = rx.recv_ref().expect("a message");
            sender.finish();
            held.ack().expect("acknowledged");
        }
        let rest: Vec<u64> = (0..3).map(|_| rx.recv_timeout(LONG).expect("a message")).collect();
        assert_eq!(rest, [2, 3, 4], "round {round}");
        drop((tx, rx, bytes));
        sysvring::remove(&*name).expect("removed");
    }
}

#[test]
fn a_forgotten_loan_wakes_a_sender() {
    Worker::run(&[&"freed_slots::forget", &Name::new()]);
}

/// A claim that a member forgot is abandoned when it leaves: two senders are parked, and both
/// continue.
#[work]
fn forget(args: &mut Args) {
    let name: String = args.next();
    let tx: mpmc::Sender<u64> = options(&name, 2).open().expect("open");
    let rx: mpmc::Receiver<u64> = options(&name, 2).attach().expect("attach");
    let set = set_of(&tx);
    let [dropped_at, sent] = shared_counters::<2>();
    for round in 0..ROUNDS {
        let forgetful: mpmc::Sender<u64> = options(&name, 2).attach().expect("attach");
        for _ in 0..2 {
            std::mem::forget(forgetful.loan().expect("a slot"));
        }
        let senders = [1, 2].map(|n| {
            Fork::start(|| {
                let tx: mpmc::Sender<u64> = options(&name, 2).attach().expect("attach");
                let watch = Watch::start(&[parent_id()]);
                tx.send(&n).expect("send");
                watch.must_be_within(SOON, dropped_at.load(Acquire));
                stay(sent, round);
            })
        });
        until(|| raw_ipc::waiting(set, WAKE_SENDERS) == 2);
        dropped_at.store(now_ns(), Release);
        drop(forgetful);
        senders.into_iter().for_each(Fork::finish);
        for _ in 0..2 {
            rx.recv_timeout(LONG).expect("a message");
        }
    }
}

/// The receiver whose message makes half of the ring free keeps that message, and others
/// acknowledge.
#[test]
fn an_unacknowledged_message_keeps_no_sender_parked() {
    const SLOTS: u64 = 128;
    let name = Name::new();
    let open = || options(name.as_str(), SLOTS as usize);
    for more in [1, 14, 15] {
        let tx: mpmc::Sender<u64> = open().open().expect("open");
        let [one, other] =
            [(); 2].map(|()| open().attach::<mpmc::Receiver<u64>>().expect("attach"));
        let set = set_of(&tx);
        (0..SLOTS).for_each(|n| tx.send(&n).expect("send"));
        thread::scope(|scope| {
            let sender = scope.spawn(|| tx.send(&SLOTS).map(|()| now_ns()));
            until(|| raw_ipc::waiting(set, WAKE_SENDERS) == 1);
            (0..SLOTS / 2 - 1).for_each(|n| assert_eq!(other.recv(), Ok(n)));
            let guard = one.recv_ref().expect("a message");
            let watch = Watch::start(&[]);
            (0..more).for_each(|n| assert_eq!(other.recv(), Ok(SLOTS / 2 + n)));
            let since = now_ns();
            let woken_at = sender.join().expect("no panic").expect("sent");
            let late = Duration::from_nanos(woken_at.saturating_sub(since));
            let late = late.saturating_sub(watch.allowance());
            assert!(late < SOON, "with {more} more: woken after {late:?}");
            guard.ack().expect("acknowledged");
        });
        sysvring::remove(name.as_str()).expect("removed");
    }
}

#[test]
fn an_acknowledgement_out_of_order_wakes_a_sender() {
    Worker::run(&[&"freed_slots::out_of_turn", &Name::new()]);
}

/// Every slot is held. One of them is acknowledged, of any position: the sender that is parked steps
/// over the others.
#[work]
fn out_of_turn(args: &mut Args) {
    const SLOTS: u64 = 128;
    let name: String = args.next();
    let open = || options(&name, SLOTS as usize);
    let tx: mpmc::Sender<u64> = open().open().expect("open");
    let rx: mpmc::Receiver<u64> = open().attach().expect("attach");
    let set = set_of(&tx);
    for nth in [0, 3, 15, 127] {
        let [acknowledged_at] = shared_counters::<1>();
        (0..SLOTS).for_each(|n| tx.send(&n).expect("send"));
        let mut held: Vec<_> = (0..SLOTS).map(|_| rx.recv_ref().expect("a message")).collect();
        let sender = Fork::start(|| {
            let tx: mpmc::Sender<u64> = open().attach().expect("attach");
            let watch = Watch::start(&[parent_id()]);
            tx.send(&SLOTS).expect("send");
            until(|| acknowledged_at.load(Acquire) != 0);
            watch.must_be_within(SOON, acknowledged_at.load(Acquire));
        });
        until(|| raw_ipc::waiting(set, WAKE_SENDERS) == 1);
        held.remove(nth).ack().expect("acknowledged");
        acknowledged_at.store(now_ns(), Release);
        sender.finish();
        assert_eq!(rx.recv_timeout(LONG), Ok(SLOTS));
        held.into_iter().for_each(|guard| guard.ack().expect("acknowledged"));
    }
}
