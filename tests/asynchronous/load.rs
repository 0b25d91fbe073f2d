//! Processes that send and receive in tasks under load, drop futures at any poll, and are killed.
//!
//! Every message has a number and a counter in memory that outlives the processes. Receivers work
//! under guards: a message is counted, and then acknowledged. At the end, every message whose
//! sending returned was counted, and none twice unless it was marked as delivered again.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sysvring::{Member, Options, RecvError, Role, SendError, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::allowance;
use sysvring_support::shared_counters::{now_ns, shared_counters, until};
use sysvring_support::stopwatch::goes_on;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{test, work};

use crate::executor::{Abandon, LONG, PLACES, Place, run_for_ever};

/// The numbers that one sender may use.
const NUMBERS: usize = 1 << 20;
const SENDERS: usize = 3;
const RECEIVERS: usize = 3;
/// Tasks of each process that share its handle.
const TASKS: usize = 4;
/// How long each load runs, at least.
const TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_600 } else { 6_000 });
/// The minimum number of messages. A busy host takes longer for them.
const ENOUGH: u64 = 500;
/// The longest time without progress, less what the host excuses. The last resort of a waiting
/// member takes a fifth of a second; losing a wake-up altogether would take for ever.
const STALL: Duration = Duration::from_secs(5);

/// What the processes did.
struct Ledger {
    /// For each number of each sender: how often it was counted.
    counted: &'static [AtomicU64; NUMBERS * SENDERS],
    /// The same: when sending it began, and 1 once that returned.
    began: &'static [AtomicU64; NUMBERS * SENDERS],
    sent: &'static [AtomicU64; NUMBERS * SENDERS],
    /// The next number of each sender.
    next: &'static [AtomicU64; SENDERS],
    /// The total that was counted, messages that came twice unmarked, 1 to make senders finish, the
    /// longest time from the beginning of sending to counting, in nanoseconds, and the total whose
    /// sending returned.
    totals: &'static [AtomicU64; 5],
}

impl Ledger {
    fn new() -> Ledger {
        Ledger {
            counted: shared_counters(),
            began: shared_counters(),
            sent: shared_counters(),
            next: shared_counters(),
            totals: shared_counters(),
        }
    }

    fn send(&self, message: u64) {
        self.sent[message as usize].store(1, Release);
        self.totals[4].fetch_add(1, Release);
    }

    fn has_enough(&self) -> bool {
        self.totals[4].load(Acquire) > ENOUGH
    }

    fn is_over(&self, sender: usize) -> bool {
        self.totals[2].load(Acquire) != 0
            || self.next[sender].load(Relaxed) as usize >= NUMBERS - TASKS
    }

    fn count(&self, message: u64, deliveries: u8) {
        if self.counted[message as usize].fetch_add(1, AcqRel) != 0 && deliveries < 2 {
            self.totals[1].fetch_add(1, Relaxed);
        }
        let latency = now_ns() - self.began[message as usize].load(Acquire);
        self.totals[3].fetch_max(latency, Relaxed);
        self.totals[0].fetch_add(1, Release);
    }
}

/// How long no message was counted.
struct Progress {
    total: u64,
    since: u64,
    gap: Duration,
}

impl Progress {
    fn new() -> Progress {
        Progress { total: 0, since: now_ns(), gap: Duration::ZERO }
    }

    /// Fails if no message was counted for too long, unless all have been sent.
    fn look(&mut self, total: u64, is_over: bool) {
        if total != self.total || is_over {
            (self.total, self.since) = (total, now_ns());
        }
        let gap = Duration::from_nanos(now_ns() - self.since);
        self.gap = self.gap.max(gap);
        assert!(
            gap < STALL || gap < STALL + allowance(self.since),
            "no message for {gap:?} after {total}"
        );
    }
}

/// After how many polls a future is dropped: often at once, mostly never.
fn patience(rng: &mut Rng) -> u64 {
    match rng.below(8) {
        0 => 1,
        1 => 2,
        2 => 3,
        _ => u64::MAX,
    }
}

/// Sends numbers, one after the other or, in a sparse load, now and then, so that every receiver waits.
async fn send(
    ledger: &Ledger,
    tx: &mpmc::Sender<u64>,
    sender: usize,
    is_sparse: bool,
    mut rng: Rng,
) {
    while !ledger.is_over(sender) {
        let n = ledger.next[sender].fetch_add(1, Relaxed) as usize;
        let message = (sender * NUMBERS + n) as u64;
        ledger.began[message as usize].store(now_ns(), Release);
        let sent = loop {
            match Abandon::after(patience(&mut rng), tx.send_async(&message)).await {
                None => yield_now().await,
                Some(sent) => break sent,
            }
        };
        match sent {
            Ok(()) => ledger.send(message),
            // All receivers were killed at this moment.
            Err(SendError::Disconnected) => thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
        // A future that is ready at once does not let other tasks of this thread run.
        if is_sparse || rng.below(8) == 0 {
            yield_now().await;
        }
        if is_sparse {
            thread::sleep(Duration::from_micros(rng.below(2_000)));
        } else if rng.below(64) == 0 {
            thread::sleep(Duration::from_micros(rng.below(1_000)));
        }
    }
}

async fn receive(ledger: &Ledger, rx: &mpmc::Receiver<u64>, mut rng: Rng) {
    loop {
        let received = match Abandon::after(patience(&mut rng), rx.recv_ref_async()).await {
            None => {
                yield_now().await;
                continue;
            }
            Some(received) => received,
        };
        match received {
            Ok(guard) => {
                ledger.count(*guard, guard.delivery_count());
                guard.ack().expect("a member");
                if rng.below(8) == 0 {
                    yield_now().await;
                }
            }
            Err(RecvError::Disconnected) => {
                if ledger.totals[2].load(Acquire) != 0 {
                    break;
                }
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
        if rng.below(64) == 0 {
            thread::sleep(Duration::from_micros(rng.below(1_000)));
        }
    }
}

/// Lets the other tasks of this thread run, on any executor.
async fn yield_now() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

fn sender(ledger: &Ledger, name: &str, place: Place, sender: usize, is_sparse: bool) {
    let tx: mpmc::Sender<u64> = Options::named(name).open().expect("open");
    let tasks = (0..TASKS).map(|_| send(ledger, &tx, sender, is_sparse, Rng::new()));
    run_for_ever(place, join_all(tasks));
}

fn receiver(ledger: &Ledger, name: &str, place: Place) {
    let rx: mpmc::Receiver<u64> = Options::named(name).open().expect("open");
    let tasks = (0..TASKS).map(|_| receive(ledger, &rx, Rng::new()));
    run_for_ever(place, join_all(tasks));
}

/// Ends this process if it does not end by itself, and reports the state of the channel.
fn must_end_soon(name: &str) {
    let name = name.to_owned();
    thread::spawn(move || {
        thread::sleep(LONG);
        eprintln!("a member does not end: {:#?}", sysvring::stat(&*name));
        std::process::exit(1);
    });
}

/// Forks the members of one channel, kills some of them all the time if that is wanted, and checks
/// the ledger. Prints the kills, the messages, and the longest time without progress.
#[work]
fn mpmc_load(args: &mut Args) {
    let (name, place, kills): (String, usize, bool) = (args.next(), args.next(), args.next());
    let (place, is_sparse) = (PLACES[place], args.next());
    let keeper: mpmc::Sender<u64> =
        Options::named(&*name).capacity(16).max_members(16).open().expect("open");
    let (ledger, began) = (Ledger::new(), now_ns());
    let mut rng = Rng::new();
    let start_sender = |n: usize| Fork::start(|| sender(&ledger, &name, place, n, is_sparse));
    let start_receiver = || Fork::start(|| receiver(&ledger, &name, place));
    let mut receivers: Vec<Fork> = (0..RECEIVERS).map(|_| start_receiver()).collect();
    let mut senders: Vec<Fork> = (0..SENDERS).map(&start_sender).collect();
    let start = Instant::now();
    let (mut progress, mut killed) = (Progress::new(), 0);
    while goes_on(start, TIME, ledger.has_enough()) {
        thread::sleep(Duration::from_millis(2));
        let is_over = (0..SENDERS).all(|n| ledger.is_over(n));
        progress.look(ledger.totals[0].load(Acquire), is_over);
        if kills && rng.below(4) == 0 {
            killed += 1;
            // The one that is last started is last here.
            if rng.below(2) == 0 {
                let n = rng.below(RECEIVERS as u64) as usize;
                receivers[n].kill_and_wait();
                receivers[n] = start_receiver();
            } else {
                let n = rng.below(SENDERS as u64) as usize;
                senders[n].kill_and_wait();
                senders[n] = start_sender(n);
            }
        }
    }
    // A receiver that joins after the last sender left would wait for the next one.
    let is_receiver = |member: &Member| member.alive && member.role == Role::Receiver;
    until(|| {
        keeper.stat().expect("stat").members.iter().filter(|m| is_receiver(m)).count() == RECEIVERS
    });
    ledger.totals[2].store(1, Release);
    must_end_soon(&name);
    senders.into_iter().for_each(Fork::finish);
    drop(keeper);
    receivers.into_iter().for_each(Fork::finish);
    let (mut sent, mut lost) = (0, 0);
    for (sent_once, counted) in ledger.sent.iter().zip(ledger.counted) {
        if sent_once.load(Acquire) != 0 {
            sent += 1;
            lost += u64::from(counted.load(Acquire) == 0);
        }
    }
    assert_eq!((lost, ledger.totals[1].load(Relaxed)), (0, 0), "lost, and doubled");
    assert!(sent > ENOUGH, "only {sent} messages");
    let latency = Duration::from_nanos(ledger.totals[3].load(Relaxed));
    // Without deaths, no message waits for the last resort.
    let allowed = Duration::from_millis(150) + allowance(began);
    assert!(kills || !is_sparse || latency < allowed, "a message waited for {latency:?}");
    print_line(format!(
        "{killed} kills, {sent} messages, in {latency:?} at most, no progress for {:?} at most",
        progress.gap
    ));
}

/// Runs a load in each place.
fn in_each_place(load: &str, kills: bool, is_sparse: bool) {
    for (n, place) in PLACES.iter().enumerate() {
        let name = Name::new();
        name.may_oversleep();
        let mut supervisor = Worker::start(&[&load, &name, &n, &kills, &is_sparse]).expect("start");
        let kind = if is_sparse { "sparse" } else { "dense" };
        println!("{load}, {kind}, {place:?}: {}", supervisor.read_line().expect("its summary"));
        supervisor.finish();
    }
}

#[test(quiet)]
fn futures_are_dropped_at_any_poll_under_load() {
    in_each_place("load::mpmc_load", false, false);
}

#[test(quiet)]
fn processes_with_pending_futures_are_killed_under_load() {
    in_each_place("load::mpmc_load", true, false);
}

#[test(quiet)]
fn every_message_wakes_a_task() {
    in_each_place("load::mpmc_load", false, true);
}

#[test(quiet)]
fn processes_are_killed_while_all_tasks_wait() {
    in_each_place("load::mpmc_load", true, true);
}

async fn send_in_order(ledger: &Ledger, tx: &mut spsc::Sender<u64>, mut rng: Rng) {
    while !ledger.is_over(0) {
        let n = tx.position();
        match Abandon::after(patience(&mut rng), tx.send_async(&n)).await {
            None => yield_now().await,
            Some(Ok(())) => {
                ledger.send(n);
                ledger.next[0].store(n + 1, Relaxed);
            }
            // `Disconnected` comes also when a receiver was killed, and its successor is there.
            Some(Err(SendError::Disconnected)) => {
                let _ = Abandon::after(patience(&mut rng), tx.wait_for_peer_async()).await;
            }
            Some(Err(error)) => panic!("{error}"),
        }
        if rng.below(64) == 0 {
            thread::sleep(Duration::from_micros(rng.below(1_000)));
        }
    }
}

/// The message is its position, so none can be lost, torn or out of order unnoticed.
async fn receive_in_order(ledger: &Ledger, rx: &mut spsc::Receiver<u64>, mut rng: Rng) {
    let mut is_over = false;
    loop {
        match Abandon::after(patience(&mut rng), rx.recv_ref_async()).await {
            None => yield_now().await,
            Some(Ok(guard)) => {
                assert_eq!(*guard, guard.position());
                // The kernel does not record whether a receiver that was killed had begun.
                ledger.count(*guard, guard.delivery_count().max(2));
                guard.ack().expect("a member");
            }
            Some(Err(RecvError::Disconnected)) => is_over = true,
            Some(Err(error)) => panic!("{error}"),
        }
        if std::mem::take(&mut is_over) {
            if ledger.totals[2].load(Acquire) != 0 {
                break;
            }
            // Its sender was killed: the next one goes on.
            let _ = Abandon::after(patience(&mut rng), rx.wait_for_peer_async()).await;
        }
        if rng.below(64) == 0 {
            thread::sleep(Duration::from_micros(rng.below(1_000)));
        }
    }
}

#[work]
fn spsc_load(args: &mut Args) {
    let (name, place, kills): (String, usize, bool) = (args.next(), args.next(), args.next());
    let place = PLACES[place];
    let ledger = Ledger::new();
    let mut rng = Rng::new();
    let start_sender = || {
        Fork::start(|| {
            let mut tx: spsc::Sender<u64> =
                Options::named(&*name).capacity(8).open().expect("open");
            run_for_ever(place, send_in_order(&ledger, &mut tx, Rng::new()));
            tx.finish().expect("a member");
        })
    };
    let start_receiver = || {
        Fork::start(|| {
            let mut rx: spsc::Receiver<u64> =
                Options::named(&*name).capacity(8).open().expect("open");
            run_for_ever(place, receive_in_order(&ledger, &mut rx, Rng::new()));
        })
    };
    let (mut sending, mut receiving) = (start_sender(), start_receiver());
    let start = Instant::now();
    let (mut progress, mut killed) = (Progress::new(), 0);
    while goes_on(start, TIME, ledger.has_enough()) {
        thread::sleep(Duration::from_millis(3));
        progress.look(ledger.totals[0].load(Acquire), ledger.is_over(0));
        if kills && rng.below(4) == 0 {
            killed += 1;
            if rng.below(2) == 0 {
                receiving.kill_and_wait();
                receiving = start_receiver();
            } else {
                sending.kill_and_wait();
                sending = start_sender();
            }
        }
    }
    ledger.totals[2].store(1, Release);
    must_end_soon(&name);
    sending.finish();
    receiving.finish();
    let sent = ledger.next[0].load(Relaxed) as usize;
    // One killed after it sent, and before it wrote that down, is counted as well.
    let counted = ledger.counted.iter().take_while(|n| n.load(Acquire) != 0).count();
    assert!(counted >= sent && ledger.has_enough(), "{counted} of {sent}");
    let doubled = ledger.counted.iter().filter(|n| n.load(Acquire) > 1).count();
    assert!(doubled <= killed, "{doubled} came twice, with {killed} kills");
    print_line(format!(
        "{killed} kills, {sent} messages, no progress for {:?} at most",
        progress.gap
    ));
}

#[test(quiet)]
fn one_sender_and_one_receiver_under_load() {
    in_each_place("load::spsc_load", false, false);
}

#[test(quiet)]
fn one_sender_and_one_receiver_are_killed_under_load() {
    in_each_place("load::spsc_load", true, false);
}
