//! What the tests and the benchmarks of sysvring share.
//!
//! A program that uses this crate runs itself again for its child processes; [`worker::orders`]
//! returns whether it is one. Tests are [`suite::Test`]s that are passed to [`suite::run`], which
//! gives each a watchdog and checks that no segment or set is leaked.

pub mod board;
pub mod commands;
pub mod fork;
pub mod inject;
pub mod ipc;
pub mod ipc_namespace;
pub mod memory;
pub mod name;
pub mod raw_ipc;
pub mod rng;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub mod step;
pub mod suite;
pub mod witness;
pub mod worker;
