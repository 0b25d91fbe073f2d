//! How long nothing came, and how much of that the machine excuses.

use std::time::{Duration, Instant};

use sysvring_support::witness::Watch;

/// With work to do, no longer time passes without a message.
pub const STUCK: Duration = Duration::from_millis(250);
/// After so long, what is the matter is written down, in case it becomes one.
const SUSPECT: Duration = Duration::from_millis(150);
/// After so long nobody waits for better times.
const DEAD: Duration = Duration::from_secs(10);

/// See the top of this file. Times in which somebody is stopped do not count: all wait behind it.
pub struct Stall {
    watch: Watch,
    received: u64,
    since: Instant,
    looked: Instant,
    /// Since when somebody is stopped, and how long somebody was before, since the last message.
    stopped: Option<Instant>,
    excused: Duration,
    /// The longest without a message, all but stops included.
    pub longest: Duration,
    /// How often one was too long, the machine's excuse taken off.
    pub stuck: u64,
    /// How things were when it was suspected, and at the last message.
    suspicion: Option<String>,
    began_with: u64,
}

impl Stall {
    pub fn new() -> Stall {
        Stall {
            watch: Watch::start(&[]),
            received: 0,
            since: Instant::now(),
            looked: Instant::now(),
            stopped: None,
            excused: Duration::ZERO,
            longest: Duration::ZERO,
            stuck: 0,
            suspicion: None,
            began_with: 0,
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

    /// So many messages were received up to now, after so many kills; and how to say what goes on.
    pub fn look(&mut self, received: u64, kills: u64, state: impl Fn() -> String) {
        let stopped = self.stopped.map_or(Duration::ZERO, |stopped| stopped.elapsed());
        let progress = received != self.received;
        // What came may have come just after the look before, and this look itself be late.
        let known = if progress { self.looked - self.since } else { self.since.elapsed() };
        let stall = known.saturating_sub(self.excused + stopped);
        self.longest = self.longest.max(stall);
        let gap = self.looked.elapsed();
        if gap > SUSPECT {
            println!("the storm itself stood still for {gap:?}");
        }
        self.looked = Instant::now();
        if !progress && stall > SUSPECT {
            self.suspicion.get_or_insert_with(&state);
        }
        if stall > STUCK && (progress || stall > DEAD) {
            let excuse = self.watch.excuse();
            if stall > STUCK + excuse {
                self.stuck += 1;
                let (kills, before) = (kills - self.began_with, self.suspicion.as_deref());
                println!(
                    "nothing came for {stall:?} and {kills} kills before message {received}, excused \
                     {excuse:?}; then {}, now {}",
                    before.unwrap_or("unknown"),
                    state(),
                );
            }
        }
        assert!(progress || stall < DEAD, "nothing has come for {stall:?}");
        if progress {
            self.received = received;
            self.began_with = kills;
            self.suspicion = None;
            self.since = Instant::now();
            self.excused = Duration::ZERO;
            // The stop before the message is over and paid for.
            self.stopped = self.stopped.map(|_| self.since);
            self.watch.restart();
        }
    }
}
