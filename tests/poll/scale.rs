//! A thousand channels in one set: idle ones use no processor, and a wake-up costs no more.

use std::time::{Duration, Instant};

use sysvring::{Flavor, Options, RecvError, WaitSet};
use sysvring_support::handle::{AnyFlavor, AnyHandle, AnyReceiver, AnySender};
use sysvring_support::rng::Rng;
use sysvring_support::test;

use crate::{LONG, NOW, tokens, wait};

type Pair<F> = (<F as AnyFlavor>::Sender<u64>, <F as AnyFlavor>::Receiver<u64>);

/// Makes private channels of two seats. The limits of the kernel must allow them: segments and sets
/// have a namespace of their own where that is allowed.
fn channels<F: AnyFlavor>(n: usize, capacity: usize) -> Vec<Pair<F>> {
    let pair = || -> Result<Pair<F>, sysvring::Error> {
        let options = Options::private().capacity(capacity);
        let tx: F::Sender<u64> = match F::FLAVOR {
            Flavor::Mpmc => options.max_members(2).create()?,
            _ => options.create()?,
        };
        let rx = Options::id(tx.id()).attach()?;
        Ok((tx, rx))
    };
    (0..n).map(|n| pair().unwrap_or_else(|e| panic!("{n} channels are possible: {e}"))).collect()
}

/// Adds all of them.
fn waiting<F: AnyFlavor>(channels: &[Pair<F>]) -> (WaitSet, Vec<sysvring::Token>) {
    let set = WaitSet::new().expect("a set");
    let all = channels.iter().map(|(_, rx)| set.add(rx).expect("added")).collect();
    (set, all)
}

/// Finds nothing in all of them.
fn arm<F: AnyFlavor>(channels: &mut [Pair<F>]) {
    for (_, rx) in channels {
        assert_eq!(rx.try_recv(), Err(RecvError::Empty));
    }
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a local variable for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test(quiet)]
fn idle_channels_use_no_processor<F: AnyFlavor>() {
    let mut channels = channels::<F>(1_000, 1_024);
    let (set, _) = waiting::<F>(&channels);
    arm::<F>(&mut channels);
    assert_eq!(tokens(&set, NOW), []);
    // The first looks around are more thorough than the rest.
    assert_eq!(tokens(&set, Some(Duration::from_millis(700))), []);
    // The time in which the host does not run a processor counts as used: one round of few is without.
    let is_cheap = (0..5).any(|_| {
        let (before, start) = (processor_time(), Instant::now());
        assert_eq!(tokens(&set, Some(Duration::from_secs(2))), []);
        let (used, took) = (processor_time() - before, start.elapsed());
        let percent = 100.0 * used.as_secs_f64() / took.as_secs_f64();
        println!(
            "1,000 idle {:?} channels: {used:?} of processor time in {took:?}, {percent:.3} %",
            F::FLAVOR
        );
        percent < 1.0
    });
    assert!(is_cheap);
}

/// The time of a message that wakes its receiver, with other channels in the set.
#[test(quiet)]
fn a_wake_up_costs_the_same_with_more_channels<F: AnyFlavor>() {
    let mut channels = channels::<F>(1_000, 2);
    let mut costs = Vec::new();
    for n in [1, 10, 100, 1_000] {
        let channels = &mut channels[..n];
        let (set, all) = waiting::<F>(channels);
        arm::<F>(channels);
        assert_eq!(tokens(&set, NOW), []);
        let mut rng = Rng::new();
        let mut lap = || {
            let before = processor_time();
            for _ in 0..200 {
                let k = rng.below(n as u64) as usize;
                let (tx, rx) = &mut channels[k];
                tx.try_send(&1).expect("room");
                let events = wait(&set, LONG);
                assert_eq!((events.len(), events[0].token()), (1, all[k]));
                assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Err(RecvError::Empty)));
            }
            (processor_time() - before) / 200
        };
        let cost = (0..20).map(|_| lap()).min().expect("laps");
        println!(
            "{n} {:?} channels: {cost:?} of processor time for a message and its wake-up",
            F::FLAVOR
        );
        costs.push(cost);
    }
    // The caches hold less of a thousand channels.
    assert!(costs.iter().all(|cost| *cost < 3 * costs[0]), "{costs:?}");
}
