//! Explicit-state model of `src/wait/mod.rs`: how threads park, are woken and give up, and how a
//! wake-up is passed on. The search covers all interleavings. A fault is a state in which no thread
//! proceeds by itself, a thread is parked, and a message is available or a dead member left one
//! unacknowledged.
//!
//! Modelled: one wake semaphore (the receivers'), the PARKED bit, one word per seat (incarnation
//! and number of waiting threads), the duty to pass a wake-up on; in SPSC channels the store buffer
//! of the sender (TSO), the receiver's request for fences, `membarrier`; death of any process between any two steps with its `SEM_UNDO` post, a
//! successor that takes the seat of a dead member in several steps, and timeouts of parked threads.
//! A thread that a signal interrupts takes the same steps as one whose timeout expires, and
//! returns.
//!
//! The names of the steps (P1, S4, ...) are those of the argument at the top of `src/wait/mod.rs`:
//! P publishes and wakes, S parks, F finds something before it parks, K is woken, G gives up, T is
//! woken without cause, R rests, O passes on. A joining process is `Seated`, then `Signed`, then
//! `Waking`.
//!
//! Not modelled: memory orders weaker than TSO (the loom models in `src/models` check those),
//! requests that stand for good because membarrier was refused, the senders' side (its steps are the
//! same, with free slots in place of messages), the order of messages and the ring itself, the end
//! of a stream, closing and removal, leaving (which posts as a death does), SIGSTOP, and
//! wrap-around of the incarnation. A scan of the ring is one atomic step here. Settings are small:
//! two or three members, up to three messages.

mod protocol;
mod receiver;
mod search;
mod state;

use protocol::Change::*;
use protocol::{Change, Setting};
use search::{Verdict, search};

/// One sender sends two messages to two members with one thread each. One process is killed, and a
/// dead member may have a successor.
const SMALL: Setting = Setting {
    senders: 1,
    messages: 2,
    stores: false,
    threads: &[1, 1],
    kills: 1,
    successors: 1,
    timeouts: 0,
    changes: &[],
};

/// The same without deaths, but with a timeout.
const IMPATIENT: Setting = Setting { kills: 0, successors: 0, timeouts: 1, ..SMALL };

/// An SPSC channel: the sender publishes by a plain store, and its receiver parks alone.
const SPSC: Setting = Setting {
    messages: 4,
    stores: true,
    threads: &[1],
    kills: 2,
    successors: 2,
    timeouts: 1,
    ..SMALL
};

#[track_caller]
fn holds(setting: Setting) {
    match search(&setting) {
        Verdict::Holds(states) => println!("{setting:?} holds in all of {states} states"),
        Verdict::Fails(way) => panic!("{setting:?} fails:\n  {}", way.join("\n  ")),
    }
}

/// Fails unless the search finds a counterexample. `--nocapture` shows it.
#[track_caller]
fn fails(setting: Setting, changes: &'static [Change]) {
    match search(&Setting { changes, ..setting }) {
        Verdict::Holds(states) => panic!("{changes:?} holds in all of {states} states"),
        Verdict::Fails(way) => println!("{changes:?} fails:\n  {}\n", way.join("\n  ")),
    }
}

#[test]
fn holds_with_a_death_and_a_successor() {
    holds(SMALL);
}

#[test]
fn holds_with_two_deaths() {
    holds(Setting { kills: 2, ..SMALL });
}

#[test]
fn holds_with_two_sending_threads() {
    holds(Setting { senders: 2, messages: 1, ..SMALL });
}

#[test]
fn holds_with_two_threads_of_one_member() {
    holds(Setting { threads: &[2, 1], successors: 0, ..SMALL });
}

#[test]
fn holds_with_three_members() {
    holds(Setting { threads: &[1, 1, 1], messages: 1, ..SMALL });
}

#[test]
fn holds_with_timeouts() {
    holds(Setting { timeouts: 2, messages: 3, ..IMPATIENT });
}

#[test]
fn holds_with_a_timeout_a_death_and_a_successor() {
    holds(Setting { timeouts: 1, ..SMALL });
}

#[test]
fn holds_with_a_timeout_and_two_threads_of_one_member() {
    holds(Setting { threads: &[2, 1], messages: 1, kills: 1, ..IMPATIENT });
}

/// Larger settings, for changes of the protocol: `cargo test --release --test waiting_model --
/// --ignored`.
#[test]
#[ignore = "takes minutes and two gigabytes of memory"]
fn holds_in_larger_settings() {
    holds(Setting { senders: 2, messages: 1, timeouts: 1, ..SMALL });
    holds(Setting { threads: &[1, 1, 1], successors: 0, ..SMALL });
    holds(Setting { threads: &[2, 1], ..SMALL });
    holds(Setting { threads: &[2, 1], kills: 1, ..IMPATIENT });
    holds(Setting { threads: &[2, 1], messages: 1, timeouts: 1, ..SMALL });
}

/// Variants that this model cannot tell from the protocol. Some of them fail in combination, see
/// below.
#[test]
fn some_changes_hold_alone() {
    let alone: [&[Change]; 4] = [
        &[FinderLeavesParked],
        &[FinderLeavesParkedToOthers],
        &[DutyLostAtAnnouncing],
        &[GivesUpAtOnce],
    ];
    for changes in alone {
        holds(Setting { changes, ..SMALL });
        holds(Setting { changes, ..IMPATIENT });
    }
}

#[test]
fn holds_if_a_thread_woken_without_cause_rests() {
    holds(Setting { changes: &[Rests], ..SMALL });
    holds(Setting { changes: &[Rests], ..IMPATIENT });
    holds(Setting { changes: &[Rests], threads: &[1, 1, 1], messages: 1, ..SMALL });
    holds(Setting { changes: &[Rests], threads: &[2, 1], successors: 0, ..SMALL });
}

#[test]
fn fails_if_a_resting_thread_keeps_its_duty() {
    fails(Setting { threads: &[1, 1, 1], successors: 0, ..SMALL }, &[RestsWithDuty]);
}

#[test]
fn fails_if_wakeups_are_not_passed_on() {
    fails(SMALL, &[NoPassingOn]);
}

#[test]
fn fails_if_passing_on_polls_before_parked_is_set() {
    fails(SMALL, &[PassOnLooksFirst]);
}

#[test]
fn fails_if_passing_on_does_not_poll() {
    fails(SMALL, &[PassOnWithoutLook]);
}

#[test]
fn fails_if_passing_on_ignores_orphaned_messages() {
    fails(Setting { threads: &[1, 1, 1], successors: 0, ..SMALL }, &[PassOnLooksQuickly]);
    let setting = Setting { threads: &[2, 1], successors: 0, ..SMALL };
    fails(setting, &[PassOnLooksQuickly, FinderLeavesParked]);
}

#[test]
fn fails_if_only_threads_in_the_kernel_count_as_waiting() {
    fails(SMALL, &[PassOnAsksTheKernel]);
}

#[test]
fn fails_if_deaths_do_not_post() {
    fails(SMALL, &[DeathsDoNotPost]);
}

#[test]
fn fails_if_a_finder_drops_its_duty() {
    fails(SMALL, &[FinderDropsDuty]);
}

#[test]
fn holds_if_the_receiver_asks_for_fences() {
    holds(SPSC);
}

#[test]
fn fails_if_nobody_asks_for_fences() {
    fails(SPSC, &[NobodyAsks]);
}

#[test]
fn fails_if_asking_has_no_barrier() {
    fails(SPSC, &[AsksWithoutBarrier]);
}

#[test]
fn fails_if_the_sender_ignores_requests() {
    fails(SPSC, &[SenderIgnoresRequests]);
}

#[test]
fn fails_if_a_withdrawn_request_is_remembered() {
    fails(SPSC, &[WithdrawsAndRemembers]);
}

#[test]
fn fails_if_parked_is_set_before_the_word() {
    fails(SMALL, &[ParkedBeforeWord]);
}

#[test]
fn fails_if_the_word_of_a_dead_seat_is_overwritten() {
    fails(SMALL, &[WipesBlindly]);
}

#[test]
fn fails_if_announcing_drops_the_duty_and_finders_leave_parked() {
    fails(SMALL, &[DutyLostAtAnnouncing, FinderLeavesParkedToOthers]);
}

#[test]
fn fails_if_giving_up_drops_the_duty() {
    fails(IMPATIENT, &[GivesUpWithoutDuty]);
}

#[test]
fn fails_if_a_successor_does_not_wake() {
    fails(SMALL, &[JoinerDoesNotWake]);
}
