//! Running a model: under loom, or on threads.

use std::sync::Arc;
use std::time::Instant;

use super::sim_kernel::{Fences, SimKernel};
use crate::ring::Ring;
use crate::ring::testing::HeapRing;
use crate::sync::plain::Ordering::Relaxed;
use crate::sync::{AtomicU32, AtomicU64, plain};
use crate::wait::Table;

#[cfg(loom)]
use loom::thread;
#[cfg(not(loom))]
use std::thread;

/// The number of preemptions that loom tries in one execution, unless `LOOM_MAX_PREEMPTIONS` sets
/// another number.
const PREEMPTIONS: usize = 2;

/// The number of runs of a model on threads.
#[cfg(not(loom))]
const RUNS: u64 = 30;

/// Returns `small` under loom, whose work grows with every step, and on threads a number large
/// enough for a stress test.
pub(super) const fn many(small: u64) -> u64 {
    if cfg!(loom) { small } else { 100 * small }
}

/// Runs `model` in every order of its steps; on threads, repeatedly.
pub(super) fn check(name: &str, model: impl Fn() + Send + Sync + 'static) {
    check_bounded(name, PREEMPTIONS, model);
}

/// The same with its own bound on the preemptions in one execution.
pub(super) fn check_bounded(name: &str, bound: usize, model: impl Fn() + Send + Sync + 'static) {
    let start = Instant::now();
    report(name, "", executions_of(bound, model), start);
}

/// Runs a model once for each step at which a process can die, up to one that no execution reaches.
/// The model returns whether the process died.
pub(super) fn check_deaths(name: &str, model: impl Fn(u32) -> bool + Copy + Send + Sync + 'static) {
    check_deaths_bounded(name, PREEMPTIONS, model);
}

/// The same with its own bound on the preemptions in one execution.
pub(super) fn check_deaths_bounded(
    name: &str,
    bound: usize,
    model: impl Fn(u32) -> bool + Copy + Send + Sync + 'static,
) {
    let (start, mut executions) = (Instant::now(), 0);
    for step in 0.. {
        let deaths = Arc::new(plain::AtomicU64::new(0));
        let counted = deaths.clone();
        executions += executions_of(bound, move || {
            counted.fetch_add(u64::from(model(step)), Relaxed);
        });
        if deaths.load(Relaxed) == 0 {
            return report(name, &format!("{step} steps to die at, "), executions, start);
        }
    }
}

fn report(name: &str, deaths: &str, executions: u64, start: Instant) {
    println!("{name}: {deaths}{executions} executions, {:.1} s", start.elapsed().as_secs_f64());
}

fn executions_of(bound: usize, model: impl Fn() + Send + Sync + 'static) -> u64 {
    let executions = Arc::new(plain::AtomicU64::new(0));
    let counted = executions.clone();
    explore(bound, move || {
        counted.fetch_add(1, Relaxed);
        model();
    });
    executions.load(Relaxed)
}

#[cfg(loom)]
fn explore(bound: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(bound));
    // A thread that leaves a token to another one polls up to 500 times.
    builder.max_branches = 40_000;
    builder.check(model);
}

#[cfg(not(loom))]
fn explore(bound: usize, model: impl Fn() + Send + Sync + 'static) {
    // The system switches threads as it likes.
    let _ = bound;
    (0..RUNS).for_each(|_| model());
}

/// The state that the threads of a model share.
#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) kernel: SimKernel,
    /// The number of seats, from the first one on, whose members have a doorbell.
    pub(super) bells: u8,
    /// How often a member joined; the segment counts it in words that loom does not see.
    pub(super) arrivals: AtomicU32,
    /// The stamps that were given to receivers of a broadcast channel.
    stamps: plain::AtomicU64,
    block: HeapRing,
}

impl Fixture {
    pub(super) fn new(capacity: usize) -> Arc<Fixture> {
        Fixture::with(capacity, Fences::OnRequest)
    }

    /// The same for an SPSC channel whose sender executes fences in this way.
    pub(super) fn with(capacity: usize, fences: Fences) -> Arc<Fixture> {
        Fixture::with_bells(capacity, fences, 0)
    }

    /// The same for a channel in whose first seats the members have a doorbell.
    pub(super) fn with_bells(capacity: usize, fences: Fences, bells: u8) -> Arc<Fixture> {
        Fixture::of(SimKernel::new(fences), HeapRing::new(capacity), bells)
    }

    /// Returns that of a broadcast channel.
    pub(super) fn of_broadcast(capacity: usize, fences: Fences, bells: u8) -> Arc<Fixture> {
        let kernel = SimKernel::of_broadcast(fences);
        Fixture::of(kernel, HeapRing::of_broadcast(capacity), bells)
    }

    fn of(kernel: SimKernel, block: HeapRing, bells: u8) -> Arc<Fixture> {
        let (fences, arrivals) = (kernel.fences, AtomicU32::new(0));
        let stamps = plain::AtomicU64::new(0);
        let fixture = Fixture { kernel, bells, arrivals, stamps, block };
        if fences == Fences::Asked {
            fixture.ring().header().receivers.ask_for_fences();
        }
        Arc::new(fixture)
    }

    /// Returns the words of the waiting table.
    pub(super) fn waiting(&self) -> Table<'_> {
        self.block.waiting()
    }

    /// Returns the word of a member's doorbell.
    pub(super) fn armed(&self, seat: u8) -> &AtomicU64 {
        self.block.armed(seat)
    }

    /// Returns the stamp of a receiver that joins a broadcast channel.
    pub(super) fn stamp(&self) -> u64 {
        self.stamps.fetch_add(1, Relaxed) + 1
    }

    /// Returns the ring; the caller must keep a share of the fixture as long as the ring.
    pub(super) fn ring(&self) -> Ring {
        // SAFETY: the ends keep the fixture as long as the ring.
        unsafe { self.block.ring() }
    }
}

/// Runs both concurrently; the second in a thread of its own.
pub(super) fn together<A, B: Send + 'static>(
    one: impl FnOnce() -> A,
    other: impl FnOnce() -> B + Send + 'static,
) -> (A, B) {
    let other = thread::spawn(other);
    let one = one();
    (one, other.join().expect("the other thread failed"))
}

/// Runs all of them concurrently; the first in this thread, each of the others in a thread of its
/// own.
pub(super) fn all_of<T: Send + 'static>(jobs: Vec<Job<T>>) -> Vec<T> {
    let mut jobs = jobs.into_iter();
    let first = jobs.next();
    let others: Vec<_> = jobs.map(thread::spawn).collect();
    let first = first.map(|job| job());
    let others = others.into_iter().map(|other| other.join().expect("another thread failed"));
    first.into_iter().chain(others).collect()
}

/// The work of one thread.
pub(super) type Job<T> = Box<dyn FnOnce() -> T + Send>;
