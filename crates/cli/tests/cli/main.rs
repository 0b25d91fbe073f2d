//! The command as its users run it: against real channels, with real processes that are killed.

#[path = "../../../../tests/examples/ipc_fixture.rs"]
mod ipc_fixture;

mod doctor;
mod help;
mod listing;
mod pipes;
mod recording;
mod removing;
mod tapping;
mod tool;
mod waiting;
#[cfg(feature = "top")]
mod watching;
