//! What the tests and the benchmarks of sysvring share.
//!
//! A program that uses this crate runs itself again for its child processes. Its tests are
//! functions with the attribute [`test`](macro@test), and what its children do are functions with
//! the attribute [`work`](macro@work); its `main` is [`suite::main`], which gives each test a
//! watchdog and checks that no segment or set is leaked.

pub mod commands;
pub mod control_group;
pub mod error_text;
pub mod fork;
pub mod handle;
pub mod huge_pages;
pub mod ipc_namespace;
pub mod malicious_text;
pub mod name;
pub mod raw_ipc;
pub mod rng;
pub mod scale;
pub mod scheduler_noise;
pub mod seccomp_errno;
pub mod shared_counters;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub mod single_step;
pub mod stopwatch;
pub mod suite;
pub mod worker;

pub use inventory;
pub use sysvring_support_macros::{test, work};
