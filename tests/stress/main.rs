//! Real processes, killed at random moments, hundreds a second, for as long as one likes.
//!
//! *The storm* (`many.rs`). Senders and receivers of one many-to-many channel are killed by SIGKILL
//! and started again, alone, together, all at once; some are stopped for a while. What each did lies
//! in memory that survives them (`ledger.rs`): every message whose call had returned was received,
//! none is torn, none comes twice unless it says so itself, and those of a sender are in order. No
//! quarter of a second passes without a message that the machine does not excuse. A receiver that
//! acknowledges too early shows that losses are seen. The same for one sender and one receiver
//! (`one.rs`).
//!
//! *Masses* (`masses.rs`). Deaths that nobody sleeps through, and channels whose members are all
//! killed while they make it.
//!
//! *Sleepers* (`sleepers.rs`). More threads wait than there are seats, and are killed; an auditor looks
//! for what lies there while somebody sleeps.
//!
//! Short, for every day, some 30 seconds:
//!
//! ```text
//! cargo test --release --test stress
//! ```
//!
//! Two minutes; and as long as it takes, some ten minutes on two processors, and a gigabyte of memory:
//!
//! ```text
//! cargo test --release --test stress -- --seconds 90
//! cargo test --release --test stress -- --kills 200000 --messages 100000000
//! cargo test --release --test stress -- --deaths 100000 --cycles 10000 masses
//! ```
//!
//! The storm goes on until it has all that is asked for. Where IPC or user namespaces are allowed, it
//! shares no segments with others; else run nothing beside it that reaps.

mod ledger;
mod many;
mod masses;
mod member;
mod one;
mod scale;
mod sleepers;
mod stall;

use std::process::ExitCode;

use sysvring_support::{suite, worker};

fn main() -> ExitCode {
    if let Some(orders) = worker::orders() {
        return worker::work(
            &[many::workers(), masses::workers(), one::workers(), sleepers::workers()].concat(),
            orders,
        );
    }
    let mut arguments: Vec<String> = std::env::args().collect();
    if let Err(error) = scale::set_up(&mut arguments) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let tests = [many::tests(), masses::tests(), one::tests(), sleepers::tests()].concat();
    suite::run_with(arguments.into_iter(), scale::WATCHDOG, tests)
}
