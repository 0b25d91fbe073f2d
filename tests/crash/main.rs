//! Real processes that are killed at every instruction, on architectures whose registers are known.
//! `tests/stress` kills them at random times on every architecture.
//!
//! *Every instruction* (`every_instruction.rs`). For each operation of an SPSC or MPMC channel
//! (`operations/`), with the ring in several states and the other side absent, idle, asleep or
//! late, a victim is stepped through its operation and killed by SIGKILL after a number of
//! instructions. Then survivors check the channel (`verify.rs`): every message whose call returned
//! is available; no message is torn, out of order or duplicated (in MPMC channels, unless it is
//! marked as redelivered); the ring can be filled and drained; a parked waiter wakes within 100 ms
//! (its own next poll would come later) and its call returns the correct result; the next open
//! takes a negligible time; the dead hold no semaphore; nothing is left in the kernel's tables.
//!
//! With the same operations and checks, victims are stopped instead of killed (`sigstop.rs`), each
//! of their system calls fails with each errno (`errno.rs`), and the process that takes over is
//! killed as well (`double_crash.rs`). Mutation tests use victims and survivors that leave out one
//! part of the protocol, and show that the checks detect it (`mutation_tests.rs`).
//!
//! Short runs, for every change: tens of thousands of crash points, a third of them in MPMC
//! channels. They take some minutes on two processors.
//!
//! ```text
//! cargo test --release --test crash
//! ```
//!
//! Without `--release`, traces are ten to twenty times as long, and only some cases and few points
//! are tried.
//!
//! Long runs: every instruction of every case, more than a million crash points, and 100,000 pairs
//! of crashes.
//!
//! ```text
//! cargo test --release --test crash -- --every 1 every_instruction
//! cargo test --release --test crash -- --pairs 100000 double_crash
//! ```
//!
//! A failure names the operation, its case and the instruction. To repeat that crash point alone,
//! and to see the source line at that address, use the printed numbers:
//!
//! ```text
//! cargo test --release --test crash -- --at 312 every_instruction::recv_batch
//! addr2line -fie target/release/deps/crash-... 0x5d93d
//! ```
//!
//! The suite needs `ptrace` on its own children. Where IPC or user namespaces are allowed, it
//! shares no segments with other processes. Otherwise, run nothing at the same time that reaps.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[path = "steps.rs"]
mod steps;

use std::process::ExitCode;
use std::time::Instant;

use sysvring_support::{suite, worker};

/// Thresholds that no copy reaches, for the children.
const COPY_BY_LOOPS: &str =
    "glibc.cpu.x86_rep_movsb_threshold=0x40000000:glibc.cpu.x86_rep_stosb_threshold=0x40000000";

fn main() -> ExitCode {
    if let Some(args) = worker::args() {
        // A process does some checks once, at its first attach. This does them before the victims
        // fork, so that they are not stepped through again and again.
        drop(sysvring::Options::private().open::<sysvring::spsc::Sender<u64>>());
        return worker::run(args);
    }
    // Otherwise glibc copies some kilobytes by a repeating instruction, which takes a step for each
    // iteration and is one crash point.
    // SAFETY: this process has one thread.
    unsafe { std::env::set_var("GLIBC_TUNABLES", COPY_BY_LOOPS) };
    let start = Instant::now();
    let mut arguments: Vec<String> = std::env::args().collect();
    let watchdog = match steps::set_up(&mut arguments) {
        Ok(watchdog) => watchdog,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let code = suite::run_with(arguments.into_iter(), watchdog, steps::tests());
    println!("{}, {:.0} s", steps::summary(), start.elapsed().as_secs_f64());
    code
}

/// Other architectures have no stepping.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod steps {
    use std::time::Duration;

    use sysvring_support::suite::{Test, WATCHDOG};

    pub fn tests() -> Vec<Test> {
        Vec::new()
    }

    pub fn set_up(_: &mut Vec<String>) -> Result<Duration, String> {
        Ok(WATCHDOG)
    }

    pub fn summary() -> String {
        "this machine's registers are not known: no steps".into()
    }
}
