//! What a message costs while both sides are awake: how many instructions, and no system call. Counts,
//! not times: however busy the machine is, they are the same.
//!
//! ```text
//! cargo test --release --test instruction_count
//! cargo test --release --test instruction_count -- --store
//! ```
//!
//! The first compares the instructions with `figures.txt` and fails when they are more than 3 % off, in
//! either direction; the second stores new ones. They are those of one compiler on x86-64: with
//! another one, or without `--release`, only the system calls are looked at, and it says so.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod figures;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod messages;

use std::process::ExitCode;

use sysvring_support::{suite, worker};

fn main() -> ExitCode {
    if let Some(orders) = worker::orders() {
        return worker::work(&figures::workers(), orders);
    }
    let mut arguments: Vec<String> = std::env::args().collect();
    let before = arguments.len();
    arguments.retain(|argument| argument != "--store");
    if arguments.len() < before {
        return figures::store();
    }
    suite::run_with(arguments.into_iter(), suite::WATCHDOG, figures::tests())
}

/// Elsewhere, no steps.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod figures {
    use std::process::ExitCode;

    use sysvring_support::suite::Test;
    use sysvring_support::worker::Work;

    pub fn workers() -> Vec<Work> {
        Vec::new()
    }

    pub fn tests() -> Vec<Test> {
        Vec::new()
    }

    pub fn store() -> ExitCode {
        eprintln!("this machine's registers are not known: no steps");
        ExitCode::FAILURE
    }
}
