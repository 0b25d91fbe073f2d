//! What the tests and the benches of sysvring share.
//!
//! A program that uses this runs itself again for its child processes: [`worker::orders`] tells
//! whether it is one. Tests come as [`suite::Test`]s to [`suite::run`], which gives each a watchdog
//! and makes sure that nothing of System V is left.

pub mod board;
pub mod commands;
pub mod fork;
pub mod inject;
pub mod ipc;
pub mod memory;
pub mod name;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub mod step;
pub mod suite;
pub mod witness;
pub mod worker;
