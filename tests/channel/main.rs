//! Channels between real processes: this program runs itself again for each of them.

mod advice;
mod bad_limits;
mod bad_memory;
mod bad_messages;
mod bad_objects;
mod bad_options;
mod bad_permission;
mod bad_removal;
mod bad_system;
mod bad_times;
mod cares;
mod crowd;
mod cut_batches;
mod deaths;
mod edges;
mod false_verdicts;
mod forks;
mod freed;
mod given_up;
mod late_wakes;
mod leftovers;
mod life;
mod look;
mod lost_seats;
mod lost_sets;
mod many;
mod many_ways;
mod meetings;
mod messages;
mod news;
mod phantoms;
mod places;
mod races;
mod raw;
mod removed_senders;
mod shared;
mod stale_ids;
mod stops;
mod strangers;
mod strangers_rings;
mod types;
mod unlike;
mod users;
mod verdicts;
mod waiting;
mod wakes;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use sysvring_support::suite;

/// Longer than it takes to wake six, much shorter than the 200 milliseconds after which a sleeper looks
/// by itself.
const PROMPT: Duration = Duration::from_millis(80);

fn main() -> ExitCode {
    suite::main()
}
