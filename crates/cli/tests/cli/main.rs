//! The command as its users run it: against real channels, with real processes that are killed.

#[path = "../../../../tests/examples/ipc_fixture.rs"]
mod ipc_fixture;

mod broadcasting;
mod creating;
mod doctor;
mod errors;
mod forced_removal;
mod formats;
mod help;
mod interrupted;
mod killed;
mod listing;
mod malicious_text;
mod memory_limit;
mod metrics;
mod missing_pages;
mod overwriting;
mod owners;
mod pid_namespaces;
mod pipes;
mod recording;
mod removing;
mod sandbox;
mod standard;
mod structured;
mod tapping;
mod tool;
mod waiting;
#[cfg(feature = "top")]
mod watching;
