//! No wake-up is lost. A parked waiter polls only every 200 milliseconds: one that waits that long
//! for something that is there was not woken.

use std::os::unix::process::parent_id;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use sysvring::spsc::{Receiver, Sender};
use sysvring::{Options, Peer, Wait};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::raw_ipc::{WAKE_RECEIVERS, WAKE_SENDERS};
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters, until};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{raw_ipc, seccomp_errno, test, work};

/// Longer than any wake-up, and shorter than the interval at which a parked waiter polls.
const SLICE: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(20);

fn without_membarrier(yes: bool) {
    if yes {
        seccomp_errno::fail(&[libc::SYS_membarrier], libc::EPERM).expect("a filter");
    }
}

fn wake(without: [bool; 2]) {
    for capacity in [1, 4] {
        let name = Name::new();
        Worker::run(&[&"wake_ups::wake_each_other", &name, &capacity, &without[0], &without[1]]);
    }
}

#[test]
fn parked_waiters_are_woken() {
    wake([false, false]);
}

#[test]
fn parked_waiters_are_woken_without_membarrier_of_the_sender() {
    wake([true, false]);
}

#[test]
fn parked_waiters_are_woken_without_membarrier_of_the_receiver() {
    wake([false, true]);
}

#[test]
fn parked_waiters_are_woken_without_any_membarrier() {
    wake([true, true]);
}

/// Two processes that park whenever they have nothing to do, at random moments: sometimes the ring
/// is empty, sometimes full.
#[work]
fn wake_each_other(args: &mut Args) {
    const MESSAGES: u64 = 2_000;
    let (name, capacity): (String, usize) = (args.next(), args.next());
    let (sender_without, receiver_without): (bool, bool) = (args.next(), args.next());
    let options = || Options::named(&name).capacity(capacity).wait(Wait::Park);
    let [received_at] = shared_counters::<1>();
    let sender = Fork::start(|| {
        without_membarrier(sender_without);
        let mut tx: Sender<u64> = options().open().expect("open");
        tx.wait_for_peer(LONG).expect("a receiver");
        let Ok(Peer::Present { pid: peer }) = tx.peer() else { panic!("it left") };
        let (mut rng, mut watch) = (Rng::new(), Watch::start(&[peer]));
        for n in 0..MESSAGES {
            rest(&mut rng, n);
            watch.restart();
            let started = now_ns();
            tx.send(&now_ns()).expect("send");
            watch.must_be_within(SLICE, started.max(received_at.load(Acquire)));
        }
    });
    let receiver = Fork::start(|| {
        without_membarrier(receiver_without);
        let mut rx: Receiver<u64> = options().open().expect("open");
        rx.wait_for_peer(LONG).expect("a sender");
        let Ok(Peer::Present { pid: peer }) = rx.peer() else { panic!("it left") };
        let (mut rng, mut watch) = (Rng::new(), Watch::start(&[peer]));
        for n in 0..MESSAGES {
            rest(&mut rng, n + MESSAGES / 8);
            watch.restart();
            let started = now_ns();
            let sent_at = rx.recv().expect("a message");
            watch.must_be_within(SLICE, started.max(sent_at));
            received_at.store(now_ns(), Release);
        }
    });
    sender.finish();
    receiver.finish();
    let stat = sysvring::stat(&*name).expect("stat");
    for member in &stat.members {
        assert!(member.parks > MESSAGES / 20, "{} slept only {}", member.role, member.parks);
        assert!(member.wakes > MESSAGES / 20, "{} woke only {}", member.role, member.wakes);
    }
}

/// Pauses for a random time. One side is slow for a while, then the other.
fn rest(rng: &mut Rng, n: u64) {
    match n / 250 % 2 {
        0 => rng.pause(19),
        _ => rng.pause(8),
    }
}

#[test]
fn a_later_member_without_membarrier_is_woken() {
    Worker::run(&[&"wake_ups::come_later", &Name::new()]);
}

/// A sender whose receiver had membarrier gets one without it, and the reverse.
#[work]
fn come_later(args: &mut Args) {
    let name: String = args.next();
    let options = || Options::named(&name).wait(Wait::Park);
    let mut tx: Sender<u64> = options().open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    for round in 0..20 {
        let receiver = Fork::start(|| {
            without_membarrier(round % 2 == 1);
            let mut rx: Receiver<u64> = options().open().expect("open");
            let mut watch = Watch::start(&[parent_id()]);
            for _ in 0..20 {
                watch.restart();
                let sent_at = rx.recv().expect("a message");
                watch.must_be_within(SLICE, sent_at);
            }
        });
        for _ in 0..20 {
            until(|| raw_ipc::waiting(set, WAKE_RECEIVERS) == 1);
            tx.send(&now_ns()).expect("send");
        }
        receiver.finish();
    }
}

#[test]
fn every_kind_of_sending_wakes() {
    Worker::run(&[&"wake_ups::wake_by_sending", &Name::new()]);
}

/// A receiver is parked before each message.
#[work]
fn wake_by_sending(args: &mut Args) {
    let name: String = args.next();
    let ways: [fn(&mut Sender<u64>); 6] = [
        |tx| tx.send(&now_ns()).expect("send"),
        |tx| tx.try_send(&now_ns()).expect("send"),
        |tx| tx.send_timeout(&now_ns(), LONG).expect("send"),
        |tx| tx.send_batch(&[now_ns(); 1]).expect("send"),
        |tx| tx.try_send_batch(&[now_ns(); 1]).expect("send"),
        |tx| {
            let mut loan = tx.loan().expect("room");
            *loan = now_ns();
            loan.commit().expect("committed");
        },
    ];
    let [left_at] = shared_counters::<1>();
    let mut tx: Sender<u64> = Options::named(&name).open().expect("open");
    let set = tx.stat().expect("stat").set.expect("a set").id;
    let receiver = Fork::start(|| {
        let mut rx: Receiver<u64> = Options::named(&name).wait(Wait::Park).open().expect("open");
        let mut watch = Watch::start(&[parent_id()]);
        while let Ok(sent_at) = rx.recv() {
            watch.must_be_within(SLICE, sent_at);
            watch.restart();
        }
        watch.must_be_within(SLICE, left_at.load(Acquire));
    });
    for way in ways.iter().cycle().take(10 * ways.len()) {
        until(|| tx.is_empty() && raw_ipc::waiting(set, WAKE_RECEIVERS) == 1);
        way(&mut tx);
    }
    // Leaving wakes, too.
    until(|| tx.is_empty() && raw_ipc::waiting(set, WAKE_RECEIVERS) == 1);
    left_at.store(now_ns(), Release);
    drop(tx);
    receiver.finish();
}

#[test]
fn every_kind_of_receiving_wakes() {
    Worker::run(&[&"wake_ups::wake_by_receiving", &Name::new()]);
}

/// A sender is parked before each slot becomes free.
#[work]
fn wake_by_receiving(args: &mut Args) {
    let name: String = args.next();
    let ways: [fn(&mut Receiver<u64>); 6] = [
        |rx| _ = rx.recv().expect("a message"),
        |rx| _ = rx.try_recv().expect("a message"),
        |rx| drop(rx.recv_boxed().expect("a message")),
        |rx| rx.recv_ref().expect("a message").ack().expect("acknowledged"),
        |rx| _ = rx.recv_batch(&mut Vec::new(), 5).expect("a message"),
        |rx| _ = rx.iter().next(),
    ];
    let [sent, left_at] = shared_counters::<2>();
    let options = || Options::named(&name).capacity(1).wait(Wait::Park);
    let mut rx: Receiver<u64> = options().open().expect("open");
    let set = rx.stat().expect("stat").set.expect("a set").id;
    let sender = Fork::start(|| {
        let mut tx: Sender<u64> = options().open().expect("open");
        let mut watch = Watch::start(&[parent_id()]);
        while tx.send(&0).is_ok() {
            watch.restart();
            sent.store(tx.position(), Release);
        }
        watch.must_be_within(SLICE, left_at.load(Acquire));
    });
    let mut watch = Watch::start(&[sender.pid()]);
    for way in ways.iter().cycle().take(10 * ways.len()) {
        until(|| rx.is_full() && raw_ipc::waiting(set, WAKE_SENDERS) == 1);
        watch.restart();
        let (before, freed_at) = (sent.load(Acquire), now_ns());
        way(&mut rx);
        until(|| sent.load(Acquire) > before);
        watch.must_be_within(SLICE, freed_at);
    }
    until(|| rx.is_full() && raw_ipc::waiting(set, WAKE_SENDERS) == 1);
    left_at.store(now_ns(), Release);
    drop(rx);
    sender.finish();
}

#[test]
fn a_blocked_sender_is_woken_for_half_a_ring() {
    Worker::run(&[&"wake_ups::free_slot_by_slot", &Name::new()]);
}

/// A sender stays parked while slots become free one by one, and is woken when half of them are:
/// one wake-up for many messages, before the receiver runs dry.
#[work]
fn free_slot_by_slot(args: &mut Args) {
    const CAPACITY: u64 = 8;
    let name: String = args.next();
    let [sent] = shared_counters::<1>();
    let mut rx: Receiver<u64> =
        Options::named(&name).capacity(CAPACITY as usize).open().expect("open");
    let set = rx.stat().expect("stat").set.expect("a set").id;
    let sender = Fork::start(|| {
        let mut tx: Sender<u64> = Options::named(&name).wait(Wait::Park).open().expect("open");
        loop {
            tx.send(&0).expect("send");
            sent.store(tx.position(), Release);
        }
    });
    let (mut awake, mut watch) = (now_ns(), Watch::start(&[sender.pid()]));
    for round in 0..50 {
        until(|| rx.is_full() && raw_ipc::waiting(set, WAKE_SENDERS) == 1);
        let full = sent.load(Acquire);
        for _ in 0..CAPACITY / 2 - 1 {
            rx.recv().expect("a message");
        }
        if round % 10 == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Unless its own poll was due meanwhile.
        if now_ns() - awake < SLICE.as_nanos() as u64 {
            assert_eq!(sent.load(Acquire), full, "woken for less than half a ring");
        }
        watch.restart();
        awake = now_ns();
        rx.recv().expect("a message");
        until(|| sent.load(Acquire) > full);
        watch.must_be_within(SLICE, awake);
    }
}
