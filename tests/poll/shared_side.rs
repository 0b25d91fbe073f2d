//! Several members of one side that wait in sets: one message wakes one of them, several messages as
//! many, and a member that does not follow its ring passes it on.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;
use std::{mem, thread};

use sysvring::{Options, RecvError, SendError, WaitSet, mpmc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters, until, until_at_least};
use sysvring_support::stopwatch::PROMPT;
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::{LONG, NOW, is_readable, tokens, wait};

const MEMBERS: usize = 4;
const ROUNDS: u64 = if cfg!(debug_assertions) { 100 } else { 400 };

/// What the members of a side count.
struct Counts {
    joined: &'static AtomicU64,
    /// How often a wait returned.
    woken: &'static AtomicU64,
    received: &'static AtomicU64,
    /// How often a member found nothing, and is about to wait.
    idle: &'static AtomicU64,
}

impl Counts {
    fn new() -> Counts {
        let [joined, woken, received, idle] = shared_counters::<4>().each_ref();
        Counts { joined, woken, received, idle }
    }
}

/// Receives by waits until the end, and takes this long for a message.
fn receive(options: &Options, counts: &Counts, work: Duration) {
    let rx: mpmc::Receiver<u64> = options.clone().attach().expect("attach");
    let set = WaitSet::new().expect("a set");
    set.add(&rx).expect("added");
    counts.joined.fetch_add(1, Release);
    loop {
        match rx.try_recv() {
            Ok(_) => {
                counts.received.fetch_add(1, Release);
                thread::sleep(work);
            }
            Err(RecvError::Empty) => {
                counts.idle.fetch_add(1, Release);
                assert!(!wait(&set, LONG).is_empty(), "it is never woken");
                counts.woken.fetch_add(1, Release);
            }
            Err(RecvError::Disconnected) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[work]
fn herd(args: &mut Args) {
    let options = Options::named(args.next::<String>()).capacity(16);
    let tx: mpmc::Sender<u64> = options.clone().open().expect("open");
    let counts = Counts::new();
    let start = || Fork::start(|| receive(&options, &counts, Duration::ZERO));
    let members: Vec<Fork> = (0..MEMBERS).map(|_| start()).collect();
    until_at_least(counts.joined, MEMBERS as u64);
    members.iter().for_each(Fork::wait_asleep);
    let before = counts.woken.load(Acquire);
    for n in 1..=ROUNDS {
        let idle = counts.idle.load(Acquire);
        tx.send(&n).expect("room");
        until_at_least(counts.received, n);
        until(|| counts.idle.load(Acquire) > idle);
    }
    members.iter().for_each(Fork::wait_asleep);
    let woken = counts.woken.load(Acquire) - before;
    eprintln!("{ROUNDS} messages for {MEMBERS} waiting processes: {woken} wake-ups");
    assert!((ROUNDS..=ROUNDS + ROUNDS / 10).contains(&woken), "{woken}");
    drop(tx);
    members.into_iter().for_each(Fork::finish);
}

#[test(quiet)]
fn one_message_wakes_one_member() {
    Worker::run(&[&"shared_side::herd", &Name::new()]);
}

/// While each message takes long, a batch keeps as many members busy.
#[work]
fn batch(args: &mut Args) {
    let options = Options::named(args.next::<String>()).capacity(16);
    let tx: mpmc::Sender<u64> = options.clone().open().expect("open");
    let counts = Counts::new();
    let work = Duration::from_millis(150);
    let start = || Fork::start(|| receive(&options, &counts, work));
    let members: Vec<Fork> = (0..MEMBERS).map(|_| start()).collect();
    until_at_least(counts.joined, MEMBERS as u64);
    for round in 0..5 {
        members.iter().for_each(Fork::wait_asleep);
        let (received, n) = (counts.received.load(Acquire), 1 + round % MEMBERS as u64);
        let woken = counts.woken.load(Acquire);
        let (watch, since) = (Watch::start(&[]), now_ns());
        tx.send_batch(&vec![0; n as usize]).expect("room");
        until_at_least(counts.received, received + n);
        watch.must_be_within(work / 2, since);
        // The last one may find that the ring that it was passed has nothing left for it.
        thread::sleep(work * 2);
        let woken = counts.woken.load(Acquire) - woken;
        assert!((n..=n + 1).contains(&woken), "{n} messages woke {woken} members");
    }
    drop(tx);
    members.into_iter().for_each(Fork::finish);
}

#[test(quiet)]
fn a_batch_wakes_as_many_members_as_it_has_messages() {
    Worker::run(&[&"shared_side::batch", &Name::new()]);
}

/// The senders of a full ring are woken as there is room, each by the one before.
#[work]
fn room(args: &mut Args) {
    const EACH: u64 = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
    let options = Options::named(args.next::<String>()).capacity(8);
    let rx: mpmc::Receiver<u64> = options.clone().open().expect("open");
    let members: Vec<Fork> = (0..MEMBERS)
        .map(|_| {
            Fork::start(|| {
                let tx: mpmc::Sender<u64> = options.clone().attach().expect("attach");
                let set = WaitSet::new().expect("a set");
                set.add(&tx).expect("added");
                for n in 0..EACH {
                    while let Err(error) = tx.try_send(&n) {
                        // Another one may be writing in the slot.
                        let waits = matches!(error, SendError::Full | SendError::Behind { .. });
                        assert!(waits, "{error}");
                        assert!(!wait(&set, LONG).is_empty(), "it stays full");
                    }
                }
            })
        })
        .collect();
    // The first one must not be the last that leaves. Until then, the ring stays full.
    until(|| rx.stat().expect("stat").joins as usize == MEMBERS + 1);
    let mut sum = 0;
    for n in 0..EACH * MEMBERS as u64 {
        sum += rx.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|e| panic!("{n}: {e}"));
    }
    assert_eq!(sum, MEMBERS as u64 * EACH * (EACH - 1) / 2);
    members.into_iter().for_each(Fork::finish);
}

#[test]
fn several_senders_wait_for_room() {
    Worker::run(&[&"shared_side::room", &Name::new()]);
}

type Waiting = (WaitSet, sysvring::Token, Option<mpmc::Receiver<u64>>);

/// What a member does instead of following its ring.
const LEAVING: [fn(&mut Vec<Waiting>, usize); 4] = [
    |members, n| assert!(members[n].0.remove(members[n].1)),
    |members, n| drop(members[n].2.take()),
    |members, n| drop(mem::replace(&mut members[n].0, WaitSet::new().expect("a set"))),
    |members, n| members[n].2.take().expect("a handle").close().expect("closed"),
];

#[test]
fn a_member_that_was_rung_and_leaves_passes_it_on() {
    for (how, leave) in LEAVING.iter().enumerate() {
        for has_waited in [false, true] {
            let name = Name::new();
            let tx: mpmc::Sender<u64> = name.options().capacity(4).open().expect("open");
            let mut members: Vec<_> = (0..3)
                .map(|_| {
                    let rx: mpmc::Receiver<u64> = name.options().attach().expect("attach");
                    let set = WaitSet::new().expect("a set");
                    let token = set.add(&rx).expect("added");
                    (set, token, Some(rx))
                })
                .collect();
            for (set, _, rx) in &members {
                let rx = rx.as_ref().expect("a handle");
                assert_eq!(rx.try_recv(), Err(RecvError::Empty));
                assert!(!is_readable(set, Duration::ZERO));
            }
            tx.send(&1).expect("room");
            let rung = || -> Vec<usize> {
                (0..3).filter(|n| is_readable(&members[*n].0, Duration::ZERO)).collect()
            };
            let first = rung();
            assert_eq!(first.len(), 1, "one of them");
            if has_waited {
                assert_eq!(tokens(&members[first[0]].0, NOW).len(), 1);
            }
            let (watch, since) = (Watch::start(&[]), now_ns());
            leave(&mut members, first[0]);
            let others: Vec<usize> = (0..3).filter(|n| *n != first[0]).collect();
            until(|| others.iter().any(|n| is_readable(&members[*n].0, Duration::ZERO)));
            watch.must_be_within(PROMPT, since);
            let next = others.iter().find(|n| is_readable(&members[**n].0, Duration::ZERO));
            let (set, token, rx) = &members[*next.expect("one")];
            assert_eq!(tokens(set, NOW), [*token], "{how}");
            assert_eq!(rx.as_ref().expect("a handle").try_recv(), Ok(1), "{how}");
        }
    }
}

/// One receiver is parked on the semaphore, and one waits in a set: both are woken, and nothing is
/// lost between them.
#[work]
fn mixed(args: &mut Args) {
    const MESSAGES: u64 = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
    let options = Options::named(args.next::<String>()).capacity(8);
    let tx: mpmc::Sender<u64> = options.clone().open().expect("open");
    let counts = Counts::new();
    let in_a_set = Fork::start(|| receive(&options, &counts, Duration::ZERO));
    let parked = Fork::start(|| {
        let rx: mpmc::Receiver<u64> = options.clone().attach().expect("attach");
        counts.joined.fetch_add(1, Release);
        loop {
            match rx.recv_timeout(Duration::from_secs(20)) {
                Ok(_) => _ = counts.received.fetch_add(1, Release),
                Err(RecvError::Disconnected) => return,
                Err(error) => panic!("{error}"),
            }
        }
    });
    until_at_least(counts.joined, 2);
    let mut watch = Watch::start(&[]);
    for n in 1..=MESSAGES {
        watch.restart();
        let since = now_ns();
        tx.send(&n).expect("room");
        if n % 3 != 0 {
            until_at_least(counts.received, n);
            watch.must_be_within(PROMPT, since);
        }
        if n % 200 == 0 {
            in_a_set.wait_asleep();
            parked.wait_asleep();
        }
    }
    until(|| counts.received.load(Relaxed) == MESSAGES);
    drop(tx);
    in_a_set.finish();
    parked.finish();
}

#[test]
fn a_parked_member_and_one_in_a_set_share_a_side() {
    Worker::run(&[&"shared_side::mixed", &Name::new()]);
}

/// The one in the set is killed before it follows its ring: the other one is told by its death.
#[work]
fn killed_with_a_ring(args: &mut Args) {
    let options = Options::named(args.next::<String>()).capacity(8);
    let tx: mpmc::Sender<u64> = options.clone().open().expect("open");
    for _ in 0..20 {
        let [armed, received] = shared_counters::<2>();
        let start = |follows: bool| {
            let (options, own) = (&options, armed.load(Acquire));
            let fork = Fork::start(|| {
                let rx: mpmc::Receiver<u64> = options.clone().attach().expect("attach");
                let set = WaitSet::new().expect("a set");
                set.add(&rx).expect("added");
                assert_eq!(rx.try_recv(), Err(RecvError::Empty));
                armed.fetch_add(1, Release);
                if !follows {
                    thread::sleep(Duration::from_secs(20));
                }
                while rx.try_recv() == Err(RecvError::Empty) {
                    wait(&set, LONG);
                }
                received.store(1, Release);
            });
            until_at_least(armed, own + 1);
            fork
        };
        let mut deaf = start(false);
        let follower = start(true);
        follower.wait_asleep();
        tx.send(&1).expect("room");
        let (watch, since) = (Watch::start(&[]), now_ns());
        deaf.kill_and_wait();
        until_at_least(received, 1);
        watch.must_be_within(PROMPT, since);
        follower.finish();
    }
}

#[test]
fn a_ring_of_a_killed_member_is_not_lost() {
    Worker::run(&[&"shared_side::killed_with_a_ring", &Name::new()]);
}
