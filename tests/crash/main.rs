//! Real processes, killed at every instruction, where the machine's registers are known. At random
//! times, everywhere: `tests/stress`.
//!
//! *The walk* (`steps/walk.rs`). For each operation of a channel, one to one or many to many
//! (`steps/operations/`), with the ring in several states and the other side absent, idle, asleep or
//! late, a victim is stepped through its operation and killed by SIGKILL after so many instructions.
//! Then survivors look (`steps/verify.rs`, `steps/many/verify.rs`): every message whose call had
//! returned is there, none is torn, none is out of order or there twice (of many to many: but those
//! that say so); the ring can be filled and drained; a sleeper wakes within 100 ms (its own next look
//! would come later) and is told what is so; the next open takes no time worth speaking of; no
//! semaphore is held by the dead; nothing is left in the kernel's tables. The same walk also stops
//! victims instead of killing them (`stopped.rs`), lets each of their system calls fail with each
//! errno (`errno.rs`), and kills the one who comes to take over as well (`twice.rs`). Victims and
//! survivors that leave out one part of the protocol show that all this is seen when it happens
//! (`controls.rs`, `many/controls.rs`).
//!
//! Short, for every day: some tens of thousands of kill points, a third of them of many-to-many channels,
//! in some minutes on two processors.
//!
//! ```text
//! cargo test --release --test crash
//! ```
//!
//! Without `--release` ways are ten to twenty times as long, and some cases and few points are tried.
//!
//! Long: every instruction of every case, some 1 100 000 kill points, and 100 000 pairs of deaths.
//!
//! ```text
//! cargo test --release --test crash -- --every 1 walk
//! cargo test --release --test crash -- --pairs 100000 twice
//! ```
//!
//! A failure names the operation, its case and the instruction; that one again, by the numbers that
//! were printed, and what lies at the place:
//!
//! ```text
//! cargo test --release --test crash -- --at 312 walk::recv_batch
//! addr2line -fie target/release/deps/kill-... 0x5d93d
//! ```
//!
//! It needs `ptrace` of own children. Where IPC or user namespaces are allowed, it shares no
//! segments with others; else run nothing beside it that reaps.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod steps;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sysvring_support::{suite, worker};

/// Of one test in the short setting and in the long one.
const WATCHDOGS: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(7_200)];

fn main() -> ExitCode {
    if let Some(orders) = worker::orders() {
        // What a process looks at once, at its first attach, is not stepped through again and again.
        drop(sysvring::Options::private().open::<sysvring::spsc::Sender<u64>>());
        return worker::work(&steps::workers(), orders);
    }
    let start = Instant::now();
    let mut arguments: Vec<String> = std::env::args().collect();
    let long = match steps::set_up(&mut arguments) {
        Ok(long) => long,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let tests = steps::tests();
    let code = suite::run_with(arguments.into_iter(), WATCHDOGS[usize::from(long)], tests);
    println!("{}, {:.0} s", steps::summary(), start.elapsed().as_secs_f64());
    code
}

/// Elsewhere, no steps.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod steps {
    use sysvring_support::suite::Test;
    use sysvring_support::worker::Work;

    pub fn workers() -> Vec<Work> {
        Vec::new()
    }

    pub fn tests() -> Vec<Test> {
        Vec::new()
    }

    pub fn set_up(_: &mut Vec<String>) -> Result<bool, String> {
        Ok(false)
    }

    pub fn summary() -> String {
        "this machine's registers are not known: no steps".into()
    }
}
