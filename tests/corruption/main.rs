//! Whatever a process with write access does to a channel, its members get messages, specific
//! errors or timeouts. There is no panic, no crash and no endless call, and nothing outside the
//! channel is changed.
//!
//! *The header* (`header.rs`). Every byte of every field of the header, members' lines included,
//! gets other values, and every bit and every pair of bits is flipped: before a channel is opened
//! and while handles use it, for each flavor.
//!
//! *Slot states* (`slot_states.rs`). A member that reads a slot state that no correct member writes
//! reports it by name.
//!
//! *Progress* (`progress.rs`). Nor is anyone misled by what receivers of a broadcast channel claim to
//! have received, or by claims of receivers that do not exist.
//!
//! *A live peer* (`peer.rs`). A scribbler overwrites header, slots and semaphores and removes the
//! objects now and then, while others send and receive with deadlines, leave and join again. A
//! header that changes while its channel is created does not affect the creator (`creation.rs`).
//! Messages received by value are validated where no peer can reach them
//! (`copy_then_validate.rs`). Mutation tests with members that are late, panic, crash or hang on
//! purpose show that the checks detect this (`mutation_tests.rs`).
//!
//! Short runs, for every change:
//!
//! ```text
//! cargo test --release --test corruption
//! ```
//!
//! All values of all bytes and all pairs of bits take about an hour; the scribbler runs for
//! minutes:
//!
//! ```text
//! cargo test --release --test corruption -- --every 1 header
//! cargo test --release --test corruption -- --seconds 300 peer
//! ```
//!
//! Where IPC or user namespaces are allowed, the suite shares no segments with other processes.

mod copy_then_validate;
mod creation;
mod endpoints;
mod header;
mod member;
mod mutation_tests;
mod objects;
#[path = "../format/page.rs"]
#[allow(dead_code, reason = "the tests of the document need more of it")]
mod page;
mod peer;
mod progress;
mod scale;
mod scribbler;
mod slot_states;
mod slot_words;

use std::process::ExitCode;

use sysvring_support::suite;

fn main() -> ExitCode {
    suite::main_with(scale::set_up)
}
