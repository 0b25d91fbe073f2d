//! How long no message was received, and how much of that time the host excuses.

use std::time::{Duration, Instant};

use sysvring_support::scheduler_noise::Watch;

/// The maximum time without a message while there is work.
pub const STUCK: Duration = Duration::from_millis(250);
/// After this time the state is recorded, in case the stall becomes too long.
const SUSPECT: Duration = Duration::from_millis(150);
/// After this time the run fails, whatever the host excuses.
const DEAD: Duration = Duration::from_secs(10);

/// The stalls of a run. Times during which a member is stopped do not count, because all others
/// wait behind it.
pub struct Stall {
    watch: Watch,
    received: u64,
    since: Instant,
    looked: Instant,
    /// Since when a member is stopped, and how long members were stopped before, since the last
    /// message.
    stopped: Option<Instant>,
    excused: Duration,
    /// The longest time without a message, less stops.
    pub longest: Duration,
    /// How many times were too long, less what the host excuses.
    pub stuck: u64,
    /// The state when a stall was suspected, and at the last message.
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

    /// Records that a member was stopped just now.
    pub fn stop(&mut self) {
        self.stopped = Some(Instant::now());
    }

    /// Records that this member was continued or killed.
    pub fn go_on(&mut self) {
        self.excused += self.stopped.take().map_or(Duration::ZERO, |stopped| stopped.elapsed());
    }

    /// Records that `received` messages were received so far, after `kills` kills. `state`
    /// describes what the members do.
    pub fn look(&mut self, received: u64, kills: u64, state: impl Fn() -> String) {
        let stopped = self.stopped.map_or(Duration::ZERO, |stopped| stopped.elapsed());
        let progress = received != self.received;
        // A message may have been received just after the previous poll, and this poll may itself
        // be late.
        let known = if progress { self.looked - self.since } else { self.since.elapsed() };
        let stall = known.saturating_sub(self.excused + stopped);
        self.longest = self.longest.max(stall);
        let gap = self.looked.elapsed();
        if gap > SUSPECT {
            println!("the supervisor itself did not run for {gap:?}");
        }
        self.looked = Instant::now();
        if !progress && stall > SUSPECT {
            self.suspicion.get_or_insert_with(&state);
        }
        if stall > STUCK && (progress || stall > DEAD) {
            let allowance = self.watch.allowance();
            if stall > STUCK + allowance {
                self.stuck += 1;
                let (kills, before) = (kills - self.began_with, self.suspicion.as_deref());
                println!(
                    "nothing was received for {stall:?} and {kills} kills before message \
                     {received}, excused {allowance:?}; then {}, now {}",
                    before.unwrap_or("unknown"),
                    state(),
                );
            }
        }
        assert!(progress || stall < DEAD, "nothing was received for {stall:?}");
        if progress {
            self.received = received;
            self.began_with = kills;
            self.suspicion = None;
            self.since = Instant::now();
            self.excused = Duration::ZERO;
            // The stop before the message is over and accounted for.
            self.stopped = self.stopped.map(|_| self.since);
            self.watch.restart();
        }
    }
}
