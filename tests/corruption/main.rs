//! Whatever a process with write access does to a channel: who uses it gets messages, errors with a
//! name or timeouts; no panic, no crash, no endless call, nothing touched that is not the channel's.
//!
//! *The header* (`header.rs`). Every byte of every field of the header, members' lines included, is
//! given other values, and every bit and every pair of bits is flipped: before a channel is opened and
//! while handles use it, one to one and many to many.
//!
//! *The words* (`words.rs`). A slot's word that nobody honest writes is named by whoever comes upon it.
//!
//! *A live peer* (`peer.rs`). A process scribbles over header, slots and semaphores and removes the
//! objects now and then, while others send and receive with deadlines, leave and come again.
//! Headers that change while their channel is created are no business of its creator (`creation.rs`).
//! What is received by value is validated where no peer can reach it (`copies.rs`).
//! Members that are late, panic, crash or hang on purpose show that this is seen (`controls.rs`).
//!
//! Short, for every day:
//!
//! ```text
//! cargo test --release --test corruption
//! ```
//!
//! All values of all bytes, and all pairs of bits, about an hour; minutes of scribbling:
//!
//! ```text
//! cargo test --release --test corruption -- --every 1 header
//! cargo test --release --test corruption -- --seconds 300 peer
//! ```
//!
//! Where IPC or user namespaces are allowed, it shares no segments with others.

mod controls;
mod copies;
mod creation;
mod ends;
mod ground;
mod header;
mod member;
#[path = "../format/page.rs"]
#[allow(dead_code, reason = "the tests of the page need more of it")]
mod page;
mod peer;
mod scale;
mod scribbler;
mod words;

use std::process::ExitCode;

use sysvring_support::{suite, worker};

fn main() -> ExitCode {
    if let Some(orders) = worker::orders() {
        return worker::work(&[creation::workers(), peer::workers()].concat(), orders);
    }
    let mut arguments: Vec<String> = std::env::args().collect();
    if let Err(error) = scale::set_up(&mut arguments) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let tests = [
        controls::tests(),
        copies::tests(),
        creation::tests(),
        header::tests(),
        peer::tests(),
        words::tests(),
    ]
    .concat();
    suite::run_with(arguments.into_iter(), scale::WATCHDOG, tests)
}
