//! Channels between real processes: this program runs itself again for each of them.

mod bad_limits;
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

use std::process::ExitCode;

use sysvring_support::suite;

fn main() -> ExitCode {
    suite::main()
}
