//! Processes that wait in sets are killed at random times, and restarted: nothing is lost, and no wait
//! ends only because the last resort looked.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use sysvring::{Options, RecvError, SendError, WaitSet, mpmc, spsc};
use sysvring_support::fork::Fork;
use sysvring_support::name::Name;
use sysvring_support::rng::Rng;
use sysvring_support::scheduler_noise::allowance;
use sysvring_support::shared_counters::{now_ns, shared_counters, until};
use sysvring_support::worker::{Args, Worker};
use sysvring_support::{test, work};

use crate::{LONG, wait};

/// All senders have ended, after they were asked to.
const NO_SENDERS: u64 = 2;
const PAIRS: usize = 3;
/// More messages than are sent.
const MAX: usize = 1 << 22;
const SECONDS: u64 = if cfg!(debug_assertions) { 3 } else { 8 };
/// Shorter than the slice after which a neglected member is noticed.
const LATE_NS: u64 = 150_000_000;

/// What outlives the members: for each message when it was sent, whether the call returned, and how
/// often it was received.
struct Ledger {
    next: &'static AtomicU64,
    is_over: &'static AtomicU64,
    /// Not 0 while nobody sends: the next message would hide that one before was not announced.
    is_quiet: &'static AtomicU64,
    late: &'static AtomicU64,
    slowest: &'static AtomicU64,
    waits: &'static AtomicU64,
    sent_at: &'static [AtomicU64; MAX],
    sent: &'static [AtomicU64; MAX],
    received: &'static [AtomicU64; MAX],
}

impl Ledger {
    fn new() -> Ledger {
        let [next, is_over, is_quiet, late, slowest, waits] = shared_counters::<6>().each_ref();
        let [sent_at, sent, received] = [(); 3].map(|()| shared_counters::<MAX>());
        Ledger { next, is_over, is_quiet, late, slowest, waits, sent_at, sent, received }
    }

    /// Waits until all messages from this one on are received whose call returned. Returns the next
    /// one.
    fn drain(&self, from: usize) -> usize {
        let next = self.next.load(Acquire) as usize;
        let is_pending =
            |n: usize| self.sent[n].load(Acquire) != 0 && self.received[n].load(Acquire) == 0;
        (from..next).for_each(|n| until(|| !is_pending(n)));
        next
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Acquire) != 0
    }

    fn receive(&self, n: u64) {
        let sent_at = self.sent_at[n as usize].load(Acquire);
        if self.received[n as usize].fetch_add(1, Release) == 0 {
            let took = now_ns() - sent_at;
            self.slowest.fetch_max(took, Relaxed);
            if took > LATE_NS + allowance(sent_at).as_nanos() as u64 {
                self.late.fetch_add(1, Relaxed);
            }
        }
    }
}

/// The channels that the members of a pair have in their sets: one of their own, and a shared one.
fn own(name: &str, pair: usize) -> Options {
    Options::named(format!("{name}-{pair}")).capacity(4)
}

fn shared(name: &str) -> Options {
    Options::named(format!("{name}-shared")).capacity(4)
}

fn send(name: &str, pair: usize, ledger: &Ledger) {
    let mut one: spsc::Sender<u64> = own(name, pair).open().expect("open");
    let many: mpmc::Sender<u64> = shared(name).open().expect("open");
    // A sender with room is ready: each waits in a set of its own.
    let sets = [(); 2].map(|()| WaitSet::new().expect("a set"));
    sets[0].add(&one).expect("added");
    sets[1].add(&many).expect("added");
    let mut rng = Rng::new();
    while !ledger.is_over() {
        if ledger.is_quiet.load(Acquire) != 0 {
            thread::sleep(Duration::from_micros(50));
            continue;
        }
        for _ in 0..rng.below(12) {
            let n = ledger.next.fetch_add(1, Relaxed);
            assert!(n < MAX as u64, "more messages than the ledger holds");
            let is_shared = rng.below(2) == 0;
            loop {
                ledger.sent_at[n as usize].store(now_ns(), Release);
                let result = if is_shared { many.try_send(&n) } else { one.try_send(&n) };
                match result {
                    Ok(()) => break ledger.sent[n as usize].store(1, Release),
                    Err(SendError::Full | SendError::Behind { .. }) => {
                        let set = &sets[usize::from(is_shared)];
                        assert!(!wait(set, LONG).is_empty(), "it stays full");
                        ledger.waits.fetch_add(1, Relaxed);
                    }
                    // Its receivers are about to be restarted.
                    Err(SendError::Disconnected) => thread::sleep(Duration::from_micros(100)),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        thread::sleep(Duration::from_micros(rng.below(400)));
    }
}

fn receive(name: &str, pair: usize, ledger: &Ledger) {
    let mut one: spsc::Receiver<u64> = own(name, pair).open().expect("open");
    let many: mpmc::Receiver<u64> = shared(name).open().expect("open");
    let set = WaitSet::new().expect("a set");
    set.add(&one).expect("added");
    set.add(&many).expect("added");
    loop {
        let note = |error: RecvError| match error {
            RecvError::Empty | RecvError::Behind { .. } => {}
            // Its senders are about to be restarted, and it is ready until then.
            RecvError::Disconnected => thread::sleep(Duration::from_micros(100)),
            error => panic!("{error}"),
        };
        loop {
            match one.try_recv_ref() {
                Ok(guard) => {
                    ledger.receive(*guard);
                    guard.ack().expect("a seat");
                }
                Err(error) => break note(error),
            }
        }
        loop {
            match many.try_recv_ref() {
                Ok(guard) => {
                    ledger.receive(*guard);
                    guard.ack().expect("a seat");
                }
                Err(error) => break note(error),
            }
        }
        // One that joined after the last sender left has seen no sender, and waits for one.
        match ledger.is_over.load(Acquire) {
            NO_SENDERS => return,
            is_over => {
                let events = wait(&set, Some(Duration::from_secs(2)));
                assert!(is_over != 0 || !events.is_empty(), "it stays empty");
            }
        }
        ledger.waits.fetch_add(1, Relaxed);
    }
}

#[work]
fn kill_at_random(args: &mut Args) {
    let name: String = args.next();
    let ledger = Ledger::new();
    let start = |n: usize| {
        Fork::start(|| match n % 2 {
            0 => send(&name, n / 2, &ledger),
            _ => receive(&name, n / 2, &ledger),
        })
    };
    let mut members: Vec<Fork> = (0..2 * PAIRS).map(start).collect();
    let (begun, mut rng, mut kills, mut drained) = (Instant::now(), Rng::new(), 0, 0);
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        thread::sleep(Duration::from_micros(rng.below(5_000)));
        let n = rng.below(members.len() as u64) as usize;
        let is_quiet = u64::is_multiple_of(kills, 2);
        ledger.is_quiet.store(u64::from(is_quiet), Release);
        assert!(members[n].kill_and_wait(), "it ended by itself");
        // Now and then a slice passes before a sender is restarted, which wakes all others. Nobody
        // else could receive the messages of a pair's receiver.
        let is_sender = n.is_multiple_of(2);
        if is_quiet && is_sender && rng.below(16) == 0 {
            thread::sleep(Duration::from_nanos(2 * LATE_NS));
        }
        members[n] = start(n);
        if is_quiet {
            drained = ledger.drain(drained);
            ledger.is_quiet.store(0, Release);
        }
        kills += 1;
    }
    let (senders, receivers): (Vec<_>, Vec<_>) =
        members.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
    ledger.is_over.store(1, Release);
    senders.into_iter().for_each(|(_, sender)| sender.finish());
    ledger.is_over.store(NO_SENDERS, Release);
    receivers.into_iter().for_each(|(_, receiver)| receiver.finish());
    let total = ledger.next.load(Acquire) as usize;
    let sent = |n: &usize| ledger.sent[*n].load(Acquire) != 0;
    let lost: Vec<usize> =
        (0..total).filter(sent).filter(|n| ledger.received[*n].load(Acquire) == 0).collect();
    let addresses = (0..PAIRS).map(|n| format!("{name}-{n}")).chain([format!("{name}-shared")]);
    let mut overslept = 0;
    for address in addresses {
        overslept += sysvring::stat(&*address).expect("stat").overslept;
        sysvring::remove(&*address).expect("removed");
    }
    let [late, slowest, waits] =
        [ledger.late, ledger.slowest, ledger.waits].map(|n| n.load(Acquire));
    eprintln!(
        "{kills} kills, {total} messages, {waits} waits, the slowest message took {} us, {late} \
         were late, {overslept} were neglected",
        slowest / 1_000
    );
    assert!(lost.is_empty(), "{} of {total} messages are lost: {lost:?}", lost.len());
    assert_eq!((late, overslept), (0, 0));
}

#[test(quiet)]
fn nothing_is_lost_when_members_are_killed() {
    Worker::run(&[&"random_kills::kill_at_random", &Name::new()]);
}
