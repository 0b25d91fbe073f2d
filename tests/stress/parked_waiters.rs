//! Many threads of many processes park and wake each other while processes are killed. No message
//! and no free slot stays unused for long while a thread is parked for it.
//!
//! There are three checks. The library counts waits that ended by themselves although there was
//! work that no other member had woken the waiter for. A thread that waited before a message was
//! sent must not receive this very message much later. An auditor polls the channel every
//! millisecond. It counts a miss if, for some time, there is a message (free slot) and a parked
//! receiver (sender) at each poll, and no message is received (sent). All calls wait without a
//! timeout, so whatever is late was found by the poll that a parked thread does by itself.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use sysvring::{Options, Wait, mpmc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::Watch;
use sysvring_support::shared_counters::{now_ns, shared_counters};
use sysvring_support::stopwatch::goes_on;
use sysvring_support::worker::{Args, Worker, print_line};
use sysvring_support::{raw_ipc, test, work};

use crate::scale::scale;

/// Longer than any wake-up takes, and longer than a sender takes that is preempted while it writes
/// a message, which holds up all messages after it.
const LATE: Duration = Duration::from_millis(130);
/// The semaphores in a channel's set that receivers and senders park on.
const WAKE: [usize; 2] = [raw_ipc::WAKE_RECEIVERS, raw_ipc::WAKE_SENDERS];
/// For a quarter of the time, messages are sent at random moments, with pauses of up to 8
/// milliseconds.
const REST_BITS: u64 = 23;
/// Otherwise all are sent together, when most threads are parked: at each tick, two by each sending
/// thread.
const TICK_NS: u64 = 350_000_000;
/// A receiver processes a message sent at a tick for this long, so others have to receive the rest.
const WORK_NS: u64 = 150_000_000;
/// A slot or message is held for up to a tenth of a millisecond.
const HOLD_BITS: u64 = 17;
/// The maximum number of milliseconds between two kills.
const KILL_MS: u64 = 100;

/// When the message was sent, and how long a receiver processes it.
type Message = [u64; 2];

#[test(quiet)]
fn one_slot_and_a_thread_for_each_seat() {
    run(1, 7, 3, 4, 1);
}

#[test(quiet)]
fn two_slots_and_three_threads_for_each_seat() {
    run(2, 8, 2, 4, 4);
}

#[test(quiet)]
fn four_slots_and_eight_threads_for_each_member() {
    run(4, 6, 2, 3, 8);
}

fn run(capacity: usize, seats: usize, senders: usize, receivers: usize, threads: usize) {
    let (name, seconds) = (Name::new(), scale().seconds.div_ceil(6));
    let mut worker = Worker::start(&[
        &"parked_waiters::park_and_wake",
        &name,
        &capacity,
        &seats,
        &senders,
        &receivers,
        &threads,
        &seconds,
    ])
    .expect("start");
    let [kills, sent, received, sleeps, late, latest, ready, free, overslept] =
        worker.figures().expect("figures");
    println!(
        "waiting {senders} senders, {receivers} receivers, {threads} threads each, {seats} seats, \
         {capacity} slots, {seconds} s: {kills} kills, {sent} sent, {received} received, {sleeps} \
         sleeps of the last members; {late} late, by {latest:.1} ms at most; {ready} times a \
         message and {free} times a free slot missed, {overslept} overslept"
    );
    worker.finish();
    assert!(has_enough(received as u64, kills as u64, seconds), "too few messages or kills");
    let missed = [late, ready, free, overslept];
    assert_eq!(missed, [0.0; 4], "late, missed messages, missed free slots, overslept");
}

/// Returns whether the run is long enough to find anything. A busy host takes longer for that.
fn has_enough(received: u64, kills: u64, seconds: u64) -> bool {
    received > 100 * seconds && kills > 5 * seconds
}

/// What all processes record.
struct Notes {
    over: &'static AtomicU64,
    sent: &'static AtomicU64,
    received: &'static AtomicU64,
    late: &'static AtomicU64,
    latest: &'static AtomicU64,
}

#[work]
fn park_and_wake(args: &mut Args) {
    let name: String = args.next();
    let [capacity, seats, senders, receivers, threads]: [usize; 5] =
        std::array::from_fn(|_| args.next());
    let seconds: u64 = args.next();
    // SAFETY: takes a number only. The suite has a watchdog of its own, for any number of seconds.
    unsafe { libc::alarm(0) };
    let [over, sent, received, late, latest] = shared_counters::<5>();
    let notes = Notes { over, sent, received, late, latest };
    let options = || Options::named(&name).capacity(capacity).max_members(seats).wait(Wait::Park);
    drop(options().create::<mpmc::Sender<Message>>().expect("create"));
    let start = |member: usize| {
        Fork::start(|| match member < senders {
            true => send(options(), threads, &notes),
            false => receive(options(), threads, &notes),
        })
    };
    let mut members: Vec<Fork> = (0..senders + receivers).map(&start).collect();
    let set = sysvring::stat(&*name).expect("stat").set.expect("a set").id;
    let (mut rng, mut kills) = (Rng::new(), 0);
    let [mut ready, mut free] = [Audit::new(), Audit::new()];
    let (begun, time) = (Instant::now(), Duration::from_secs(seconds));
    let mut next_kill = now_ns() + 200_000_000;
    while goes_on(begun, time, has_enough(received.load(Acquire), kills, seconds)) {
        std::thread::sleep(Duration::from_millis(1));
        let stat = sysvring::stat(&*name).expect("stat");
        let asleep = WAKE.map(|wake| raw_ipc::waiting(set, wake) > 0);
        ready.look(stat.depth > 0 && asleep[0], received.load(Acquire));
        // A free slot behind a message that nobody took is of no use: the order forbids it.
        free.look(stat.room > 0 && asleep[1], sent.load(Acquire));
        if now_ns() > next_kill {
            let victim = rng.below(members.len() as u64) as usize;
            kills += u64::from(members[victim].kill_and_wait());
            members[victim] = start(victim);
            next_kill = now_ns() + rng.below(KILL_MS * 1_000_000);
        }
    }
    over.store(1, Release);
    let rest = members.split_off(senders);
    members.into_iter().for_each(Fork::finish);
    rest.into_iter().for_each(Fork::finish);
    let stat = sysvring::stat(&*name).expect("stat");
    let sleeps: u64 = stat.members.iter().map(|member| member.parks).sum();
    let [sent, received, late] = [sent, received, late].map(|count| count.load(Acquire));
    let latest = latest.load(Acquire) as f64 / 1e6;
    let [ready, free] = [ready.missed, free.missed];
    let overslept = stat.overslept;
    print_line(format!(
        "{kills} {sent} {received} {sleeps} {late} {latest} {ready} {free} {overslept}"
    ));
}

/// Counts the times that there is work for a parked thread and no thread makes progress.
struct Audit {
    watch: Watch,
    since: u64,
    count: u64,
    missed: u64,
}

impl Audit {
    fn new() -> Audit {
        Audit { watch: Watch::start(&[]), since: now_ns(), count: 0, missed: 0 }
    }

    /// Records whether there is such work now, and how many operations have completed so far.
    fn look(&mut self, is_so: bool, count: u64) {
        let missed = self.watch.late(self.since) > LATE;
        if is_so && count == self.count && !missed {
            return;
        }
        self.missed += u64::from(is_so && count == self.count);
        (self.since, self.count) = (now_ns(), count);
        self.watch.restart();
    }
}

/// Sends now and then until the run is over.
fn send(options: Options, threads: usize, notes: &Notes) {
    let tx: mpmc::Sender<Message> = options.open().expect("open");
    each_in(threads, |mut rng| {
        while notes.over.load(Acquire) == 0 {
            let (messages, work) = if (now_ns() / TICK_NS).is_multiple_of(4) {
                rng.pause(REST_BITS);
                (1, 0)
            } else {
                std::thread::sleep(Duration::from_nanos(TICK_NS - now_ns() % TICK_NS));
                (2, WORK_NS)
            };
            for _ in 0..messages {
                // All receivers may be dead at this moment.
                let Ok(mut loan) = tx.loan() else { continue };
                *loan = [now_ns(), work];
                loan.commit().expect("alive");
                notes.sent.fetch_add(1, Release);
            }
        }
    });
}

/// Receives and processes messages until the run is over.
fn receive(options: Options, threads: usize, notes: &Notes) {
    let rx: mpmc::Receiver<Message> = options.open().expect("open");
    each_in(threads, |mut rng| {
        let mut watch = Watch::start(&[]);
        loop {
            watch.restart();
            let waiting_since = now_ns();
            let Ok(message) = rx.recv_ref() else {
                // All senders may be dead at this moment.
                match notes.over.load(Acquire) {
                    0 => std::thread::sleep(Duration::from_millis(1)),
                    _ => return,
                }
                continue;
            };
            let [sent_at, work] = *message;
            // A redelivered message is exempt: a member that had it in flight died, which may take
            // any time.
            if message.delivery_count() == 1 {
                let late = watch.late(waiting_since.max(sent_at));
                notes.latest.fetch_max(late.as_nanos() as u64, Relaxed);
                notes.late.fetch_add(u64::from(late > LATE), Relaxed);
            }
            rng.pause(HOLD_BITS);
            message.ack().expect("this member has its seat");
            notes.received.fetch_add(1, Release);
            if notes.over.load(Acquire) == 0 {
                std::thread::sleep(Duration::from_nanos(work));
            }
        }
    });
}

/// Runs `body` in `threads` threads, each with a generator of its own.
fn each_in(threads: usize, body: impl Fn(Rng) + Sync) {
    std::thread::scope(|scope| {
        for n in 0..threads as u64 {
            // Threads that start at the same time would get the same numbers.
            let mut rng = Rng::new();
            (0..n).for_each(|_| _ = rng.below(1));
            scope.spawn(|| body(rng));
        }
    });
}
