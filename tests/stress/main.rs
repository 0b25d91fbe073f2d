//! Real processes that are killed at random moments, hundreds per second, for a configurable time.
//!
//! *Random kills* (`mpmc.rs`, `spsc.rs`). Senders and receivers of one MPMC channel are killed by
//! SIGKILL and restarted: one, several, or all at once. Some are stopped for a while. What each did
//! is in memory that outlives them (`ledger.rs`): every message whose call returned was received,
//! no message is torn, none is received twice unless it is marked as redelivered, and those of a
//! sender are in order. At most a quarter of a second passes without a message, plus what the host
//! excuses. In a mutation test, a receiver acknowledges too early, and the losses are detected.
//! `spsc.rs` does the same with one SPSC sender and receiver.
//!
//! *Token pile-up* (`token_pileup.rs`). Deaths while no member is parked, whose posts pile up, and
//! channels whose members are all killed during creation.
//!
//! *Parked waiters* (`parked_waiters.rs`). More threads wait than there are seats, and their processes
//! are killed. An auditor detects messages and free slots that stay unused while a thread is parked
//! for them.
//!
//! *Streams* (`streams.rs`). Stream after stream of a channel ends: its senders finish, leave or are
//! killed, and its receivers, which wait without a time limit, are told when it has ended, and not
//! before.
//!
//! Short runs, for every change, take some 30 seconds:
//!
//! ```text
//! cargo test --release --test stress
//! ```
//!
//! Longer runs take two minutes, or some ten minutes on two processors with a gigabyte of memory:
//!
//! ```text
//! cargo test --release --test stress -- --seconds 90
//! cargo test --release --test stress -- --kills 200000 --messages 100000000
//! cargo test --release --test stress -- --deaths 100000 --cycles 10000 token_pileup
//! cargo test --release --test stress -- --rounds 20000 streams
//! ```
//!
//! Random kills continue until all requested numbers are reached. Where IPC or user namespaces are
//! allowed, the suite shares no segments with other processes. Otherwise, run nothing at the same
//! time that reaps.

mod ledger;
mod member;
mod mpmc;
mod parked_waiters;
mod scale;
mod spsc;
mod stall_detector;
mod streams;
mod token_pileup;

use std::process::ExitCode;

use sysvring_support::suite;

fn main() -> ExitCode {
    suite::main_with(scale::set_up)
}
