//! A thousand channels in one set: idle ones use no processor, and a wake-up costs no more.

use std::time::{Duration, Instant};

use sysvring::{Options, RecvError, WaitSet, spsc};
use sysvring_support::rng::Rng;
use sysvring_support::test;

use crate::{LONG, NOW, tokens, wait};

type Pair = (spsc::Sender<u64>, spsc::Receiver<u64>);

/// Makes private channels of two seats. The limits of the kernel must allow them: segments and sets
/// have a namespace of their own where that is allowed.
fn channels(n: usize) -> Vec<Pair> {
    let pair = |n: usize| -> Result<Pair, sysvring::Error> {
        let tx: spsc::Sender<u64> = Options::private().capacity(2).create()?;
        let rx = Options::id(tx.id()).attach()?;
        let _ = n;
        Ok((tx, rx))
    };
    (0..n).map(|n| pair(n).unwrap_or_else(|e| panic!("{n} channels are possible: {e}"))).collect()
}

/// Adds all of them, which find nothing.
fn waiting(channels: &[Pair]) -> (WaitSet, Vec<sysvring::Token>) {
    let set = WaitSet::new().expect("a set");
    let all = channels.iter().map(|(_, rx)| set.add(rx).expect("added")).collect();
    (set, all)
}

fn arm(channels: &mut [Pair]) {
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
fn idle_channels_use_no_processor() {
    let mut channels = channels(1_000);
    let (set, _) = waiting(&channels);
    arm(&mut channels);
    assert_eq!(tokens(&set, NOW), []);
    let time = Duration::from_secs(if cfg!(debug_assertions) { 2 } else { 3 });
    let (before, start) = (processor_time(), Instant::now());
    assert_eq!(tokens(&set, Some(time)), []);
    let (used, took) = (processor_time() - before, start.elapsed());
    let percent = 100.0 * used.as_secs_f64() / took.as_secs_f64();
    println!("1,000 idle channels: {used:?} of processor time in {took:?}, {percent:.3} %");
    assert!(percent < 1.0);
}

/// The time of a message that wakes its receiver, with other channels in the set.
#[test(quiet)]
fn a_wake_up_costs_the_same_with_more_channels() {
    let mut channels = channels(1_000);
    let mut costs = Vec::new();
    for n in [1, 10, 100, 1_000] {
        let channels = &mut channels[..n];
        let (set, all) = waiting(channels);
        arm(channels);
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
        println!("{n} channels: {cost:?} of processor time for a message and its wake-up");
        costs.push(cost);
    }
    // The caches hold less of a thousand channels.
    assert!(costs.iter().all(|cost| *cost < 3 * costs[0]), "{costs:?}");
}
