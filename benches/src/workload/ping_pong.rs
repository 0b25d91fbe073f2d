//! The round-trip workload and its latencies.

use sysvring_support::worker::{print_line, read_line};

use crate::clock;

/// Runs the returning side: on `go`, it answers the warm-up messages and those of a turn.
pub fn turns(count: u64, mut answer: impl FnMut()) {
    loop {
        read_line();
        for _ in 0..count + count / 10 {
            answer();
        }
    }
}

/// Runs the initiating side and reports, for each turn, half of the round trip: median, 99th and
/// 99.9th percentile and maximum, in nanoseconds. Each message reads the clock once, so the cost of
/// reading it is the same for every transport.
pub fn timed_turns(count: u64, mut round_trip: impl FnMut(u64) -> u64) {
    let mut samples = vec![0u32; count as usize];
    let mut next = 1;
    let mut one = || {
        assert_eq!(round_trip(next), next);
        next += 1;
    };
    loop {
        read_line();
        for _ in 0..count / 10 {
            one();
        }
        let (start, first) = (clock::now(), clock::ticks());
        let mut last = first;
        for sample in &mut samples {
            one();
            let now = clock::ticks();
            *sample = (now - last).try_into().unwrap_or(u32::MAX);
            last = now;
        }
        let tick = (clock::now() - start) as f64 / (last - first) as f64;
        samples.sort_unstable();
        let last = samples.len() - 1;
        let half = |part: usize| f64::from(samples[last * part / 1000]) * tick / 2.0;
        print_line(format!("{} {} {} {}", half(500), half(990), half(999), half(1000)));
    }
}
