//! The cost of a message while no side is parked: the number of instructions, and no system call.
//! These are counts, not times, so they do not depend on the load of the host.
//!
//! ```text
//! cargo test --release --test instruction_count
//! cargo test --release --test instruction_count -- --store
//! ```
//!
//! The first command compares the instructions with `figures.txt` and fails if they differ by more
//! than 3 % in either direction. The second one stores new figures. They are valid for one compiler
//! on x86-64. With another one, or without `--release`, the suite checks only the system calls, and
//! reports that.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod figures;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod messages;

use std::process::ExitCode;

use sysvring_support::suite;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--store") {
        return figures::store();
    }
    suite::main()
}

/// Other architectures have no stepping.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod figures {
    use std::process::ExitCode;

    pub fn store() -> ExitCode {
        eprintln!("this machine's registers are not known: no steps");
        ExitCode::FAILURE
    }
}
