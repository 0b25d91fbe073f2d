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

use sysvring_support::{suite, worker};

/// Longer than it takes to wake six, much shorter than the 200 milliseconds after which a sleeper looks
/// by itself.
const PROMPT: Duration = Duration::from_millis(80);

fn main() -> ExitCode {
    if let Some(orders) = worker::orders() {
        let workers = [
            bad_limits::workers(),
            bad_memory::workers(),
            bad_options::workers(),
            bad_permission::workers(),
            bad_removal::workers(),
            bad_system::workers(),
            bad_times::workers(),
            cares::workers(),
            crowd::workers(),
            cut_batches::workers(),
            deaths::workers(),
            edges::workers(),
            false_verdicts::workers(),
            forks::workers(),
            freed::workers(),
            late_wakes::workers(),
            leftovers::workers(),
            life::workers(),
            look::workers(),
            lost_seats::workers(),
            lost_sets::workers(),
            many::workers(),
            meetings::workers(),
            messages::workers(),
            news::workers(),
            phantoms::workers(),
            places::workers(),
            races::workers(),
            raw::workers(),
            shared::workers(),
            stale_ids::workers(),
            stops::workers(),
            strangers::workers(),
            strangers_rings::workers(),
            types::workers(),
            unlike::workers(),
            users::workers(),
            verdicts::workers(),
            waiting::workers(),
            wakes::workers(),
        ];
        return worker::work(&workers.concat(), orders);
    }
    let tests = [
        bad_limits::tests(),
        bad_memory::tests(),
        bad_messages::tests(),
        bad_objects::tests(),
        bad_options::tests(),
        bad_permission::tests(),
        bad_removal::tests(),
        bad_system::tests(),
        bad_times::tests(),
        cares::tests(),
        crowd::tests(),
        cut_batches::tests(),
        deaths::tests(),
        edges::tests(),
        false_verdicts::tests(),
        lost_seats::tests(),
        lost_sets::tests(),
        forks::tests(),
        freed::tests(),
        given_up::tests(),
        late_wakes::tests(),
        leftovers::tests(),
        life::tests(),
        look::tests(),
        many::tests(),
        many_ways::tests(),
        meetings::tests(),
        messages::tests(),
        news::tests(),
        phantoms::tests(),
        places::tests(),
        races::tests(),
        removed_senders::tests(),
        shared::tests(),
        stale_ids::tests(),
        stops::tests(),
        strangers::tests(),
        strangers_rings::tests(),
        types::tests(),
        unlike::tests(),
        users::tests(),
        verdicts::tests(),
        waiting::tests(),
        wakes::tests(),
    ];
    suite::run(tests.concat())
}
