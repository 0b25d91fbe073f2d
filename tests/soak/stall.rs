//! How long nothing came, and how much of that the machine excuses.

use std::time::{Duration, Instant};

use sysvring_support::witness::Watch;

/// With work to do, no longer time passes without a message.
pub const STUCK: Duration = Duration::from_millis(250);
/// After so long nobody waits for better times.
const DEAD: Duration = Duration::from_secs(10);

/// See the top of this file. Times in which somebody is stopped do not count: all wait behind it.
pub struct Stall {
    watch: Watch,
    received: u64,
    since: Instant,
    /// Since when somebody is stopped, and how long somebody was before, since the last message.
    stopped: Option<Instant>,
    excused: Duration,
    /// The longest without a message, all but stops included.
    pub longest: Duration,
    /// How often one was too long, the machine's excuse taken off.
    pub stuck: u64,
}

impl Stall {
    pub fn new() -> Stall {
        Stall {
            watch: Watch::start(&[]),
            received: 0,
            since: Instant::now(),
            stopped: None,
            excused: Duration::ZERO,
            longest: Duration::ZERO,
            stuck: 0,
        }
    }

    /// Somebody was stopped just now.
    pub fn stop(&mut self) {
        self.stopped = Some(Instant::now());
    }

    /// That one was continued, or killed.
    pub fn go_on(&mut self) {
        self.excused += self.stopped.take().map_or(Duration::ZERO, |stopped| stopped.elapsed());
    }

    /// So many were received up to now.
    pub fn look(&mut self, received: u64) {
        let stopped = self.stopped.map_or(Duration::ZERO, |stopped| stopped.elapsed());
        let stall = self.since.elapsed().saturating_sub(self.excused + stopped);
        self.longest = self.longest.max(stall);
        let progress = received != self.received;
        if stall > STUCK && (progress || stall > DEAD) {
            let excuse = self.watch.excuse();
            if stall > STUCK + excuse {
                self.stuck += 1;
                println!("nothing came for {stall:?} after message {received}, excused {excuse:?}");
            }
        }
        assert!(progress || stall < DEAD, "nothing has come for {stall:?}");
        if progress {
            self.received = received;
            self.since = Instant::now();
            self.excused = Duration::ZERO;
            // The stop before the message is over and paid for.
            self.stopped = self.stopped.map(|_| self.since);
            self.watch.restart();
        }
    }
}
